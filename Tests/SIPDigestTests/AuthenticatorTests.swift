import NetCore
import SIPDigest
import SIPMessage
import Testing

private func bytes(_ text: String) -> Bytes { Array(text.utf8)[...] }

@Suite("RFC 3261 §22, RFC 8760: the server's side")
struct AuthenticatorTests {
  static let key = [UInt8](repeating: 7, count: 32)
  static let peer = IPAddress(v4: 0x7f00_0001)
  let authenticator = DigestAuthenticator(realm: "nightjar.local", algorithms: [.md5, .sha256], key: key)

  /// The verdict, in a form that can be compared.
  enum Outcome: Equatable { case authenticated(String), noCredentials, stale, rejected(String), malformed(String) }

  private func verify(
    _ headers: [String], method: String = "REGISTER", header: HeaderName = .authorization, now: Int64 = 1000,
    by server: DigestAuthenticator? = nil
  ) throws -> Outcome {
    let lines = headers.map { "\(header.text): \($0)\r\n" }.joined()
    let raw =
      "\(method) sip:nightjar.local SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:u@h>;tag=1\r\n"
      + "To: <sip:u@h>\r\nCall-ID: 1\r\nCSeq: 1 \(method)\r\n\(lines)Content-Length: 0\r\n\r\n"
    let endpoint = Endpoint(IPAddress(v4: 0x7f00_0001), 5060)
    let message = try MessageParser.parse(
      Array(raw.utf8), flow: Flow(transport: .udp, listener: 0, remote: endpoint, local: endpoint))
    let verdict = (server ?? authenticator).verify(message, header: header, nowSeconds: now) { octets in
      let user = String(decoding: octets, as: UTF8.self)
      return user == "1000" || user == "o\"k" ? HA1(user: user, realm: "nightjar.local", password: "secret") : nil
    }
    switch verdict {
    case .authenticated(let user): return .authenticated(String(decoding: user, as: UTF8.self))
    case .noCredentials: return .noCredentials
    case .stale: return .stale
    case .rejected(let user): return .rejected(String(decoding: user, as: UTF8.self))
    case .malformed(let error): return .malformed(error.reason)
    }
  }

  private func challenge(_ index: Int = 0, now: Int64 = 1000, by server: DigestAuthenticator? = nil) -> Bytes {
    (server ?? authenticator).challenges(stale: false, source: Self.peer, nowSeconds: now)[index][...]
  }

  private func answer(
    _ challenge: Bytes, user: String = "1000", password: String = "secret", method: String = "REGISTER", nc: UInt32 = 1
  ) -> String {
    let value = DigestClient.authorization(
      challenge: challenge, user: user, password: password, method: bytes(method), uri: bytes("sip:nightjar.local"),
      cnonce: bytes("c\(nc)"), nc: nc)
    return String(decoding: value ?? [], as: UTF8.self)
  }

  @Test("RFC 8760 §2.4: one challenge an algorithm, in order, with one nonce")
  func challenges() {
    func ask(stale: Bool) -> [[UInt8]] {
      authenticator.challenges(stale: stale, source: Self.peer, nowSeconds: 5)
    }
    let values = ask(stale: true).map { String(decoding: $0, as: UTF8.self) }
    #expect(values.count == 2 && values[0].contains("algorithm=MD5") && values[1].contains("algorithm=SHA-256"))
    for value in values {
      #expect(
        value.hasPrefix("Digest realm=\"nightjar.local\", nonce=\"") && value.hasSuffix("qop=\"auth\", stale=true"))
    }
    #expect(ask(stale: false) != ask(stale: false))
  }

  @Test("RFC 3261 §22.4: a right answer, by either algorithm and either header", arguments: [0, 1])
  func right(_ index: Int) throws {
    #expect(try verify([answer(challenge(index))]) == .authenticated("1000"))
    let invite = answer(challenge(index), method: "INVITE")
    #expect(try verify([invite], method: "INVITE", header: .proxyAuthorization) == .authenticated("1000"))
    #expect(try verify([answer(challenge(index), user: "o\"k")]) == .authenticated("o\"k"))
  }

  @Test("a wrong password, an unknown user and another method are rejected alike", arguments: [0, 1])
  func wrong(_ index: Int) throws {
    #expect(try verify([answer(challenge(index), password: "Secret")]) == .rejected("1000"))
    #expect(try verify([answer(challenge(index), user: "nobody")]) == .rejected("nobody"))
    #expect(try verify([answer(challenge(index), method: "INVITE")]) == .rejected("1000"))
  }

  @Test("RFC 4475 §3.3.7: no credentials, those of another realm or scheme, or by an algorithm not offered")
  func none() throws {
    #expect(try verify([]) == .noCredentials)
    #expect(try verify(["NoOneKnowsThisScheme opaque-data=here", "Basic abc"]) == .noCredentials)
    #expect(try verify(["Digest username=\"1000\", realm=\"other\", nonce=\"x\""]) == .noCredentials)
    let good = answer(challenge())
    #expect(try verify([good.replacing("algorithm=MD5", with: "algorithm=SHA-512-256")]) == .noCredentials)
    #expect(try verify(["Digest username=\"1000\", realm=\"other\", nonce=\"x\"", good]) == .authenticated("1000"))
    let only = DigestAuthenticator(realm: "nightjar.local", algorithms: [.sha256], key: Self.key)
    #expect(try verify([good], by: only) == .noCredentials)
  }

  @Test("no algorithm means MD5; parameters in any case, order and spacing")
  func spelling() throws {
    let good = answer(challenge()).replacing(", algorithm=MD5", with: "")
    #expect(try verify([good]) == .authenticated("1000"))
    let odd = answer(challenge()).replacing("Digest ", with: "DIGEST  \r\n ").replacing(", ", with: "\t,\r\n ")
      .replacing("realm=", with: "Realm = ")
    #expect(try verify([odd]) == .authenticated("1000"))
    #expect(try verify([answer(challenge()).replacing("qop=auth", with: "qop=\"auth\"")]) == .authenticated("1000"))
  }

  static let faults: [(String, String, String)] = [
    ("username=\"1000\", ", "", "Digest credentials: no username"),
    (", qop=auth", "", "Digest credentials: qop is not auth"),
    ("qop=auth", "qop=auth-int", "Digest credentials: qop is not auth"),
    (", cnonce=\"c1\"", "", "Digest credentials: no cnonce"),
    ("nc=00000001", "nc=1", "Digest credentials: nc is not 8 hex digits from 1 on"),
    ("nc=00000001", "nc=0000000g", "Digest credentials: nc is not 8 hex digits from 1 on"),
    ("nc=00000001", "nc=00000000", "Digest credentials: nc is not 8 hex digits from 1 on"),
    (", uri=\"sip:nightjar.local\"", "", "Digest credentials: no nonce, uri or response"),
    ("response=\"", "response=\"0", "Digest credentials: response has a wrong length"),
    ("cnonce=\"c1\"", "cnonce=\"c1", "quoted string is not closed in Digest parameters"),
    ("nc=", "nc=00000001, nc=", "Digest parameter is there more than once"),
    ("qop=auth", "qop", "Digest parameter without a value"),
    ("qop=auth", "qop=auth x", "no comma between Digest parameters"),
  ]

  @Test("RFC 7616 §3.4: malformed credentials", arguments: faults)
  func malformed(_ from: String, _ to: String, _ reason: String) throws {
    #expect(try verify([answer(challenge()).replacing(from, with: to)]) == .malformed(reason))
  }

  @Test("RFC 7616 §3.3: an aged nonce, one of another key or realm, and one that was changed are stale")
  func stale() throws {
    let old = answer(challenge(now: 1000))
    #expect(try verify([old], now: 1301) == .stale)
    #expect(try verify([old], now: 699) == .stale)
    #expect(try verify([old], now: 1300) == .authenticated("1000"))
    let other = DigestAuthenticator(realm: "nightjar.local", algorithms: [.md5], key: .init(repeating: 8, count: 32))
    #expect(try verify([answer(challenge(by: other))]) == .stale)
    let nonce = challenge().split(separator: UInt8(ascii: "\""))[3]
    for i in nonce.indices {
      var changed = challenge()
      let at = changed.firstRange(of: Array("nonce=\"".utf8))?.upperBound ?? 0
      let k = at + (i - nonce.startIndex)
      changed[k] = changed[k] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
      #expect(try verify([answer(changed)]) == .stale)
    }
    let mine = answer(challenge())
    #expect(try verify([mine.replacing("nonce=\"0", with: "nonce=\"00")]) == .stale)
  }

  @Test("RFC 7616 §5.4: a nonce that another source was given is stale; the /64 of an IPv6 address is one source")
  func source() throws {
    let foreign = authenticator.challenges(stale: false, source: IPAddress(v4: 0x7f00_0002), nowSeconds: 1000)[0][...]
    #expect(try verify([answer(foreign)]) == .stale)
    let mapped = authenticator.challenges(
      stale: false, source: IPAddress(high: 0, low: 0xffff_7f00_0001), nowSeconds: 1000)[0][...]
    #expect(try verify([answer(mapped)]) == .authenticated("1000"))
    #expect(IPAddress("2001:db8::1")?.source == IPAddress("2001:db8:0:0:ffff::2")?.source)
    #expect(IPAddress("2001:db8::1")?.source != IPAddress("2001:db8:0:1::1")?.source)
  }

  @Test("RFC 7616 §5.12: a count is used once; 64 may be under way, in any order")
  func replay() throws {
    let given = challenge()
    #expect(try verify([answer(given, nc: 1)]) == .authenticated("1000"))
    #expect(try verify([answer(given, nc: 1)]) == .stale)
    #expect(try verify([answer(given, nc: 100)]) == .authenticated("1000"))
    for nc in (UInt32(37)...99).shuffled() { #expect(try verify([answer(given, nc: nc)]) == .authenticated("1000")) }
    for nc in UInt32(37)...100 { #expect(try verify([answer(given, nc: nc)]) == .stale) }
    #expect(try verify([answer(given, nc: 36)]) == .stale)
    #expect(try verify([answer(given, nc: .max)]) == .authenticated("1000"))
    #expect(try verify([answer(given, nc: 101)]) == .stale)
    #expect(try verify([answer(given, password: "wrong", nc: .max - 1)]) == .rejected("1000"))
    #expect(try verify([answer(given, nc: .max - 1)]) == .authenticated("1000"))
  }

  @Test("a nonce that had to make room is stale, and not new again")
  func eviction() throws {
    let small = DigestAuthenticator(realm: "nightjar.local", algorithms: [.md5], windowCapacity: 2, key: Self.key)
    let given = (0..<4).map { challenge(now: 1000 + Int64($0), by: small) }
    for i in 0..<3 { #expect(try verify([answer(given[i])], by: small) == .authenticated("1000")) }
    #expect(try verify([answer(given[0])], by: small) == .stale)
    #expect(try verify([answer(given[0], nc: 2)], by: small) == .stale)
    #expect(try verify([answer(given[1])], by: small) == .stale)
    #expect(try verify([answer(given[1], nc: 2)], by: small) == .authenticated("1000"))
    #expect(try verify([answer(given[3])], by: small) == .authenticated("1000"))
    #expect(try verify([answer(given[2], nc: 2)], by: small) == .authenticated("1000"))
  }

  @Test("one count from many threads is taken once")
  func concurrent() async throws {
    let header = answer(challenge())
    let taken = try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<32 { group.addTask { try verify([header]) == .authenticated("1000") } }
      return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(taken == 1)
  }
}
