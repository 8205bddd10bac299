import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

extension CallShard {
  static let allow: StaticString = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, INFO, PRACK, UPDATE, REFER, NOTIFY"
  /// The option tags that we have: what Require may ask for, and what our Supported says.
  static let optionTags: [StaticString] = ["100rel", "timer", "replaces", "norefersub"]
  /// `optionTags` as a Supported header wants them.
  static let supported = Array(optionTags.map(\.description).joined(separator: ", ").utf8)

  func dispatch(_ event: TransactionEvent) {
    switch event {
    case .request(let id, let message): request(id, message)
    case .cancel(let id, let message, let invite): cancelled(id, message, invite)
    case .ack(let message): acknowledged(message)
    case .response(let id, let message): response(id, message)
    case .timeout(let id): requestFailed(id, status: 408, .timeout)
    case .transportError(let id): requestFailed(id, status: 503, .unreachable)
    case .noAck(let id): noAck(id)
    case .serverTransportError(let id): lostCaller(id)
    case .strayResponse: services.counters.add(.strayResponses)
    }
  }

  // MARK: requests

  private func request(_ id: ServerTransactionID, _ message: Message) {
    if message.maxForwards == 0, message.method != .register, message.method != .options {
      // RFC 3261 §16.3 step 3; an OPTIONS is answered by whom it reaches (§16.3, §11).
      return reply(id, message, 483)
    }
    switch message.requestURI.scheme {
    case .sip, .sips: break
    case .tel where message.method == .invite: break
    default: return reply(id, message, 416)
    }
    if message.toTag != nil { return inDialog(id, message) }
    if let unsupported = unsupportedOptions(message) {
      return reply(id, message, 420) { $0.header(.unsupported, unsupported[...]) }
    }
    switch message.method {
    case .invite: newCall(id, message)
    case .register: register(id, message)
    case .options:
      reply(id, message, 200) {
        self.capabilities(&$0)
      }
    case .bye, .prack, .update, .info: reply(id, message, 481)
    case .unknown: reply(id, message, 501) { $0.header(.allow, CallShard.allow) }
    case .refer: strayRefer(id, message)
    case .subscribe, .notify, .publish, .message, .ack, .cancel:
      reply(id, message, 405) { $0.header(.allow, CallShard.allow) }
    }
  }

  func capabilities(_ writer: inout MessageWriter) {
    writer.header(.allow, CallShard.allow)
    writer.header(.supported, CallShard.supported)
    writer.header(.accept, "application/sdp" as StaticString)
    writer.header(.acceptEncoding, "identity" as StaticString)
    writer.header(.acceptLanguage, "en" as StaticString)
  }

  /// Tags of Require and Proxy-Require that are none of `optionTags` (RFC 3261 §8.2.2.3), as an Unsupported header wants
  /// them. CANCEL and ACK never come here.
  private func unsupportedOptions(_ message: Message) -> [UInt8]? {
    guard message.has(.require) || message.has(.proxyRequire) else { return nil }
    var list: [UInt8] = []
    for name in [HeaderName.require, .proxyRequire] {
      for tag in message.values(name) where !CallShard.optionTags.contains(where: tag.equalsIgnoringCase) {
        if message.method == .register, CallShard.isRegistrarTag(tag) { continue }
        if !list.isEmpty { list += Array(", ".utf8) }
        list += tag
      }
    }
    return list.isEmpty ? nil : list
  }

  private func inDialog(_ id: ServerTransactionID, _ message: Message) {
    guard let leg = leg(tag: message.toTag), leg.isLive || message.method == .bye,
      leg.dialog.map({ $0.matches(message) }) ?? (leg.extra?.early.isEmpty == false)
    else {
      services.counters.add(.strayRequests)
      return reply(id, message, 481)
    }
    // Both hung up at once: ours is on its way, theirs is as good.
    guard leg.isLive else { return reply(id, message, 200) }
    if let unsupported = unsupportedOptions(message) {
      return reply(id, message, 420) { $0.header(.unsupported, unsupported[...]) }
    }
    guard leg.dialog != nil else { return inEarlyDialog(id, message, leg) }
    switch leg.dialog!.receive(message) {
    case .ok: if message.method == .invite || message.method == .update { aimAgain(leg) }
    default: return reply(id, message, 500) { $0.header(.retryAfter, number: 1) }
    }
    if message.flow != leg.dialog!.flow { follow(message, leg) }
    switch message.method {
    case .invite: reinvite(id, message, leg)
    case .bye: bye(id, message, leg)
    case .prack: prack(id, message, leg)
    case .update: update(id, message, leg)
    case .info, .message, .options: pass(id, message, leg)
    case .refer: refer(id, message, leg)
    case .notify: referNotify(id, message, leg)
    case .unknown: reply(id, message, 501) { $0.header(.allow, CallShard.allow) }
    default: reply(id, message, 405) { $0.header(.allow, CallShard.allow) }
    }
  }

  // MARK: responses

  private func response(_ id: ClientTransactionID, _ message: Message) {
    guard Int(id.slot) < owners.count else { return }
    if message.status == 401 || message.status == 407, answersChallenge(id, message) { return }
    let owner = owners[Int(id.slot)]
    switch owner {
    case .none: return
    case .invite(let name, let isBinding):
      guard let leg = leg(name) else { return late(id, message, isBinding: isBinding) }
      calleeResponse(id, message, leg)
    case .reinvite(let name, let passed):
      // What answers it comes from the one peer of a dialog, and goes where its ACK went.
      guard let leg = leg(name) else { return late(id, message, isBinding: true) }
      reinviteResponse(id, message, leg, passed: passed)
    case .givenUp(let server): givenUp(id, message, server)
    case .bye(let name):
      if message.status >= 200 {
        owners[Int(id.slot)] = .none
        if let leg = leg(name) { ended(leg) }
      }
    case .update(let name, let passed):
      if let leg = leg(name) { updateResponse(id, message, leg, passed: passed) }
    case .passed(let waiting, let other):
      if message.status >= 200 {
        owners[Int(id.slot)] = .none
        passedResponse(message, to: waiting, from: other)
      }
    case .own(let done):
      if message.status >= 200 { owners[Int(id.slot)] = .none }
      done(message.status, message)
    }
  }

  /// A further 2xx: a copy is acknowledged again, another fork's is ended (RFC 3261 §13.2.2.4). All it takes is the ACK
  /// of the first, which the transaction keeps; the call may be gone.
  func late(_ id: ClientTransactionID, _ message: Message, isBinding: Bool) {
    guard (200..<300).contains(message.status), let sent = table.ack(of: id),
      let ack = try? MessageParser.parse(sent.bytes, flow: sent.flow)
    else { return }
    if let tag = ack.toTag, let theirs = message.toTag, tag.elementsEqual(theirs) {
      table.sendAck(sent.bytes, flow: sent.flow)
    } else {
      refuseFork(ack, message, isBinding: isBinding)
    }
  }

  func phrase(_ message: Message) -> String? {
    let text = String(decoding: message.reasonPhrase.prefix(64), as: UTF8.self)
    return text.isEmpty ? nil : text
  }

  private func requestFailed(_ id: ClientTransactionID, status: Int, _ kind: DialTree.Failure.Kind) {
    guard Int(id.slot) < owners.count else { return }
    let owner = owners[Int(id.slot)]
    owners[Int(id.slot)] = .none
    switch owner {
    case .none, .givenUp: return
    case .invite(let name, _):
      if let leg = leg(name) { calleeUnreachable(leg, status: status, kind) }
    case .reinvite(let name, let passed):
      if let leg = leg(name) { reinviteFailed(leg, passed: passed, status: status) }
    case .bye(let name):
      if let leg = leg(name) { ended(leg) }
    case .update(let name, let passed):
      if let leg = leg(name) { updateFailed(leg, passed: passed, status: status) }
    case .passed(let waiting, let other): passedFailed(waiting, status, from: other)
    case .own(let done): done(status, nil)
    }
  }

  // MARK: replies

  /// A final response of our own to a request outside a call, or to one that needs no more than a status.
  func reply(
    _ id: ServerTransactionID, _ request: Message, _ status: Int, _ text: String? = nil, tag: Bytes? = nil,
    cause: Cause? = nil, _ more: (inout MessageWriter) -> Void = { _ in }
  ) {
    var writer = MessageWriter.response(
      to: request, status: status, reason: text, toTag: tag ?? statelessTag(request),
      capacity: request.responseHeadSize + (text?.utf8.count ?? 0))
    // A challenge is no end of a call; every other final response to an INVITE says why (RFC 3326).
    if request.method == .invite, status >= 300, status != 401, status != 407 {
      writer.reason(.cause(cause ?? Cause(status: status)))
    }
    more(&writer)
    writer.finish()
    table.respond(id, status: status, bytes: writer.bytes, now: now, wheel: &wheel)
  }

  /// A To-tag for what will never be a dialog; it names no leg.
  private func statelessTag(_ request: Message) -> Bytes? {
    if request.toTag != nil { return nil }
    return mint(slot: CallShard.noSlot, generation: 0).hex[...]
  }
}
