public import NetCore
public import SIPMessage

/// `Session-Expires: 1800;refresher=uac` (RFC 4028 §4).
public struct SessionExpires: Equatable, Sendable {
  public enum Refresher: UInt8, Sendable { case uac, uas }

  /// Seconds.
  public var interval: UInt32
  public var refresher: Refresher?

  public init(interval: UInt32, refresher: Refresher?) {
    self.interval = interval
    self.refresher = refresher
  }

  /// Nil for what is no number. A refresher that is neither is none.
  public init?(_ value: Bytes) {
    let parts = value.split(separator: UInt8(ascii: ";"))
    guard let first = parts.first, let seconds = SessionExpires.seconds(first) else { return nil }
    interval = seconds
    for part in parts.dropFirst() {
      let pair = part.split(separator: UInt8(ascii: "=")).map { $0.filter { $0 > 0x20 } }
      guard pair.count == 2, pair[0][...].equalsIgnoringCase("refresher") else { continue }
      refresher = pair[1][...].equalsIgnoringCase("uac") ? .uac : pair[1][...].equalsIgnoringCase("uas") ? .uas : nil
    }
  }

  /// The delta-seconds of Session-Expires or Min-SE, whatever parameters follow.
  public static func seconds(_ value: Bytes) -> UInt32? {
    let number = value.prefix { $0 != UInt8(ascii: ";") }.drop { $0 <= 0x20 }
    return Decimal.parse(number.prefix { $0 > 0x20 })
  }
}

/// The session timer of one dialog: RFC 4028. It holds what was agreed; the wheel's timer is the owner's.
public struct SessionTimer: Sendable {
  /// Seconds; 0: no timer runs.
  public private(set) var interval: UInt32 = 0
  /// We send the refreshes; else the peer does, and we end the session that he lets expire.
  public private(set) var isOurs = false
  /// When the last 2xx said so.
  public private(set) var refreshed = Instant.zero
  /// The largest Min-SE that the peer has told us; 0: none (§5: 90).
  public var minimum: UInt32 = 0

  /// The least that anybody may ask for (§5), in seconds.
  public static let leastInterval: UInt32 = 90

  public init() {}

  public var isActive: Bool { interval != 0 }

  /// After how long without a refresh the session is ended (§10).
  public var patience: Instant.Span { .seconds(Int64(interval - min(32, interval / 3))) }

  /// From the 2xx to our refresh, or, where the peer refreshes, to the end.
  public var wait: Instant.Span { isOurs ? .seconds(Int64(interval / 2)) : patience }

  /// What a 2xx to a request says; nil: nothing, and no timer runs any more (§7.2).
  /// - Parameter isUAC: the request was ours.
  public mutating func agree(_ agreed: SessionExpires?, isUAC: Bool, now: Instant) {
    refreshed = now
    interval = agreed.map { max($0.interval, SessionTimer.leastInterval) } ?? 0
    isOurs = ((agreed?.refresher ?? .uac) == .uac) == isUAC
  }

  /// For a request of ours in the dialog (§7.4): what was agreed, or more, where the peer wants so.
  public var renewal: SessionExpires {
    SessionExpires(interval: max(interval, minimum), refresher: isOurs ? .uac : .uas)
  }

  // MARK: the UAS (§9)

  public enum Verdict: Equatable, Sendable {
    /// No session timer.
    case none
    /// For the 2xx: the interval, who refreshes, and whether `Require: timer` goes with it.
    case agreed(SessionExpires, required: Bool)
    /// 422 with this Min-SE.
    case tooSmall(minimum: UInt32)
  }

  /// What a 2xx to an INVITE or UPDATE will say.
  /// - Parameters:
  ///   - wanted: the interval that we ask for, in seconds; 0: none, the peer's own is taken.
  ///   - minimum: our Min-SE.
  public func verdict(on request: Message, wanted: UInt32, minimum: UInt32) -> Verdict {
    let asked = request.first(.sessionExpires).flatMap { SessionExpires($0) }
    let supports =
      request.hasToken("timer", in: .supported) || request.hasToken("timer", in: .require)
    guard supports || asked != nil, wanted > 0 || asked != nil else { return .none }
    if let asked, supports, asked.interval < minimum { return .tooSmall(minimum: minimum) }
    let least = max(request.first(.minSE).flatMap { SessionExpires.seconds($0) } ?? 0, minimum)
    var seconds = asked?.interval ?? wanted
    if wanted > 0, seconds > wanted { seconds = wanted }
    seconds = max(seconds, least)
    let refresher: SessionExpires.Refresher
    if !supports {
      // §9 table 2: only we can.
      refresher = .uas
    } else if let theirs = asked?.refresher {
      refresher = theirs
    } else if isActive {
      // §7.4: who refreshes stays.
      refresher = isOurs ? .uas : .uac
    } else {
      refresher = asked == nil ? .uas : .uac
    }
    return .agreed(SessionExpires(interval: seconds, refresher: refresher), required: supports)
  }
}
