internal import NetCore
internal import SIPDialog
public import SIPMessage
internal import SIPTransaction

/// 100rel of a phone (RFC 3262): as a caller it acknowledges, as a callee it sends again until it is acknowledged.
extension ScriptedPhone {
  /// A provisional response to our INVITE: one that is reliable makes the early dialog, and gets its PRACK.
  func acknowledge(_ message: Message, of call: PhoneCall) {
    guard message.hasToken("100rel", in: .require), let rseq = message.first(.rSeq).flatMap({ Decimal.parse($0) })
    else { return }
    if call.dialog == nil {
      let invitation = Dialog.Invitation(
        callID: call.callID[...], from: message.from.bytes, localTag: call.localTag[...], cseq: call.cseq,
        requestURI: Array(call.target.utf8)[...], flow: flow)
      call.dialog = Dialog(uac: invitation, response: message)
    }
    guard acknowledgesReliable, call.dialog != nil, call.received.receive(rseq) == .acknowledge else { return }
    let (id, branch) = table.reserveClient()
    var writer = call.dialog!.request(.prack, branch: branch, viaSentBy: sentBy, transport: .udp)
    writer.append("RAck: \(rseq) \(message.cseq) INVITE\r\n")
    // Where our INVITE made no offer, this is the answer.
    let answers = call.answersInACK && !message.body.isEmpty
    if answers { call.answersInACK = false }
    pending[id] = .prack(call)
    table.send(
      id, method: .prack, bytes: finish(writer, body: answers ? prackBody ?? sdp : prackBody ?? []), flow: flow,
      now: now,
      wheel: &wheel)
  }

  /// A response of our own with `RSeq` in it: again until its PRACK.
  func keepSending(_ bytes: [UInt8], of call: PhoneCall, hasSDP: Bool) {
    call.reliable.begin(random: 0)
    guard !call.reliable.isWaiting, let place = calls.firstIndex(where: { $0 === call }) else { return }
    let wait = call.reliable.sent(bytes, hasSDP: hasSDP, now: now, t1: .milliseconds(500))
    _ = wheel.arm(TimerToken(kind: 2, which: 0, slot: UInt32(place), generation: 0), at: now + wait)
  }

  func sendAgain(_ call: PhoneCall) {
    guard let id = call.server, call.state == .ringing, let place = calls.firstIndex(where: { $0 === call }) else {
      return
    }
    switch call.reliable.again(now: now) {
    case .send(let bytes, let again):
      table.respond(id, status: 183, bytes: bytes, now: now, wheel: &wheel)
      _ = wheel.arm(TimerToken(kind: 2, which: 0, slot: UInt32(place), generation: 0), at: now + again)
    case .giveUp: respond(call, status: 504, headers: [], body: [])
    case .nothing: return
    }
  }

  /// The PRACK of the server for our reliable response.
  func acknowledged(_ message: Message, _ call: PhoneCall) {
    call.pracks.append(message)
    _ = call.reliable.acknowledged(call.reliable.number)
  }
}

/// A re-INVITE that is given up, and one that is answered later than its script says.
extension ScriptedPhone {
  /// CANCEL of the last re-INVITE.
  public func cancelReinvite(_ call: PhoneCall) {
    if let id = call.reinvite { table.cancel(id, now: now, wheel: &wheel) }
  }

  /// The ACK of a 2xx to a re-INVITE that was sent with `send`.
  public func sendACK(_ call: PhoneCall, of response: Message) {
    guard let dialog = call.dialog else { return }
    let token = Token(shard: 0, slot: 0xff_ffff, generation: 0, random: random.next())
    let writer = dialog.ack(cseq: response.cseq, branch: token, viaSentBy: sentBy, transport: .udp)
    table.sendAck(finish(writer, body: []), flow: dialog.flow)
  }

  /// A final response to a request that has had none, such as a re-INVITE with `reinviteAnswer` nil.
  public func answerNow(_ request: Message, _ status: Int) {
    for event in open where event.message.bytes == request.bytes {
      if request.method == .invite { call(withLocalTag: request.toTag)?.serverReinvite = event.id }
      reply(event.id, request, status, body: status < 300 ? sdp : [])
    }
  }
}
