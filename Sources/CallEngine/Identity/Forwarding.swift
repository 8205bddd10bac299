import SIPMessage

/// A callee sent a call on to somebody else by a 3xx which the server followed. The next callee, where he may know, is
/// told in Diversion (RFC 5806) and in History-Info (RFC 7044).
struct Forwarding: Sendable {
  /// Who sent it on: a URI.
  let from: [UInt8]
  /// The `reason` of a Diversion.
  let reason: [UInt8]
  /// Of the 3xx.
  let status: Int

  /// A call that was sent on so often is sent on no more. RFC 5806 §6: every hop counts, those before us too.
  static let most = 5

  init(from: [UInt8], reason: [UInt8], status: Int) {
    self.from = from
    self.reason = reason
    self.status = status
  }

  /// Why is what his own Diversion says; without one he forwards all calls, or has looked who rang.
  init(of target: DialTarget, by leg: Leg, _ message: Message, domain: String) {
    switch target.place {
    case .user(let user), .binding(let user, _):
      var uri = Array("sip:".utf8)
      uri.appendUser(user.prefix(256))
      uri.append(UInt8(ascii: "@"))
      uri.appendHost(domain.utf8)
      from = uri
    case .trunk(_, let number):
      var uri = Array("sip:".utf8)
      uri.appendUser(number.prefix(256))
      uri.append(UInt8(ascii: "@"))
      uri.appendHost(domain.utf8)
      from = uri
    case .uri(let uri): from = uri
    }
    status = message.status
    let rang = leg.attempt.map { leg.call.attempts[$0].provisional.count > 0 } ?? false
    reason = Forwarding.reason(in: message) ?? Array((rang ? "deflection" : "unconditional").utf8)
  }

  /// RFC 5806 §5: a token; one that is none, or long, counts for nothing.
  private static func reason(in message: Message) -> [UInt8]? {
    guard let first = (try? message.addresses(.diversion))?.first,
      case .some(.some(let value)) = first.parameter("reason"),
      !value.isEmpty, value.count <= 32, value.allSatisfy(\.isReasonToken)
    else { return nil }
    return Array(value)
  }

  /// `<sip:1001@example.org>;reason=user-busy;counter=1`.
  var diversion: [UInt8] {
    [UInt8(ascii: "<")] + from + Array(">;reason=".utf8) + reason + Array(";counter=1".utf8)
  }
}

/// Diversion of a call that goes on: the latest forwarding first (RFC 5806 §4.1).
enum DiversionHeader {
  static let mostValues = 10

  /// How often the call had been sent on before it came to us.
  static func count(in message: Message) -> Int {
    guard let addresses = try? message.addresses(.diversion) else { return 0 }
    return addresses.prefix(32).reduce(0) { sum, address in
      guard case .some(.some(let value)) = address.parameter("counter"), value.count <= 3,
        let count = Int(String(decoding: value, as: UTF8.self)), count > 0
      else { return sum + 1 }
      return sum + count
    }
  }

  /// - Parameter shown: as a phone may know it: nobody who asked not to be named (`privacy`, §4.3).
  static func values(passed: [Bytes], _ forwardings: [Forwarding], shown: Bool) -> [[UInt8]] {
    var values = forwardings.reversed().map(\.diversion)
    for value in passed where !shown || isOpen(value) { values.append(Array(value)) }
    return Array(values.prefix(mostValues))
  }

  private static func isOpen(_ value: Bytes) -> Bool {
    guard let address = try? NameAddress(parsing: value), case .some(.some(let privacy)) = address.parameter("privacy")
    else { return true }
    return privacy.unquoted.map(\.asciiLower).elementsEqual("off".utf8)
  }
}

/// History-Info of a call that goes on (RFC 7044 §5): what came, then each of our forwardings: who sent the call on, with
/// the 3xx as its Reason, and below it whom it went to.
enum HistoryHeader {
  static let mostValues = 20
  private static let longestIndex = 64

  static func values(passed: [Bytes], _ forwardings: [Forwarding], target: [UInt8]) -> [[UInt8]] {
    var values = passed.suffix(mostValues - min(mostValues, forwardings.count + 1)).map { Array($0) }
    guard !forwardings.isEmpty else { return values }
    var index = passed.last.flatMap(index).map { $0 + Array(".1".utf8) } ?? [UInt8(ascii: "1")]
    for (step, forwarding) in forwardings.enumerated() {
      var entry = [UInt8(ascii: "<")] + forwarding.from
      entry += Array("?Reason=SIP%3Bcause%3D\(forwarding.status)>;index=".utf8) + index
      if step > 0 { entry += Array(";mp=".utf8) + index.dropLast(2) }
      values.append(entry)
      index += Array(".1".utf8)
    }
    values.append(
      [UInt8(ascii: "<")] + target + Array(">;index=".utf8) + index + Array(";mp=".utf8) + index.dropLast(2))
    return values
  }

  /// `1.2.1`; nil for what is none or too deep.
  private static func index(_ value: Bytes) -> [UInt8]? {
    guard let address = try? NameAddress(parsing: value), case .some(.some(let index)) = address.parameter("index"),
      !index.isEmpty, index.count <= longestIndex,
      index.allSatisfy({ $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) })
    else { return nil }
    return Array(index)
  }
}
