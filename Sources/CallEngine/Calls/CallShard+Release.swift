import LuaRuntime
import Media
import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// How calls end: every leg gets what its state asks for (CANCEL, BYE or a final response) with the Reason; then the
// script's hooks, the record, and the slots.
extension CallShard {
  /// Ends the whole call. The first cause stands; later ones find nothing to do.
  func hangUp(
    _ call: Call, _ info: Call.Hangup, reason own: Reason? = nil,
    headers: [(name: [UInt8], value: [UInt8])] = []
  ) {
    guard call.hangup == nil else { return }
    call.hangup = info
    call.endMilliseconds = services.wallClock()
    // Before any leg ends: the record waits for these.
    call.hooksLeft = call.hooks > 0 ? Array(1...call.hooks) : []
    if call.transfer != nil { transferEnds(call, info) }
    let reason = own ?? .cause(info.cause, text: info.text)
    let dial = call.dial
    if let dial, dial.stage == .ringing { _ = dial.tree.abort() }
    for leg in call.callees {
      switch leg.phase {
      case .early: lose(leg, call, dial, .callerLeft(info.side == .caller ? own : reason))
      case .confirmed: bye(leg, reason: reason)
      case .ended: break
      }
    }
    switch call.caller.phase {
    case .early:
      refuse(call.caller, info.status >= 300 ? info.status : 480, text: info.text, reason: reason)
      ended(call.caller)
    case .confirmed: bye(call.caller, reason: reason)
    case .ended: break
    }
    overdue(call, dial)
  }

  /// What follows once cause and side are final: waiting verbs return, hooks run, the grace period begins.
  func overdue(_ call: Call, _ dial: Dial?) {
    services.counters.add(call.isAnswered ? .callsEnded : .callsFailed)
    cancel(&call.durationTimer)
    if let dial, call.dial === dial, let info = call.hangup {
      let result: DialResult
      if dial.stage == .bridged {
        result = bridgeResult(dial, endedBy: info.side.rawValue, cause: info.cause)
      } else {
        let caller = info.side == .caller
        result = DialResult(
          ok: false, status: caller ? 487 : info.status, cause: info.cause, reason: nil,
          by: caller ? "caller" : "system", endedBy: nil)
      }
      finishDial(call, dial, result)
    }
    call.bridged = nil
    wakeForHangup(call)
    guard !call.isReleased else { return }
    call.graceTimer = arm(call, .grace, after: settings.afterHangup)
    nextHook(call)
    checkRelease(call)
  }

  /// BYE on a confirmed leg, with its Reason. It waits for the ACK to our 2xx (RFC 3261 §15).
  func bye(_ leg: Leg, reason: Reason, headers: [(name: [UInt8], value: [UInt8])] = []) {
    guard leg.phase == .confirmed, leg.dialog != nil else { return }
    if let waiting = leg.serverInvite {
      // A re-INVITE of his that is still pending (§15.1.2 asks the same of a BYE that comes).
      leg.serverInvite = nil
      remember(waiting, nil)
      if let request = table.request(of: waiting) { reply(waiting, request, 487, nil, tag: leg.tag) }
    }
    if leg.unacknowledged != nil {
      // The table's `noAck` ends the wait; the timer does where an ACK stopped it that names no dialog of ours.
      if leg.byeReason == nil { leg.timer = arm(leg, .lateBye, after: .seconds(40)) }
      leg.byeReason = reason
      releaseMedia(leg)
      return
    }
    if leg.isLocating {
      leg.byeReason = reason
      return releaseMedia(leg)
    }
    leg.phase = .ended
    releaseMedia(leg)
    let (id, branch) = table.reserveClient()
    var writer = leg.dialog!.request(
      .bye, branch: branch, viaSentBy: sentBy(of: leg.flow), transport: leg.flow.transport)
    writer.reason(reason)
    for header in headers { writer.header(name: header.name[...], value: header.value[...]) }
    writer.finish()
    own(id, .bye(leg.name))
    table.send(id, method: .bye, bytes: writer.bytes, flow: leg.dialog!.flow, now: now, wheel: &wheel)
  }

  /// A leg is over on the wire: its slot and its ports are free.
  func ended(_ leg: Leg) {
    leg.phase = .ended
    releaseMedia(leg)
    forgetTransfer(of: leg)
    leg.serverInvite = nil
    if let pending = leg.clientInvite {
      // Our re-INVITE, or an INVITE that cannot end otherwise: without a CANCEL it may ring for ever (§9.1).
      leg.clientInvite = nil
      table.cancel(pending, headers: [], now: now, wheel: &wheel)
    }
    // A 2xx without its ACK is sent on until 64·T1: a phone that sent BYE may still miss it (§13.3.1.4).
    if let timer = leg.timer { wheel.cancel(timer) }
    if let timer = leg.reinviteTimer { wheel.cancel(timer) }
    cancel(&leg.sessionTimer)
    forgetChange(leg)
    guard legs.get(leg.token.slot, leg.token.generation) === leg else { return }
    legs.remove(leg.token.slot, leg.token.generation)
    leg.use?.end()
    let call = leg.call
    if leg.role == .callee {
      call.callees.removeAll { $0 === leg }
    } else {
      call.callerGone = true
    }
    checkRelease(call)
  }

  /// The last leg and the last task are gone: the record is written and nothing of the call is kept.
  func checkRelease(_ call: Call) {
    guard call.hangup != nil, call.callerGone, call.callees.isEmpty, call.tasks.isEmpty, call.hooksLeft.isEmpty,
      call.statisticsPending == 0, !call.isReleased
    else { return }
    call.isReleased = true
    cancel(&call.graceTimer)
    services.records.append(record(call))
    calls.remove(call.slot, call.generationOfSlot)
    forget(call)
    checkDrained()
  }

  // MARK: dial results

  func finishDial(_ call: Call, _ dial: Dial, _ result: DialResult) {
    guard call.dial === dial else { return }
    call.dial = nil
    cancel(&dial.timer)
    cancel(&dial.progressTimer)
    cancel(&dial.delayTimer)
    if call.hangup == nil, let port = call.caller.port { mediaCommands.append(.stopPlaying(port.id)) }
    wake(dial.task, flat(result, call, dial))
  }

  func bridgeResult(_ dial: Dial, endedBy: String, cause: Cause) -> DialResult {
    DialResult(ok: true, status: 200, cause: cause, reason: nil, by: "remote", endedBy: endedBy)
  }

  // MARK: timers

  enum CallTimer: UInt8 { case dialTimeout, noProgress, maxDuration, grace, delay }
  enum LegTimer: UInt8 { case legTimeout, reinvite, lateBye, session, reliable, change }

  func arm(_ call: Call, _ which: CallTimer, after: Instant.Span) -> TimerHandle {
    wheel.arm(
      TimerToken(kind: 1, which: which.rawValue, slot: call.slot, generation: call.generationOfSlot), at: now + after)
  }

  func arm(_ leg: Leg, _ which: LegTimer, after: Instant.Span) -> TimerHandle {
    wheel.arm(
      TimerToken(kind: 2, which: which.rawValue, slot: leg.token.slot, generation: leg.token.generation),
      at: now + after)
  }

  func cancel(_ timer: inout TimerHandle?) {
    if let handle = timer { wheel.cancel(handle) }
    timer = nil
  }

  func fire(_ token: TimerToken) {
    switch token.kind {
    case 1:
      guard let call = calls.get(token.slot, token.generation), let which = CallTimer(rawValue: token.which) else {
        return
      }
      switch which {
      case .dialTimeout: dialTimedOut(call)
      case .noProgress: noProgress(call)
      case .delay: delayOver(call)
      case .maxDuration: hangUp(call, .init(side: .system, status: 408, cause: .normalClearing, text: "max duration"))
      case .grace: closeTasks(call)
      }
    case 2:
      guard let leg = legs.get(token.slot, token.generation), let which = LegTimer(rawValue: token.which) else {
        return
      }
      switch which {
      case .legTimeout: legTimedOut(leg)
      case .reinvite:
        leg.reinviteTimer = nil
        if leg.wantsReoffer { reoffer(leg) }
      case .session: sessionDue(leg)
      case .reliable: reliableAgain(leg)
      case .change: changeTimedOut(leg)
      case .lateBye:
        leg.unacknowledged = nil
        afterACK(leg)
      }
    case 4: scriptTimer(token)
    case 10: trunkTimer(token)
    case 12: transferTimer(token)
    case 14: if token.which == 0 { resolveTimedOut(token) } else { hopTimedOut(token) }
    case 15: keepaliveTurn()
    default:
      taskTimer(token)
    }
  }
}
