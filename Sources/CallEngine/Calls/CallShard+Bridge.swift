import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// Requests inside a call: re-INVITE (hold, resume, codec change) and INFO are passed to the other leg, in its own
// dialog; BYE ends the bridge.
extension CallShard {
  /// The leg that a leg talks with.
  func counterpart(_ leg: Leg) -> Leg? {
    guard let bridged = leg.call.bridged else { return nil }
    let other = leg === bridged ? leg.call.caller! : bridged
    return other.isLive ? other : nil
  }

  // MARK: re-INVITE, towards us

  func reinvite(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    // RFC 3261 §14.2: one INVITE at a time in a dialog, in either direction.
    if leg.serverInvite != nil { return reply(id, message, 500) { $0.header(.retryAfter, number: 2) } }
    if leg.clientInvite != nil || leg.unacknowledged != nil { return reply(id, message, 491) }
    leg.recvInfo = recvInfo(of: message)
    guard !message.body.isEmpty else {
      // No offer: we make ours, as it stands (RFC 3264 §8: the same session, the same version); the ACK answers it.
      guard let sdp = leg.localSDP else { return reply(id, message, 488) }
      leg.serverInvite = id
      leg.awaitsAnswer = true
      return accept(leg, sdp: sdp)
    }
    let proposed: RemoteDescription
    do throws(SDPError) {
      guard let offer = try description(in: message) else { return reply(id, message, 400) }
      proposed = offer
    } catch {
      return refuse(id, message, error)
    }
    guard let other = counterpart(leg) else { return answerAlone(id, message, leg, proposed) }
    guard other.clientInvite == nil, other.serverInvite == nil, other.unacknowledged == nil, other.dialog != nil,
      other.port != nil
    else { return reply(id, message, 491) }
    guard let offer = offerAgain(to: other, proposed) else {
      return reply(id, message, 488, cause: .incompatibleDestination)
    }
    leg.serverInvite = id
    leg.proposed = proposed
    remember(id, leg)
    sendReinvite(other, offer, passedFrom: leg, body: message)
  }

  /// What one leg described, as an offer to another one that has a description of ours already; should it be refused, that
  /// one is kept.
  private func offerAgain(to leg: Leg, _ remote: RemoteDescription) -> [UInt8]? {
    guard let port = leg.port else { return nil }
    let previous = leg.localSDP.flatMap { try? SessionDescription(parsing: $0[...]) }
    guard
      let built = try? OfferAnswerSDP.relayedOffer(
        from: remote.session, audio: remote.audio, address: described(port), port: port.rtpPort,
        session: leg.description.identity, previous: previous)
    else { return nil }
    leg.saved = leg.description
    return leg.description.update(built)
  }

  func sendReinvite(_ leg: Leg, _ sdp: [UInt8], passedFrom: Leg?, body: Message? = nil) {
    guard leg.dialog != nil else { return }
    let (id, branch) = table.reserveClient()
    var writer = leg.dialog!.request(
      .invite, branch: branch, viaSentBy: sentBy(of: leg.flow), transport: leg.flow.transport,
      contact: contact(of: leg.flow))
    writer.header(.allow, CallShard.allow)
    passRecvInfo(&writer, to: leg)
    if let body { passHeaders(&writer, from: body, changes: HeaderChanges()) }
    writer.finish(body: sdp[...], contentType: "application/sdp")
    leg.clientInvite = id
    own(id, .reinvite(leg.name, passed: passedFrom?.name))
    table.send(id, method: .invite, bytes: writer.bytes, flow: leg.dialog!.flow, now: now, wheel: &wheel)
  }

  /// No other leg (answered by the script): hold and codec changes are between the caller and us.
  private func answerAlone(
    _ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ proposed: RemoteDescription
  ) {
    guard let codec = generable(proposed.audio), leg.port != nil else {
      return reply(id, message, 488, cause: .incompatibleDestination)
    }
    leg.remote = proposed
    leg.serverInvite = id
    accept(leg, sdp: ownAnswer(leg, to: proposed, codec))
    sendMedia(leg)
  }

  /// The answer to an offer that our 2xx made; without one the call is ended (RFC 3264 §4, RFC 6337 §2).
  func answerInACK(_ leg: Leg, _ message: Message) {
    leg.awaitsAnswer = false
    guard let answer = try? description(in: message) else {
      return hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination, text: "no answer"))
    }
    leg.remote = answer
    sendMedia(leg)
    if let other = counterpart(leg) {
      let callee = leg.role == .callee ? leg : other
      sendMedia(other)
      connect(leg.call, callee, leg.call.dial)
    }
  }

  func afterACK(_ leg: Leg) {
    if let reason = leg.byeReason {
      leg.byeReason = nil
      return bye(leg, reason: reason)
    }
    if leg.wantsReoffer { reoffer(leg) }
  }

  // MARK: re-INVITE, from us

  func reofferWhenReady(_ caller: Leg, from leg: Leg) {
    caller.wantsReoffer = true
    if caller.unacknowledged == nil, caller.phase == .confirmed { reoffer(caller) }
  }

  /// The callee took another codec than the caller was promised: the caller is offered it now.
  func reoffer(_ caller: Leg) {
    guard caller.phase == .confirmed, caller.clientInvite == nil, caller.serverInvite == nil,
      let remote = caller.call.bridged?.remote, caller.port != nil
    else { return }
    caller.wantsReoffer = false
    guard let offer = offerAgain(to: caller, remote) else { return }
    sendReinvite(caller, offer, passedFrom: nil)
  }

  func reinviteResponse(_ id: ClientTransactionID, _ message: Message, _ leg: Leg, passed: LegName?) {
    guard message.status >= 200 else { return }
    if message.status >= 300 {
      owners[Int(id.slot)] = .none
      return reinviteFailed(leg, passed: passed, status: message.status, message)
    }
    guard leg.clientInvite == id else {
      if let sent = table.ack(of: id) { table.sendAck(sent.bytes, flow: sent.flow) }
      return
    }
    let from = passed.flatMap { self.leg($0) }
    leg.clientInvite = nil
    leg.saved = nil
    leg.dialog?.refreshTarget(message)
    leg.recvInfo = recvInfo(of: message)
    sendACK(leg, of: id, cseq: message.cseq)
    guard leg.isLive else { return }
    guard let answer = try? description(in: message) else { return failReinvite(from, status: 488) }
    leg.remote = answer
    sendMedia(leg)
    if let from, from.serverInvite != nil, let proposed = from.proposed, from.port != nil {
      from.proposed = nil
      guard let built = relayedAnswer(to: from, offer: proposed, from: answer.audio) else {
        return failReinvite(from, status: 488)
      }
      from.remote = proposed
      accept(from, sdp: from.description.update(built))
      sendMedia(from)
    }
    if let callee = leg.call.bridged { connect(leg.call, callee, leg.call.dial) }
    if leg.byeReason != nil { afterACK(leg) }
  }

  func reinviteFailed(_ leg: Leg, passed: LegName?, status: Int, _ message: Message? = nil) {
    let from = passed.flatMap { self.leg($0) }
    leg.clientInvite = nil
    if let saved = leg.saved { leg.description.revert(to: saved) }
    leg.saved = nil
    guard leg.isLive, leg.call.hangup == nil else { return }
    if status == 481 || status == 408 {
      // RFC 3261 §12.2.1.2: that dialog is gone.
      failReinvite(from, status: status)
      return hangUp(
        leg.call,
        .init(side: leg.role == .caller ? .caller : .callee, status: status, cause: .recoveryOnTimerExpiry))
    }
    if passed != nil { return failReinvite(from, status: status) }
    if status == 491 {
      // §14.1: the owner of the Call-ID waits 2.1–4 s, the other 0–2 s.
      let wait = leg.role == .callee ? Int64.random(in: 2100...4000) : Int64.random(in: 10...2000)
      leg.wantsReoffer = true
      leg.reinviteTimer = arm(leg, .reinvite, after: .milliseconds(wait))
    } else {
      hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination))
    }
  }

  /// The peer who asked for the change is told that it is not to be; the session stays as it was.
  private func failReinvite(_ from: Leg?, status: Int) {
    guard let from, let id = from.serverInvite, let request = table.request(of: id) else { return }
    from.serverInvite = nil
    from.proposed = nil
    remember(id, nil)
    let passed = [401, 407, 420, 421, 422, 494].contains(status) || status < 400 ? 488 : status
    reply(id, request, passed, tag: from.tag)
  }

  func cancelReinvite(_ leg: Leg) {
    guard let other = counterpart(leg) ?? (leg.role == .caller ? leg.call.bridged : leg.call.caller),
      let id = other.clientInvite
    else { return failReinvite(leg, status: 487) }
    table.cancel(id, headers: [], now: now, wheel: &wheel)
    failReinvite(leg, status: 487)
  }

  // MARK: INFO, BYE

  func info(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    if refusesInfo(id, message, leg) { return }
    if let (digit, durationMs) = InfoDigit.read(message) { self.digit(leg, digit, durationMs: durationMs) }
    guard let other = counterpart(leg), other.dialog != nil, other.phase == .confirmed else {
      return reply(id, message, 200)
    }
    let (client, branch) = table.reserveClient()
    var writer = other.dialog!.request(
      .info, branch: branch, viaSentBy: sentBy(of: other.flow), transport: other.flow.transport)
    passHeaders(&writer, from: message, changes: HeaderChanges())
    if let package = message.first(named: "Info-Package") {
      writer.header(name: Array("Info-Package".utf8)[...], value: package)
    }
    if let type = message.contentType { writer.header(.contentType, type) }
    if let disposition = message.first(.contentDisposition) { writer.header(.contentDisposition, disposition) }
    writer.finish(body: message.body)
    own(client, .info(id))
    table.send(client, method: .info, bytes: writer.bytes, flow: other.dialog!.flow, now: now, wheel: &wheel)
  }

  func bye(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    reply(id, message, 200)
    let cause = ReasonHeader.cause(in: message.all(.reason)) ?? .normalClearing
    let call = leg.call
    if let invite = leg.serverInvite, let request = table.request(of: invite) {
      // §15.1.2: what is pending is answered 487.
      leg.serverInvite = nil
      remember(invite, nil)
      reply(invite, request, 487, tag: leg.tag, cause: cause)
    }
    leg.phase = .ended
    if leg.role == .caller {
      // On an early dialog a BYE is as good as a CANCEL (§15).
      hangUp(call, .init(side: .caller, status: call.isAnswered ? 200 : 487, cause: cause))
      ended(leg)
    } else {
      calleeGone(leg, cause)
      ended(leg)
    }
  }

  /// The callee left an answered call: the caller is hung up too, unless the script wants to go on with him.
  private func calleeGone(_ leg: Leg, _ cause: Cause) {
    let call = leg.call
    guard call.bridged === leg else { return }
    if let dial = call.dial, dial.options.continuesAfterBridge, call.hangup == nil {
      call.bridged = nil
      if let port = call.caller.port { mediaCommands.append(.unbridge(port.id)) }
      cancel(&call.durationTimer)
      if let waiting = call.caller.serverInvite, let request = table.request(of: waiting) {
        call.caller.serverInvite = nil
        reply(waiting, request, 487, nil, tag: call.caller.tag)
      }
      return finishDial(call, dial, bridgeResult(dial, endedBy: "callee", cause: cause))
    }
    hangUp(call, .init(side: .callee, status: 200, cause: cause))
  }
}
