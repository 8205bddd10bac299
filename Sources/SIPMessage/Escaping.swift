/// `%` HEX HEX of RFC 3261 §25.1.
enum Escaping {
  /// Unescaped once, so that `%25%34%31` becomes `%41` and not `A` (RFC 4475 §3.1.1.3). An octet `%` without two
  /// digits stays as it is; `%00` becomes a NUL and ends nothing.
  static func decode(_ raw: Bytes) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(raw.count)
    var i = raw.startIndex
    while i < raw.endIndex {
      let (octet, next, _) = step(raw, i)
      out.append(octet)
      i = next
    }
    return out
  }

  /// The octet at `i`, the index after it, and whether it was written as an escape.
  @inline(__always)
  static func step(_ raw: Bytes, _ i: Int) -> (octet: UInt8, next: Int, escaped: Bool) {
    let c = raw[i]
    guard c == UInt8(ascii: "%"), i &+ 2 < raw.endIndex, let high = raw[i &+ 1].hexValue,
      let low = raw[i &+ 2].hexValue
    else { return (c, i &+ 1, false) }
    return (high << 4 | low, i &+ 3, true)
  }

  /// Equal by RFC 3261 §19.1.4: an escape equals its octet, unless the octet is reserved.
  static func equal(_ a: Bytes, _ b: Bytes, ignoringCase: Bool) -> Bool {
    var i = a.startIndex
    var j = b.startIndex
    while i < a.endIndex, j < b.endIndex {
      let x = step(a, i)
      let y = step(b, j)
      let same = ignoringCase ? x.octet.lowercased == y.octet.lowercased : x.octet == y.octet
      guard same else { return false }
      if x.escaped != y.escaped, x.octet.isReservedInURI { return false }
      i = x.next
      j = y.next
    }
    return i == a.endIndex && j == b.endIndex
  }

  /// A parameter's name: escapes decoded, case ignored.
  static func equal(_ raw: Bytes, _ name: StaticString) -> Bool {
    var i = raw.startIndex
    var k = 0
    while i < raw.endIndex {
      guard k < name.utf8CodeUnitCount else { return false }
      let (octet, next, _) = step(raw, i)
      guard octet.lowercased == name[octet: k].lowercased else { return false }
      i = next
      k &+= 1
    }
    return k == name.utf8CodeUnitCount
  }
}
