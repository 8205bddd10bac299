import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// What a re-INVITE and an UPDATE have in common: the peer's answer, its refusal, the one who asked for the change, and
// the limit of our patience.
extension CallShard {
  /// A 2xx to our re-INVITE or UPDATE.
  func changed(_ leg: Leg, _ message: Message, passed: LegName?) {
    let from = passed.flatMap { self.leg($0) }
    let withdrawn = leg.extra?.isWithdrawn ?? false
    leg.saved = nil
    endChange(leg)
    agree(leg, message)
    guard leg.isLive else { return }
    guard leg.offers.phase == .localOffer else { return }
    guard let answer = try? description(in: message) else {
      leg.offers.offerFailed()
      return reinviteRefused(leg, 488) ? () : failChange(from, status: 488)
    }
    _ = leg.offers.receiveAnswer(reliable: true)
    leg.remote = answer
    sendMedia(leg)
    if let half = joinedHalf(leg) { reinviteAnswered(half, leg, answer) }
    if let from, let proposed = from.proposed, from.port != nil {
      guard let built = relayedAnswer(to: from, offer: proposed, from: answer.audio) else {
        return failChange(from, status: 488)
      }
      from.remote = proposed
      answerChange(from, from.description.update(built))
      sendMedia(from)
    } else if passed != nil, withdrawn || from != nil, let other = counterpart(leg) {
      // A CANCEL crossed this 2xx: he is told that all is as it was.
      reofferWhenReady(leg, from: other)
    }
    if let callee = leg.call.bridged { connect(leg.call, callee, leg.call.dial) }
    if leg.wantsReoffer { reoffer(leg) }
  }

  /// The 2xx to the re-INVITE or UPDATE that a leg waits with.
  func answerChange(_ from: Leg, _ sdp: [UInt8]) {
    from.proposed = nil
    if from.serverInvite != nil { return accept(from, sdp: sdp) }
    guard let id = from.extra?.serverUpdate, let request = table.request(of: id) else { return }
    from.extra?.serverUpdate = nil
    from.trimExtra()
    acceptUpdate(id, request, from, sdp)
    if from.wantsReoffer { reoffer(from) }
  }

  /// Our re-INVITE or UPDATE failed: the session is as it was (RFC 3261 §14.1).
  func changeFailed(_ leg: Leg, passed: LegName?, status: Int, _ message: Message?, byUpdate: Bool) {
    let from = passed.flatMap { self.leg($0) }
    let withdrawn = leg.extra?.isWithdrawn ?? false
    let hadOffer = leg.offers.phase == .localOffer
    if leg.isLive, !withdrawn, let message, retryChange(leg, message, from, byUpdate: byUpdate) { return }
    if let saved = leg.saved { leg.description.revert(to: saved) }
    leg.saved = nil
    if hadOffer { leg.offers.offerFailed() }
    endChange(leg)
    guard leg.isLive, leg.call.hangup == nil else { return }
    if leg.byeReason != nil { return afterACK(leg) }
    if leg.isLeaving { return }
    if status == 481 || (status == 408 && !withdrawn) {
      // RFC 3261 §12.2.1.2, RFC 4028 §10: that dialog is gone.
      failChange(from, status: status)
      return hangUp(
        leg.call,
        .init(side: leg.role == .caller ? .caller : .callee, status: status, cause: .recoveryOnTimerExpiry))
    }
    if reinviteRefused(leg, status) { return }
    if passed != nil, !withdrawn { return failChange(from, status: status) }
    if status == 491, hadOffer, !withdrawn {
      // §14.1: we chose the Call-ID towards a callee.
      leg.wantsReoffer = true
      leg.reinviteTimer = arm(
        leg, .reinvite, after: Glare.retryDelay(ownsCallID: leg.role == .callee, random: random.next()))
    } else if let audio = counterpart(leg)?.remoteAudio, !agrees(leg, with: audio) {
      hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination))
    } else if leg.wantsReoffer {
      reoffer(leg)
    }
  }

  /// The peer who asked for the change is told that it is not to be; the session stays as it was.
  func failChange(_ from: Leg?, status: Int) {
    guard let from else { return }
    let passed = [401, 407, 420, 421, 422, 494].contains(status) || status < 400 ? 488 : status
    if from.offers.phase == .remoteOffer { from.offers.offerFailed() }
    from.proposed = nil
    if let id = from.serverInvite, from.phase == .confirmed {
      from.serverInvite = nil
      remember(id, nil)
      if let request = table.request(of: id) { reply(id, request, passed, tag: from.tag) }
    } else if let id = from.extra?.serverUpdate {
      from.extra?.serverUpdate = nil
      if let request = table.request(of: id) { reply(id, request, passed, tag: from.tag) }
    }
    from.trimExtra()
    if from.wantsReoffer { reoffer(from) }
  }

  // MARK: patience

  /// A re-INVITE may wait for a person, but not for ever, and whoever asked for the change waits as long.
  func limitChange(_ leg: Leg, _ limit: Instant.Span) {
    cancel(&leg.extras.changeTimer)
    leg.extras.changeTimer = arm(leg, .change, after: limit)
  }

  func changeTimedOut(_ leg: Leg) {
    guard let extra = leg.extra else { return }
    extra.changeTimer = nil
    extra.isWithdrawn = true
    if let id = leg.clientInvite { table.cancel(id, headers: [], now: now, wheel: &wheel) }
    if let other = counterpart(leg), other.proposed != nil { failChange(other, status: 504) }
    leg.trimExtra()
  }

  /// The leg is over.
  func forgetChange(_ leg: Leg) {
    guard let extra = leg.extra else { return }
    cancel(&extra.changeTimer)
    cancel(&extra.reliableTimer)
    if let id = extra.serverUpdate, let request = table.request(of: id) {
      extra.serverUpdate = nil
      reply(id, request, 487, tag: leg.tag)
    }
  }

  private func endChange(_ leg: Leg) {
    guard let extra = leg.extra else { return }
    cancel(&extra.changeTimer)
    extra.isWithdrawn = false
    extra.intervalRetries = 0
    leg.trimExtra()
  }

  /// The two sides can hear each other: what the peer of `leg` and we have agreed on is in what the other one takes.
  func agrees(_ leg: Leg, with audio: AudioStream) -> Bool {
    leg.agreedCodec.map { $0.match(in: audio.codecs) != nil } ?? true
  }
}

extension Leg {
  /// Nothing is under way in its dialog, so that an offer can be made.
  var isQuiet: Bool {
    clientInvite == nil && serverInvite == nil && unacknowledged == nil && !isLocating && offers.phase == .idle
      && extra?.clientUpdate == nil && extra?.serverUpdate == nil
  }

  /// The first codec of ours that the peer has said too; before he said anything, our first.
  var agreedCodec: Codec? {
    guard let ours = localAudio else { return nil }
    guard let theirs = remoteAudio else { return ours.formats.first }
    return ours.codecs.first { $0.match(in: theirs.codecs) != nil } ?? ours.formats.first
  }
}
