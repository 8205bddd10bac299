/// Lower-case hex digits, eight at a time: a digit is an octet of a word, the first digit in the lowest one.
enum Hex {
  /// The 16 digits of `value`.
  @inline(__always) static func write(_ value: UInt64, into out: inout OutputSpan<UInt8>) {
    append(digits(UInt32(truncatingIfNeeded: value &>> 32)), &out)
    append(digits(UInt32(truncatingIfNeeded: value)), &out)
  }

  @inline(__always) private static func append(_ word: UInt64, _ out: inout OutputSpan<UInt8>) {
    for k in 0..<8 { out.append(UInt8(truncatingIfNeeded: word &>> UInt64(8 &* k))) }
  }

  /// Spreads the half octets of `value` over the octets of a word, and makes digits of them.
  @inline(__always) static func digits(_ value: UInt32) -> UInt64 {
    var x = UInt64(value)
    x = (x | x &<< 16) & 0x0000_ffff_0000_ffff
    x = (x | x &<< 8) & 0x00ff_00ff_00ff_00ff
    x = (x | x &<< 4) & 0x0f0f_0f0f_0f0f_0f0f
    let letters = ((x &+ 6 &* Word.ones) &>> 4) & Word.ones
    return (x &+ 0x30 &* Word.ones &+ letters &* 0x27).byteSwapped
  }

  /// 16 digits from `start`, which must be there; nil for any octet but a lower-case digit.
  @inline(__always) static func read(_ s: Span<UInt8>, _ start: Int) -> UInt64? {
    guard let high = value(s.load(start)), let low = value(s.load(start &+ 8)) else { return nil }
    return high &<< 32 | low
  }

  @inline(__always) static func value(_ word: UInt64) -> UInt64? {
    let seven = word & ~Word.highs
    let digit = (seven &+ 0x50 &* Word.ones) & ~(seven &+ 0x46 &* Word.ones) & Word.highs  // 0x30...0x39
    let letter = (seven &+ 0x1f &* Word.ones) & ~(seven &+ 0x19 &* Word.ones) & Word.highs  // 0x61...0x66
    guard word & Word.highs == 0, digit | letter == Word.highs else { return nil }
    var x = ((word & (0x0f &* Word.ones)) &+ (letter &>> 7) &* 9).byteSwapped
    x = (x | x &>> 4) & 0x00ff_00ff_00ff_00ff
    x = (x | x &>> 8) & 0x0000_ffff_0000_ffff
    return (x | x &>> 16) & 0xffff_ffff
  }
}
