internal import Crypto
public import SIPMessage

/// The hash functions of RFC 8760 that phones have. MD5 is broken as a hash, and yet the only one that many old phones know.
public enum DigestAlgorithm: String, Sendable, CaseIterable {
  case md5 = "MD5"
  case sha256 = "SHA-256"

  /// By the token of an `algorithm` parameter, in any case.
  public init?(token: Bytes) {
    let name = String(decoding: token, as: UTF8.self).uppercased()
    self.init(rawValue: name)
  }

  /// Lower-case hex digits of a hash: 32 or 64.
  var digits: Int {
    switch self {
    case .md5: 32
    case .sha256: 64
    }
  }

  /// Lower-case hex of the hash of the parts with a colon between them: the `H(concat…)` of RFC 7616 §3.4.
  func hash(_ parts: Bytes...) -> [UInt8] {
    var joined: [UInt8] = []
    joined.reserveCapacity(parts.reduce(parts.count) { $0 + $1.count })
    for (i, part) in parts.enumerated() {
      if i > 0 { joined.append(UInt8(ascii: ":")) }
      joined.append(contentsOf: part)
    }
    switch self {
    case .md5: return Hexadecimal.encode(Insecure.MD5.hash(data: joined))
    case .sha256: return Hexadecimal.encode(SHA256.hash(data: joined))
    }
  }
}

enum Hexadecimal {
  static func encode(_ octets: some Sequence<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(64)
    for octet in octets {
      for nibble in [octet >> 4, octet & 15] { out.append(nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble) }
    }
    return out
  }

  static func encode(_ value: UInt64, digits: Int, into out: inout [UInt8]) {
    for k in (0..<digits).reversed() {
      let nibble = UInt8(truncatingIfNeeded: value >> UInt64(4 * k)) & 15
      out.append(nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble)
    }
  }

  /// In either case; nil for any other octet, for none, and for more than 16 digits.
  static func decode(_ text: Bytes) -> UInt64? {
    guard !text.isEmpty, text.count <= 16 else { return nil }
    var value: UInt64 = 0
    for c in text {
      switch c {
      case 0x30...0x39: value = value << 4 | UInt64(c - 0x30)
      case 0x41...0x46: value = value << 4 | UInt64(c - 0x37)
      case 0x61...0x66: value = value << 4 | UInt64(c - 0x57)
      default: return nil
      }
    }
    return value
  }
}

/// Equal in a time that tells nothing of where they differ; `b` is compared without case.
func constantTimeEqual(_ a: [UInt8], _ b: Bytes) -> Bool {
  guard a.count == b.count else { return false }
  var difference: UInt8 = 0
  for (x, y) in zip(a, b) { difference |= x ^ (y &- 0x41 < 6 ? y | 0x20 : y) }
  return difference == 0
}
