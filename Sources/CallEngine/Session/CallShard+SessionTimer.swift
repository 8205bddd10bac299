import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// Session timers, on each leg by itself: RFC 4028. One timer of the wheel a leg that has agreed on one.
extension CallShard {
  // MARK: what is said

  /// For the INVITE to a callee: he may have a session timer, if he knows what that is (§7.1).
  func sessionOffer(_ writer: inout MessageWriter, _ leg: Leg) {
    writer.header(.supported, CallShard.supported)
    guard settings.sessionExpires > 0 else { return }
    writer.header(.sessionExpires, number: Int(max(settings.sessionExpires, leg.session.minimum)))
    minimum(&writer, leg)
  }

  /// For a re-INVITE or UPDATE of ours: nothing where no timer runs (§7.4).
  func sessionHeaders(_ writer: inout MessageWriter, _ leg: Leg) {
    guard leg.session.isActive else { return }
    writer.header(.supported, CallShard.supported)
    write(leg.session.renewal, &writer)
    minimum(&writer, leg)
  }

  /// For our 2xx: what the request asked for, as far as we agree (§9).
  func sessionAnswer(_ writer: inout MessageWriter, _ leg: Leg, _ request: Message) {
    let verdict = leg.session.verdict(on: request, wanted: settings.sessionExpires, minimum: settings.minSE)
    guard case .agreed(let agreed, let required) = verdict else {
      if leg.session.isActive { restart(leg, nil, isUAC: false) }
      return
    }
    if required { writer.header(.require, "timer" as StaticString) }
    write(agreed, &writer)
    restart(leg, agreed, isUAC: false)
  }

  private func write(_ expires: SessionExpires, _ writer: inout MessageWriter) {
    writer.begin(.sessionExpires)
    writer.append(number: Int(expires.interval))
    switch expires.refresher {
    case .uac: writer.append(";refresher=uac" as StaticString)
    case .uas: writer.append(";refresher=uas" as StaticString)
    case nil: break
    }
    writer.endLine()
  }

  /// §5: 90 need not be said.
  private func minimum(_ writer: inout MessageWriter, _ leg: Leg) {
    let least = max(settings.minSE, leg.session.minimum)
    if least > SessionTimer.leastInterval { writer.header(.minSE, number: Int(least)) }
  }

  /// 422 to a request whose interval is below ours (§9). False: it has been answered so.
  func isLongEnough(_ id: ServerTransactionID, _ message: Message, _ leg: Leg?) -> Bool {
    guard message.has(.sessionExpires) else { return true }
    let timer = leg?.session ?? SessionTimer()
    guard
      case .tooSmall(let least) = timer.verdict(
        on: message, wanted: settings.sessionExpires, minimum: settings.minSE)
    else { return true }
    reply(id, message, 422) { $0.header(.minSE, number: Int(least)) }
    return false
  }

  // MARK: what was agreed

  /// A 2xx to an INVITE or UPDATE of ours (§7.2).
  func agree(_ leg: Leg, _ response: Message) {
    guard leg.session.isActive || response.has(.sessionExpires) else { return }
    restart(leg, response.first(.sessionExpires).flatMap { SessionExpires($0) }, isUAC: true)
  }

  private func restart(_ leg: Leg, _ agreed: SessionExpires?, isUAC: Bool) {
    cancel(&leg.sessionTimer)
    leg.session.agree(agreed, isUAC: isUAC, now: now)
    if leg.session.isActive, leg.isLive { leg.sessionTimer = arm(leg, .session, after: leg.session.wait) }
  }

  /// Time to refresh; or nobody did, and the session is over (§10).
  func sessionDue(_ leg: Leg) {
    leg.sessionTimer = nil
    guard leg.phase == .confirmed, leg.call.hangup == nil, leg.session.isActive else { return }
    let left = leg.session.refreshed + leg.session.patience - now
    guard left > .zero else {
      return hangUp(
        leg.call,
        .init(side: .system, status: 408, cause: .recoveryOnTimerExpiry, text: "session timer expired"))
    }
    // Should it be in vain, or something else be under way: again, until the session is over.
    leg.sessionTimer = arm(leg, .session, after: min(left, .seconds(10)))
    if leg.isQuiet { refresh(leg) }
  }

  /// UPDATE where the peer has it, else a re-INVITE that changes nothing (§7.4).
  private func refresh(_ leg: Leg) {
    if allowsUpdate(leg) {
      sendUpdate(leg, nil, passedFrom: nil)
    } else if let sdp = leg.localSDP {
      sendReinvite(leg, sdp, passedFrom: nil)
    }
  }

  // MARK: 422, and who has no UPDATE

  /// Sends a re-INVITE or UPDATE of ours again where the peer only wants it otherwise: with a longer interval (§7.3), or as
  /// a re-INVITE.
  func retryChange(_ leg: Leg, _ message: Message, _ from: Leg?, byUpdate: Bool) -> Bool {
    switch message.status {
    case 422: guard takeMinimum(leg, message, asked: leg.session.renewal.interval) else { return false }
    case 405, 501:
      guard byUpdate else { return false }
      leg.allowsUpdate = false
    default: return false
    }
    cancel(&leg.extras.changeTimer)
    guard leg.offers.phase == .localOffer, let sdp = leg.localSDP else {
      refresh(leg)
      return true
    }
    leg.offers.offerFailed()
    if byUpdate, allowsUpdate(leg) {
      sendUpdate(leg, sdp, passedFrom: from)
    } else {
      sendReinvite(leg, sdp, passedFrom: from)
    }
    return true
  }

  /// The Min-SE of a 422: never less than before, and not too often.
  private func takeMinimum(_ leg: Leg, _ message: Message, asked: UInt32) -> Bool {
    guard let least = message.first(.minSE).flatMap({ SessionExpires.seconds($0) }),
      least > asked, leg.extras.intervalRetries < 3
    else {
      leg.trimExtra()
      return false
    }
    leg.extras.intervalRetries += 1
    leg.session.minimum = least
    return true
  }

  /// A callee wants a longer interval: the same INVITE again, in a new transaction (§7.3).
  func retryInvite(_ leg: Leg, _ message: Message) -> Bool {
    guard message.status == 422, leg.phase == .early, !leg.isCancelled, leg.sent != nil,
      takeMinimum(leg, message, asked: max(settings.sessionExpires, leg.session.minimum))
    else { return false }
    inviteAgain(leg, without: [.supported, .sessionExpires, .minSE]) { self.sessionOffer(&$0, leg) }
    return true
  }
}
