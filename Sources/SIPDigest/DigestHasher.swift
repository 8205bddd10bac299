internal import Crypto
internal import SIPMessage

/// The `H(a:b:…)` of RFC 7616 §3.4, fed with one part after the other.
struct DigestHasher {
  // One of the two; changed in place, as a copy would take memory of its own.
  private var md5: Insecure.MD5?
  private var sha256: SHA256?
  private var isEmpty = true

  init(_ algorithm: DigestAlgorithm) {
    switch algorithm {
    case .md5: md5 = Insecure.MD5()
    case .sha256: sha256 = SHA256()
    }
  }

  /// A part, with a colon before all but the first.
  mutating func add(_ part: Span<UInt8>) {
    if !isEmpty { update(DigestHasher.colon.span) }
    isEmpty = false
    update(part)
  }

  mutating func add(_ part: Bytes) { add(part.span) }

  mutating func add(_ part: HexDigest) { add(part.digits.span.extracting(0..<part.count)) }

  private static let colon = [UInt8(ascii: ":")]

  private mutating func update(_ octets: Span<UInt8>) {
    unsafe octets.withUnsafeBytes { octets in
      unsafe md5?.update(bufferPointer: octets)
      unsafe sha256?.update(bufferPointer: octets)
    }
  }

  consuming func finalize() -> HexDigest {
    var digest = HexDigest()
    if let md5 {
      for octet in md5.finalize() { digest.append(octet) }
    } else if let sha256 {
      for octet in sha256.finalize() { digest.append(octet) }
    }
    return digest
  }
}

/// A hash, or what else is written as lower-case hex digits, 64 at most, without memory of its own.
struct HexDigest {
  fileprivate private(set) var digits = InlineArray<64, UInt8>(repeating: 0)
  private(set) var count = 0

  mutating func append(_ octet: UInt8) {
    digits[count] = Hexadecimal.digit(octet >> 4)
    digits[count &+ 1] = Hexadecimal.digit(octet & 15)
    count &+= 2
  }

  /// The lowest octets of a word, the highest of them first.
  mutating func append(_ word: UInt64, octets: Int = 8) {
    var shift = UInt64(8 &* octets)
    while shift > 0 {
      shift &-= 8
      append(UInt8(truncatingIfNeeded: word >> shift))
    }
  }

  func write(into out: inout [UInt8]) {
    unsafe digits.span.extracting(0..<count).withUnsafeBufferPointer { unsafe out.append(contentsOf: $0) }
  }

  var bytes: [UInt8] { (0..<count).map { digits[$0] } }

  /// Equal in a time that tells nothing of where they differ; `other` is compared without case.
  func constantTimeEqual(_ other: Bytes) -> Bool {
    guard count == other.count else { return false }
    var difference: UInt8 = 0
    let other = other.span
    for i in 0..<count {
      let y = other[i]
      difference |= digits[i] ^ (y &- 0x41 < 6 ? y | 0x20 : y)
    }
    return difference == 0
  }
}

enum Hexadecimal {
  @inline(__always)
  static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble }

  /// In either case; nil for any other octet, for none, and for more than 16 digits.
  static func decode(_ text: Bytes) -> UInt64? { decode(text.span, 0, text.count) }

  static func decode(_ s: Span<UInt8>, _ start: Int, _ end: Int) -> UInt64? {
    guard start < end, end &- start <= 16 else { return nil }
    var value: UInt64 = 0
    for i in start..<end {
      let c = s[i]
      switch c {
      case 0x30...0x39: value = value << 4 | UInt64(c &- 0x30)
      case 0x41...0x46: value = value << 4 | UInt64(c &- 0x37)
      case 0x61...0x66: value = value << 4 | UInt64(c &- 0x57)
      default: return nil
      }
    }
    return value
  }
}
