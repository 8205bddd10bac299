import LuaRuntime
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// Provisional responses to the caller that he acknowledges: RFC 3262 §3. Where he makes no offer, the first of them may
// carry ours, and his PRACK the answer (RFC 3262 §5).
extension CallShard {
  /// What a script wants of one response.
  enum Reliability {
    /// As the caller can and asks.
    case auto
    /// Only where he insists (`Require: 100rel`).
    case never
  }

  /// The caller takes reliable provisional responses, or even insists on them.
  func takesReliable(_ leg: Leg) -> (possible: Bool, required: Bool) {
    let invite = leg.call.invite
    let required = invite.hasToken("100rel", in: .require)
    return (required || invite.hasToken("100rel", in: .supported), required)
  }

  /// Our offer may go into a provisional response: he made none, and will acknowledge it (RFC 3261 §13.2.1).
  func canOfferEarly(_ leg: Leg) -> Bool {
    leg.phase == .early && leg.remote == nil && takesReliable(leg).possible
  }

  /// The description of a 183: our answer, or our offer where he made none and will acknowledge it.
  func earlyDescription(_ leg: Leg) -> [UInt8]? {
    if leg.remote == nil, leg.localSDP == nil { return canOfferEarly(leg) ? ownOffer(leg) : nil }
    return ownAnswer(leg)
  }

  /// A 1xx to the caller; with `sdp` the promise that the 200 must keep.
  func provisional(
    _ leg: Leg, _ status: Int, sdp: [UInt8]? = nil, _ reliability: Reliability = .auto
  ) {
    guard leg.serverInvite != nil, leg.phase == .early else { return }
    let takes = takesReliable(leg)
    var sdp = open(leg) ? sdp : nil
    if takes.required, sdp == nil, lacksOffer(leg) {
      // RFC 3261 §13.2.1: it is in the first reliable response.
      sdp = ownOffer(leg)
    }
    let isReliable: Bool
    switch reliability {
    case .auto: isReliable = takes.possible && !(lacksOffer(leg) && sdp == nil)
    case .never: isReliable = takes.required
    }
    if !isReliable, lacksOffer(leg) { sdp = nil }
    guard isReliable else { return write(status, sdp, rseq: nil, leg) }
    let extra = leg.extras
    extra.reliable.begin(random: random.next())
    if extra.reliable.isWaiting {
      // A burst of them says no more than its first ones.
      if extra.queue.count < 8 { extra.queue.append(.init(status: status, sdp: sdp)) }
    } else {
      write(status, sdp, rseq: extra.reliable.number, leg)
    }
  }

  /// Nobody has offered anything: ours is the first.
  private func lacksOffer(_ leg: Leg) -> Bool { leg.offers.phase == .idle && !leg.offers.isEstablished }

  /// A description still says something: his offer has no answer for good, or ours has not been made.
  private func open(_ leg: Leg) -> Bool { leg.offers.phase == .remoteOffer || lacksOffer(leg) }

  private func write(_ status: Int, _ sdp: [UInt8]?, rseq: UInt32?, _ leg: Leg) {
    guard let id = leg.serverInvite, let request = table.request(of: id) else { return }
    var writer = MessageWriter.response(to: request, status: status, toTag: leg.tag, capacity: size(request, sdp))
    writer.copyAll(.recordRoute, from: request)
    contact(&writer, leg)
    writer.header(.allow, CallShard.allow)
    if let rseq {
      writer.header(.require, "100rel" as StaticString)
      writer.header(.rSeq, number: Int(rseq))
    }
    finish(&writer, sdp)
    table.respond(id, status: status, bytes: writer.bytes, now: now, wheel: &wheel)
    guard rseq != nil else { return }
    if sdp != nil, leg.offers.sendAnswer() == .nothingToAnswer { _ = leg.offers.sendOffer() }
    let extra = leg.extras
    let wait = extra.reliable.sent(writer.bytes, hasSDP: sdp != nil, now: now, t1: timers.t1)
    extra.reliableTimer = arm(leg, .reliable, after: wait)
  }

  /// T1, 2·T1 … without a PRACK; after 64·T1 the INVITE is refused (§3).
  func reliableAgain(_ leg: Leg) {
    guard let extra = leg.extra, extra.reliable.isUsed, let id = leg.serverInvite else { return }
    extra.reliableTimer = nil
    switch extra.reliable.again(now: now) {
    case .nothing: return
    case .send(let bytes, let after):
      table.respond(id, status: 180, bytes: bytes, now: now, wheel: &wheel)
      extra.reliableTimer = arm(leg, .reliable, after: after)
    case .giveUp:
      hangUp(leg.call, .init(side: .system, status: 504, cause: .recoveryOnTimerExpiry, text: "no PRACK"))
    }
  }

  /// PRACK of the caller: 481 where no response waits for it; else what it brings of offer and answer, then what has waited.
  func prack(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    guard let extra = leg.extra, extra.reliable.isUsed, let rack = message.first(.rAck).flatMap({ RAck($0) }),
      rack.method == .invite, rack.cseq == leg.call.invite.cseq, extra.reliable.acknowledged(rack.rseq)
    else { return reply(id, message, 481) }
    cancel(&extra.reliableTimer)
    guard takePrack(id, message, leg) else { return }
    if !extra.queue.isEmpty {
      let next = extra.queue.removeFirst()
      // What it was to promise may have been said meanwhile.
      write(next.status, open(leg) ? next.sdp : nil, rseq: extra.reliable.number, leg)
    }
    acceptAfterPrack(leg)
  }

  /// - Returns: false where it ended the call.
  private func takePrack(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) -> Bool {
    let description: RemoteDescription?
    do throws(SDPError) {
      description = try self.description(in: message)
    } catch {
      refuse(id, message, error)
      guard leg.offers.phase == .localOffer else { return true }
      hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination, text: "no answer"))
      return false
    }
    switch (leg.offers.phase, description) {
    case (.localOffer, nil):
      // RFC 3262 §5: the PRACK of our offer must have the answer.
      reply(id, message, 400, "No answer in PRACK")
      hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination, text: "no answer"))
      return false
    case (.localOffer, let answer?):
      _ = leg.offers.receiveAnswer(reliable: true)
      leg.remote = answer
      reply(id, message, 200)
      answeredEarly(leg)
    case (.idle, let offer?):
      // §5: a further offer, which the 2xx to the PRACK answers.
      _ = leg.offers.receiveOffer()
      answerUpdate(id, message, leg, offer)
    case (.remoteOffer, _?):
      reply(id, message, 400, "An offer before the answer to the first")
    case (.idle, nil), (.remoteOffer, nil):
      reply(id, message, 200)
    }
    return true
  }

  /// The caller's answer to our early offer is here: what he was to hear can begin.
  private func answeredEarly(_ caller: Leg) {
    let call = caller.call
    sendMedia(caller)
    if let callee = call.bridged { return connect(call, callee, call.dial) }
    guard let dial = call.dial, dial.stage == .ringing else { return }
    if dial.ringback.isGenerating {
      playRingback(call, dial)
    } else if let slot = dial.ringback.earlyLeg, let leg = dial.ringing.first(where: { Int($0.token.slot) == slot }) {
      connectEarly(leg, call)
    }
  }

  /// A reliable response with a description is out and unacknowledged, so that no 200 may leave (§3).
  func holdsAnswer(_ leg: Leg) -> Bool {
    guard leg.phase == .early, let extra = leg.extra, extra.reliable.isUsed else { return false }
    return extra.reliable.holdsAnswer
  }

  /// A 200 that waited for the PRACK of a promise (§3).
  private func acceptAfterPrack(_ leg: Leg) {
    guard let extra = leg.extra else { return }
    // One that a 200 has overtaken was the last.
    guard leg.phase == .early else {
      extra.reliable = ReliableSender()
      return leg.trimExtra()
    }
    guard let waiting = extra.acceptance, !holdsAnswer(leg) else { return }
    extra.acceptance = nil
    accept(leg, sdp: waiting.sdp, headers: waiting.headers)
    for slot in leg.call.tasks where task(at: slot)?.waiting == .accepted { wake(slot, [.bool(true)]) }
  }

  /// A final response is sent: no reliable response is sent again.
  func stopReliable(_ leg: Leg) {
    guard let extra = leg.extra, extra.reliable.isUsed else { return }
    if extra.reliable.isWaiting { extra.reliable.stop() } else { extra.reliable = ReliableSender() }
    extra.queue = []
    extra.acceptance = nil
    cancel(&extra.reliableTimer)
    leg.trimExtra()
  }
}
