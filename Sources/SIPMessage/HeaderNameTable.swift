/// Finds a header's name without comparing strings: a name of up to 24 octets, lower-cased, is exactly three words, and
/// those are looked up in a small open-addressed table.
struct HeaderNameTable: Sendable {
  private struct Key: Equatable {
    var a: UInt64 = 0
    var b: UInt64 = 0
    var c: UInt64 = 0

    var slot: Int {
      let mixed = (a ^ (b &* 0x9e37_79b9_7f4a_7c15) ^ (c << 7)) &* 0xff51_afd7_ed55_8ccd
      return Int(truncatingIfNeeded: mixed >> 56)
    }
  }
  private struct Slot {
    var key: Key
    /// Octets of the name: a NUL behind it would not show in the key.
    var length: UInt8
    var name: HeaderName
  }

  static let shared = HeaderNameTable()
  private let slots: [Slot]

  private init() {
    var slots = [Slot](repeating: Slot(key: Key(), length: 0, name: .other), count: 256)
    for name in HeaderName.allCases where name != .other {
      let text = Array("\(name.text)".utf8)
      let key = HeaderNameTable.key(text.span, 0, text.count)
      var i = key.slot
      while slots[i].key != Key() { i = (i + 1) & 255 }
      slots[i] = Slot(key: key, length: UInt8(text.count), name: name)
    }
    self.slots = slots
  }

  /// The name in `start..<end`.
  func find(_ s: Span<UInt8>, _ start: Int, _ end: Int) -> HeaderName {
    let n = end &- start
    if n == 1 { return HeaderNameTable.compact(s[start]) }
    guard n > 1, n <= 24 else { return .other }
    return find(HeaderNameTable.key(s, start, end), n)
  }

  /// The known name that begins at `start` and has a colon right behind it, and where that is; nil for anything else. A
  /// known name needs no check of its octets.
  @inline(__always) func find(_ s: Span<UInt8>, before limit: Int, from start: Int) -> (name: HeaderName, colon: Int)? {
    guard start <= limit &- 8 else { return nil }
    var key = Key()
    var base = 0
    key.a = s.load(start)
    var colons = Word.equal(key.a, to: UInt8(ascii: ":"))
    if colons != 0 {
      key.a = HeaderNameTable.before(colons, key.a)
    } else {
      guard start <= limit &- 16 else { return nil }
      base = 8
      key.b = s.load(start &+ 8)
      colons = Word.equal(key.b, to: UInt8(ascii: ":"))
      if colons != 0 {
        key.b = HeaderNameTable.before(colons, key.b)
      } else {
        guard start <= limit &- 24 else { return nil }
        base = 16
        key.c = s.load(start &+ 16)
        colons = Word.equal(key.c, to: UInt8(ascii: ":"))
        guard colons != 0 else { return nil }
        key.c = Word.lowercased(HeaderNameTable.before(colons, key.c))
      }
      key.b = Word.lowercased(key.b)
    }
    key.a = Word.lowercased(key.a)
    let n = base &+ Word.index(colons)
    let name = n > 1 ? find(key, n) : n == 1 ? HeaderNameTable.compact(s[start]) : .other
    return name == .other ? nil : (name, start &+ n)
  }

  /// The octets of `word` before the first one that is marked in `hits`.
  @inline(__always) private static func before(_ hits: UInt64, _ word: UInt64) -> UInt64 {
    word & ((hits & (0 &- hits)) &>> 7 &- 1)
  }

  @inline(__always) private func find(_ key: Key, _ length: Int) -> HeaderName {
    var i = key.slot
    while true {
      let slot = slots[i]
      if slot.key == key, Int(slot.length) == length { return slot.name }
      if slot.name == .other { return .other }
      i = (i &+ 1) & 255
    }
  }

  /// Of a name of 2 to 24 octets.
  private static func key(_ s: Span<UInt8>, _ start: Int, _ end: Int) -> Key {
    var key = Key()
    key.a = s.word(start, min(start &+ 8, end))
    if end > start &+ 8 { key.b = s.word(start &+ 8, min(start &+ 16, end)) }
    if end > start &+ 16 { key.c = s.word(start &+ 16, end) }
    return key
  }

  /// RFC 3261 §7.3.3, RFC 6665 §8.4, RFC 3515 §2.1, RFC 3892 §2.1, RFC 4028 §4.
  private static func compact(_ c: UInt8) -> HeaderName {
    switch c.lowercased {
    case UInt8(ascii: "v"): .via
    case UInt8(ascii: "f"): .from
    case UInt8(ascii: "t"): .to
    case UInt8(ascii: "i"): .callID
    case UInt8(ascii: "m"): .contact
    case UInt8(ascii: "c"): .contentType
    case UInt8(ascii: "l"): .contentLength
    case UInt8(ascii: "e"): .contentEncoding
    case UInt8(ascii: "k"): .supported
    case UInt8(ascii: "s"): .subject
    case UInt8(ascii: "o"): .event
    case UInt8(ascii: "u"): .allowEvents
    case UInt8(ascii: "r"): .referTo
    case UInt8(ascii: "b"): .referredBy
    case UInt8(ascii: "x"): .sessionExpires
    default: .other
    }
  }
}
