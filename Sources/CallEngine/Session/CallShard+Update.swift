import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// UPDATE: RFC 3311. With an offer it is passed to the other leg as a re-INVITE is, or answered alone before the answer
// to the INVITE and where there is no other leg; without one it refreshes the session (RFC 4028) or the target.
extension CallShard {
  // MARK: towards us

  func update(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    guard isLongEnough(id, message, leg) else { return }
    guard !message.body.isEmpty else { return acceptUpdate(id, message, leg, nil) }
    // §5.1: no offer in an UPDATE before the first one of the INVITE is answered.
    guard leg.offers.isEstablished || leg.offers.phase != .idle else { return retryLater(id, message) }
    guard let proposed = take(id, message, leg) else { return }
    if let half = joinedHalf(leg) { return pass(update: id, message, leg, proposed, half) }
    guard leg.phase == .confirmed, let other = counterpart(leg) else {
      return answerUpdate(id, message, leg, proposed)
    }
    guard let offer = passableOffer(id, message, leg, proposed, to: other) else { return }
    leg.extras.serverUpdate = id
    if allowsUpdate(other) {
      sendUpdate(other, offer, passedFrom: leg, body: message)
    } else {
      sendReinvite(other, offer, passedFrom: leg, body: message)
    }
    // §5.2: a person is not to be asked; the answer is to come before the transaction is over.
    limitChange(other, .seconds(20))
  }

  /// The offer of an UPDATE, or of a PRACK, that is between the peer and us.
  func answerUpdate(_ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ proposed: RemoteDescription) {
    guard let answer = ownAnswer(leg, to: proposed) else {
      leg.offers.offerFailed()
      return reply(id, message, 488, cause: .incompatibleDestination)
    }
    leg.remote = proposed
    acceptUpdate(id, message, leg, answer)
    sendMedia(leg)
    hearAgain(leg)
  }

  /// 200 to an UPDATE or a PRACK.
  func acceptUpdate(_ id: ServerTransactionID, _ request: Message, _ leg: Leg, _ sdp: [UInt8]?) {
    if sdp != nil { _ = leg.offers.sendAnswer() }
    reply(id, request, sdp) { writer in
      guard request.method == .update else { return }
      self.contact(&writer, leg)
      writer.header(.allow, CallShard.allow)
      if leg.phase == .confirmed { self.sessionAnswer(&writer, leg, request) }
    }
  }

  /// 200 with a description.
  func reply(
    _ id: ServerTransactionID, _ request: Message, _ sdp: [UInt8]?, _ more: (inout MessageWriter) -> Void
  ) {
    var writer = MessageWriter.response(
      to: request, status: 200, capacity: request.responseHeadSize + 256 + (sdp?.count ?? 0))
    more(&writer)
    finish(&writer, sdp)
    table.respond(id, status: 200, bytes: writer.bytes, now: now, wheel: &wheel)
  }

  /// Our answer without asking anybody: what the one who is heard there takes, else a codec that we can make ourselves.
  func ownAnswer(_ leg: Leg, to offer: RemoteDescription) -> [UInt8]? {
    if let audio = heard(by: leg)?.remoteAudio, let built = relayedAnswer(to: leg, offer: offer, from: audio) {
      return leg.description.update(built)
    }
    return generable(offer.audio).flatMap { ownAnswer(leg, to: offer, $0) }
  }

  /// Whose early media goes to the caller; for a callee the caller.
  private func heard(by leg: Leg) -> Leg? {
    guard leg.role == .caller else { return leg.call.caller }
    guard let dial = leg.call.dial, let slot = dial.ringback.earlyLeg else { return nil }
    return dial.ringing.first { Int($0.token.slot) == slot }
  }

  /// A description changed while early media was heard: payload numbers may be others now.
  func hearAgain(_ leg: Leg) {
    if let callee = leg.call.bridged { return connect(leg.call, callee, leg.call.dial) }
    guard let dial = leg.call.dial, dial.stage == .ringing else { return }
    let caller = leg.call.caller!
    if let callee = heard(by: caller), leg === caller || leg === callee {
      connectEarly(callee, leg.call)
    } else if leg === caller, dial.ringback.isGenerating {
      playRingback(leg.call, dial)
    }
  }

  // MARK: from us

  /// Whether a peer has said that he takes UPDATE: the caller in his INVITE, a callee in his 2xx.
  func allowsUpdate(_ leg: Leg) -> Bool {
    if let known = leg.allowsUpdate { return known }
    let allows = leg.role == .caller && leg.call.invite.hasToken("UPDATE", in: .allow)
    leg.allowsUpdate = allows
    return allows
  }

  /// - Parameter sdp: our offer; nil: only the session timer is refreshed.
  func sendUpdate(_ leg: Leg, _ sdp: [UInt8]?, passedFrom: Leg?, body: Message? = nil) {
    guard leg.dialog != nil, sdp == nil || leg.offers.sendOffer() == .send else { return }
    let (id, branch) = table.reserveClient()
    var writer = leg.dialog!.request(
      .update, branch: branch, viaSentBy: sentBy(of: leg.flow), transport: leg.flow.transport,
      contact: contact(of: leg))
    writer.header(.allow, CallShard.allow)
    sessionHeaders(&writer, leg)
    if let body { passHeaders(&writer, from: body, changes: HeaderChanges()) }
    finish(&writer, sdp)
    leg.extras.clientUpdate = id
    own(id, .update(leg.name, passed: passedFrom?.name))
    table.send(id, method: .update, bytes: writer.bytes, flow: leg.dialog!.flow, now: now, wheel: &wheel)
  }

  func updateResponse(_ id: ClientTransactionID, _ message: Message, _ leg: Leg, passed: LegName?) {
    guard message.status >= 200 else { return }
    owners[Int(id.slot)] = .none
    guard leg.extra?.clientUpdate == id else { return }
    guard message.status < 300 else { return updateFailed(leg, passed: passed, status: message.status, message) }
    leg.extra?.clientUpdate = nil
    leg.dialog?.refreshTarget(message)
    aimAgain(leg)
    changed(leg, message, passed: passed)
  }

  func updateFailed(_ leg: Leg, passed: LegName?, status: Int, _ message: Message? = nil) {
    leg.extra?.clientUpdate = nil
    changeFailed(leg, passed: passed, status: status, message, byUpdate: true)
  }
}
