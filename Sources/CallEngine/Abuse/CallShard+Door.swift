import Logging
import NetCore
import SIPDigest
import SIPMessage
import SIPTransaction

// What stands before the transactions. A stranger's request gets its challenge or its refusal from here, without any
// state (RFC 3261 §8.2.7, §22.1): a flood of them takes no memory, and each source may send so many a second. Credentials
// are looked at here too, so that only who has proved a password, whom a trunk or an access rule lets in, and what is
// answered without credentials makes a transaction.
extension CallShard {
  /// Whose credentials were good, for the dispatch of that very message.
  struct Visitor {
    let message: Message
    let account: UserAccount
  }

  /// True where a request was answered, or dropped, and is to be forgotten.
  func isTurnedAway(_ message: Message) -> Bool {
    let ip = message.flow.remote.ip
    switch message.method {
    case .ack: return false
    case .cancel: return !table.knows(message) && isTooMuch(message, admission(of: message))
    default: break
    }
    if let tag = message.toTag { return leg(tag: tag) == nil && isTooMuch(message, admission(of: message)) }
    let admission = admission(of: message)
    guard needsCredentials(message, admission) else {
      switch admission {
      case .trunk, .open: return false
      // A copy of what is answered already is no new work.
      case .challenge: return !table.knows(message) && (isTooMuch(message, admission) || isAnsweredHere(message))
      }
    }
    let header: HeaderName = message.method == .register ? .authorization : .proxyAuthorization
    guard message.has(header) else {
      return isTooMuch(message, admission) || challengeStateless(message, header, stale: false)
    }
    // A copy: its count was used, so it must not be looked at again.
    if table.knows(message) { return false }
    let (verdict, account) = verify(message, header: header)
    switch verdict {
    case .authenticated:
      guard let account else { return false }
      visitor = Visitor(message: message, account: account)
      meter.refund(ip, burst: Double(settings.abuse.burst))
      services.abuse.succeeded(ip, user: account.octets)
      return false
    case .noCredentials:
      return isTooMuch(message, admission) || challengeStateless(message, header, stale: false)
    case .stale:
      return isTooMuch(message, admission) || challengeStateless(message, header, stale: true)
    case .rejected:
      guessed(message, admission)
      if !isTooMuch(message, admission) { replyStateless(message, 403) }
    case .malformed(let error):
      services.counters.add(.authenticationFailures)
      if !isTooMuch(message, admission) { replyStateless(message, error.status, error.reason) }
    }
    return true
  }

  func verify(_ message: Message, header: HeaderName) -> (DigestAuthenticator.Verdict, UserAccount?) {
    var account: UserAccount?
    let verdict = services.authenticator.verify(message, header: header, nowSeconds: services.wallClock() / 1000) {
      account = directory.user($0)
      return account?.ha1
    }
    return (verdict, account)
  }

  /// What dispatch would challenge. What it refuses for another reason before it asks who is there goes on to it.
  private func needsCredentials(_ message: Message, _ admission: Directory.Admission) -> Bool {
    guard message.maxForwards != 0 || message.method == .register, unsupportedOptions(message) == nil
    else { return false }
    switch message.method {
    case .register:
      guard message.requestURI.scheme == .sip || message.requestURI.scheme == .sips, message.to.uri.isAddress
      else { return false }
      return isOwn(message.requestURI) && isOwn(message.to.uri)
    case .invite, .subscribe, .publish, .message, .refer:
      guard case .challenge = admission, message.requestURI.scheme != .other else { return false }
      return !isDraining || message.method != .invite
    default: return false
    }
  }

  /// Octets of an answer to a stranger that a transaction may keep.
  private static let longestAnswer = 2048

  /// What a stranger gets without credentials: an OPTIONS needs no transaction to be answered twice alike, and an answer
  /// that would have to repeat much is not kept for him.
  private func isAnsweredHere(_ message: Message) -> Bool {
    if message.method == .options, message.requestURI.isAddress, unsupportedOptions(message) == nil {
      replyStateless(message, 200) { capabilities(&$0) }
      return true
    }
    guard message.responseHeadSize > CallShard.longestAnswer else { return false }
    replyStateless(message, 513)
    return true
  }

  // MARK: limits

  /// True where its source has sent more than it may: told so at most once a second, over a stream each time.
  private func isTooMuch(_ message: Message, _ admission: Directory.Admission) -> Bool {
    let limits = settings.abuse
    guard limits.requestsPerSecond > 0 else { return false }
    if case .trunk = admission { return false }
    let shards = Double(max(1, services.peers.count))
    switch meter.spend(
      message.flow.remote.ip, rate: limits.requestsPerSecond / shards, burst: max(1, Double(limits.burst) / shards),
      now: now)
    {
    case .pass: return false
    case .refuse: break
    // A stream has a real peer at its end, and nobody sends again on it.
    case .drop where message.flow.transport.isReliable: break
    case .drop:
      services.abuse.count(dropped: true)
      return true
    }
    services.abuse.count(dropped: false)
    replyStateless(message, 503) { $0.header(.retryAfter, number: 5) }
    return true
  }

  /// Wrong credentials, or good ones for somebody else's address of record.
  func guessed(_ message: Message, _ admission: Directory.Admission? = nil) {
    services.counters.add(.authenticationFailures)
    let ip = message.flow.remote.ip
    if case .trunk = admission ?? self.admission(of: message) { return }
    let wall = services.wallClock()
    guard services.abuse.failed(ip, settings.abuse, now: now, wallMilliseconds: wall) else { return }
    services.logger.warning(
      "banned for wrong credentials",
      metadata: ["source": "\(ip.source)", "seconds": "\(settings.abuse.banDuration.milliseconds / 1000)"])
  }

  // MARK: answers without a transaction

  /// Always true.
  private func challengeStateless(_ message: Message, _ header: HeaderName, stale: Bool) -> Bool {
    services.counters.add(.challenges)
    replyStateless(message, header == .proxyAuthorization ? 407 : 401) {
      writeChallenges(&$0, to: message, header: header, stale: stale)
    }
    return true
  }

  /// The same To-tag for every copy of the request, without remembering it (§8.2.7).
  func replyStateless(
    _ request: Message, _ status: Int, _ text: String? = nil, _ more: (inout MessageWriter) -> Void = { _ in }
  ) {
    var writer = MessageWriter.response(
      to: request, status: status, reason: text, toTag: request.toTag == nil ? table.statelessTag(of: request) : nil,
      capacity: request.responseHeadSize + 512)
    if request.method == .invite, status != 401, status != 407 { writer.reason(.cause(Cause(status: status))) }
    more(&writer)
    writer.finish()
    table.outbox.append(Outgoing(bytes: writer.bytes, flow: request.responseFlow))
  }
}

extension URI {
  /// An address of record is `sip:` or `sips:` (RFC 3261 §10.3).
  var isAddress: Bool { scheme == .sip || scheme == .sips }
}
