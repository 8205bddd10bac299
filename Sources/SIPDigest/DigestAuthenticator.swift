public import NetCore
public import SIPMessage

/// What a digest realm is set up with.
public struct DigestRealm: Sendable {
  public var name: String
  /// One challenge each, in this order: some old phones read only the first (RFC 8760 §2.4).
  public var algorithms: [DigestAlgorithm]
  /// Seconds for which a nonce is taken.
  public var nonceLifetime: Int
  /// Nonces in use whose counts are remembered.
  public var windowCapacity: Int

  public init(
    name: String, algorithms: [DigestAlgorithm] = [.md5, .sha256], nonceLifetime: Int = 300,
    windowCapacity: Int = 65536
  ) {
    self.name = name
    self.algorithms = algorithms
    self.nonceLifetime = nonceLifetime
    self.windowCapacity = windowCapacity
  }
}

/// Challenges and checks by RFC 7616 as RFC 3261 §22 and RFC 8760 have it for SIP. One for all shards: its nonces need no
/// memory until somebody has proved a password with one, and then a bounded window of counts.
///
/// What it does not do: `auth-int`, `-sess` algorithms, `userhash`, and credentials without `qop` (RFC 2069), which can be
/// replayed. The `uri` parameter is hashed as the client sent it and not compared with the Request-URI: many clients put
/// their proxy's address there, and what it would guard against, replay, the nonce counts already do.
public final class DigestAuthenticator: Sendable {
  /// Names of users are octets with the escapes of their quoted string resolved.
  public enum Verdict: Sendable {
    case authenticated(user: Bytes)
    /// None for our realm, or with an algorithm that was not offered: challenge.
    case noCredentials
    /// A nonce that is not ours, is aged or another source's, or whose count was used: challenge with `stale=true`.
    case stale
    /// A good nonce, a wrong response; the same for a user that is unknown: 403.
    case rejected(user: Bytes)
    case malformed(SIPError)
  }

  public let realm: String
  public let algorithms: [DigestAlgorithm]
  private let realmBytes: [UInt8]
  /// What stands before the nonce of a challenge, and by algorithm what stands after it.
  private let challengeHead: [UInt8]
  private let challengeTails: [[UInt8]]
  private let nonceLifetime: Int64
  private let mint: NonceMint
  private let windows: NonceWindows

  /// `key` makes the nonces: random, at least 16 octets, and the same in all processes that share a realm.
  public convenience init(
    realm: String, algorithms: [DigestAlgorithm], nonceLifetime: Int = 300, windowCapacity: Int = 65536, key: [UInt8]
  ) {
    self.init(
      DigestRealm(
        name: realm, algorithms: algorithms, nonceLifetime: nonceLifetime, windowCapacity: windowCapacity), key: key)
  }

  public init(_ settings: DigestRealm, key: [UInt8]) {
    precondition(key.count >= 16, "a nonce key has at least 16 octets")
    precondition(!settings.algorithms.isEmpty, "a digest realm needs an algorithm")
    realm = settings.name
    algorithms = settings.algorithms
    realmBytes = Array(settings.name.utf8)
    challengeHead = Array("Digest realm=".utf8) + QuotedString.encode(settings.name.utf8) + Array(", nonce=\"".utf8)
    challengeTails = algorithms.map { Array("\", algorithm=\($0.rawValue), qop=\"auth\"".utf8) }
    nonceLifetime = Int64(settings.nonceLifetime)
    mint = NonceMint(key: key, realm: settings.name)
    windows = NonceWindows(capacity: settings.windowCapacity)
  }

  /// Values for WWW-Authenticate or Proxy-Authenticate, one header field each: `add` is given one after the other to
  /// write where it wants it.
  /// - Parameter source: whose challenge it is: nobody else can answer it.
  public func challenge(stale: Bool, source: IPAddress, nowSeconds: Int64, _ add: ((inout [UInt8]) -> Void) -> Void) {
    let nonce = mint.make(nowSeconds: nowSeconds).text(mint: mint, source: source)
    for tail in challengeTails {
      add { out in
        out.append(contentsOf: challengeHead)
        nonce.write(into: &out)
        out.append(contentsOf: tail)
        if stale { out.append(contentsOf: ", stale=true".utf8) }
      }
    }
  }

  public func challenges(stale: Bool, source: IPAddress, nowSeconds: Int64) -> [[UInt8]] {
    var values: [[UInt8]] = []
    challenge(stale: stale, source: source, nowSeconds: nowSeconds) { write in
      var value: [UInt8] = []
      write(&value)
      values.append(value)
    }
    return values
  }

  /// Checks the credentials for our realm in `header` (`.authorization` or `.proxyAuthorization`). `lookup` gives the
  /// HA1 of a user; for one that it does not know the same work is done and the same verdict comes out.
  public func verify(
    _ request: Message, header: HeaderName, nowSeconds: Int64, lookup: (Bytes) -> HA1?
  ) -> Verdict {
    guard let first = request.first(header) else { return .noCredentials }
    if let verdict = verify(first, request, nowSeconds, lookup) { return verdict }
    // RFC 3261 §20.7: these fields are no comma lists, so each line is one set of credentials.
    for value in request.all(header).dropFirst() {
      if let verdict = verify(value, request, nowSeconds, lookup) { return verdict }
    }
    return .noCredentials
  }

  /// Nil for credentials that are not for us.
  private func verify(
    _ value: Bytes, _ request: Message, _ nowSeconds: Int64, _ lookup: (Bytes) -> HA1?
  ) -> Verdict? {
    do throws(SIPError) {
      guard let given = try DigestParameters.parse(value), let realm = given[.realm],
        DigestParameters.unescape(realm) == realmBytes[...], let credentials = try Credentials(given),
        algorithms.contains(credentials.algorithm)
      else { return nil }
      return check(
        credentials, method: request.methodName, source: request.flow.remote.ip, nowSeconds: nowSeconds, lookup: lookup)
    } catch {
      return .malformed(error)
    }
  }

  private func check(
    _ c: Credentials, method: Bytes, source: IPAddress, nowSeconds: Int64, lookup: (Bytes) -> HA1?
  ) -> Verdict {
    // A clock that was set back makes nonces of the future; they are as good as new ones for a lifetime.
    guard let nonce = Nonce(c.nonce, mint: mint, source: source), abs(nowSeconds - nonce.issued) <= nonceLifetime else {
      return .stale
    }
    let known = lookup(c.username)
    let expected = (known ?? HA1.nobody).response(
      c.algorithm, method: method, uri: c.uri, nonce: c.nonce, nc: c.nc, cnonce: c.cnonce)
    guard expected.constantTimeEqual(c.response), known != nil else { return .rejected(user: c.username) }
    guard windows.use(nonce, count: c.count) else { return .stale }
    return .authenticated(user: c.username)
  }
}

/// Credentials with all that `qop=auth` needs.
private struct Credentials {
  var username: Bytes
  var nonce: Bytes
  var uri: Bytes
  var response: Bytes
  var cnonce: Bytes
  var nc: Bytes
  var count: UInt32
  var algorithm: DigestAlgorithm

  /// Nil for an algorithm that is not ours: it was not offered.
  init?(_ p: DigestParameters) throws(SIPError) {
    func bad(_ reason: String) -> SIPError {
      SIPError(status: 400, reason: "Digest credentials: \(reason)", section: "RFC 7616 §3.4")
    }
    guard let algorithm = p[.algorithm].map(DigestAlgorithm.init(token:)) ?? .md5 else { return nil }
    guard let username = p[.username] else { throw bad("no username") }
    guard let nonce = p[.nonce], let uri = p[.uri], let response = p[.response] else {
      throw bad("no nonce, uri or response")
    }
    guard let qop = p[.qop], qop.span.equals("auth") else { throw bad("qop is not auth") }
    guard let cnonce = p[.cnonce], !cnonce.isEmpty else { throw bad("no cnonce") }
    guard let nc = p[.nc], nc.count == 8, let count = Hexadecimal.decode(nc), count > 0 else {
      throw bad("nc is not 8 hex digits from 1 on")
    }
    guard response.count == algorithm.digits else { throw bad("response has a wrong length") }
    self.username = DigestParameters.unescape(username)
    self.nonce = nonce
    self.uri = uri
    self.response = response
    self.cnonce = cnonce
    self.nc = nc
    self.count = UInt32(truncatingIfNeeded: count)
    self.algorithm = algorithm
  }
}
