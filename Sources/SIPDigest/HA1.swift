internal import SIPMessage

/// What a server keeps instead of a password: the hash of user, realm and password, once an algorithm (RFC 7616 §3.4.2).
/// It is as good as the password within its realm, so it is kept as secret.
public struct HA1: Hashable, Sendable {
  /// 32 lower-case hex digits.
  public var md5: [UInt8]
  /// 64 lower-case hex digits.
  public var sha256: [UInt8]

  public init(user: String, realm: String, password: String) {
    let user = Array(user.utf8)[...]
    let realm = Array(realm.utf8)[...]
    let password = Array(password.utf8)[...]
    md5 = DigestAlgorithm.md5.hash(user, realm, password)
    sha256 = DigestAlgorithm.sha256.hash(user, realm, password)
  }

  /// As read from where they are kept.
  public init(md5: [UInt8], sha256: [UInt8]) {
    self.md5 = md5
    self.sha256 = sha256
  }

  /// Of nobody: what the credentials of an unknown user are checked against, so that the answer takes as long.
  static let nobody = HA1(md5: .init(repeating: 0x30, count: 32), sha256: .init(repeating: 0x30, count: 64))

  /// The `response` of RFC 7616 §3.4.1 with `qop=auth`.
  func response(
    _ algorithm: DigestAlgorithm, method: Bytes, uri: Bytes, nonce: Bytes, nc: Bytes, cnonce: Bytes
  ) -> HexDigest {
    var second = DigestHasher(algorithm)
    second.add(method)
    second.add(uri)
    var hasher = DigestHasher(algorithm)
    hasher.add(algorithm == .md5 ? md5[...] : sha256[...])
    hasher.add(nonce)
    hasher.add(nc)
    hasher.add(cnonce)
    hasher.add(HA1.auth[...])
    hasher.add(second.finalize())
    return hasher.finalize()
  }

  private static let auth = Array("auth".utf8)
}
