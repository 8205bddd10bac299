extension Message {
  public func has(_ name: HeaderName) -> Bool { present & (1 &<< UInt64(name.rawValue)) != 0 }

  /// The value of the first field of that name, as written; may be folded.
  public func first(_ name: HeaderName) -> Bytes? {
    guard has(name) else { return nil }
    for entry in entries where entry.name == name { return value(entry) }
    return nil
  }

  /// By any name, in any case, long or compact; finds the other form too.
  public func first(named name: String) -> Bytes? {
    let raw = Array(name.utf8)[...]
    let known = HeaderName(raw)
    if known != .other { return first(known) }
    for entry in entries where entry.name == .other {
      if line(entry).nameBytes.equalsIgnoringCase(raw) { return value(entry) }
    }
    return nil
  }

  /// The values of every field of that name, one element a line.
  public func all(named name: String) -> [Bytes] {
    let raw = Array(name.utf8)[...]
    let known = HeaderName(raw)
    if known != .other { return all(known) }
    return entries.filter { $0.name == .other && line($0).nameBytes.equalsIgnoringCase(raw) }.map(value)
  }

  /// One element a line, comma lists not split.
  public func all(_ name: HeaderName) -> [Bytes] {
    guard has(name) else { return [] }
    return entries.filter { $0.name == name }.map(value)
  }

  /// The elements of the comma lists of every line, trimmed. A comma in quotes or angle brackets separates nothing.
  public func values(_ name: HeaderName) -> [Bytes] {
    guard has(name) else { return [] }
    var out: [Bytes] = []
    for entry in entries where entry.name == name { CommaList.split(value(entry), into: &out) }
    return out
  }

  /// Whether a list of tokens (Require, Supported, Allow …) has `token`; case is ignored.
  public func hasToken(_ token: StaticString, in name: HeaderName) -> Bool {
    guard has(name) else { return false }
    for entry in entries where entry.name == name {
      var rest = value(entry)
      while let element = CommaList.next(&rest) {
        if element.equalsIgnoringCase(token) { return true }
      }
    }
    return false
  }

  /// Contact, Route, Record-Route, P-Asserted-Identity, Path …: every address of every line.
  public func addresses(_ name: HeaderName) throws(SIPError) -> [NameAddress] {
    guard has(name) else { return [] }
    var out: [NameAddress] = []
    for entry in entries where entry.name == name {
      var rest = value(entry)
      do {
        while true {
          let (layout, end) = try NameAddressLayout.parse(rest.span, 0, rest.count)
          let element = rest.prefix(end)
          out.append(NameAddress(bytes: CommaList.trimEnd(element), layout: layout))
          guard end < rest.count else { break }
          rest = rest.dropFirst(end &+ 1)
        }
      } catch {
        throw error.inside("\(name.text)")
      }
    }
    return out
  }
}

/// `a, b, c` of RFC 3261 §7.3.1.
enum CommaList {
  /// Takes the next element, trimmed, off `rest`; empty ones are skipped. Nil at the end.
  static func next(_ rest: inout Bytes) -> Bytes? {
    while !rest.isEmpty {
      let end = elementEnd(rest)
      let element = trim(rest[..<end])
      rest = end < rest.endIndex ? rest[(end &+ 1)...] : rest.suffix(0)
      if !element.isEmpty { return element }
    }
    return nil
  }

  static func split(_ list: Bytes, into out: inout [Bytes]) {
    var rest = list
    while let element = next(&rest) { out.append(element) }
  }

  private static func elementEnd(_ list: Bytes) -> Int {
    var i = list.startIndex
    var quoted = false
    var bracketed = false
    while i < list.endIndex {
      switch list[i] {
      case UInt8(ascii: "\\") where quoted: i &+= 1
      case UInt8(ascii: "\""): if !bracketed { quoted.toggle() }
      case UInt8(ascii: "<") where !quoted: bracketed = true
      case UInt8(ascii: ">") where !quoted: bracketed = false
      case UInt8(ascii: ",") where !quoted && !bracketed: return i
      default: break
      }
      i &+= 1
    }
    return list.endIndex
  }

  static func trim(_ text: Bytes) -> Bytes { trimEnd(text.drop { $0.isLWS }) }

  static func trimEnd(_ text: Bytes) -> Bytes {
    var text = text
    while let last = text.last, last.isLWS { text.removeLast() }
    return text
  }
}
