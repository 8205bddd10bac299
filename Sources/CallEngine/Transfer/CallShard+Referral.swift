import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// What a phone that sent REFER is told: NOTIFY with message/sipfrag (RFC 3515 §2.4.4, §2.4.5), and how its leg ends.
extension CallShard {
  /// - Parameter status: of the request that the REFER asked for. A final one ends the subscription.
  func tell(_ leg: Leg, _ status: Int) {
    guard let referral = leg.transfer?.referral, !referral.isOver else { return }
    guard !referral.isSilent else {
      if status >= 200 { concluded(leg, referral) }
      return
    }
    if let waiting = referral.waiting, waiting >= 200 { return }
    referral.waiting = status
    if !referral.isSending { notify(leg, referral) }
  }

  private func notify(_ leg: Leg, _ referral: Referral) {
    guard let status = referral.waiting else { return }
    referral.waiting = nil
    guard leg.phase == .confirmed, leg.dialog != nil else { return concluded(leg, referral) }
    let isLast = status >= 200
    if isLast { referral.isOver = true }
    referral.isSending = true
    let (id, branch) = table.reserveClient()
    var writer = leg.dialog!.request(
      .notify, branch: branch, viaSentBy: sentBy(of: leg.flow), transport: leg.flow.transport,
      contact: contact(of: leg.flow))
    writer.begin(.event)
    writer.append("refer" as StaticString)
    if let number = referral.id {
      writer.append(";id=" as StaticString)
      writer.append(number: Int(number))
    }
    writer.endLine()
    // §2.4.7: the subscription ends with the outcome.
    writer.header(
      .subscriptionState,
      isLast ? "terminated;reason=noresource" as StaticString : "active;expires=180" as StaticString)
    writer.header(.contentType, "message/sipfrag;version=2.0" as StaticString)
    var fragment = MessageWriter(capacity: 48)
    fragment.statusLine(status)
    writer.finish(body: fragment.bytes[...])
    let (name, number) = (leg.name, leg.transferState.referrals)
    own(
      id,
      .own { [unowned self] status, _ in
        if status >= 200 { notified(name, number, status) }
      })
    table.send(id, method: .notify, bytes: writer.bytes, flow: leg.dialog!.flow, now: now, wheel: &wheel)
  }

  /// The phone has answered, or will not: 481 says that it forgot the subscription (RFC 6665 §4.1.2.2); whatever it
  /// says changes nothing of the transfer.
  private func notified(_ name: LegName, _ number: Int, _ status: Int) {
    guard let leg = leg(name), let state = leg.transfer, state.referrals == number, let referral = state.referral else {
      return
    }
    referral.isSending = false
    if referral.isOver { return concluded(leg, referral) }
    if status == 481 || status == 489 {
      referral.isOver = true
      return
    }
    notify(leg, referral)
  }

  /// The outcome is told, as far as it can be. The leg may send another REFER, or ends.
  private func concluded(_ leg: Leg, _ referral: Referral) {
    cancel(&referral.timer)
    referral.isOver = true
    if leg.transfer?.referral === referral { leg.transfer?.referral = nil }
    guard let end = referral.end, leg.isLive else { return }
    referral.end = nil
    finish(leg, end)
  }

  /// A transferor's leg that is not wanted any more: alone it goes, with what is left of its call.
  private func finish(_ leg: Leg, _ end: Call.Hangup) {
    if leg.isLeaving { return bye(leg, reason: .cause(end.cause, text: end.text)) }
    hangUp(leg.call, end)
  }

  /// Tells the outcome and then ends the leg: alone where it is leaving its call, else with the call.
  func tell(_ leg: Leg, _ status: Int, thenEnd end: Call.Hangup) {
    tell(leg, status)
    endWhenTold(leg, end)
  }

  /// Ends a leg once its phone has answered what it is told, or has had the time to.
  func endWhenTold(_ leg: Leg, _ end: Call.Hangup) {
    guard let referral = leg.transfer?.referral, referral.isSending || referral.waiting != nil else {
      return finish(leg, end)
    }
    referral.end = end
    guard referral.timer == nil else { return }
    referral.timer = wheel.arm(
      TimerToken(kind: 12, which: 0, slot: leg.token.slot, generation: leg.token.generation), at: now + .seconds(4))
  }

  func forgetTransfer(of leg: Leg) {
    guard let transfer = leg.transfer else { return }
    if let referral = transfer.referral {
      cancel(&referral.timer)
      transfer.referral = nil
    }
    if let request = transfer.request { requestEnded(leg, request, status: 481) }
  }

  /// Timers of kind 12.
  func transferTimer(_ token: TimerToken) {
    switch token.which {
    case 0:
      guard let leg = legs.get(token.slot, token.generation), let referral = leg.transfer?.referral else { return }
      referral.timer = nil
      concluded(leg, referral)
    case 1:
      guard let leg = legs.get(token.slot, token.generation), let request = leg.transfer?.request else { return }
      request.timer = nil
      requestEnded(leg, request, status: 408)
    case 2: askingTimedOut(CallName(slot: token.slot, generation: token.generation))
    default: postAgain()
    }
  }
}
