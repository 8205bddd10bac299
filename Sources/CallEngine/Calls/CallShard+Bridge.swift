import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// Changes of the session inside a call: a re-INVITE (hold, resume, another codec) is passed to the other leg, in its own
// dialog, or answered alone where there is none; UPDATE is beside it in Session. BYE ends the bridge.
extension CallShard {
  /// The leg that a leg talks with.
  func counterpart(_ leg: Leg) -> Leg? {
    guard let bridged = leg.call.bridged, !leg.isLeaving, leg.call.transfer?.half == nil else { return nil }
    let other = leg === bridged ? leg.call.caller! : bridged
    return other.isLive ? other : nil
  }

  // MARK: re-INVITE, towards us

  func reinvite(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    // RFC 3261 §14.2: one INVITE at a time in a dialog, in either direction.
    if leg.serverInvite != nil { return retryLater(id, message) }
    if leg.clientInvite != nil || leg.unacknowledged != nil { return reply(id, message, 491) }
    guard isLongEnough(id, message, leg) else { return }
    guard !message.body.isEmpty else {
      // No offer: we make ours, as it stands (RFC 3264 §8: the same session, the same version); the ACK answers it.
      guard leg.offers.phase == .idle else { return reply(id, message, 491) }
      guard let sdp = leg.localSDP else { return reply(id, message, 488) }
      leg.serverInvite = id
      return accept(leg, sdp: sdp)
    }
    guard let proposed = take(id, message, leg) else { return }
    if let half = joinedHalf(leg) { return pass(id, message, leg, proposed, half) }
    guard let other = counterpart(leg) else { return answerAlone(id, message, leg, proposed) }
    guard let offer = passableOffer(id, message, leg, proposed, to: other) else { return }
    leg.serverInvite = id
    remember(id, leg)
    sendReinvite(other, offer, passedFrom: leg, body: message)
  }

  /// The offer of a re-INVITE or UPDATE, where it is its turn; nil where the request has been answered.
  func take(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) -> RemoteDescription? {
    let proposed: RemoteDescription
    do throws(SDPError) {
      guard let offer = try description(in: message) else {
        reply(id, message, 400)
        return nil
      }
      proposed = offer
    } catch {
      refuse(id, message, error)
      return nil
    }
    switch leg.offers.receiveOffer() {
    case .accept: return proposed
    case .requestPending: reply(id, message, 491)
    case .retryLater: retryLater(id, message)
    }
    return nil
  }

  /// An earlier one is open (RFC 3261 §14.2, RFC 3311 §5.2).
  func retryLater(_ id: ServerTransactionID, _ message: Message) {
    let seconds = Glare.retryAfter(random: random.next())
    reply(id, message, 500) { $0.header(.retryAfter, number: seconds) }
  }

  /// What the other leg is to be offered for what this one has; nil where the request has been refused.
  func passableOffer(
    _ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ proposed: RemoteDescription, to other: Leg
  ) -> [UInt8]? {
    guard other.isQuiet, other.dialog != nil, other.port != nil else {
      leg.offers.offerFailed()
      reply(id, message, 491)
      return nil
    }
    guard let offer = offerAgain(to: other, proposed) else {
      leg.offers.offerFailed()
      reply(id, message, 488, cause: .incompatibleDestination)
      return nil
    }
    leg.proposed = proposed
    return offer
  }

  /// What one leg described, as an offer to another one that has a description of ours already; should it be refused, that
  /// one is kept.
  func offerAgain(to leg: Leg, _ remote: RemoteDescription) -> [UInt8]? {
    guard let port = leg.port else { return nil }
    let previous = leg.localSDP.flatMap { try? SessionDescription(parsing: $0[...]) }
    guard
      let built = try? OfferAnswerSDP.relayedOffer(
        from: remote.session, audio: remote.audio, address: described(port, for: leg), port: port.rtpPort,
        session: leg.description.identity, previous: previous)
    else { return nil }
    leg.saved = leg.description
    return leg.description.update(built)
  }

  func sendReinvite(_ leg: Leg, _ sdp: [UInt8], passedFrom: Leg?, body: Message? = nil) {
    guard leg.dialog != nil, leg.offers.sendOffer() == .send else { return }
    let (id, branch) = table.reserveClient()
    var writer = leg.dialog!.request(
      .invite, branch: branch, viaSentBy: sentBy(of: leg.flow), transport: leg.flow.transport,
      contact: contact(of: leg))
    writer.header(.allow, CallShard.allow)
    sessionHeaders(&writer, leg)
    if let body { passHeaders(&writer, from: body, changes: HeaderChanges()) }
    writer.finish(body: sdp[...], contentType: "application/sdp")
    leg.clientInvite = id
    own(id, .reinvite(leg.name, passed: passedFrom?.name))
    limitChange(leg, .seconds(60))
    table.send(id, method: .invite, bytes: writer.bytes, flow: leg.dialog!.flow, now: now, wheel: &wheel)
  }

  /// No other leg (answered by the script): hold and codec changes are between the caller and us.
  private func answerAlone(
    _ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ proposed: RemoteDescription
  ) {
    guard let answer = ownAnswer(leg, to: proposed) else {
      leg.offers.offerFailed()
      return reply(id, message, 488, cause: .incompatibleDestination)
    }
    leg.remote = proposed
    leg.serverInvite = id
    accept(leg, sdp: answer)
    sendMedia(leg)
  }

  /// The answer to an offer that our 2xx made; without one the call is ended (RFC 3264 §4, RFC 6337 §2).
  func answerInACK(_ leg: Leg, _ message: Message) {
    guard let answer = try? description(in: message) else {
      leg.offers.offerFailed()
      return hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination, text: "no answer"))
    }
    _ = leg.offers.receiveAnswer(reliable: true)
    leg.remote = answer
    sendMedia(leg)
    if let half = joinedHalf(leg) { sessionChanged(half, leg) }
    guard let other = counterpart(leg) else { return }
    sendMedia(other)
    connect(leg.call, leg.role == .callee ? leg : other, leg.call.dial)
    // He chose what the other one does not speak: that one is asked for it.
    if let audio = other.remote?.audio, !agrees(leg, with: audio) { reofferWhenReady(other, from: leg) }
  }

  func afterACK(_ leg: Leg) {
    if let reason = leg.byeReason {
      leg.byeReason = nil
      return bye(leg, reason: reason)
    }
    if leg.wantsReoffer { reoffer(leg) }
  }

  // MARK: re-INVITE, from us

  func reofferWhenReady(_ leg: Leg, from other: Leg) {
    leg.wantsReoffer = true
    if leg.unacknowledged == nil, leg.phase == .confirmed { reoffer(leg) }
  }

  /// A leg is offered what the one that it talks with has said last: the callee took another codec than the caller was
  /// promised, or a change was withdrawn when it had happened already.
  func reoffer(_ leg: Leg) {
    if let half = joinedHalf(leg) { return settle(half, turn: half.turns) }
    guard leg.phase == .confirmed, leg.isQuiet, leg.byeReason == nil, leg.reinviteTimer == nil,
      let remote = counterpart(leg)?.remote, leg.port != nil
    else { return }
    leg.wantsReoffer = false
    guard let offer = offerAgain(to: leg, remote) else { return }
    sendReinvite(leg, offer, passedFrom: nil)
  }

  func reinviteResponse(_ id: ClientTransactionID, _ message: Message, _ leg: Leg, passed: LegName?) {
    guard message.status >= 200 else {
      _ = acknowledgeProvisional(leg, message)
      return
    }
    if message.status >= 300 {
      owners[Int(id.slot)] = .none
      return reinviteFailed(leg, passed: passed, status: message.status, message)
    }
    guard leg.clientInvite == id else {
      if let sent = table.ack(of: id) { table.sendAck(sent.bytes, flow: sent.flow) }
      return
    }
    leg.clientInvite = nil
    leg.dialog?.refreshTarget(message)
    aimAgain(leg)
    sendACK(leg, of: id, cseq: message.cseq)
    changed(leg, message, passed: passed)
    if leg.byeReason != nil { afterACK(leg) }
  }

  func reinviteFailed(_ leg: Leg, passed: LegName?, status: Int, _ message: Message? = nil) {
    leg.clientInvite = nil
    changeFailed(leg, passed: passed, status: status, message, byUpdate: false)
  }

  func cancelReinvite(_ leg: Leg) {
    withdraw(leg)
    if let other = counterpart(leg) ?? (leg.role == .caller ? leg.call.bridged : leg.call.caller),
      let id = other.clientInvite
    {
      other.extras.isWithdrawn = true
      table.cancel(id, headers: [], now: now, wheel: &wheel)
    }
    failChange(leg, status: 487)
  }

  // MARK: BYE

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
    if leavesAlone(leg) { return ended(leg) }
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
    if let dial = call.dial, dial.options.continuesAfterBridge, call.hangup == nil, call.caller.isLive,
      call.transfer?.half == nil
    {
      call.bridged = nil
      if let port = call.caller.port { mediaCommands.append(.unbridge(port.id)) }
      cancel(&call.durationTimer)
      failChange(call.caller, status: 487)
      return finishDial(call, dial, bridgeResult(dial, endedBy: "callee", cause: cause))
    }
    hangUp(call, .init(side: .callee, status: 200, cause: cause))
  }
}
