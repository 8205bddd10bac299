public import SIPMessage

/// Answers the challenge of another server (RFC 3261 §22.2), one at a time; `DigestChallenge` is one that is kept.
public enum DigestClient {
  /// The value of an Authorization or Proxy-Authorization. Nil if the challenge is no Digest, lacks realm or nonce, or
  /// asks for an algorithm or a `qop` that is not ours. Without a `qop` the answer is that of RFC 2069.
  ///
  /// - Parameters:
  ///   - challenge: the value of one WWW-Authenticate or Proxy-Authenticate.
  ///   - uri: the Request-URI of the request that will carry it.
  ///   - cnonce: any token; fresh and random for each use but in tests.
  ///   - nc: how often this nonce has been used, 1 for the first.
  public static func authorization(
    challenge: Bytes, user: String, password: String, method: Bytes, uri: Bytes, cnonce: Bytes, nc: UInt32
  ) -> [UInt8]? {
    DigestChallenge(challenge)?.authorization(
      user: user, password: password, method: method, uri: uri, cnonce: cnonce, nc: nc)
  }

  /// The challenge to answer of those that came: the strongest algorithm that is ours (RFC 8760 §2.4 lets the client
  /// choose; the server's order is its preference where both are as strong).
  public static func strongest(of challenges: [Bytes]) -> Bytes? {
    var best: (value: Bytes, rank: Int)?
    for challenge in challenges {
      guard let p = (try? DigestParameters.parse(challenge)) ?? nil else { continue }
      guard let algorithm = p[.algorithm].map(DigestAlgorithm.init(token:)) ?? .md5 else { continue }
      let rank = algorithm.digits
      if rank > best?.rank ?? 0 { best = (challenge, rank) }
    }
    return best?.value
  }
}
