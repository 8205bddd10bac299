/// SipHash-1-3: a keyed hash, so that a stranger cannot choose Call-IDs that all fall into one shard.
enum SipHash {
  static func hash(_ bytes: Bytes, key: (UInt64, UInt64)) -> UInt64 { hash(bytes.span, 0, bytes.count, key: key) }

  static func hash(_ s: Span<UInt8>, _ start: Int, _ end: Int, key: (UInt64, UInt64)) -> UInt64 {
    var v = State(key)
    var i = start
    while i &+ 8 <= end {
      var word: UInt64 = 0
      for k in 0..<8 { word |= UInt64(s[i &+ k]) << UInt64(8 &* k) }
      v.absorb(word)
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

enum Hex {
  /// `digits` lower-case hex digits of the low end of `value`.
  static func write(_ value: UInt64, digits: Int, into out: inout [UInt8]) {
    var k = digits
    while k > 0 {
      k &-= 1
      let nibble = UInt8(truncatingIfNeeded: value >> UInt64(4 &* k)) & 15
      out.append(nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble)
    }
  }

  /// Lower-case only; nil for any other octet.
  static func read(_ s: Span<UInt8>, _ start: Int, digits: Int) -> UInt64? {
    var value: UInt64 = 0
    for k in 0..<digits {
      let c = s[start &+ k]
      if c.isDigit {
        value = value << 4 | UInt64(c &- 0x30)
      } else if c &- 0x61 < 6 {
        value = value << 4 | UInt64(c &- 0x57)
      } else {
        return nil
      }
    }
    return value
  }
}
