public import SIPMessage

/// A Digest challenge of another server that we can answer (RFC 7616 §3.3, RFC 3261 §22.2): it can be kept and answered
/// again with a higher count, as a nonce may be used more than once.
public struct DigestChallenge: Sendable, Equatable {
  /// As it came, escapes left as they are: that is what is hashed and sent back.
  private let realmAsSent: [UInt8]
  private let nonce: [UInt8]
  private let opaque: [UInt8]?
  private let algorithm: DigestAlgorithm
  private let namesAlgorithm: Bool
  /// With `qop=auth`; else the answer is that of RFC 2069.
  private let hasQOP: Bool
  /// The nonce was too old, the password may be right (§3.3 `stale`).
  public let isStale: Bool

  /// Nil if it is no Digest, lacks realm or nonce, or asks for an algorithm or a `qop` that is not ours.
  public init?(_ value: Bytes) {
    guard let p = (try? DigestParameters.parse(value)) ?? nil, let realm = p[.realm], let nonce = p[.nonce],
      let algorithm = p[.algorithm].map(DigestAlgorithm.init(token:)) ?? .md5
    else { return nil }
    if let qop = p[.qop] {
      let offered = qop.split { $0 == UInt8(ascii: ",") || $0 == 0x20 }
      guard offered.contains(where: { $0.span.equals("auth") }) else { return nil }
      hasQOP = true
    } else {
      hasQOP = false
    }
    realmAsSent = Array(realm)
    self.nonce = Array(nonce)
    opaque = p[.opaque].map { Array($0) }
    self.algorithm = algorithm
    namesAlgorithm = p[.algorithm] != nil
    isStale = p[.stale].map { $0.span.equals("true") } ?? false
  }

  /// What the realm says, escapes resolved.
  public var realm: [UInt8] { Array(DigestParameters.unescape(realmAsSent[...])) }

  /// The value of an Authorization or Proxy-Authorization.
  /// - Parameters:
  ///   - uri: the Request-URI of the request that will carry it.
  ///   - cnonce: any token; fresh and random for each use but in tests.
  ///   - nc: how often this nonce has been used, 1 for the first (§3.4).
  public func authorization(
    user: String, password: String, method: Bytes, uri: Bytes, cnonce: Bytes, nc: UInt32
  ) -> [UInt8] {
    let ha1 = algorithm.hash(Array(user.utf8)[...], realmAsSent[...], Array(password.utf8)[...])
    let ha2 = algorithm.hash(method, uri)
    var out = Array("Digest username=".utf8) + QuotedString.encode(user.utf8)
    func add(_ text: String, _ value: Bytes, _ end: String) {
      out += Array(text.utf8)
      out += value
      out += Array(end.utf8)
    }
    add(", realm=\"", realmAsSent[...], "\"")
    add(", nonce=\"", nonce[...], "\"")
    add(", uri=\"", uri, "\"")
    if hasQOP {
      var digits = HexDigest()
      digits.append(UInt64(nc), octets: 4)
      let count = digits.bytes
      let response = algorithm.hash(ha1[...], nonce[...], count[...], cnonce, Array("auth".utf8)[...], ha2[...])
      add(", response=\"", response[...], "\"")
      add(", cnonce=\"", cnonce, "\"")
      add(", qop=auth, nc=", count[...], "")
    } else {
      add(", response=\"", algorithm.hash(ha1[...], nonce[...], ha2[...])[...], "\"")
    }
    if namesAlgorithm { add(", algorithm=", Array(algorithm.rawValue.utf8)[...], "") }
    if let opaque { add(", opaque=\"", opaque[...], "\"") }
    return out
  }

  /// The challenge to answer of those that came: the strongest algorithm that is ours (RFC 8760 §2.4 lets the client
  /// choose), the first of equals.
  /// - Parameter realm: whether we have a password for a realm. Credentials are for nobody else.
  public static func best(of challenges: [Bytes], where realm: ([UInt8]) -> Bool) -> DigestChallenge? {
    var best: DigestChallenge?
    for value in challenges {
      guard let challenge = DigestChallenge(value), realm(challenge.realm) else { continue }
      if challenge.algorithm.digits > best?.algorithm.digits ?? 0 { best = challenge }
    }
    return best
  }
}
