/// Where the parts of one Via value are, as offsets from its first octet (RFC 3261 §20.42, RFC 3581).
struct ViaLayout: Sendable {
  var transport = Extent.none
  var host = Extent.none
  var port: UInt16 = 0
  var rport: UInt16 = 0
  var hasPort = false
  var hasRport = false
  var hasRportValue = false
  var hasTTL = false
  var ttl: UInt8 = 0
  var branch = Extent.none
  var received = Extent.none
  var maddr = Extent.none
  /// Raw, from the first `;` on.
  var parameters = Extent.none

  private static func bad(_ reason: String) -> SIPError { SIPError(400, reason, "RFC 3261 §20.42") }

  /// One value from `from`, which is the base of the offsets. Returns where it ends: at `to`, or at a comma.
  static func parse(_ s: Span<UInt8>, _ from: Int, _ to: Int) throws(SIPError) -> (ViaLayout, end: Int) {
    var layout = ViaLayout()
    var i = try layout.sentBy(s, from, to)
    let start = i
    while let parameter = try s.nextParameter(&i, to) { try layout.take(parameter, s, from) }
    layout.parameters = Extent(start..<s.trimEnd(start, i), base: from)
    return (layout, i)
  }

  /// `SIP / 2.0 / UDP host:port`, white space allowed around each slash and colon.
  mutating func sentBy(_ s: Span<UInt8>, _ base: Int, _ to: Int) throws(SIPError) -> Int {
    guard to &- base < Int(UInt16.max) else { throw ViaLayout.bad("too long") }
    let token: Int
    if s.has("sip/2.0/", at: base, to), base &+ 8 < to, !s[base &+ 8].isLWS {
      token = base &+ 8
    } else {
      token = try ViaLayout.spacedProtocol(s, base, to)
    }
    var i = s.skip(.token, token, to)
    guard i > token else { throw ViaLayout.bad("no transport") }
    transport = Extent(token..<i, base: base)
    let hostStart = s.skipLWS(i, to)
    guard hostStart > i else { throw ViaLayout.bad("no white space after the transport") }
    i = try s.hostEnd(hostStart, to)
    host = Extent(hostStart..<i, base: base)
    let colon = s.skipLWS(i, to)
    guard colon < to, s[colon] == UInt8(ascii: ":") else { return i }
    let digits = s.skipLWS(colon &+ 1, to)
    i = s.skip(.host, digits, to)
    guard let number = s.decimal(digits, i, max: 65535) else { throw ViaLayout.bad("bad port") }
    port = UInt16(truncatingIfNeeded: number)
    hasPort = true
    return i
  }

  /// Name and version of the protocol with white space around them; returns where the transport begins.
  private static func spacedProtocol(_ s: Span<UInt8>, _ base: Int, _ to: Int) throws(SIPError) -> Int {
    let name = s.skipLWS(base, to)
    var i = s.skip(.token, name, to)
    guard s.equals("sip", name, i) else { throw bad("protocol is not SIP") }
    let version = try slash(s, i, to)
    i = s.skip(.token, version, to)
    guard s.equals("2.0", version, i) else { throw bad("protocol version is not 2.0") }
    return try slash(s, i, to)
  }

  private static func slash(_ s: Span<UInt8>, _ i: Int, _ to: Int) throws(SIPError) -> Int {
    let at = s.skipLWS(i, to)
    guard at < to, s[at] == UInt8(ascii: "/") else { throw ViaLayout.bad("no sent-protocol") }
    return s.skipLWS(at &+ 1, to)
  }

  private mutating func take(_ p: ParameterExtent, _ s: Span<UInt8>, _ base: Int) throws(SIPError) {
    switch p.word {
    case Word.of("branch") where branch.isNone:
      guard let value = p.value else { throw ViaLayout.bad("branch without a value") }
      branch = Extent(value, base: base)
    case Word.of("rport"):
      hasRport = true
      guard let value = p.value else { return }
      guard let number = s.decimal(value.lowerBound, value.upperBound, max: 65535) else {
        throw SIPError(400, "bad rport", "RFC 3581 §3")
      }
      rport = UInt16(truncatingIfNeeded: number)
      hasRportValue = true
    case Word.of("received"):
      if let value = p.value { received = Extent(value, base: base) }
    case Word.of("maddr"):
      if let value = p.value { maddr = Extent(value, base: base) }
    case Word.of("ttl"):
      guard let value = p.value, let number = s.decimal(value.lowerBound, value.upperBound, max: 255) else {
        throw ViaLayout.bad("bad ttl")
      }
      ttl = UInt8(truncatingIfNeeded: number)
      hasTTL = true
    default: break
    }
  }
}
