import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

extension CallShard {
  /// A new INVITE: 100 Trying is out already. Admission, the offer, the call, then its script.
  func newCall(_ id: ServerTransactionID, _ message: Message) {
    if isDraining {
      return reply(id, message, 503) { $0.header(.retryAfter, number: 5) }
    }
    guard let admitted = admit(id, message) else { return }
    if isLoop(message) { return reply(id, message, 482) }
    guard CallShard.readsDescriptions(message) else {
      return reply(id, message, 406) { $0.header(.accept, "application/sdp" as StaticString) }
    }
    guard let script else { return reply(id, message, 404, cause: .unallocatedNumber) }
    if message.has(.privacy), let unmet = Privacy(message).unmet {
      return reply(id, message, 500, "Privacy \(String(decoding: unmet, as: UTF8.self)) is not possible")
    }
    guard isLongEnough(id, message, nil) else { return }
    let replaced = replaces(id, message, admitted)
    if case .refused = replaced { return }
    var offer: RemoteDescription?
    if !message.body.isEmpty {
      do throws(SDPError) {
        offer = try description(in: message)
        if let family = offer?.audio.rtp.ip.family, !settings.mediaFamilies.contains(family) {
          throw SDPError.incompatibleAddress(family == .v6 ? "no IPv6 media here" : "no IPv4 media here")
        }
      } catch {
        return refuse(id, message, error)
      }
    }

    var use: LegUse?
    if let trunk = admitted.trunk {
      use = incomingPlace(trunk)
      if use == nil { return reply(id, message, 503, cause: .noCircuitAvailable) }
    }

    let (slot, slotGeneration) = calls.reserve()
    let (legSlot, legGeneration) = legs.reserve()
    let token = mint(slot: legSlot, generation: legGeneration)
    let tag = token.hex
    let call = Call(
      slot: slot, generation: slotGeneration, id: String(decoding: tag, as: UTF8.self), script: script,
      invite: message, account: admitted.account, trunk: admitted.trunk, context: admitted.context,
      startMilliseconds: services.wallClock())
    let leg = Leg(
      token: token, role: .caller, call: call, flow: message.flow, session: random.next())
    leg.serverInvite = id
    leg.remote = offer
    leg.use = use
    leg.isDirect = message.hasOneVia
    if offer != nil { _ = leg.offers.receiveOffer() }
    call.caller = leg
    do {
      leg.dialog = try Dialog(uas: message, localTag: tag[...])
    } catch {
      calls.release(slot)
      legs.release(legSlot)
      use?.end()
      return reply(id, message, error.status, error.reason)
    }
    calls.fill(slot, call)
    legs.fill(legSlot, leg)
    remember(id, leg)
    script.calls += 1
    services.counters.add(.callsStarted)
    if case .replaces(let dialog) = replaced { return replace(dialog, by: leg) }
    startScript(call)
  }

  /// The session description that a message carries; nil where it carries none.
  func description(in message: Message) throws(SDPError) -> RemoteDescription? {
    guard let body = try SDPBody.find(in: message.body, contentType: message.contentType) else { return nil }
    return try RemoteDescription(parsing: body)
  }

  /// A description that cannot be negotiated: its own status, and a Warning that says why (RFC 3261 §20.43).
  func refuse(_ id: ServerTransactionID, _ message: Message, _ error: SDPError) {
    reply(id, message, error.status) { writer in
      if error.status == 415 { writer.header(.accept, "application/sdp" as StaticString) }
      if let warning = error.warningValue(agent: self.settings.domain) { writer.header(.warning, warning) }
    }
  }

  func remember(_ id: ServerTransactionID, _ leg: Leg?) {
    let slot = Int(id.slot)
    while pendingInvites.count <= slot { pendingInvites.append(.none) }
    pendingInvites[slot] = leg?.name ?? .none
  }

  /// The leg that `remember` was told of, if it is not over.
  private func pending(_ id: ServerTransactionID) -> Leg? {
    Int(id.slot) < pendingInvites.count ? leg(pendingInvites[Int(id.slot)]) : nil
  }

  // MARK: CANCEL, ACK

  /// RFC 3261 §9.2: 200 to the CANCEL, 487 to the INVITE it names; too late for either is 481.
  func cancelled(_ id: ServerTransactionID, _ message: Message, _ invite: ServerTransactionID?) {
    guard let invite, let leg = pending(invite), leg.serverInvite == invite else {
      table.answerCancel(id, found: invite != nil, toTag: nil, now: now, wheel: &wheel)
      return
    }
    table.answerCancel(id, found: true, toTag: leg.tag, now: now, wheel: &wheel)
    if leg.phase == .early {
      // The caller's own Reason goes on to the callees: "completed elsewhere" must not become a missed call.
      let reason = message.first(.reason).map { Reason.verbatim(Array($0)) }
      let cause = ReasonHeader.cause(in: message.all(.reason)) ?? .normalClearing
      hangUp(leg.call, .init(side: .caller, status: 487, cause: cause), reason: reason)
    } else {
      cancelReinvite(leg)
    }
  }

  /// The ACK to a 2xx of ours, and the answer to an offer that it carried.
  func acknowledged(_ message: Message) {
    guard let leg = leg(tag: message.toTag), let dialog = leg.dialog,
      dialog.callID.elementsEqual(message.callID), message.fromTag.map({ dialog.remoteTag.elementsEqual($0) }) ?? false
    else {
      // The ACK of what was refused without a transaction names nothing, and that is well.
      if let tag = message.toTag, Token(hex: tag)?.slot == CallShard.noSlot { return }
      return services.counters.add(.strayRequests)
    }
    // A copy, or of an INVITE before: its 2xx had an ACK, or it comes too late (§13.3.1.4).
    guard let waiting = leg.unacknowledged, message.cseq == leg.ackCSeq else { return }
    leg.unacknowledged = nil
    table.acknowledged(waiting, wheel: &wheel)
    if leg.offers.phase == .localOffer { answerInACK(leg, message) }
    afterACK(leg)
  }

  /// The caller's connection is gone before his INVITE was answered.
  func lostCaller(_ id: ServerTransactionID) {
    guard let leg = pending(id), leg.serverInvite == id, leg.phase == .early else { return }
    leg.serverInvite = nil
    leg.phase = .ended
    hangUp(leg.call, .init(side: .caller, status: 487, cause: .networkOutOfOrder))
    ended(leg)
  }

  /// 64·T1 without an ACK to our 2xx (§13.3.1.4): the session is ended.
  func noAck(_ id: ServerTransactionID) {
    guard let leg = pending(id), leg.unacknowledged == id else { return }
    leg.unacknowledged = nil
    remember(id, nil)
    if leg.call.hangup != nil || leg.isLeaving { return afterACK(leg) }
    hangUp(leg.call, .init(side: .system, status: 408, cause: .recoveryOnTimerExpiry, text: "no ACK"))
  }
}
