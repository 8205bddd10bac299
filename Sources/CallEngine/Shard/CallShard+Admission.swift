import NetCore
import SIPDigest
import SIPMessage
import SIPTransaction

extension CallShard {
  /// Who a caller is, once he is let in.
  struct Admitted {
    var context: String
    var account: UserAccount?
    var trunk: String?
  }

  /// Our registrations at trunks before trunk sources before access rules before digest; nil where the request has been answered (407, 403, 400).
  func admit(_ id: ServerTransactionID, _ message: Message) -> Admitted? {
    if let trunk = trunk(registeredAs: message.requestURI) {
      return Admitted(context: trunk.context, account: nil, trunk: trunk.name)
    }
    switch directory.admission(of: message.flow.remote.ip) {
    case .trunk(let name, let context): return Admitted(context: context, account: nil, trunk: name)
    case .open(let context): return Admitted(context: context, account: nil, trunk: nil)
    case .challenge: break
    }
    guard let account = authenticate(id, message, header: .proxyAuthorization) else { return nil }
    return Admitted(context: account.context, account: account, trunk: nil)
  }

  /// Verifies digest credentials (RFC 7616, 8760); nil where the request has been answered.
  func authenticate(_ id: ServerTransactionID, _ message: Message, header: HeaderName) -> UserAccount? {
    if let visitor, visitor.message === message { return visitor.account }
    let (verdict, account) = verify(message, header: header)
    switch verdict {
    case .authenticated: return account
    case .noCredentials:
      challenge(id, message, header: header, stale: false)
    case .stale:
      challenge(id, message, header: header, stale: true)
    case .rejected:
      guessed(message)
      reply(id, message, 403)
    case .malformed(let error):
      services.counters.add(.authenticationFailures)
      reply(id, message, error.status, error.reason)
    }
    return nil
  }

  private func challenge(
    _ id: ServerTransactionID, _ message: Message, header: HeaderName, stale: Bool
  ) {
    services.counters.add(.challenges)
    reply(id, message, header == .proxyAuthorization ? 407 : 401) {
      writeChallenges(&$0, to: message, header: header, stale: stale)
    }
  }

  func writeChallenges(_ writer: inout MessageWriter, to message: Message, header: HeaderName, stale: Bool) {
    let name: HeaderName = header == .proxyAuthorization ? .proxyAuthenticate : .wwwAuthenticate
    services.authenticator.challenge(
      stale: stale, source: message.flow.remote.ip, nowSeconds: services.wallClock() / 1000
    ) { write in
      writer.begin(name)
      write(&writer.bytes)
      writer.endLine()
    }
  }

  /// Addressed to us: our domain, or one of our own addresses.
  func isOwn(_ uri: URI) -> Bool {
    let host = uri.host
    let domain = settings.domainOctets
    if CallShard.isSameHost(host.span, domain.span) { return true }
    guard let ip = IPAddress(bytes: host) else { return false }
    return settings.ownAddresses.contains(ip)
  }

  private static func isSameHost(_ host: Span<UInt8>, _ name: Span<UInt8>) -> Bool {
    guard host.count == name.count else { return false }
    for i in host.indices {
      let difference = host[i] ^ name[i]
      guard difference == 0 || (difference == 0x20 && (host[i] | 0x20) &- 0x61 < 26) else { return false }
    }
    return true
  }

  /// A literal address is ours only with a port that we listen on: other servers may live on the same machine.
  func isOurPort(_ uri: URI) -> Bool {
    guard IPAddress(bytes: uri.host) != nil else { return true }
    let port = uri.port ?? 5060
    return settings.listeners.contains { $0.local.port == port || $0.advertised.port == port }
  }

  // MARK: REGISTER

  func register(_ id: ServerTransactionID, _ message: Message) {
    guard message.to.uri.isAddress else { return reply(id, message, 400, "To: no SIP address of record") }
    guard isOwn(message.requestURI), isOwn(message.to.uri) else {
      // RFC 3261 §10.3 steps 1 and 5: we are the registrar of our own domain only.
      return reply(id, message, 404)
    }
    guard let account = authenticate(id, message, header: .authorization) else { return }
    guard CallShard.isName(message.to.uri, of: account) else {
      // §10.3 step 4: authenticated, but not for this address of record.
      guessed(message)
      return reply(id, message, 403)
    }
    let seconds = services.wallClock() / 1000
    let outcome = Registrar(table: services.bindings).process(
      message, user: account.octets, nowSeconds: seconds, settings: settings.registrar)
    switch outcome {
    case .ok(let bindings, let changes):
      services.counters.add(.registrations)
      if !changes.isEmpty { services.journal.record(changes) }
      reply(id, message, 200) { writer in
        for binding in bindings {
          writer.begin(.contact)
          binding.writeContact(nowSeconds: seconds, into: &writer)
          writer.endLine()
        }
        self.registered(message, &writer)
      }
    case .failure(let status, let reason, let minExpires):
      reply(id, message, status, reason) { writer in
        if let minExpires { writer.header(.minExpires, number: minExpires) }
        if status == 420 { writer.header(.unsupported, "path" as StaticString) }
      }
    }
  }

  private static func isName(_ uri: URI, of account: UserAccount) -> Bool {
    guard let user = uri.user else { return false }
    return user.contains(UInt8(ascii: "%")) ? uri.decodedUser == account.octets : user == account.octets[...]
  }
}
