/// Where something stands in a body, from its first octet: no body is longer than 65535 octets.
struct TextRange: Hashable, Sendable {
  let start: UInt16
  let end: UInt16

  static let none = TextRange(0..<0)

  init(_ range: Range<Int>) {
    start = UInt16(truncatingIfNeeded: range.lowerBound)
    end = UInt16(truncatingIfNeeded: range.upperBound)
  }

  var isEmpty: Bool { start == end }
  var count: Int { Int(end) &- Int(start) }
  var range: Range<Int> { Int(start)..<max(Int(end), Int(start)) }
}

/// Payload types, 0…127.
struct PayloadSet: Sendable {
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  init() {}

  init(_ codecs: [Codec]) {
    for codec in codecs { insert(codec.payloadType) }
  }

  func contains(_ type: UInt8) -> Bool {
    (type < 64 ? low : high) >> UInt64(type & 63) & 1 != 0
  }

  mutating func insert(_ type: UInt8) {
    let bit = UInt64(1) << UInt64(type & 63)
    if type < 64 { low |= bit } else { high |= bit }
  }
}
