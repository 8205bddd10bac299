/// SipHash-1-3: a keyed hash, so that a stranger cannot choose Call-IDs that all fall into one shard.
enum SipHash {
  static func hash(_ bytes: Bytes, key: (UInt64, UInt64)) -> UInt64 { hash(bytes.span, 0, bytes.count, key: key) }

  static func hash(_ s: Span<UInt8>, _ start: Int, _ end: Int, key: (UInt64, UInt64)) -> UInt64 {
    var v = State(key)
    var i = start
    while i &+ 8 <= end {
      v.absorb(s.load(i))
      i &+= 8
    }
    var last = UInt64(truncatingIfNeeded: end &- start) << 56
    var shift: UInt64 = 0
    while i < end {
      last |= UInt64(s[i]) << shift
      shift &+= 8
      i &+= 1
    }
    v.absorb(last)
    v.c ^= 0xff
    for _ in 0..<3 { v.round() }
    return v.a ^ v.b ^ v.c ^ v.d
  }

  private struct State {
    var a, b, c, d: UInt64

    init(_ key: (UInt64, UInt64)) {
      a = key.0 ^ 0x736f_6d65_7073_6575
      b = key.1 ^ 0x646f_7261_6e64_6f6d
      c = key.0 ^ 0x6c79_6765_6e65_7261
      d = key.1 ^ 0x7465_6462_7974_6573
    }

    mutating func absorb(_ word: UInt64) {
      d ^= word
      round()
      a ^= word
    }

    mutating func round() {
      a &+= b
      b = b << 13 | b >> 51
      b ^= a
      a = a << 32 | a >> 32
      c &+= d
      d = d << 16 | d >> 48
      d ^= c
      a &+= d
      d = d << 21 | d >> 43
      d ^= a
      c &+= b
      b = b << 17 | b >> 47
      b ^= c
      c = c << 32 | c >> 32
    }
  }
}
