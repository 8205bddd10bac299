/// The request line or status line (RFC 3261 §7.1, §7.2): absolute offsets.
struct StartLine: Sendable {
  var isRequest = false
  var method = Method.unknown
  var methodName = Extent.none
  var uri = Extent.none
  var uriLayout = URILayout()
  var status: UInt16 = 0
  var reason = Extent.none

  /// The method of a request line, however bad the rest is; nil for a status line, or where there is no token.
  static func method(of s: Span<UInt8>, _ line: Range<Int>) -> Range<Int>? {
    let end = s.skip(.token, line.lowerBound, line.upperBound)
    guard end > line.lowerBound, end < line.upperBound, s[end] == 0x20 || s[end] == 0x09 else { return nil }
    return line.lowerBound..<end
  }

  static func parse(_ s: Span<UInt8>, _ line: Range<Int>) throws(SIPError) -> StartLine {
    let start = line.lowerBound
    let end = line.upperBound
    if s.has("sip/", at: start, end) { return try status(s, start, end) }
    guard let name = method(of: s, line) else { throw SIPError(400, "no method", "RFC 3261 §7.1") }
    return try request(s, name, end)
  }

  /// `METHOD SP Request-URI SP SIP-Version`: single spaces, nothing before or behind (RFC 4475 §3.1.2.9, §3.1.2.10).
  private static func request(_ s: Span<UInt8>, _ name: Range<Int>, _ end: Int) throws(SIPError) -> StartLine {
    var out = StartLine()
    out.isRequest = true
    out.methodName = Extent(name)
    out.method = Method(s, name.lowerBound, name.upperBound)
    let uriStart = name.upperBound &+ 1
    var uriEnd = s.skip(.visible, uriStart, end)
    while uriEnd < end, !s[uriEnd].isLWS { uriEnd &+= 1 }
    let version = uriEnd &+ 1
    guard version < end else { throw SIPError(400, "no SIP version in the request line", "RFC 3261 §7.1") }
    guard uriEnd > uriStart else { throw SIPError(400, "two spaces after the method", "RFC 3261 §7.1") }
    guard s[uriEnd] == 0x20, s.find(0x20, version, end) == nil, s.find(0x09, version, end) == nil else {
      throw SIPError(400, "white space in or after the Request-URI", "RFC 3261 §7.1")
    }
    guard end &- version > 4, s.equals("sip/", version, version &+ 4) else {
      throw SIPError(400, "no SIP version in the request line", "RFC 3261 §7.1")
    }
    guard s.equals("2.0", version &+ 4, end) else { throw SIPError(505, "SIP Version Not Supported", "RFC 3261 §7.1") }
    do {
      out.uriLayout = try URILayout.parse(s, uriStart, uriEnd)
    } catch {
      throw error.inside("Request-URI")
    }
    // Were they obeyed, a stranger could add a Route (RFC 3261 §19.1.5, RFC 4475 §3.1.2.11).
    guard out.uriLayout.headers.isNone else {
      throw SIPError(400, "Request-URI: headers are not allowed there", "RFC 3261 §19.1.1")
    }
    out.uri = Extent(uriStart..<uriEnd)
    return out
  }

  private static func status(_ s: Span<UInt8>, _ start: Int, _ end: Int) throws(SIPError) -> StartLine {
    var out = StartLine()
    let version = s.find(0x20, start, end) ?? end
    guard s.equals("sip/2.0", start, version) else { throw SIPError(505, "SIP Version Not Supported", "RFC 3261 §7.2") }
    let digits = version &+ 1
    guard digits &+ 3 <= end, let code = s.decimal(digits, digits &+ 3, max: 699), code >= 100,
      digits &+ 3 == end || s[digits &+ 3] == 0x20
    else { throw SIPError(400, "bad status code", "RFC 3261 §7.2") }
    out.status = UInt16(truncatingIfNeeded: code)
    out.reason = Extent(min(digits &+ 4, end)..<end)
    return out
  }
}
