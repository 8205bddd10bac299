/// SipHash-2-4 with 128 bits of output, of messages of two or four words. (Aumasson and Bernstein, "SipHash: a fast short-input
/// PRF"; the output length as in their reference code.)
struct SipHash24 {
  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64

  private init(_ key: (UInt64, UInt64)) {
    v0 = key.0 ^ 0x736f_6d65_7073_6575
    v1 = key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
    v2 = key.0 ^ 0x6c79_6765_6e65_7261
    v3 = key.1 ^ 0x7465_6462_7974_6573
  }

  static func hash(_ first: UInt64, _ second: UInt64, key: (UInt64, UInt64)) -> (UInt64, UInt64) {
    var s = SipHash24(key)
    s.absorb(first)
    s.absorb(second)
    return s.output(octets: 16)
  }

  static func hash(
    _ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64, key: (UInt64, UInt64)
  ) -> (UInt64, UInt64) {
    var s = SipHash24(key)
    s.absorb(first)
    s.absorb(second)
    s.absorb(third)
    s.absorb(fourth)
    return s.output(octets: 32)
  }

  private mutating func output(octets: UInt64) -> (UInt64, UInt64) {
    // The last word: no octets left, and their number.
    absorb(octets << 56)
    v2 ^= 0xee
    let a = finish()
    v1 ^= 0xdd
    return (a, finish())
  }

  private mutating func absorb(_ word: UInt64) {
    v3 ^= word
    round()
    round()
    v0 ^= word
  }

  private mutating func finish() -> UInt64 {
    for _ in 0..<4 { round() }
    return v0 ^ v1 ^ v2 ^ v3
  }

  private mutating func round() {
    v0 = v0 &+ v1
    v1 = (v1 << 13 | v1 >> 51) ^ v0
    v0 = v0 << 32 | v0 >> 32
    v2 = v2 &+ v3
    v3 = (v3 << 16 | v3 >> 48) ^ v2
    v0 = v0 &+ v3
    v3 = (v3 << 21 | v3 >> 43) ^ v0
    v2 = v2 &+ v1
    v1 = (v1 << 17 | v1 >> 47) ^ v2
    v2 = v2 << 32 | v2 >> 32
  }
}
