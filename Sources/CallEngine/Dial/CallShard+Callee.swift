import Media
import NetCore
import NextHop
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// The second leg: where it goes, the offer it is made, the INVITE that carries it.
extension CallShard {
  struct Route {
    var uri: [UInt8]
    var flow: Flow
    var path: [[UInt8]] = []
    /// Further servers of the same target, in the order in which they are tried (RFC 3263 §4.3).
    var others: [Flow] = []
  }

  enum Way {
    case known(Route)
    /// To be looked up.
    case named(uri: [UInt8], HopQuery)
    /// Nothing of ours leads there.
    case none
  }

  /// How a target is reached.
  func way(to target: DialTarget) -> Way {
    switch target.place {
    case .user: return .none
    case .binding(_, let binding):
      return .known(route(to: binding))
    case .trunk(let name, let number):
      guard let trunk = directory.trunk(named: name) else { return .none }
      let uri = trunk.uri(user: number)
      guard let destination = trunk.destination else { return way(to: uri) }
      return flow(to: destination, trunk.transport, peer: trunk.peer).map { .known(Route(uri: uri, flow: $0)) } ?? .none
    case .uri(let bytes): return way(to: bytes)
    }
  }

  private func way(to uri: [UInt8]) -> Way {
    guard let parsed = try? URI(parsing: uri[...]), let query = HopQuery(parsed, reach: settings.reach) else {
      return .none
    }
    guard case .literal = query.host else { return .named(uri: uri, query) }
    guard let hop = query.literalHop, let flow = flow(to: hop.endpoint, hop.transport) else { return .none }
    return .known(Route(uri: uri, flow: flow))
  }

  /// The caller's own list through a port of ours; where he made no offer, ours. Nil: no port left.
  func offer(to leg: Leg, _ call: Call, _ dial: Dial, codecs: [String]?) -> [UInt8]? {
    guard leaseMedia(leg, family: leg.flow.remote.ip.family), let port = leg.port else { return nil }
    guard let remote = call.caller.remote else {
      return leg.description.update(
        OfferAnswerSDP.offer(
          codecs: [.pcmu, .pcma], address: described(port, for: leg), port: port.rtpPort,
          session: leg.description.identity))
    }
    // What we promised, or will promise, the caller stands first (RFC 3264 §6.1: the answerer prefers it).
    let first =
      call.caller.agreedCodec
      ?? (dial.ringback.policy.generatesAudio ? generable(remote.audio) : nil)
    guard
      let sdp = try? OfferAnswerSDP.relayedOffer(
        from: remote.session, audio: remote.audio, address: described(port, for: leg), port: port.rtpPort,
        session: leg.description.identity, codecs: codecs, first: first, direction: call.isTransfer ? .sendrecv : nil)
    else { return nil }
    return leg.description.update(sdp)
  }

  /// - Parameter again: the same INVITE to another server, with its Call-ID and CSeq (RFC 3263 §4.3).
  func invite(
    _ leg: Leg, _ route: Route, _ target: DialTarget, _ call: Call, _ dial: Dial, body: [UInt8],
    again: SentInvite? = nil
  ) {
    let (id, branch) = table.reserveClient()
    let trust = trust(in: target)
    let caller = identity(of: call, target: target, trust)
    var writer = MessageWriter(capacity: 704 + 2 * route.uri.count + caller.from.count + body.count)
    writer.requestLine(.invite, uri: route.uri[...])
    via(&writer, leg.flow, branch)
    for path in route.path { writer.header(.route, path[...]) }
    writer.header(.maxForwards, number: CallShard.hopsLeft(after: call.invite))
    writer.begin(.from)
    let from = writer.count
    writer.append(caller.from)
    writer.append(";tag=" as StaticString)
    leg.token.write(into: &writer.bytes)
    let fromEnd = writer.count
    writer.endLine()
    writer.append("To: <" as StaticString)
    let to = writer.count
    writer.appendClean(route.uri)
    let toEnd = writer.count
    writer.append(">\r\n" as StaticString)
    writer.begin(.callID)
    let callID = writer.count
    if let again {
      writer.append(again.bytes[Int(again.callID.lowerBound)..<Int(again.callID.upperBound)])
    } else {
      Token(shard: shard, slot: 0, generation: UInt32(truncatingIfNeeded: random.next()), random: random.next())
        .write(into: &writer.bytes)
    }
    let callIDEnd = writer.count
    writer.endLine()
    writer.header(.cSeq, "1 INVITE" as StaticString)
    // RFC 3261 §8.1.1.8: a sips Contact for a sips Request-URI.
    writer.header(.contact, contact(of: leg.flow, isSecure: route.uri.starts(with: "sips:".utf8)))
    writer.header(.allow, CallShard.allow)
    sessionOffer(&writer, leg)
    var changes = call.headers
    if caller.hidesDetails { hideDetails(&changes) }
    for header in dial.options.headers { changes.set(header.name, header.value) }
    for header in target.headers { changes.set(header.name, header.value) }
    for name in target.remove { changes.remove(name) }
    writeIdentity(&writer, caller, target, call, trust, changes: changes)
    passHeaders(&writer, from: call.invite, changes: changes)
    writer.copyAll(.referredBy, from: call.invite)
    writer.finish(body: body[...], contentType: "application/sdp")
    leg.sent = SentInvite(
      bytes: writer.bytes, from: from..<fromEnd, tagLength: UInt8(Token.length), callID: callID..<callIDEnd,
      requestURI: to..<toEnd)
    leg.clientInvite = id
    _ = leg.offers.sendOffer()
    own(id, .invite(leg.name, isBinding: leg.isBinding))
    sendInvite(id, writer.bytes, leg)
  }

  /// The same INVITE once more, as a request of its own with the next CSeq (RFC 3261 §8.1.3.5): for who asked for it
  /// otherwise.
  /// - Parameters:
  ///   - without: header fields that are left out.
  ///   - more: writes what goes in their place.
  func inviteAgain(_ leg: Leg, without: [HeaderName], _ more: (inout MessageWriter) -> Void) {
    guard let old = leg.sent, let message = try? MessageParser.parse(old.bytes, flow: leg.flow) else { return }
    let (id, branch) = table.reserveClient()
    var writer = MessageWriter(capacity: old.bytes.count + 160)
    writer.requestLine(.invite, uri: message.requestURI.bytes)
    via(&writer, leg.flow, branch)
    var sent = old
    for line in message.headers where !without.contains(line.name) {
      let start = writer.count
      switch line.name {
      // Credentials are for one request: who wants some again is answered again.
      case .via, .contentLength, .authorization, .proxyAuthorization: continue
      case .cSeq:
        sent.cseq += 1
        writer.begin(.cSeq)
        writer.append(number: Int(sent.cseq))
        writer.append(" INVITE\r\n" as StaticString)
        more(&writer)
      case .from:
        sent.from = start + 6..<start + 6 + UInt32(line.value.count)
        writer.copy(line)
      case .to:
        sent.requestURI = start + 5..<start + 3 + UInt32(line.value.count)
        writer.copy(line)
      case .callID:
        sent.callID = start + 9..<start + 9 + UInt32(line.value.count)
        writer.copy(line)
      default: writer.copy(line)
      }
    }
    writer.finish(body: message.body)
    sent.bytes = writer.bytes
    leg.sent = sent
    leg.clientInvite = id
    own(id, .invite(leg.name, isBinding: leg.isBinding))
    sendInvite(id, writer.bytes, leg)
  }

  /// By TCP where it is too long for UDP, but to a phone by the flow that it registered on: it may be behind NAT.
  private func sendInvite(_ id: ClientTransactionID, _ bytes: [UInt8], _ leg: Leg) {
    if leg.isBinding {
      table.send(id, method: .invite, bytes: bytes, flow: leg.flow, now: now, wheel: &wheel)
    } else {
      table.sendByBestTransport(id, method: .invite, bytes: bytes, flow: leg.flow, now: now, wheel: &wheel)
    }
  }

  func via(_ writer: inout MessageWriter, _ flow: Flow, _ branch: Token) {
    writer.append("Via: SIP/2.0/" as StaticString)
    writer.append(flow.transport.viaName)
    writer.append(" " as StaticString)
    writer.append(sentBy(of: flow))
    writer.append(";branch=z9hG4bK" as StaticString)
    branch.write(into: &writer.bytes)
    writer.append(";rport\r\n" as StaticString)
  }

  // MARK: the callee answers

  func succeeded(_ id: ClientTransactionID, _ leg: Leg, _ message: Message) {
    guard leg.phase == .early else { return late(id, message, isBinding: leg.isBinding) }
    guard let sent = leg.sent else { return }
    if !isHeard(leg, message) { leg.remote = nil }
    guard var dialog = confirmed(leg, by: message) ?? Dialog(uac: sent.invitation(flow: leg.flow), response: message)
    else { return unreadableAnswer(leg) }
    let call = leg.call
    let named = aim(&dialog, isBinding: leg.isBinding)
    leg.flow = dialog.flow
    leg.dialog = consume dialog
    leg.sent = nil
    leg.hops = nil
    leg.clientInvite = nil
    leg.phase = .confirmed
    if message.has(.allow) { leg.allowsUpdate = message.hasToken("UPDATE", in: .allow) }
    if let timer = leg.timer { wheel.cancel(timer) }
    agree(leg, message)
    if let named {
      acknowledge(leg, of: id, cseq: message.cseq, at: named)
    } else {
      sendACK(leg, of: id, cseq: message.cseq)
    }
    guard !leg.isCancelled, call.hangup == nil, let dial = call.dial, dial.stage == .ringing else {
      // The race of CANCEL and 200, or the late 200 of a losing fork: acknowledged, then ended at once.
      return bye(leg, reason: .completedElsewhere)
    }
    answered(leg, message, call, dial)
  }

  /// Another 2xx to the same INVITE with another To-tag: a proxy behind forked it (§13.2.2.4); that dialog is ended.
  /// - Parameter first: the ACK that the other one has had, which says as whom we called.
  func refuseFork(_ first: Message, _ message: Message, isBinding: Bool) {
    // Above the numbers of the PRACKs that his early dialog may have had.
    let local = Dialog.Invitation(
      callID: first.callID, from: first.from.bytes, localTag: first.fromTag ?? [], cseq: first.cseq + 64,
      requestURI: first.requestURI.bytes, flow: first.flow)
    endFork(local, message, isBinding: isBinding)
  }

  func sendACK(_ leg: Leg, of id: ClientTransactionID, cseq: UInt32, sdp: [UInt8]? = nil) {
    guard let dialog = leg.dialog else { return }
    var writer = dialog.ack(
      cseq: cseq, branch: mint(slot: CallShard.noSlot, generation: 0), viaSentBy: sentBy(of: dialog.flow),
      transport: dialog.flow.transport)
    prove(leg, cseq, to: dialog.flow, &writer)
    finish(&writer, sdp)
    table.sendAck(writer.bytes, flow: dialog.flow, of: id)
  }

  private func answered(_ leg: Leg, _ message: Message, _ call: Call, _ dial: Dial) {
    // One that has answered reliably says nothing new (RFC 6337 §3.1.1).
    if leg.offers.phase == .localOffer {
      do throws(SDPError) {
        if let answer = try description(in: message) { leg.remote = answer }
      } catch {
        return unusable(leg, call, dial)
      }
      _ = leg.offers.receiveAnswer(reliable: true)
    }
    guard leg.remote != nil else { return unusable(leg, call, dial) }
    if let half = call.transfer?.joining, half.stage == .ringing {
      return handedOver(leg, message.status, call, dial, half)
    }
    guard leaseMedia(call.caller) else { return unusable(leg, call, dial, status: 503) }
    guard let plan = plan(for: call.caller, with: leg) else { return unusable(leg, call, dial) }

    dial.ringing.removeAll { $0 === leg }
    perform(leg.leaf.map { dial.tree.answered($0) } ?? [], call, dial)
    if let attempt = leg.attempt {
      call.attempts[attempt].end(status: message.status, cause: .normalClearing, at: services.wallClock())
    }
    dial.stage = .bridged
    dial.answered = now
    cancel(&dial.timer)
    cancel(&dial.progressTimer)
    cancel(&dial.delayTimer)
    call.bridged = leg
    defer { transferAnswered(call) }
    switch plan {
    case .answer(let sdp):
      let body = call.caller.description.update(sdp)
      if call.caller.phase == .early { accept(call.caller, sdp: body) }
    case .promised:
      if call.caller.phase == .early { accept(call.caller, sdp: call.caller.localSDP) }
    case .offer(let sdp):
      accept(call.caller, sdp: call.caller.description.update(sdp))
    case .reoffer:
      if call.caller.phase == .early { accept(call.caller, sdp: call.caller.localSDP) }
      reofferWhenReady(call.caller, from: leg)
    }
    sendMedia(leg)
    sendMedia(call.caller)
    connect(call, leg, dial)
    if let limit = dial.options.maxDuration { call.durationTimer = arm(call, .maxDuration, after: limit) }
  }

  private enum Plan {
    /// Nothing was promised yet: the callee's answer in the caller's numbers.
    case answer(BuiltDescription)
    /// The callee took the promised codec.
    case promised
    /// The caller made no offer: ours, with what the callee took.
    case offer(BuiltDescription)
    /// The callee took another codec than we promised: 200 as promised, then a re-INVITE.
    case reoffer
  }

  private func plan(for caller: Leg, with leg: Leg) -> Plan? {
    guard let audio = leg.remoteAudio else { return nil }
    if caller.localSDP != nil {
      // Our offer that he has not answered yet: what he takes is seen then.
      // Who was transferred from a hold is to talk again.
      if caller.call.isTransfer, isHeld(caller) { return .reoffer }
      return caller.remote == nil || agrees(caller, with: audio) ? .promised : .reoffer
    }
    let isOffer = caller.remote == nil
    return description(for: caller, of: audio).map { isOffer ? .offer($0) : .answer($0) }
  }

  /// The callee's answer cannot be used: he is hung up with cause 88, and that attempt has failed.
  private func unusable(_ leg: Leg, _ call: Call, _ dial: Dial, status: Int = 488) {
    dial.ringing.removeAll { $0 === leg }
    if let attempt = leg.attempt {
      call.attempts[attempt].end(status: status, cause: .incompatibleDestination, at: services.wallClock())
    }
    bye(leg, reason: .cause(.incompatibleDestination))
    if let leaf = leg.leaf {
      perform(
        dial.tree.failed(
          leaf,
          .init(status: status, cause: .incompatibleDestination, kind: .response, reason: nil, attempt: leg.attempt)),
        call, dial)
    }
  }
}

extension MessageWriter {
  /// Octets so far.
  fileprivate var count: UInt32 { UInt32(truncatingIfNeeded: bytes.count) }
}
