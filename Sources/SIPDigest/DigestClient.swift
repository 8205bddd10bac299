public import SIPMessage

/// Answers the challenge of another server (RFC 3261 §22.2): what a trunk needs to register and to call.
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
    guard let p = (try? DigestParameters.parse(challenge)) ?? nil, let realm = p[.realm], let nonce = p[.nonce],
      let algorithm = p[.algorithm].map(DigestAlgorithm.init(token:)) ?? .md5
    else { return nil }
    let ha1 = algorithm.hash(Array(user.utf8)[...], realm, Array(password.utf8)[...])
    let ha2 = algorithm.hash(method, uri)
    var out = Array("Digest username=".utf8) + QuotedString.encode(user.utf8)
    func add(_ text: String, _ value: Bytes, _ end: String) {
      out += Array(text.utf8)
      out += value
      out += Array(end.utf8)
    }
    add(", realm=\"", realm, "\"")
    add(", nonce=\"", nonce, "\"")
    add(", uri=\"", uri, "\"")
    if let qop = p[.qop] {
      let offered = qop.split { $0 == UInt8(ascii: ",") || $0 == 0x20 }
      guard offered.contains(where: { $0.span.equals("auth") }) else { return nil }
      var digits = HexDigest()
      digits.append(UInt64(nc), octets: 4)
      let count = digits.bytes
      add(
        ", response=\"", algorithm.hash(ha1[...], nonce, count[...], cnonce, Array("auth".utf8)[...], ha2[...])[...],
        "\"")
      add(", cnonce=\"", cnonce, "\"")
      add(", qop=auth, nc=", count[...], "")
    } else {
      add(", response=\"", algorithm.hash(ha1[...], nonce, ha2[...])[...], "\"")
    }
    if p[.algorithm] != nil { add(", algorithm=", Array(algorithm.rawValue.utf8)[...], "") }
    if let opaque = p[.opaque] { add(", opaque=\"", opaque, "\"") }
    return out
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
