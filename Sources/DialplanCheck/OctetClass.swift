/// A set of octets.
struct OctetClass: Hashable {
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  static let all = OctetClass { _ in true }

  init() {}

  init(where isIn: (UInt8) -> Bool) {
    for octet in 0...UInt8.max where isIn(octet) { insert(octet) }
  }

  mutating func insert(_ octet: UInt8) {
    let bit = UInt64(1) << UInt64(octet & 63)
    switch octet >> 6 {
    case 0: words.0 |= bit
    case 1: words.1 |= bit
    case 2: words.2 |= bit
    default: words.3 |= bit
    }
  }

  func contains(_ octet: UInt8) -> Bool {
    let word =
      switch octet >> 6 {
      case 0: words.0
      case 1: words.1
      case 2: words.2
      default: words.3
      }
    return word >> UInt64(octet & 63) & 1 == 1
  }

  var inverted: OctetClass {
    let own = self
    return OctetClass { !own.contains($0) }
  }

  mutating func formUnion(_ other: OctetClass) {
    words = (words.0 | other.words.0, words.1 | other.words.1, words.2 | other.words.2, words.3 | other.words.3)
  }

  static func == (a: OctetClass, b: OctetClass) -> Bool { a.words == b.words }
  func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }

  /// `%d`, `%a` and their kin (Lua 5.4 manual §6.4.1), capitals inverted, by the C locale. Nil: no class of that name.
  static func named(_ letter: UInt8) -> OctetClass? {
    let isIn: (UInt8) -> Bool
    switch letter | 0x20 {
    case UInt8(ascii: "a"): isIn = { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a }
    case UInt8(ascii: "d"): isIn = { $0 >= 0x30 && $0 <= 0x39 }
    case UInt8(ascii: "l"): isIn = { $0 >= 0x61 && $0 <= 0x7a }
    case UInt8(ascii: "u"): isIn = { $0 >= 0x41 && $0 <= 0x5a }
    case UInt8(ascii: "s"): isIn = { $0 == 0x20 || (0x09...0x0d).contains($0) }
    case UInt8(ascii: "c"): isIn = { $0 < 0x20 || $0 == 0x7f }
    case UInt8(ascii: "g"): isIn = { $0 > 0x20 && $0 < 0x7f }
    case UInt8(ascii: "w"):
      isIn = { ($0 >= 0x30 && $0 <= 0x39) || (($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a) }
    case UInt8(ascii: "p"):
      isIn = { c in
        c > 0x20 && c < 0x7f && !(c >= 0x30 && c <= 0x39) && !((c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a)
      }
    case UInt8(ascii: "x"): isIn = { ($0 >= 0x30 && $0 <= 0x39) || (($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x66) }
    default: return nil
    }
    let lower = OctetClass(where: isIn)
    return letter >= 0x61 ? lower : lower.inverted
  }
}
