import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

/// What the phone does about what comes in.
extension ScriptedPhone {
  func handleEvents() {
    while !table.events.isEmpty {
      let events = table.events
      table.events.removeAll(keepingCapacity: true)
      for event in events {
        switch event {
        case .request(let id, let message): receive(request: message, id)
        case .cancel(let id, let message, let invite): receive(cancel: message, id, of: invite)
        case .ack(let message): receive(ack: message)
        case .response(let id, let message): receive(id, message)
        case .timeout(let id), .transportError(let id): failed(id)
        case .noAck(let id):
          if let call = calls.first(where: { $0.server == id }) { hangUp(call) }
        case .serverTransportError, .strayResponse: break
        }
      }
    }
  }

  private func receive(request message: Message, _ id: ServerTransactionID) {
    requests.append(message)
    guard let call = call(withLocalTag: message.toTag) else {
      switch message.method {
      case .invite where message.toTag == nil: begin(message, id)
      case .options, .notify, .message, .info: reply(id, message, 200)
      case .ack, .cancel, .invite, .bye, .register, .prack, .update, .subscribe, .publish, .refer, .unknown:
        reply(id, message, message.toTag == nil ? 405 : 481)
      }
      return
    }
    guard var dialog = call.dialog, dialog.receive(message) == .ok, call.state == .answered || message.method != .invite
    else {
      reply(id, message, 500)
      return
    }
    call.dialog = dialog
    switch message.method {
    case .bye:
      call.bye = message
      call.state = .ended
      reply(id, message, 200)
    case .invite, .update:
      if !message.body.isEmpty { call.bodies.append(Array(message.body)) }
      guard let status = message.method == .update ? updateAnswer ?? reinviteAnswer : reinviteAnswer else {
        open.append((id, message))
        return
      }
      let isSuccess = (200..<300).contains(status)
      if message.method == .invite, isSuccess { call.serverReinvite = id }
      // An UPDATE without an offer only refreshes.
      let answers = isSuccess && (message.method == .invite || !message.body.isEmpty)
      reply(id, message, status, headers: isSuccess || status == 422 ? changeHeaders : [], body: answers ? sdp : [])
    case .notify: reply(id, message, notifyAnswer)
    case .refer: reply(id, message, referAnswer)
    case .prack:
      acknowledged(message, call)
      reply(id, message, 200)
    case .ack, .cancel, .register, .options, .info, .subscribe, .publish, .message, .unknown:
      reply(id, message, otherAnswer?.status ?? 200, headers: otherAnswer?.headers ?? [], body: otherAnswer?.body ?? [])
    }
  }

  /// A new call: what the script says.
  private func begin(_ message: Message, _ id: ServerTransactionID) {
    let call = PhoneCall(isOutgoing: false, callID: Array(message.callID), localTag: newTag())
    call.message = message
    call.server = id
    call.steps = script.steps[...]
    if !message.body.isEmpty { call.bodies.append(Array(message.body)) }
    call.dialog = try? Dialog(uas: message, localTag: call.localTag[...])
    calls.append(call)
    schedule(call)
  }

  /// The next step of the script: at once, or by a timer of kind 1 whose slot is the call's place.
  private func schedule(_ call: PhoneCall) {
    while let next = call.steps.first, call.state != .ended {
      if next.after > .zero, let place = calls.firstIndex(where: { $0 === call }) {
        _ = wheel.arm(TimerToken(kind: 1, which: 0, slot: UInt32(place), generation: 0), at: now + next.after)
        return
      }
      call.steps.removeFirst()
      act(next, call)
    }
  }

  func step(_ call: PhoneCall) {
    guard let next = call.steps.popFirst(), call.state != .ended else { return }
    act(next, call)
    schedule(call)
  }

  private func act(_ step: PhoneStep, _ call: PhoneCall) {
    switch step.action {
    case .respond(let status, let headers, let body): respond(call, status: status, headers: headers, body: body)
    case .hangUp: hangUp(call)
    }
  }

  /// A response to the INVITE of an incoming call.
  func respond(_ call: PhoneCall, status: Int, headers: [String], body: [UInt8]) {
    guard let id = call.server, let message = call.message else { return }
    let isSuccess = (200..<300).contains(status)
    var writer = MessageWriter.response(to: message, status: status, toTag: call.localTag[...])
    if status > 100, status < 300 {
      writer.copyAll(.recordRoute, from: message)
      writer.header(.contact, contact)
    }
    for line in headers + extraHeaders { writer.append(line + "\r\n") }
    let bytes = finish(writer, body: isSuccess && body.isEmpty ? sdp : body)
    guard table.respond(id, status: status, bytes: bytes, now: now, wheel: &wheel) else { return }
    call.statuses.append(status)
    if isSuccess {
      call.state = .answered
      call.dialog?.confirm()
    } else if status >= 300 {
      call.state = .ended
    } else if status > 100 {
      call.state = .ringing
      if headers.contains(where: { $0.hasPrefix("RSeq") }) { keepSending(bytes, of: call, hasSDP: !body.isEmpty) }
    }
  }

  private func receive(cancel message: Message, _ id: ServerTransactionID, of invite: ServerTransactionID?) {
    requests.append(message)
    let call = calls.first { $0.server == invite && invite != nil }
    table.answerCancel(id, found: invite != nil, toTag: call?.localTag[...], now: now, wheel: &wheel)
    guard let call else {
      // Of a re-INVITE that it has not answered.
      if let invite, let pending = table.request(of: invite) { reply(invite, pending, 487) }
      return
    }
    guard call.state != .answered, call.state != .ended else { return }
    call.wasCancelled = true
    respond(call, status: 487, headers: [], body: [])
  }

  private func receive(ack message: Message) {
    guard let call = call(withLocalTag: message.toTag) else { return }
    if let id = call.serverReinvite { table.acknowledged(id, wheel: &wheel) }
    if let id = call.server { table.acknowledged(id, wheel: &wheel) }
    if !message.body.isEmpty { call.bodies.append(Array(message.body)) }
    call.isAcknowledged = true
  }

  func reply(
    _ id: ServerTransactionID, _ message: Message, _ status: Int, headers: [String] = [], body: [UInt8] = []
  ) {
    var writer = MessageWriter.response(to: message, status: status, toTag: newTag()[...])
    writer.header(.contact, contact)
    for line in headers { writer.append(line + "\r\n") }
    let isOwnType = headers.contains { $0.hasPrefix("Content-Type") }
    writer.finish(body: body[...], contentType: isOwnType ? nil : "application/sdp")
    table.respond(id, status: status, bytes: writer.bytes, now: now, wheel: &wheel)
  }
}
