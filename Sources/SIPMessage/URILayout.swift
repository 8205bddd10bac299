/// Where the parts of a URI are, as offsets from its first octet; found once, when it is parsed (RFC 3261 §19.1.1).
struct URILayout: Sendable {
  var scheme: URI.Scheme = .other
  var hasPort = false
  var port: UInt16 = 0
  /// User part of sip and sips, number of tel.
  var user = Extent.none
  var password = Extent.none
  var host = Extent.none
  /// From the first `;` on; empty if there is none.
  var parameters = Extent.none
  /// After the `?`.
  var headers = Extent.none

  private static func bad(_ reason: String) -> SIPError { SIPError(400, reason, "RFC 3261 §19.1.1") }

  static func parse(_ s: Span<UInt8>, _ from: Int, _ to: Int) throws(SIPError) -> URILayout {
    guard to &- from < Int(UInt16.max) else { throw SIPError(414, "URI too long", "RFC 3261 §21.4.12") }
    var layout = URILayout()
    let colon = try layout.takeScheme(s, from, to)
    var at = -1
    var i = colon &+ 1
    while true {
      i = s.skip(.uri, i, to)
      guard i < to else { break }
      switch s[i] {
      case UInt8(ascii: "@"):
        guard at < 0 || layout.scheme == .other else { throw bad("URI has a second '@'") }
        at = i
      case UInt8(ascii: "%"):
        if layout.scheme != .other {
          guard i &+ 2 < to, s[i &+ 1].hexValue != nil, s[i &+ 2].hexValue != nil else {
            throw bad("'%' in a URI without two hex digits")
          }
        }
      default: throw bad("URI has a space, a quote, '<', '>' or a control octet")
      }
      i &+= 1
    }
    guard colon &+ 1 < to else { throw bad("URI is empty after its scheme") }
    switch layout.scheme {
    case .sip, .sips: try layout.hostPart(s, from, layout.userInfo(s, from, colon &+ 1, at), to)
    case .tel: try layout.number(s, from, colon &+ 1, to)
    case .other: break
    }
    return layout
  }

  /// Returns where its colon is.
  @inline(__always)
  private mutating func takeScheme(_ s: Span<UInt8>, _ from: Int, _ to: Int) throws(SIPError) -> Int {
    if s.has("sip:", at: from, to) {
      scheme = .sip
      return from &+ 3
    }
    if s.has("sips:", at: from, to) {
      scheme = .sips
      return from &+ 4
    }
    if s.has("tel:", at: from, to) {
      scheme = .tel
      return from &+ 3
    }
    let colon = s.skip(.scheme, from, to)
    guard colon > from, colon < to, s[colon] == UInt8(ascii: ":"), s[from].lowercased &- 0x61 < 26 else {
      throw URILayout.bad("URI has no scheme")
    }
    return colon
  }

  /// Returns where the host begins.
  private mutating func userInfo(_ s: Span<UInt8>, _ base: Int, _ i: Int, _ at: Int) throws(SIPError) -> Int {
    guard at >= 0 else { return i }
    let colon = s.find(UInt8(ascii: ":"), i, at) ?? at
    guard colon > i else { throw URILayout.bad("URI has '@' but no user") }
    user = Extent(i..<colon, base: base)
    if colon < at { password = Extent((colon &+ 1)..<at, base: base) }
    return at &+ 1
  }

  private mutating func hostPart(_ s: Span<UInt8>, _ base: Int, _ start: Int, _ to: Int) throws(SIPError) {
    var i = try s.hostEnd(start, to)
    host = Extent(start..<i, base: base)
    if i < to, s[i] == UInt8(ascii: ":") {
      let digits = i &+ 1
      i = s.skip(.host, digits, to)
      guard let number = s.decimal(digits, i, max: 65535) else { throw URILayout.bad("URI has a bad port") }
      port = UInt16(truncatingIfNeeded: number)
      hasPort = true
    }
    let parametersStart = i
    if i < to, s[i] == UInt8(ascii: ";") {
      i = s.find(UInt8(ascii: "?"), i, to) ?? to
      try checkParameters(s, parametersStart, i)
    }
    parameters = Extent(parametersStart..<i, base: base)
    guard i < to else { return }
    guard s[i] == UInt8(ascii: "?") else { throw URILayout.bad("unexpected octet after the host of a URI") }
    headers = Extent((i &+ 1)..<to, base: base)
  }

  private mutating func number(_ s: Span<UInt8>, _ base: Int, _ start: Int, _ to: Int) throws(SIPError) {
    let i = s.find(UInt8(ascii: ";"), start, to) ?? to
    guard i > start else { throw SIPError(400, "tel URI has no number", "RFC 3966 §3") }
    user = Extent(start..<i, base: base)
    try checkParameters(s, i, to)
    parameters = Extent(i..<to, base: base)
  }

  /// `;` is followed by a name: no `;;`, no `;` at the end.
  private func checkParameters(_ s: Span<UInt8>, _ from: Int, _ to: Int) throws(SIPError) {
    var i = from
    while let semicolon = s.find(UInt8(ascii: ";"), i, to) {
      i = semicolon &+ 1
      guard i < to, s[i] != UInt8(ascii: ";"), s[i] != UInt8(ascii: "=") else {
        throw URILayout.bad("URI parameter without a name")
      }
    }
  }
}

extension Span where Element == UInt8 {
  /// The end of the `host` at `i`: a name, an IPv4 address, or an IPv6 reference in brackets.
  func hostEnd(_ i: Int, _ end: Int) throws(SIPError) -> Int {
    if i < end, self[i] == UInt8(ascii: "[") {
      // Loose enough for the `:::` of RFC 5118 §4.10.
      var close = i &+ 1
      while close < end, self[close].hexValue != nil || self[close] == UInt8(ascii: ":") || self[close] == 0x2e {
        close &+= 1
      }
      guard close < end, self[close] == UInt8(ascii: "]"), close > i &+ 2 else {
        throw SIPError(400, "bad IPv6 reference", "RFC 3261 §25.1")
      }
      return close &+ 1
    }
    let stop = skip(.host, i, end)
    guard stop > i else { throw SIPError(400, "no host name", "RFC 3261 §25.1") }
    return stop
  }
}
