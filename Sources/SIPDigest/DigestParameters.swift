internal import SIPMessage

/// The parameters of a Digest challenge or of Digest credentials (RFC 3261 §25.1, RFC 7616 §3.3, §3.4). Values are views,
/// without the quotes of a quoted string, escapes left as they are: that is what is hashed.
struct DigestParameters {
  var username: Bytes?
  var realm: Bytes?
  var nonce: Bytes?
  var uri: Bytes?
  var response: Bytes?
  var algorithm: Bytes?
  var cnonce: Bytes?
  var opaque: Bytes?
  var qop: Bytes?
  var nc: Bytes?
  var stale: Bytes?

  private static func bad(_ reason: String) -> SIPError {
    SIPError(status: 400, reason: reason, section: "RFC 3261 §20.7")
  }

  /// Nil for another scheme than Digest (RFC 4475 §3.3.7).
  static func parse(_ value: Bytes) throws(SIPError) -> DigestParameters? {
    let scheme = value.prefix { !DigestParameters.isLWS($0) }
    guard String(decoding: scheme, as: UTF8.self).lowercased() == "digest" else { return nil }
    var out = DigestParameters()
    var i = scheme.endIndex
    while true {
      while i < value.endIndex, isLWS(value[i]) || value[i] == UInt8(ascii: ",") { i += 1 }
      guard i < value.endIndex else { return out }
      let nameStart = i
      while i < value.endIndex, !isLWS(value[i]), value[i] != UInt8(ascii: "="), value[i] != UInt8(ascii: ",") {
        i += 1
      }
      let name = value[nameStart..<i]
      while i < value.endIndex, isLWS(value[i]) { i += 1 }
      guard i < value.endIndex, value[i] == UInt8(ascii: "=") else { throw bad("Digest parameter without a value") }
      i += 1
      while i < value.endIndex, isLWS(value[i]) { i += 1 }
      try out.take(name, value: DigestParameters.value(value, &i))
      while i < value.endIndex, isLWS(value[i]) { i += 1 }
      guard i == value.endIndex || value[i] == UInt8(ascii: ",") else {
        throw bad("no comma between Digest parameters")
      }
    }
  }

  private static func isLWS(_ c: UInt8) -> Bool { c == 0x20 || c == 0x09 || c == 0x0d || c == 0x0a }

  private static func value(_ text: Bytes, _ i: inout Int) throws(SIPError) -> Bytes {
    guard i < text.endIndex, text[i] == UInt8(ascii: "\"") else {
      let start = i
      while i < text.endIndex, !isLWS(text[i]), text[i] != UInt8(ascii: ",") { i += 1 }
      return text[start..<i]
    }
    let start = i + 1
    i = start
    while i < text.endIndex {
      if text[i] == UInt8(ascii: "\"") {
        defer { i += 1 }
        return text[start..<i]
      }
      i += text[i] == UInt8(ascii: "\\") ? 2 : 1
    }
    throw bad("quoted string is not closed in Digest parameters")
  }

  private mutating func take(_ name: Bytes, value: Bytes) throws(SIPError) {
    switch String(decoding: name, as: UTF8.self).lowercased() {
    case "username": try set(\.username, value)
    case "realm": try set(\.realm, value)
    case "nonce": try set(\.nonce, value)
    case "uri": try set(\.uri, value)
    case "response": try set(\.response, value)
    case "algorithm": try set(\.algorithm, value)
    case "cnonce": try set(\.cnonce, value)
    case "opaque": try set(\.opaque, value)
    case "qop": try set(\.qop, value)
    case "nc": try set(\.nc, value)
    case "stale": try set(\.stale, value)
    default: break
    }
  }

  private mutating func set(_ key: WritableKeyPath<DigestParameters, Bytes?>, _ value: Bytes) throws(SIPError) {
    guard self[keyPath: key] == nil else { throw DigestParameters.bad("Digest parameter is there more than once") }
    self[keyPath: key] = value
  }

  /// A value whose escapes are resolved: for names that are looked up, not hashed.
  static func unescape(_ value: Bytes) -> [UInt8] {
    guard value.contains(UInt8(ascii: "\\")) else { return Array(value) }
    return QuotedString.decode([UInt8(ascii: "\"")] + value + [UInt8(ascii: "\"")])
  }
}
