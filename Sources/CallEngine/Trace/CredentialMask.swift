/// Takes out of a message what must not be seen in a trace: digest responses and nonces, other credentials, passwords in
/// URIs, media keys. Everything else stays byte for byte.
public enum CredentialMask {
  private static let stars = Array("***".utf8)

  public static func mask(_ message: ArraySlice<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(message.count)
    var rest = message
    var inBody = false
    while !rest.isEmpty {
      var line = takeLine(&rest)
      if !inBody {
        // A folded header is one (RFC 3261 §7.3.1).
        while let c = rest.first, c == 0x20 || c == 0x09 { line = message[line.startIndex..<takeLine(&rest).endIndex] }
      }
      let text = line.trimmedBlanks
      if text.isEmpty, !out.isEmpty { inBody = true }
      let masked = inBody ? body(text) : header(text)
      out += line[..<text.startIndex] + masked + line[text.endIndex...]
    }
    return out
  }

  /// A line with its end.
  private static func takeLine(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let end = rest.firstIndex(of: 0x0a).map { $0 + 1 } ?? rest.endIndex
    defer { rest = rest[end...] }
    return rest[..<end]
  }

  private static let secret: Set<String> = [
    "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info",
    "proxy-authentication-info",
  ]
  /// What may be seen of a digest.
  private static let shown: Set<String> = [
    "username", "realm", "uri", "algorithm", "qop", "nc", "stale", "domain", "charset", "userhash",
  ]

  private static func header(_ line: ArraySlice<UInt8>) -> [UInt8] {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
      secret.contains(lower(line[..<colon].trimmedBlanks))
    else { return password(line) }
    let value = line[(colon + 1)...]
    var out = Array(line[...colon])
    // `Digest a=b, c=d`; Authentication-Info has no scheme.
    let scheme = value.trimmedBlanks.prefix { $0 > 0x20 }
    let parameters: ArraySlice<UInt8>
    if scheme.contains(UInt8(ascii: "=")) {
      parameters = value
    } else {
      out += value[..<scheme.endIndex]
      parameters = value[scheme.endIndex...]
      guard lower(scheme) == "digest" else { return parameters.isEmpty ? out : out + [0x20] + stars }
    }
    for (i, part) in parameters.splitOutsideQuotes(UInt8(ascii: ",")).enumerated() {
      if i > 0 { out.append(UInt8(ascii: ",")) }
      guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else {
        out += part.allSatisfy { $0 <= 0x20 } ? Array(part) : stars
        continue
      }
      out += part[...equals]
      if shown.contains(lower(part[..<equals].trimmedBlanks)) {
        out += password(part[(equals + 1)...])
      } else {
        out += stars
      }
    }
    return out
  }

  /// `a=crypto:1 SUITE inline:KEY`, `k=`, `a=ice-pwd:`, `a=key-mgmt:`.
  private static func body(_ line: ArraySlice<UInt8>) -> [UInt8] {
    if line.starts(with: Array("k=".utf8)) { return Array(line.prefix(2)) + stars }
    for name in ["a=crypto:", "a=ice-pwd:", "a=key-mgmt:"] where lower(line.prefix(name.utf8.count)) == name {
      guard name == "a=crypto:" else { return Array(line.prefix(name.utf8.count)) + stars }
      let words = line.split(separator: 0x20, maxSplits: 2)
      return words.prefix(2).joined(separator: [0x20]) + (words.count > 2 ? [0x20] + stars : [])
    }
    return Array(line)
  }

  /// `sip:user:password@host` wherever it stands.
  private static func password(_ line: ArraySlice<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    var i = line.startIndex
    var copied = i
    while let at = schemeEnd(line, from: i) {
      i = at
      var colon: Int?
      while i < line.endIndex {
        let c = line[i]
        if c == UInt8(ascii: "@") {
          if let colon {
            out += line[copied...colon] + stars
            copied = i
          }
          break
        }
        if c <= 0x20 || c == UInt8(ascii: ">") || c == UInt8(ascii: "<") || c == UInt8(ascii: "\"") { break }
        if c == UInt8(ascii: ":"), colon == nil { colon = i }
        i += 1
      }
    }
    return out + line[copied...]
  }

  /// The index after the next `sip:` or `sips:`.
  private static func schemeEnd(_ line: ArraySlice<UInt8>, from start: Int) -> Int? {
    var i = start
    while i + 4 <= line.endIndex {
      if line[i].asciiLower == UInt8(ascii: "s"), line[i + 1].asciiLower == UInt8(ascii: "i"),
        line[i + 2].asciiLower == UInt8(ascii: "p")
      {
        if line[i + 3] == UInt8(ascii: ":") { return i + 4 }
        if i + 4 < line.endIndex, line[i + 3].asciiLower == UInt8(ascii: "s"), line[i + 4] == UInt8(ascii: ":") {
          return i + 5
        }
      }
      i += 1
    }
    return nil
  }

  private static func lower(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.map(\.asciiLower), as: UTF8.self)
  }
}
