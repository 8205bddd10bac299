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
    var name: HeaderName
  }

  static let shared = HeaderNameTable()
  private let slots: [Slot]

  private init() {
    var slots = [Slot](repeating: Slot(key: Key(), name: .other), count: 256)
    for name in HeaderName.allCases where name != .other {
      var key = Key()
      for k in 0..<name.text.utf8CodeUnitCount { HeaderNameTable.put(name.text[octet: k], at: k, in: &key) }
      var i = key.slot
      while slots[i].key != Key() { i = (i + 1) & 255 }
      slots[i] = Slot(key: key, name: name)
    }
    self.slots = slots
  }

  /// `| 0x20` lower-cases letters and maps no two token characters of different meaning to one.
  @inline(__always) private static func put(_ c: UInt8, at k: Int, in key: inout Key) {
    let octet = UInt64(c | 0x20) << UInt64((k & 7) * 8)
    if k < 8 { key.a |= octet } else if k < 16 { key.b |= octet } else { key.c |= octet }
  }

  /// The name in `start..<end`, which holds token characters only.
  func find(_ s: Span<UInt8>, _ start: Int, _ end: Int) -> HeaderName {
    let n = end &- start
    if n == 1 { return HeaderNameTable.compact(s[start] | 0x20) }
    guard n > 1, n <= 24 else { return .other }
    var key = Key()
    for k in 0..<n { HeaderNameTable.put(s[start &+ k], at: k, in: &key) }
    var i = key.slot
    while true {
      let slot = slots[i]
      if slot.key == key { return slot.name }
      if slot.name == .other { return .other }
      i = (i &+ 1) & 255
    }
  }

  /// RFC 3261 §7.3.3, RFC 6665 §8.4, RFC 3515 §2.1, RFC 3892 §2.1, RFC 4028 §4.
  private static func compact(_ c: UInt8) -> HeaderName {
    switch c {
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
