import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// Blind transfer (RFC 5589 §6.1): who is transferred becomes the caller of a new call, which the dialplan routes in the
// context of who transferred him. He is answered already, so what the script lets him hear while it rings is audio.
//
//     home:  A ── B      REFER to C      home:  · ── B          C answers: B gets NOTIFY 200 and BYE
//                       ─────────────>   new:   A ── C (rings)  C does not: A goes home, B gets NOTIFY with the status
//
// B may hang up at any time: then there is no home to go back to.
extension CallShard {
  func blind(_ other: Leg, by transferor: Transferor, _ order: TransferOrder) {
    let home = other.call
    guard !isDraining, let script, other.phase == .confirmed,
      let invite = invitation(of: other, order)
    else { return progress(home, transferor, 503) }
    let party = party(of: other)
    let (slot, generation) = calls.reserve()
    let call = Call(
      slot: slot, generation: generation,
      id: String(decoding: mint(slot: CallShard.noSlot, generation: 0).hex, as: UTF8.self), script: script,
      invite: invite, account: party.account, trunk: party.trunk, context: order.context,
      startMilliseconds: services.wallClock())
    call.vars = home.vars
    let state = call.transferState
    state.count = (home.transfer?.count ?? 0) + 1
    state.by = order.transferor
    state.isMade = true
    state.origin = TransferOrigin(home: home.name, role: other.role)
    home.transferState.pending = PendingTransfer(order: order, transferor: transferor, candidate: call.name)
    move(other, party, from: home, to: call)
    calls.fill(slot, call)
    script.calls += 1
    services.counters.add(.callsStarted)
    startScript(call)
  }

  /// The INVITE that the transferred phone would have sent itself: what the script reads, and what goes on from it.
  private func invitation(of other: Leg, _ order: TransferOrder) -> Message? {
    let call = other.call
    let party = party(of: other)
    let hops = (call.invite.maxForwards ?? 70) - 1
    guard hops > 0, let dialog = other.dialog else { return nil }
    var writer = MessageWriter(capacity: 700)
    writer.requestLine(.invite, uri: order.target[...])
    via(&writer, other.flow, mint(slot: CallShard.noSlot, generation: 0))
    writer.header(.maxForwards, number: hops)
    writer.begin(.from)
    if other.role == .caller {
      writer.append(CallerName(call.invite.from).value(domain: settings.domain))
    } else {
      let name = party.account.map { $0.callerNumber ?? $0.name } ?? party.name
      writer.append(
        CallerName(display: party.account?.callerName, user: Array(name.utf8)).value(domain: settings.domain))
    }
    writer.append(";tag=" as StaticString)
    mint(slot: CallShard.noSlot, generation: 0).write(into: &writer.bytes)
    writer.endLine()
    writer.append("To: <" as StaticString)
    writer.appendClean(order.target)
    writer.append(">\r\n" as StaticString)
    writer.header(.callID, mintCallID()[...])
    writer.header(.cSeq, "1 INVITE" as StaticString)
    writer.append("Contact: <" as StaticString)
    writer.appendClean(dialog.remoteTarget)
    writer.append(">\r\n" as StaticString)
    writer.header(.referredBy, order.referredBy[...])
    if other.role == .caller { writer.copyAll(.pAssertedIdentity, from: call.invite) }
    if other.role == .caller { writer.copyAll(.privacy, from: call.invite) }
    passHeaders(&writer, from: call.invite, changes: HeaderChanges())
    writer.finish()
    return try? MessageParser.parse(writer.bytes, flow: other.flow)
  }

  /// A leg goes from one call to another. Whoever knows it knows it by its own name, which stays.
  private func move(_ leg: Leg, _ party: Party, from home: Call, to call: Call) {
    let state = leg.transferState
    state.party = party
    // Said by its own INVITE or 200, which the new call does not have.
    _ = allowsUpdate(leg)
    state.attempt = leg.attempt
    leg.attempt = nil
    leg.leaf = nil
    if leg.role == .caller {
      home.caller = vacancy(leg, in: home)
      home.callerGone = true
    } else {
      home.callees.removeAll { $0 === leg }
      if home.bridged === leg { home.bridged = nil }
    }
    leg.role = .caller
    leg.call = call
    call.caller = leg
    if let port = leg.port { mediaCommands.append(.unbridge(port.id)) }
    // Who is left alone may be silent.
    for left in [home.caller, home.bridged] {
      if let port = left?.port { mediaCommands.append(.watch(port.id, timeout: nil)) }
    }
  }

  /// In the place of a leg that is elsewhere: over, and in no table.
  private func vacancy(_ leg: Leg, in call: Call) -> Leg {
    let empty = Leg(token: leg.token, role: .caller, call: call, flow: leg.flow, session: 1)
    empty.phase = .ended
    return empty
  }

  // MARK: the outcome

  /// Somebody whom the new call rings has said something.
  func transferRings(_ call: Call, _ status: Int) {
    if let half = call.transfer?.joining, half.stage == .ringing { return post(.ringing(status), from: half) }
    guard let home = home(of: call), let pending = home.transfer?.pending else { return }
    progress(home, pending.transferor, status)
  }

  private func home(of call: Call) -> Call? {
    guard let origin = call.transfer?.origin, let home = calls.get(origin.home.slot, origin.home.generation),
      home.transfer?.pending?.candidate == call.name
    else { return nil }
    return home
  }

  /// The target has answered: who transferred is told, and his call is over.
  func transferAnswered(_ call: Call) {
    guard let origin = call.transfer?.origin else { return }
    let home = home(of: call)
    call.transfer?.origin = nil
    if call.answerMilliseconds == nil {
      call.answerMilliseconds = services.wallClock()
      services.counters.add(.callsAnswered)
    }
    guard let home, let pending = home.transfer?.pending else { return }
    note(pending.order, home)
    home.transfer?.pending = nil
    let side: Call.Hangup.Side = origin.role == .caller ? .callee : .caller
    let end = Call.Hangup(side: side, status: 200, cause: .normalClearing, text: "Call transferred")
    switch pending.transferor {
    case .leg(let name):
      if let leg = leg(name) { tell(leg, 200, thenEnd: end) } else { hangUp(home, end) }
    case .half:
      progress(home, .half, 200)
      hangUp(home, end)
    }
  }

  /// The new call is over before anybody has answered it. Called before any of its legs is ended.
  func transferFailed(_ call: Call, _ info: Call.Hangup) {
    guard let origin = call.transfer?.origin else { return }
    let home = home(of: call)
    call.transfer?.origin = nil
    let status = CallShard.outcome(call, info)
    guard let home, let pending = home.transfer?.pending else { return }
    home.transfer?.pending = nil
    guard let leg = call.caller, leg.phase == .confirmed, info.side != .caller, home.hangup == nil else {
      // Who was transferred has gone himself: the one who waits at home is told, and hung up.
      let side: Call.Hangup.Side = origin.role == .caller ? .caller : .callee
      let end = Call.Hangup(side: side, status: 200, cause: info.cause, text: info.text)
      switch pending.transferor {
      case .leg(let name):
        if let leg = self.leg(name) { tell(leg, 487, thenEnd: end) } else { hangUp(home, end) }
      case .half: hangUp(home, end)
      }
      return
    }
    goHome(leg, origin.role, from: call, to: home)
    progress(home, pending.transferor, status)
  }

  /// For the record of a call one of whose sides was transferred.
  func note(_ order: TransferOrder, _ call: Call) {
    call.transferState.by = order.transferor
    call.transferState.target = order.number
  }

  /// The status that a failed transfer has: the script's, else what the last target said.
  private static func outcome(_ call: Call, _ info: Call.Hangup) -> Int {
    if info.side == .caller { return 487 }
    if info.status >= 300 { return info.status }
    if info.cause != .normalClearing { return info.cause.status }
    return call.attempts.last { $0.status >= 300 }?.status ?? 480
  }

  private func goHome(_ leg: Leg, _ role: Leg.Role, from call: Call, to home: Call) {
    call.caller = vacancy(leg, in: call)
    call.callerGone = true
    leg.call = home
    leg.role = role
    leg.attempt = leg.transfer?.attempt
    if role == .caller {
      home.caller = leg
      home.callerGone = false
    } else {
      home.callees.append(leg)
      home.bridged = leg
    }
    if let port = leg.port {
      mediaCommands.append(.stopPlaying(port.id))
      mediaCommands.append(.echo(port.id, false))
    }
    if let half = home.transfer?.half {
      half.leg = leg
      return rejoin(half)
    }
    guard let bridged = home.bridged, home.caller.isLive else { return }
    sendMedia(home.caller)
    sendMedia(bridged)
    connect(home, bridged, home.dial)
  }
}
