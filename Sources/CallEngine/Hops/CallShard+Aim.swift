import NetCore
import NextHop
import SIPDialog
import SIPMessage
import SIPTransaction

// Where the requests of a dialog go that a callee's answer has made.
extension CallShard {
  /// To a phone the way its messages came (it may be behind NAT), to a trunk or an address what its Contact says
  /// (RFC 3261 §12.2.1.1), unless a proxy recorded a route. A literal address is put into the dialog at once.
  /// - Returns: a name, to be looked up.
  func aim(_ dialog: inout Dialog, isBinding: Bool) -> HopQuery? {
    guard !isBinding, let uri = try? URI(parsing: dialog.nextHop), let query = HopQuery(uri, reach: settings.reach)
    else { return nil }
    guard case .literal = query.host else { return query }
    guard let hop = query.literalHop, hop.transport == dialog.flow.transport,
      let flow = flow(to: hop.endpoint, hop.transport, peer: dialog.flow.peer), flow.remote != dialog.flow.remote
    else { return nil }
    dialog.flow = flow
    return nil
  }

  /// The same for who cannot wait: a name that nobody has looked up yet leads to the server that answered, and the next
  /// request finds it known.
  func aimNow(_ dialog: inout Dialog, isBinding: Bool) {
    guard let query = aim(&dialog, isBinding: isBinding) else { return }
    var known: [Flow] = []
    var isPast = false
    resolve(query, within: CallShard.aimLimit) { if !isPast, let flows = try? $0.get() { known = flows } }
    isPast = true
    if let flow = choose(known, for: dialog.flow) { dialog.flow = flow }
  }

  /// The peer's Contact has changed (RFC 3261 §12.2.1.2, §12.2.2): a trunk's, or an address's, is where requests go now.
  func aimAgain(_ leg: Leg) {
    guard leg.role == .callee, !leg.isBinding, !leg.isLocating, leg.dialog != nil else { return }
    aimNow(&leg.dialog!, isBinding: false)
    if let flow = leg.dialog?.flow { leg.flow = flow }
  }

  /// Of the servers that a name leads to: the one that answered, if it is among them, else one that is spoken to in the
  /// same way, else the first. Nil: DNS knows none, and the one that answered will do.
  private func choose(_ flows: [Flow], for old: Flow) -> Flow? {
    let same = flows.filter { $0.transport == old.transport }
    if same.contains(where: { $0.remote == old.remote }) { return nil }
    return same.first ?? flows.first
  }

  /// DNS may take longer than a phone waits for its ACK.
  private static let aimLimit = Instant.Span.seconds(5 as Int64)

  /// The ACK of a 2xx, once its Contact is looked up; a BYE waits for it.
  func acknowledge(_ leg: Leg, of id: ClientTransactionID, cseq: UInt32, at query: HopQuery) {
    let name = leg.name
    leg.isLocating = true
    resolve(query, within: CallShard.aimLimit) { [unowned self] result in
      guard let leg = self.leg(name), leg.isLocating, let old = leg.dialog?.flow else { return }
      leg.isLocating = false
      if let flows = try? result.get(), let flow = choose(flows, for: old) {
        leg.dialog?.flow = flow
        leg.flow = flow
      }
      sendACK(leg, of: id, cseq: cseq)
      if leg.byeReason != nil { afterACK(leg) }
    }
  }

  /// A 2xx that nobody wants: acknowledged, and its dialog ended (RFC 3261 §13.2.2.4).
  func endFork(
    _ local: Dialog.Invitation, _ message: Message, isBinding: Bool, of id: ClientTransactionID? = nil
  ) {
    guard var dialog = Dialog(uac: local, response: message) else { return }
    guard let query = aim(&dialog, isBinding: isBinding) else { return end(dialog, cseq: message.cseq, of: id) }
    let cseq = message.cseq
    resolve(query, within: CallShard.aimLimit) { [unowned self] result in
      if let flows = try? result.get(), let flow = choose(flows, for: dialog.flow) { dialog.flow = flow }
      end(dialog, cseq: cseq, of: id)
    }
  }

  private func end(_ dialog: Dialog, cseq: UInt32, of invite: ClientTransactionID?) {
    var dialog = dialog
    var ack = dialog.ack(
      cseq: cseq, branch: mint(slot: CallShard.noSlot, generation: 0), viaSentBy: sentBy(of: dialog.flow),
      transport: dialog.flow.transport)
    ack.finish()
    if let invite {
      table.sendAck(ack.bytes, flow: dialog.flow, of: invite)
    } else {
      table.sendAck(ack.bytes, flow: dialog.flow)
    }
    let (id, branch) = table.reserveClient()
    var bye = dialog.request(
      .bye, branch: branch, viaSentBy: sentBy(of: dialog.flow), transport: dialog.flow.transport)
    bye.reason(.cause(.normalClearing))
    bye.finish()
    own(id, .none)
    table.send(id, method: .bye, bytes: bye.bytes, flow: dialog.flow, now: now, wheel: &wheel)
  }
}
