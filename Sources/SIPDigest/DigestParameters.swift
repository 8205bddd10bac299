internal import SIPMessage

/// The parameters of a Digest challenge or of Digest credentials (RFC 3261 §25.1, RFC 7616 §3.3, §3.4). Values are views,
/// without the quotes of a quoted string, escapes left as they are: that is what is hashed.
struct DigestParameters {
  enum Name: Int {
    case username, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc, stale
  }

  private let text: Bytes
  /// By name, offsets into `text`; an end below zero where there is none.
  private var places = InlineArray<11, (start: Int32, end: Int32)>(repeating: (0, -1))

  private init(_ text: Bytes) { self.text = text }

  subscript(name: Name) -> Bytes? {
    let (start, end) = places[name.rawValue]
    guard end >= 0 else { return nil }
    return text[(text.startIndex &+ Int(start))..<(text.startIndex &+ Int(end))]
  }

  private static func bad(_ reason: String) -> SIPError {
    SIPError(status: 400, reason: reason, section: "RFC 3261 §20.7")
  }

  /// Nil for another scheme than Digest (RFC 4475 §3.3.7).
  static func parse(_ value: Bytes) throws(SIPError) -> DigestParameters? {
    let s = value.span
    guard s.count < Int32.max else { throw bad("Digest parameters are too long") }
    var i = 0
    while i < s.count, !isLWS(s[i]) { i &+= 1 }
    guard s.equals("digest", 0, i) else { return nil }
    var out = DigestParameters(value)
    while true {
      while i < s.count, isLWS(s[i]) || s[i] == UInt8(ascii: ",") { i &+= 1 }
      guard i < s.count else { return out }
      let nameStart = i
      while i < s.count, !isLWS(s[i]), s[i] != UInt8(ascii: "="), s[i] != UInt8(ascii: ",") { i &+= 1 }
      let name = Name(s, nameStart, i)
      skipLWS(s, &i)
      guard i < s.count, s[i] == UInt8(ascii: "=") else { throw bad("Digest parameter without a value") }
      i &+= 1
      skipLWS(s, &i)
      let place = try DigestParameters.value(s, &i)
      if let name {
        guard out.places[name.rawValue].end < 0 else { throw bad("Digest parameter is there more than once") }
        out.places[name.rawValue] = (Int32(place.lowerBound), Int32(place.upperBound))
      }
      skipLWS(s, &i)
      guard i == s.count || s[i] == UInt8(ascii: ",") else { throw bad("no comma between Digest parameters") }
    }
  }

  private static func isLWS(_ c: UInt8) -> Bool { c == 0x20 || c == 0x09 || c == 0x0d || c == 0x0a }

  private static func skipLWS(_ s: Span<UInt8>, _ i: inout Int) {
    while i < s.count, isLWS(s[i]) { i &+= 1 }
  }

  private static func value(_ s: Span<UInt8>, _ i: inout Int) throws(SIPError) -> Range<Int> {
    guard i < s.count, s[i] == UInt8(ascii: "\"") else {
      let start = i
      while i < s.count, !isLWS(s[i]), s[i] != UInt8(ascii: ",") { i &+= 1 }
      return start..<i
    }
    let start = i &+ 1
    i = start
    while i < s.count {
      if s[i] == UInt8(ascii: "\"") {
        i &+= 1
        return start..<(i &- 1)
      }
      i &+= s[i] == UInt8(ascii: "\\") ? 2 : 1
    }
    throw bad("quoted string is not closed in Digest parameters")
  }

  /// A value whose escapes are resolved: for names that are looked up, not hashed.
  static func unescape(_ value: Bytes) -> Bytes {
    guard value.contains(UInt8(ascii: "\\")) else { return value }
    return QuotedString.decode([UInt8(ascii: "\"")] + value + [UInt8(ascii: "\"")])[...]
  }
}

extension DigestParameters.Name {
  /// In any case; nil for a parameter that nobody here reads.
  fileprivate init?(_ s: Span<UInt8>, _ start: Int, _ end: Int) {
    guard start < end else { return nil }
    let (name, text): (Self, StaticString)
    switch (end &- start, s[start] | 0x20) {
    case (8, UInt8(ascii: "u")): (name, text) = (.username, "username")
    case (5, UInt8(ascii: "r")): (name, text) = (.realm, "realm")
    case (5, UInt8(ascii: "n")): (name, text) = (.nonce, "nonce")
    case (3, UInt8(ascii: "u")): (name, text) = (.uri, "uri")
    case (8, UInt8(ascii: "r")): (name, text) = (.response, "response")
    case (9, UInt8(ascii: "a")): (name, text) = (.algorithm, "algorithm")
    case (6, UInt8(ascii: "c")): (name, text) = (.cnonce, "cnonce")
    case (6, UInt8(ascii: "o")): (name, text) = (.opaque, "opaque")
    case (3, UInt8(ascii: "q")): (name, text) = (.qop, "qop")
    case (2, UInt8(ascii: "n")): (name, text) = (.nc, "nc")
    case (5, UInt8(ascii: "s")): (name, text) = (.stale, "stale")
    default: return nil
    }
    guard s.equals(text, start, end) else { return nil }
    self = name
  }
}
