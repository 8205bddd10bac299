internal import NetCore
internal import SIPDialog
internal import SIPDigest
public import SIPMessage
internal import SIPTransaction

/// What a test tells the phone to do.
extension ScriptedPhone {
  /// - Parameter expires: seconds; 0 removes the binding.
  public func register(expires: Int = 3_600) { register(expires: expires, attempts: 0, credentials: []) }

  private func register(expires: Int, attempts: Int, credentials: [String]) {
    registerCSeq += 1
    let (id, branch) = table.reserveClient()
    var writer = begin(
      .register, uri: "sip:\(domain)", to: "<sip:\(user)@\(domain)>", callID: Array("reg-\(user)@\(endpoint)".utf8),
      fromTag: Array("reg".utf8), cseq: registerCSeq, branch: branch)
    writer.header(.expires, number: expires)
    for line in credentials { writer.append(line + "\r\n") }
    pending[id] = .register(expires: expires, attempts: attempts)
    table.send(id, method: .register, bytes: finish(writer, body: []), flow: flow, now: now, wheel: &wheel)
  }

  /// Calls `target`: a user of the domain, or a whole URI.
  /// - Parameters:
  ///   - headers: lines without CRLF.
  ///   - body: SDP; nil is the phone's own, empty an INVITE without an offer.
  @discardableResult
  public func call(_ target: String, headers: [String] = [], body: [UInt8]? = nil) -> PhoneCall {
    let call = PhoneCall(isOutgoing: true, callID: newCallID(), localTag: newTag())
    call.target = target.contains(":") ? target : "sip:\(target)@\(domain)"
    call.headers = headers
    call.body = body ?? sdp
    call.answersInACK = call.body.isEmpty
    calls.append(call)
    invite(call, attempts: 0)
    return call
  }

  private func invite(_ call: PhoneCall, attempts: Int) {
    let (id, branch) = table.reserveClient()
    var writer = begin(
      .invite, uri: call.target, to: "<\(call.target)>", callID: call.callID, fromTag: call.localTag, cseq: call.cseq,
      branch: branch)
    for line in call.headers + call.credentials { writer.append(line + "\r\n") }
    call.client = id
    pending[id] = .invite(call, attempts: attempts)
    table.send(id, method: .invite, bytes: finish(writer, body: call.body), flow: flow, now: now, wheel: &wheel)
  }

  /// Ends a call in whatever way its state wants: BYE, CANCEL, or 486.
  public func hangUp(_ call: PhoneCall) {
    switch call.state {
    case .answered:
      guard var dialog = call.dialog else { return }
      let (id, branch) = table.reserveClient()
      let writer = dialog.request(.bye, branch: branch, viaSentBy: sentBy, transport: .udp)
      call.dialog = dialog
      pending[id] = .bye(call)
      call.state = .ended
      table.send(id, method: .bye, bytes: finish(writer, body: []), flow: dialog.flow, now: now, wheel: &wheel)
    case .calling, .ringing:
      if let client = call.client {
        table.cancel(client, now: now, wheel: &wheel)
      } else {
        respond(call, status: 486, headers: [], body: [])
      }
    case .ended:
      break
    }
  }

  /// A re-INVITE; its status comes in `reinviteStatus`, its answer in `bodies`.
  public func reinvite(_ call: PhoneCall, body: [UInt8]) {
    guard var dialog = call.dialog, call.state == .answered else { return }
    let (id, branch) = table.reserveClient()
    let writer = dialog.request(
      .invite, branch: branch, viaSentBy: sentBy, transport: .udp, contact: Array(contact.utf8)[...])
    call.reinviteCSeq = dialog.localCSeq
    call.dialog = dialog
    call.reinviteStatus = nil
    call.answersInACK = body.isEmpty
    call.reinvite = id
    pending[id] = .reinvite(call)
    table.send(id, method: .invite, bytes: finish(writer, body: body), flow: dialog.flow, now: now, wheel: &wheel)
  }

  /// Any other request within a call, such as INFO; its status comes in `otherStatuses`.
  public func send(_ method: Method, in call: PhoneCall, headers: [String] = [], body: [UInt8] = []) {
    guard var dialog = call.dialog else { return }
    let (id, branch) = table.reserveClient()
    var writer = dialog.request(
      method, branch: branch, viaSentBy: sentBy, transport: .udp, contact: Array(contact.utf8)[...])
    call.dialog = dialog
    for line in headers { writer.append(line + "\r\n") }
    // A body that is not SDP brings its own Content-Type.
    writer.finish(
      body: body[...], contentType: headers.contains { $0.hasPrefix("Content-Type") } ? nil : "application/sdp")
    pending[id] = .other
    table.send(id, method: method, bytes: writer.bytes, flow: dialog.flow, now: now, wheel: &wheel)
  }

  /// A request outside of any call, such as OPTIONS or MESSAGE; its status comes in `otherStatuses`.
  public func send(_ method: Method, to target: String, headers: [String] = []) {
    let (id, branch) = table.reserveClient()
    let uri = target.contains(":") ? target : "sip:\(target)@\(domain)"
    var writer = begin(
      method, uri: uri, to: "<\(uri)>", callID: newCallID(), fromTag: newTag(), cseq: 1, branch: branch)
    for line in headers { writer.append(line + "\r\n") }
    pending[id] = .other
    table.send(id, method: method, bytes: finish(writer, body: []), flow: flow, now: now, wheel: &wheel)
  }

  // MARK: Responses

  func receive(_ id: ClientTransactionID, _ message: Message) {
    guard let purpose = pending[id] else { return }
    switch purpose {
    case .register(let expires, let attempts):
      guard message.status >= 200 else { return }
      pending[id] = nil
      if message.status == 401 || message.status == 407, attempts == 0,
        let credentials = answer(message, method: .register, uri: "sip:\(domain)")
      {
        register(expires: expires, attempts: 1, credentials: [credentials])
        return
      }
      registrationStatus = message.status
      if message.status == 200 { bindings = message.values(.contact).map { String(decoding: $0, as: UTF8.self) } }
    case .invite(let call, let attempts):
      receive(message, of: call, id, attempts: attempts)
    case .reinvite(let call):
      guard message.status >= 200 else { return }
      if message.status < 300 {
        if call.reinviteStatus == nil {
          call.dialog?.refreshTarget(message)
          if !message.body.isEmpty { call.bodies.append(Array(message.body)) }
        }
        acknowledge(call, cseq: call.reinviteCSeq)
      }
      call.reinviteStatus = message.status
    case .bye(let call):
      guard message.status >= 200 else { return }
      pending[id] = nil
      call.byeStatus = message.status
    case .prack(let call):
      guard message.status >= 200 else { return }
      pending[id] = nil
      call.prackStatuses.append(message.status)
      if !message.body.isEmpty { call.bodies.append(Array(message.body)) }
    case .other:
      guard message.status >= 200 else { return }
      pending[id] = nil
      otherStatuses.append(message.status)
    }
  }

  private func receive(_ message: Message, of call: PhoneCall, _ id: ClientTransactionID, attempts: Int) {
    if message.status == 401 || message.status == 407, attempts == 0,
      let credentials = answer(message, method: .invite, uri: call.target)
    {
      pending[id] = nil
      call.statuses.append(message.status)
      call.cseq += 1
      call.credentials = [credentials]
      invite(call, attempts: 1)
      return
    }
    let isCopy = call.message != nil
    if !isCopy {
      call.statuses.append(message.status)
      if !message.body.isEmpty { call.bodies.append(Array(message.body)) }
    }
    switch message.status {
    case ..<200:
      if message.status > 100, call.state == .calling { call.state = .ringing }
      acknowledge(message, of: call)
    case 200..<300:
      if !isCopy {
        call.message = message
        call.state = .answered
        let invitation = Dialog.Invitation(
          callID: call.callID[...], from: message.from.bytes, localTag: call.localTag[...], cseq: call.cseq,
          requestURI: Array(call.target.utf8)[...], flow: flow)
        if call.dialog == nil {
          call.dialog = Dialog(uac: invitation, response: message)
        } else {
          call.dialog!.confirm(message)
        }
      }
      acknowledge(call, cseq: call.cseq)
    default:
      call.message = message
      call.state = .ended
      pending[id] = nil
    }
  }

  private func acknowledge(_ call: PhoneCall, cseq: UInt32) {
    guard let dialog = call.dialog else { return }
    let token = Token(shard: 0, slot: 0xff_ffff, generation: 0, random: random.next())
    let writer = dialog.ack(cseq: cseq, branch: token, viaSentBy: sentBy, transport: .udp)
    table.sendAck(finish(writer, body: call.answersInACK ? sdp : []), flow: dialog.flow)
    call.isAcknowledged = true
  }

  func failed(_ id: ClientTransactionID) {
    guard let purpose = pending.removeValue(forKey: id) else { return }
    switch purpose {
    case .register: registrationStatus = 408
    case .invite(let call, _):
      call.statuses.append(408)
      call.state = .ended
    case .reinvite(let call): call.reinviteStatus = 408
    case .bye(let call): call.byeStatus = 408
    case .prack(let call): call.prackStatuses.append(408)
    case .other: otherStatuses.append(408)
    }
  }

  /// The header line that answers the challenge of a 401 or 407.
  private func answer(_ message: Message, method: Method, uri: String) -> String? {
    let isProxy = message.status == 407
    let challenges = message.all(isProxy ? .proxyAuthenticate : .wwwAuthenticate)
    guard !password.isEmpty, let challenge = DigestClient.strongest(of: challenges),
      let value = DigestClient.authorization(
        challenge: challenge, user: user, password: password, method: Array("\(method.name)".utf8)[...],
        uri: Array(uri.utf8)[...], cnonce: newTag()[...], nc: 1)
    else { return nil }
    return (isProxy ? "Proxy-Authorization: " : "Authorization: ") + String(decoding: value, as: UTF8.self)
  }
}
