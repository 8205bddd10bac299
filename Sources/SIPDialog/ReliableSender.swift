public import NetCore

/// The UAS's side of reliable provisional responses: RFC 3262 §3. One at a time; the next one waits for its PRACK.
///
///              sent / RSeq, T1                PRACK / next RSeq
///     +------+ -------------> +---------+ ---------------------> +------+
///     | Idle |                | Waiting |                        | Idle |
///     +------+                +---------+                        +------+
///                              |   ^  |
///              T1, 2·T1, 4·T1… +---+  | 64·T1 / refuse the INVITE with 5xx
///                       again         v
///                                 +--------+
///                                 | Failed |
///                                 +--------+
///
/// Overtaken, where a final response leaves while one waits: nothing is sent again, and its PRACK is still right.
public struct ReliableSender: ~Copyable {
  private enum State {
    case idle
    /// The response is out and unacknowledged; it is sent again at intervals that double without a bound but `until`.
    case waiting(bytes: [UInt8], hasSDP: Bool, interval: Instant.Span, until: Instant)
    /// No PRACK in 64·T1.
    case failed
    /// A final response went out before the PRACK, which may still come (§3).
    case overtaken
  }

  private var state = State.idle
  /// The RSeq of the response that waits, or else of the next one; 0 before the first.
  public private(set) var number: UInt32 = 0

  public init() {}

  /// A reliable response has been, or is about to be, sent.
  public var isUsed: Bool { number != 0 }

  /// Before the first response.
  /// - Parameter random: the first RSeq is drawn from it: 1 to 2³¹ − 1 (§3).
  public mutating func begin(random: UInt64) {
    if number == 0 { number = UInt32(random % 0x7fff_fffe) + 1 }
  }

  public var isWaiting: Bool {
    switch state {
    case .waiting: true
    case .idle, .failed, .overtaken: false
    }
  }

  /// An unacknowledged response carries a session description: no 2xx may be sent before its PRACK (§3).
  public var holdsAnswer: Bool {
    switch state {
    case .waiting(_, let hasSDP, _, _): hasSDP
    case .idle, .failed, .overtaken: false
    }
  }

  /// A response with `number` in RSeq has been sent.
  /// - Returns: when to call `again`.
  public mutating func sent(_ bytes: [UInt8], hasSDP: Bool, now: Instant, t1: Instant.Span) -> Instant.Span {
    precondition(isUsed && !isWaiting, "a second reliable response before the first is acknowledged")
    state = .waiting(bytes: bytes, hasSDP: hasSDP, interval: t1, until: now + t1 * 64)
    return t1
  }

  public enum AgainAction {
    /// Send it; the next time after `again`.
    case send([UInt8], again: Instant.Span)
    /// 64·T1 are over: the INVITE is refused (§3).
    case giveUp
    case nothing
  }

  public mutating func again(now: Instant) -> AgainAction {
    switch state {
    case .waiting(let bytes, let hasSDP, let interval, let until):
      guard now < until else {
        state = .failed
        return .giveUp
      }
      let next = interval * 2
      state = .waiting(bytes: bytes, hasSDP: hasSDP, interval: next, until: until)
      return .send(bytes, again: min(next, until - now))
    case .idle, .failed, .overtaken:
      return .nothing
    }
  }

  /// A PRACK for the response with `rseq` came. False: no such response waits (481).
  public mutating func acknowledged(_ rseq: UInt32) -> Bool {
    switch state {
    case .waiting, .overtaken:
      guard rseq == number else { return false }
      state = .idle
      number += 1
      return true
    case .idle, .failed:
      return false
    }
  }

  /// A final response was sent: nothing is sent again, but a PRACK is still taken (§3).
  public mutating func stop() {
    switch state {
    case .waiting: state = .overtaken
    case .idle, .failed, .overtaken: break
    }
  }
}
