import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// The second leg: where it goes, the offer it is made, the INVITE that carries it.
extension CallShard {
  struct Route {
    var uri: [UInt8]
    var flow: Flow
    var path: [[UInt8]] = []
  }

  /// The next hop of a target; nil where nothing of ours can reach it. Names are resolved when trunks are configured;
  /// a `sip:` target must carry a literal address.
  func route(to target: DialTarget) -> Route? {
    switch target.place {
    case .user: return nil
    case .binding(_, let binding):
      return Route(uri: Array(binding.contact), flow: binding.flow, path: binding.path)
    case .trunk(let name, let number):
      guard let trunk = directory.trunk(named: name), let flow = flow(to: trunk.destination, trunk.transport) else {
        return nil
      }
      let parameter = trunk.transport == .udp ? "" : ";transport=\(trunk.transport.parameterName)"
      return Route(uri: Array("sip:".utf8) + number + Array("@\(trunk.host)\(parameter)".utf8), flow: flow)
    case .uri(let bytes):
      guard let uri = try? URI(parsing: bytes[...]), uri.scheme == .sip, let ip = IPAddress(bytes: uri.host),
        let flow = flow(to: Endpoint(ip, uri.port ?? 5060), uri.transport ?? .udp)
      else { return nil }
      return Route(uri: bytes, flow: flow)
    }
  }

  private func flow(to remote: Endpoint, _ transport: Transport) -> Flow? {
    guard let listener = settings.listener(for: transport, family: remote.ip.family) else { return nil }
    return Flow(
      transport: transport, listener: UInt8(listener), remote: remote, local: settings.listeners[listener].local)
  }

  /// The caller's own list through a port of ours; where he made no offer, ours. Nil: no port left.
  func offer(to leg: Leg, _ call: Call, _ dial: Dial, codecs: [String]?) -> [UInt8]? {
    guard leaseMedia(leg, family: leg.flow.remote.ip.family), let port = leg.port else { return nil }
    guard let remote = call.caller.remote else {
      return leg.description.update(
        OfferAnswerSDP.offer(
          codecs: [.pcmu, .pcma], address: described(port), port: port.rtpPort, session: leg.description.identity))
    }
    // What we promised, or will promise, the caller stands first (RFC 3264 §6.1: the answerer prefers it).
    let first =
      call.caller.localAudio?.formats.first
      ?? (dial.ringback.policy.generatesAudio ? generable(remote.audio) : nil)
    guard
      let sdp = try? OfferAnswerSDP.relayedOffer(
        from: remote.session, audio: remote.audio, address: described(port), port: port.rtpPort,
        session: leg.description.identity, codecs: codecs, first: first)
    else { return nil }
    return leg.description.update(sdp)
  }

  func invite(_ leg: Leg, _ route: Route, _ target: DialTarget, _ call: Call, _ dial: Dial, body: [UInt8]) {
    let (id, branch) = table.reserveClient()
    let caller = identity(of: call, target: target)
    var writer = MessageWriter(capacity: 640 + 2 * route.uri.count + caller.from.count + body.count)
    writer.requestLine(.invite, uri: route.uri[...])
    via(&writer, leg.flow, branch)
    for path in route.path { writer.header(.route, path[...]) }
    writer.header(.maxForwards, number: max(0, (call.invite.maxForwards ?? 70) - 1))
    writer.begin(.from)
    let from = writer.count
    writer.append(caller.from)
    writer.append(";tag=" as StaticString)
    leg.token.write(into: &writer.bytes)
    let fromEnd = writer.count
    writer.endLine()
    writer.append("To: <" as StaticString)
    let to = writer.count
    writer.appendClean(route.uri)
    let toEnd = writer.count
    writer.append(">\r\n" as StaticString)
    writer.begin(.callID)
    let callID = writer.count
    Token(shard: shard, slot: 0, generation: UInt32(truncatingIfNeeded: random.next()), random: random.next())
      .write(into: &writer.bytes)
    let callIDEnd = writer.count
    writer.endLine()
    writer.header(.cSeq, "1 INVITE" as StaticString)
    contact(&writer, leg)
    writer.header(.allow, CallShard.allow)
    if let list = call.caller.recvInfo { writer.header(name: Array("Recv-Info".utf8)[...], value: list[...]) }
    for value in caller.assertedIdentities { writer.header(.pAssertedIdentity, value[...]) }
    if let privacy = caller.privacy { writer.header(.privacy, privacy[...]) }
    var changes = call.headers
    for header in dial.options.headers { changes.set(header.name, header.value) }
    for header in target.headers { changes.set(header.name, header.value) }
    for name in target.remove { changes.remove(name) }
    passHeaders(&writer, from: call.invite, changes: changes)
    writer.finish(body: body[...], contentType: "application/sdp")
    leg.sent = SentInvite(
      bytes: writer.bytes, from: from..<fromEnd, tagLength: UInt8(Token.length), callID: callID..<callIDEnd,
      requestURI: to..<toEnd)
    leg.clientInvite = id
    own(id, .invite(leg.name, isBinding: leg.isBinding))
    table.send(id, method: .invite, bytes: writer.bytes, flow: leg.flow, now: now, wheel: &wheel)
  }

  func via(_ writer: inout MessageWriter, _ flow: Flow, _ branch: Token) {
    writer.append("Via: SIP/2.0/" as StaticString)
    writer.append(flow.transport.viaName)
    writer.append(" " as StaticString)
    writer.append(sentBy(of: flow))
    writer.append(";branch=z9hG4bK" as StaticString)
    branch.write(into: &writer.bytes)
    writer.append(";rport\r\n" as StaticString)
  }

  private func identity(of call: Call, target: DialTarget) -> CallerIdentity.Outgoing {
    CallerIdentity.outgoing(
      invite: call.invite, account: call.account, trusted: call.trunk != nil || call.account == nil,
      domain: settings.domain, override: target.from,
      asserted: target.asserted, privacy: target.privacy, calleeIsTrusted: target.isTrunk)
  }

  // MARK: the callee answers

  func succeeded(_ id: ClientTransactionID, _ leg: Leg, _ message: Message) {
    guard leg.phase == .early else { return late(id, message, isBinding: leg.isBinding) }
    guard let sent = leg.sent else { return }
    guard var dialog = Dialog(uac: sent.invitation(flow: leg.flow), response: message) else {
      return unreadableAnswer(leg)
    }
    let call = leg.call
    aim(&dialog, isBinding: leg.isBinding)
    leg.flow = dialog.flow
    leg.dialog = consume dialog
    leg.sent = nil
    leg.clientInvite = nil
    leg.phase = .confirmed
    leg.recvInfo = recvInfo(of: message)
    if let timer = leg.timer { wheel.cancel(timer) }
    sendACK(leg, of: id, cseq: message.cseq)
    guard !leg.isCancelled, call.hangup == nil, let dial = call.dial, dial.stage == .ringing else {
      // The race of CANCEL and 200, or the late 200 of a losing fork: acknowledged, then ended at once.
      return bye(leg, reason: .completedElsewhere)
    }
    note(leg)
    answered(leg, message, call, dial)
  }

  /// Another 2xx to the same INVITE with another To-tag: a proxy behind forked it (§13.2.2.4); that dialog is ended.
  /// - Parameter first: the ACK that the other one has had, which says as whom we called.
  func refuseFork(_ first: Message, _ message: Message, isBinding: Bool) {
    let local = Dialog.Invitation(
      callID: first.callID, from: first.from.bytes, localTag: first.fromTag ?? [], cseq: first.cseq,
      requestURI: first.requestURI.bytes, flow: first.flow)
    guard var dialog = Dialog(uac: local, response: message) else { return }
    aim(&dialog, isBinding: isBinding)
    var ack = dialog.ack(
      cseq: message.cseq, branch: mint(slot: CallShard.noSlot, generation: 0), viaSentBy: sentBy(of: dialog.flow),
      transport: dialog.flow.transport)
    ack.finish()
    table.sendAck(ack.bytes, flow: dialog.flow)
    let (id, branch) = table.reserveClient()
    var end = dialog.request(
      .bye, branch: branch, viaSentBy: sentBy(of: dialog.flow), transport: dialog.flow.transport)
    end.reason(.cause(.normalClearing))
    end.finish()
    own(id, .none)
    table.send(id, method: .bye, bytes: end.bytes, flow: dialog.flow, now: now, wheel: &wheel)
  }

  /// Where requests of a dialog go: to a phone the way its messages came (it may be behind NAT), to a trunk or an
  /// address what its Contact says (RFC 3261 §12.2.1.1), unless a proxy recorded a route.
  private func aim(_ dialog: inout Dialog, isBinding: Bool) {
    guard !isBinding, let uri = try? URI(parsing: dialog.nextHop), let ip = IPAddress(bytes: uri.host),
      let hop = flow(to: Endpoint(ip, uri.port ?? 5060), uri.transport ?? .udp), hop.transport == dialog.flow.transport
    else { return }
    if hop.remote != dialog.flow.remote { dialog.flow = hop }
  }

  func sendACK(_ leg: Leg, of id: ClientTransactionID, cseq: UInt32, sdp: [UInt8]? = nil) {
    guard let dialog = leg.dialog else { return }
    var writer = dialog.ack(
      cseq: cseq, branch: mint(slot: CallShard.noSlot, generation: 0), viaSentBy: sentBy(of: dialog.flow),
      transport: dialog.flow.transport)
    finish(&writer, sdp)
    table.sendAck(writer.bytes, flow: dialog.flow, of: id)
  }

  private func answered(_ leg: Leg, _ message: Message, _ call: Call, _ dial: Dial) {
    do throws(SDPError) {
      if let answer = try description(in: message) { leg.remote = answer }
    } catch {
      return unusable(leg, call, dial)
    }
    guard leg.remote != nil else { return unusable(leg, call, dial) }
    guard leaseMedia(call.caller) else { return unusable(leg, call, dial, status: 503) }
    guard let plan = plan(for: call.caller, with: leg) else { return unusable(leg, call, dial) }

    dial.ringing.removeAll { $0 === leg }
    perform(leg.leaf.map { dial.tree.answered($0) } ?? [], call, dial)
    if let attempt = leg.attempt {
      call.attempts[attempt].end(status: message.status, cause: .normalClearing, at: services.wallClock())
    }
    dial.stage = .bridged
    dial.answered = now
    cancel(&dial.timer)
    cancel(&dial.progressTimer)
    cancel(&dial.delayTimer)
    call.bridged = leg
    switch plan {
    case .answer(let sdp):
      let body = call.caller.description.update(sdp)
      if call.caller.phase == .early { accept(call.caller, sdp: body) }
    case .promised:
      if call.caller.phase == .early { accept(call.caller, sdp: call.caller.localSDP) }
    case .offer(let sdp):
      call.caller.awaitsAnswer = true
      accept(call.caller, sdp: call.caller.description.update(sdp))
    case .reoffer:
      if call.caller.phase == .early { accept(call.caller, sdp: call.caller.localSDP) }
      reofferWhenReady(call.caller, from: leg)
    }
    sendMedia(leg)
    sendMedia(call.caller)
    connect(call, leg, dial)
    if let limit = dial.options.maxDuration { call.durationTimer = arm(call, .maxDuration, after: limit) }
  }

  private enum Plan {
    /// Nothing was promised yet: the callee's answer in the caller's numbers.
    case answer(BuiltDescription)
    /// The callee took the promised codec.
    case promised
    /// The caller made no offer: ours, with what the callee took.
    case offer(BuiltDescription)
    /// The callee took another codec than we promised: 200 as promised, then a re-INVITE.
    case reoffer
  }

  private func plan(for caller: Leg, with leg: Leg) -> Plan? {
    guard let audio = leg.remoteAudio, let port = caller.port else { return nil }
    guard let offer = caller.remote else {
      if caller.localSDP != nil { return .promised }
      return .offer(
        OfferAnswerSDP.offer(
          codecs: Array(audio.codecs), telephoneEvent: audio.telephoneEvent, address: described(port),
          port: port.rtpPort, session: caller.description.identity))
    }
    if let promised = caller.localAudio?.formats.first {
      return promised.match(in: audio.codecs) == nil ? .reoffer : .promised
    }
    return relayedAnswer(to: caller, offer: offer, from: audio).map { .answer($0) }
  }

  /// The callee's answer cannot be used: he is hung up with cause 88, and that attempt has failed.
  private func unusable(_ leg: Leg, _ call: Call, _ dial: Dial, status: Int = 488) {
    dial.ringing.removeAll { $0 === leg }
    if let attempt = leg.attempt {
      call.attempts[attempt].end(status: status, cause: .incompatibleDestination, at: services.wallClock())
    }
    bye(leg, reason: .cause(.incompatibleDestination))
    if let leaf = leg.leaf {
      perform(
        dial.tree.failed(
          leaf,
          .init(status: status, cause: .incompatibleDestination, kind: .response, reason: nil, attempt: leg.attempt)),
        call, dial)
    }
  }
}

extension MessageWriter {
  /// Octets so far.
  fileprivate var count: UInt32 { UInt32(truncatingIfNeeded: bytes.count) }
}
