import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// A callee's reliable provisional responses, which we acknowledge (RFC 3262 §4), each fork behind his proxy in an early
// dialog of its own; and the requests that he sends in one.
extension CallShard {
  /// What a provisional response of a peer is good for; one that is reliable is acknowledged.
  /// - Returns: false for a copy and for what came out of order: it is not to be looked at.
  func acknowledgeProvisional(_ leg: Leg, _ message: Message) -> Bool {
    guard message.has(.rSeq), message.hasToken("100rel", in: .require),
      let rseq = message.first(.rSeq).flatMap({ Decimal.parse($0) })
    else { return true }
    guard leg.phase == .early else {
      // To a re-INVITE, in the dialog that is there. A copy is acknowledged once more, which hurts nobody.
      if leg.dialog != nil { sendPRACK(&leg.dialog!, rseq, message, leg) }
      return true
    }
    guard let early = earlyDialog(leg, message) else { return false }
    guard early.received.receive(rseq) == .acknowledge else { return false }
    if early.offers.phase == .localOffer, !message.body.isEmpty {
      // RFC 3262 §5: it is the answer, whatever else follows.
      _ = early.offers.receiveAnswer(reliable: true)
      early.remote = try? description(in: message)
    }
    sendPRACK(&early.dialog, rseq, message, leg)
    return true
  }

  private func earlyDialog(_ leg: Leg, _ message: Message) -> EarlyDialog? {
    guard let tag = message.toTag, let sent = leg.sent else { return nil }
    if let known = leg.extra?.early.first(where: { $0.dialog.remoteTag.elementsEqual(tag) }) { return known }
    guard leg.extra?.early.count ?? 0 < EarlyDialog.limit,
      var dialog = Dialog(uac: sent.invitation(flow: leg.flow), response: message)
    else { return nil }
    aimNow(&dialog, isBinding: leg.isBinding)
    let early = EarlyDialog(dialog)
    leg.extras.early.append(early)
    return early
  }

  private func sendPRACK(_ dialog: inout Dialog, _ rseq: UInt32, _ message: Message, _ leg: Leg) {
    let (id, branch) = table.reserveClient()
    var writer = dialog.request(
      .prack, branch: branch, viaSentBy: sentBy(of: dialog.flow), transport: dialog.flow.transport)
    writer.begin(.rAck)
    writer.append(number: Int(rseq))
    writer.append(" " as StaticString)
    writer.append(number: Int(message.cseq))
    writer.append(" INVITE\r\n" as StaticString)
    writer.finish()
    // He sends his response again, or gives up by himself, where it is lost.
    own(id, .none)
    table.send(id, method: .prack, bytes: writer.bytes, flow: dialog.flow, now: now, wheel: &wheel)
  }

  /// The early dialog that a 2xx confirms, with what was agreed in it; nil where there was none.
  func confirmed(_ leg: Leg, by message: Message) -> Dialog? {
    guard let extra = leg.extra, !extra.early.isEmpty else { return nil }
    defer {
      extra.early = []
      leg.trimExtra()
    }
    let tag = message.toTag ?? []
    guard let early = extra.early.first(where: { $0.dialog.remoteTag.elementsEqual(tag) }) else { return nil }
    swap(&leg.offers, &early.offers)
    if leg.offers.phase == .idle { leg.remote = early.remote }
    early.dialog.confirm(message)
    return early.dialog
  }

  // MARK: his requests before the answer

  func inEarlyDialog(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    guard let early = leg.extra?.early.first(where: { $0.dialog.matches(message) }) else {
      services.counters.add(.strayRequests)
      return reply(id, message, 481)
    }
    guard early.dialog.receive(message) == .ok else {
      return reply(id, message, 500) { $0.header(.retryAfter, number: 1) }
    }
    switch message.method {
    case .update: updateEarly(id, message, leg, early)
    case .info: reply(id, message, 200)
    case .options: reply(id, message, 200) { self.capabilities(&$0) }
    case .invite: reply(id, message, 491)
    // RFC 3261 §15: a callee refuses, he does not hang up.
    case .bye: reply(id, message, 403)
    case .prack: reply(id, message, 481)
    case .unknown: reply(id, message, 501) { $0.header(.allow, CallShard.allow) }
    default: reply(id, message, 405) { $0.header(.allow, CallShard.allow) }
    }
  }

  /// UPDATE before the answer (RFC 3311 §5.2): his reliable answer is given, and this is a further offer.
  private func updateEarly(_ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ early: EarlyDialog) {
    guard !message.body.isEmpty else { return acceptUpdate(id, message, leg, nil) }
    let proposed: RemoteDescription
    do throws(SDPError) {
      guard let offer = try description(in: message) else { return reply(id, message, 400) }
      proposed = offer
    } catch {
      return refuse(id, message, error)
    }
    switch early.offers.receiveOffer() {
    case .accept: break
    case .requestPending: return reply(id, message, 491)
    case .retryLater: return retryLater(id, message)
    }
    guard let answer = ownAnswer(leg, to: proposed) else {
      early.offers.offerFailed()
      return reply(id, message, 488, cause: .incompatibleDestination)
    }
    _ = early.offers.sendAnswer()
    early.remote = proposed
    let tag = earlyTag(of: early.dialog.remoteTag)
    reply(id, message, answer) { writer in
      self.contact(&writer, leg)
      writer.header(.allow, CallShard.allow)
    }
    guard leg.earlyTag == 0 || leg.earlyTag == tag else { return }
    leg.earlyTag = tag
    leg.remote = proposed
    sendMedia(leg)
    hearAgain(leg)
  }

  // MARK: forks

  /// Of several forks behind a callee's proxy the one that sent a usable description first is heard until the answer.
  func isHeard(_ leg: Leg, _ message: Message) -> Bool {
    leg.earlyTag == 0 || leg.earlyTag == earlyTag(of: message.toTag ?? [])
  }

  /// FNV-1a; never 0.
  func earlyTag(of tag: Bytes) -> UInt32 {
    var hash: UInt32 = 0x811c_9dc5
    for octet in tag { hash = (hash ^ UInt32(octet)) &* 0x0100_0193 }
    return hash | 1
  }
}
