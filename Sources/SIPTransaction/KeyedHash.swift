import SIPMessage

/// What a server transaction is found by: 128 bits of keyed hash in place of the bytes themselves. The key is secret and
/// made at start, so nobody can aim at a collision, and by chance there is none in the life of the server.
struct TransactionKey: Hashable, Sendable {
  var a: UInt64
  var b: UInt64
}

/// SipHash-1-3 with 128 bits of output, fed piece by piece, without memory of its own.
/// (Aumasson and Bernstein, "SipHash: a fast short-input PRF"; the output length as in their reference code.)
struct KeyedHasher {
  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64
  private var tail: UInt64 = 0
  private var length: UInt64 = 0

  init(key: (UInt64, UInt64)) {
    v0 = key.0 ^ 0x736f_6d65_7073_6575
    v1 = key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
    v2 = key.0 ^ 0x6c79_6765_6e65_7261
    v3 = key.1 ^ 0x7465_6462_7974_6573
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

  private mutating func absorb(_ word: UInt64) {
    v3 ^= word
    round()
    v0 ^= word
  }

  /// The low `count` (1…8) octets of a word whose other octets are zero. What does not fit waits in `tail`.
  @inline(__always)
  private mutating func combine(_ word: UInt64, octets count: UInt64) {
    let waiting = length & 7
    tail |= word << (8 &* waiting)
    length &+= count
    guard waiting &+ count >= 8 else { return }
    absorb(tail)
    // A shift by 64 gives zero, which is what is left of a word that fitted.
    tail = word >> (64 &- 8 &* waiting)
  }

  mutating func combine(_ byte: UInt8) { combine(UInt64(byte), octets: 1) }

  mutating func combine(_ number: UInt32) { combine(UInt64(number), octets: 4) }

  /// The bytes and their number, so that two pieces never read as two others.
  mutating func combine(_ bytes: Bytes) { combine(bytes.span, folding: 0) }

  /// The same, for what is compared without regard to case, such as a host name.
  mutating func combineFoldingCase(_ bytes: Bytes) { combine(bytes.span, folding: 0x20) }

  /// - Parameter bit: what a capital letter gets.
  @inline(__always)
  private mutating func combine(_ s: Span<UInt8>, folding bit: UInt8) {
    var i = 0
    while i < s.count {
      let end = min(i &+ 8, s.count)
      let count = UInt64(truncatingIfNeeded: end &- i)
      var word: UInt64 = 0
      var shift: UInt64 = 0
      while i < end {
        let c = s[i]
        word |= UInt64(c &- 0x41 < 26 ? c | bit : c) &<< shift
        shift &+= 8
        i &+= 1
      }
      combine(word, octets: count)
    }
    combine(UInt32(truncatingIfNeeded: s.count))
  }

  consuming func finalize() -> TransactionKey {
    absorb(tail | length << 56)
    v2 ^= 0xee
    for _ in 0..<3 { round() }
    let a = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xdd
    for _ in 0..<3 { round() }
    return TransactionKey(a: a, b: v0 ^ v1 ^ v2 ^ v3)
  }
}

/// Random numbers that only we can foretell: a secret key, and a counter. A system call a token would cost more than the
/// token; a seed makes a test repeatable.
public struct TokenMint: Sendable {
  private let key: (UInt64, UInt64)
  private var counter: UInt64 = 0

  public init(key: (UInt64, UInt64)) { self.key = key }

  public mutating func next() -> UInt64 {
    counter &+= 1
    var hasher = KeyedHasher(key: key)
    hasher.combine(UInt32(truncatingIfNeeded: counter))
    hasher.combine(UInt32(truncatingIfNeeded: counter >> 32))
    return hasher.finalize().a
  }
}
