public import SIPMessage

/// The hash functions of RFC 8760 that phones have. MD5 is broken as a hash, and yet the only one that many old phones know.
public enum DigestAlgorithm: String, Sendable, CaseIterable {
  case md5 = "MD5"
  case sha256 = "SHA-256"

  /// By the token of an `algorithm` parameter, in any case.
  public init?(token: Bytes) {
    if token.span.equals("md5") {
      self = .md5
    } else if token.span.equals("sha-256") {
      self = .sha256
    } else {
      return nil
    }
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
    var hasher = DigestHasher(self)
    for part in parts { hasher.add(part) }
    return hasher.finalize().bytes
  }
}
