import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// Attended transfer (RFC 5589 §7, RFC 3891) between two calls of ours: A–B and B'–C become A–C. Each call keeps the leg
// that stays and gets a half in the place of the one that goes, so that it is the same whether both live in this shard.
extension CallShard {
  func attend(_ other: Leg, by transferor: Transferor, _ order: TransferOrder) {
    let call = other.call
    guard var replaces = order.replaces else { return }
    var isSwapped = false
    if shard(of: replaces.toTag) == nil {
      replaces = replaces.swapped
      isSwapped = true
    }
    guard let place = shard(of: replaces.toTag) else { return progress(call, transferor, 481) }
    let half = makeHalf(call, leg: other, stage: .asking, leads: true)
    half.transferor = order.transferor
    let state = call.transferState
    state.joining = half
    state.pending = PendingTransfer(order: order, transferor: transferor, candidate: nil)
    let request = JoinRequest(
      replaces: replaces, context: order.context, isReferral: true, transferor: order.transferor, isSwapped: isSwapped)
    post(
      HalfMessage(
        to: HalfName(shard: place, slot: CallShard.noSlot, generation: 0), from: half.name, body: .join(request)))
  }

  /// The shard that a tag of ours names.
  func shard(of tag: [UInt8]) -> UInt8? {
    guard let token = Token(hex: tag[...]), Int(token.shard) < services.peers.count else { return nil }
    return token.shard
  }

  // MARK: the call that is asked

  func refuseJoin(_ from: HalfName, _ status: Int) {
    post(
      HalfMessage(
        to: from, from: HalfName(shard: shard, slot: CallShard.noSlot, generation: 0), body: .refused(status)))
  }

  /// RFC 3891 §3: Call-ID and both tags must be those of a dialog of ours.
  func joinRequested(_ request: JoinRequest, by from: HalfName) {
    let replaces = request.replaces
    guard let leg = leg(tag: replaces.toTag[...]), isDialog(of: leg, replaces) else {
      // Some phones write the tags as they see them themselves; of our own calls we know better.
      let other = replaces.swapped
      if request.isReferral, !request.isSwapped, let place = shard(of: other.toTag) {
        var again = request
        again.replaces = other
        again.isSwapped = true
        return post(
          HalfMessage(to: HalfName(shard: place, slot: CallShard.noSlot, generation: 0), from: from, body: .join(again))
        )
      }
      return refuseJoin(from, 481)
    }
    let call = leg.call
    guard leg.isLive, call.hangup == nil else { return refuseJoin(from, 603) }
    // Whoever knows the tags is one of the two, or was told by one; of another context he has no business here.
    guard let context = party(of: leg).context, context == request.context else { return refuseJoin(from, 403) }
    guard !isTransferring(call), !leg.isLeaving else { return refuseJoin(from, 491) }
    if leg.phase == .confirmed, replaces.isEarlyOnly { return refuseJoin(from, 486) }
    if let half = joinedHalf(leg), let peer = half.peer {
      return post(HalfMessage(to: peer, from: from, body: .joinHere(request)))
    }
    switch (leg.phase, leg.role) {
    case (.confirmed, _):
      guard let other = counterpart(leg), other.phase == .confirmed, let view = mediaView(other) else {
        return refuseJoin(from, 403)
      }
      let half = makeAsked(call, leg: other, stage: .offered, replaces: leg, request, by: from)
      post(.ready(view, who: number(of: other)), from: half)
    case (.early, .caller):
      // §3: only a dialog that we began may be replaced early; handed over by its own caller it may be.
      guard request.isReferral, let dial = call.dial, dial.stage == .ringing else { return refuseJoin(from, 481) }
      let half = makeAsked(call, leg: nil, stage: .ringing, replaces: leg, request, by: from)
      post(.ringing(dial.firstRing == nil ? 100 : 180), from: half)
      refuse(leg, 487, text: "Call transferred", reason: .cause(.normalClearing, text: "Call transferred"))
      ended(leg)
    case (.early, .callee):
      // Who rings is heard of elsewhere (a busy lamp), and somebody answers in his place.
      guard let dial = call.dial, dial.stage == .ringing, !leg.isCancelled, call.caller.isLive,
        call.caller.remote != nil, leaseMedia(call.caller), let view = mediaView(call.caller)
      else { return refuseJoin(from, 481) }
      let half = makeAsked(call, leg: call.caller, stage: .offered, replaces: leg, request, by: from)
      post(.ready(view, who: number(of: call.caller)), from: half)
    case (.ended, _): refuseJoin(from, 603)
    }
  }

  /// The same for a leg whose other side is in another call already: that one's half gives way.
  func joinHere(_ request: JoinRequest, by from: HalfName, _ old: Half) {
    let call = old.call
    guard old.stage == .joined, let leg = old.leg, leg.phase == .confirmed, leg.call === call, call.hangup == nil,
      !isTransferring(call), let view = mediaView(leg)
    else { return refuseJoin(from, 491) }
    let half = makeAsked(call, leg: leg, stage: .offered, replaces: nil, request, by: from)
    post(.ready(view, who: number(of: leg)), from: half)
  }

  private func makeAsked(
    _ call: Call, leg: Leg?, stage: Half.Stage, replaces: Leg?, _ request: JoinRequest, by from: HalfName
  ) -> Half {
    let half = makeHalf(call, leg: leg, stage: stage, leads: false)
    half.peer = from
    half.replaced = replaces?.name
    half.transferor = request.transferor
    call.transferState.joining = half
    return half
  }

  private func isDialog(of leg: Leg, _ replaces: Replaces) -> Bool {
    if let dialog = leg.dialog {
      return dialog.callID.elementsEqual(replaces.callID) && dialog.remoteTag.elementsEqual(replaces.fromTag)
    }
    guard let sent = leg.sent, leg.ringingTag != 0 else { return false }
    return sent.invitation(flow: leg.flow).callID.elementsEqual(replaces.callID)
      && leg.ringingTag == Leg.hash(ofTag: replaces.fromTag[...])
  }

  /// As whom records know a leg's phone.
  private func number(of leg: Leg) -> String {
    let party = party(of: leg)
    return party.account.map { $0.callerNumber ?? $0.name } ?? party.name
  }

  /// Whom a handed-over call rang has answered: now there is somebody to join.
  func handedOver(_ leg: Leg, _ status: Int, _ call: Call, _ dial: Dial, _ half: Half) {
    settled(leg, status, call, dial)
    call.bridged = leg
    call.answerMilliseconds = services.wallClock()
    services.counters.add(.callsAnswered)
    half.leg = leg
    half.stage = .offered
    sendMedia(leg)
    guard let view = mediaView(leg) else {
      return hangUp(call, .init(side: .system, status: 488, cause: .incompatibleDestination))
    }
    post(.ready(view, who: number(of: leg)), from: half)
  }

  /// The other half has taken what was offered: who is replaced goes.
  func committed(_ half: Half, who: String) {
    let call = half.call
    guard half.stage == .offered, let leg = half.leg, leg.isLive else { return }
    let state = call.transferState
    if let old = state.half {
      post(.over(CallShard.transferred(leg)), from: old)
      drop(old)
    }
    half.stage = .joined
    state.joining = nil
    state.half = half
    state.count += 1
    if !half.transferor.isEmpty { state.by = half.transferor }
    state.target = who
    if let replaced = half.replaced, let gone = self.leg(replaced) {
      if gone.phase == .early {
        guard pickUp(half, gone) else {
          return hangUp(call, .init(side: .system, status: 488, cause: .incompatibleDestination))
        }
      } else {
        leave(gone)
        bye(gone, reason: .cause(.normalClearing, text: "Call transferred"))
      }
    }
    watch(leg, call.dial?.options.rtpTimeout ?? settings.mediaTimeout)
  }

  /// The caller who still hears ringing is answered, by somebody else than whom he rang.
  private func pickUp(_ half: Half, _ ringing: Leg) -> Bool {
    let call = half.call
    guard let dial = call.dial, dial.stage == .ringing, let caller = call.caller, let theirs = half.view?.remote else {
      return false
    }
    settled(ringing, 487, call, dial)
    lose(ringing, call, dial, .elsewhere)
    if caller.phase == .early {
      if caller.localSDP == nil {
        guard let offer = caller.remote, let built = relayedAnswer(to: caller, offer: offer, from: theirs.audio) else {
          return false
        }
        caller.description.update(built)
      }
      accept(caller, sdp: caller.localSDP)
    }
    if let port = caller.port { mediaCommands.append(.stopPlaying(port.id)) }
    sendMedia(caller)
    if let view = mediaView(caller) { post(.media(view, turn: nil), from: half) }
    return true
  }

  /// A dial has its answer: the others stop ringing.
  private func settled(_ leg: Leg, _ status: Int, _ call: Call, _ dial: Dial) {
    dial.ringing.removeAll { $0 === leg }
    perform(leg.leaf.map { dial.tree.answered($0) } ?? [], call, dial)
    if let attempt = leg.attempt {
      call.attempts[attempt].end(status: status, cause: .normalClearing, at: services.wallClock())
    }
    dial.stage = .bridged
    dial.answered = now
    cancel(&dial.timer)
    cancel(&dial.progressTimer)
    cancel(&dial.delayTimer)
    if let limit = dial.options.maxDuration { call.durationTimer = arm(call, .maxDuration, after: limit) }
  }

  // MARK: the call that asks

  /// The other side still rings: who is transferred hears it.
  func otherRings(_ half: Half, _ status: Int, _ from: HalfName) {
    let call = half.call
    guard half.stage == .asking || half.stage == .ringing, half.leads, let pending = call.transfer?.pending else {
      return
    }
    half.peer = from
    if half.stage == .asking {
      half.stage = .ringing
      if let port = half.leg?.port {
        call.playToken &+= 1
        mediaCommands.append(.unbridge(port.id))
        mediaCommands.append(.play(port.id, .tone(.ringing, country: settings.country), token: call.playToken))
      }
      for leg in [call.caller, call.bridged] where leg !== half.leg {
        if let port = leg?.port { mediaCommands.append(.watch(port.id, timeout: nil)) }
      }
    }
    if status > 100 { progress(call, pending.transferor, status) }
  }

  func ready(_ half: Half, who: String) {
    let call = half.call
    guard half.leads, half.stage == .asking || half.stage == .ringing, let leg = half.leg, let view = half.view else {
      return
    }
    if leg.phase == .early {
      answerReplacing(half, leg, view, who: who)
    } else {
      guard leg.phase == .confirmed, leg.call === call, let pending = call.transfer?.pending,
        bringNear(leg, view.port, half)
      else {
        post(.over(.init(side: .system, status: 503, cause: .temporaryFailure)), from: half)
        return joinFailed(half, 503)
      }
      let wasRinging = half.stage == .ringing
      call.transfer?.pending = nil
      if wasRinging, let port = leg.port { mediaCommands.append(.stopPlaying(port.id)) }
      join(half, leg, who: who)
      let end = CallShard.transferred(leg)
      switch pending.transferor {
      case .leg(let name):
        if let gone = self.leg(name) {
          leave(gone)
          tell(gone, 200, thenEnd: end)
        }
      case .half: break
      }
    }
  }

  static func transferred(_ leg: Leg) -> Call.Hangup {
    .init(side: leg.role == .caller ? .callee : .caller, status: 200, cause: .normalClearing, text: "Call transferred")
  }

  /// Both sides are one: the other half is told so, and the media meets.
  func join(_ half: Half, _ leg: Leg, who: String) {
    let call = half.call
    let state = call.transferState
    if let old = state.half {
      post(.referProgress(200), from: old)
      post(.over(CallShard.transferred(leg)), from: old)
      drop(old)
    }
    half.stage = .joined
    state.joining = nil
    state.half = half
    state.count += 1
    if !half.transferor.isEmpty { state.by = half.transferor }
    state.target = who
    guard let view = mediaView(leg) else { return }
    post(.commit(view, who: number(of: leg)), from: half)
    bridge(half)
    watch(leg, call.dial?.options.rtpTimeout ?? settings.mediaTimeout)
    settle(half, turn: 0)
  }

  /// Nothing came of it: everything is as it was, as far as whoever asked is still there.
  func joinFailed(_ half: Half, _ status: Int) {
    let call = half.call
    let wasRinging = half.stage == .ringing
    let leg = half.leg
    drop(half)
    guard let pending = call.transfer?.pending else {
      return hangUp(call, .init(side: .system, status: status, cause: Cause(status: status)))
    }
    call.transfer?.pending = nil
    if wasRinging, let port = leg?.port { mediaCommands.append(.stopPlaying(port.id)) }
    switch pending.transferor {
    case .leg(let name):
      guard let asked = self.leg(name), !asked.isLeaving, asked.phase == .confirmed else {
        return hangUp(call, .init(side: .system, status: status, cause: Cause(status: status)))
      }
      if wasRinging, let bridged = call.bridged { connect(call, bridged, call.dial) }
    case .half:
      guard let old = call.transfer?.half else {
        return hangUp(call, .init(side: .system, status: status, cause: Cause(status: status)))
      }
      if wasRinging { rejoin(old) }
    }
    progress(call, pending.transferor, status)
  }

  /// The leg of a half is back.
  func rejoin(_ half: Half) {
    guard let leg = half.leg, let view = mediaView(leg) else { return }
    sendMedia(leg)
    bridge(half)
    // Where the other half leads, it commands the bridge once it hears of us.
    post(.media(view, turn: nil), from: half)
  }

  // MARK: who leaves

  /// The call goes on without this leg.
  func leave(_ leg: Leg) {
    leg.transferState.isLeaving = true
    if leg.call.bridged === leg { leg.call.bridged = nil }
    releaseMedia(leg)
  }

  /// The phone of a leg hangs up. True where its call goes on: it is being transferred, or was.
  func leavesAlone(_ leg: Leg) -> Bool {
    if leg.isLeaving { return true }
    guard let transfer = leg.call.transfer, let joining = transfer.joining else { return false }
    if joining.leads {
      // It does not wait for the outcome.
      guard case .leg(let name)? = transfer.pending?.transferor, name == leg.name else { return false }
    } else {
      guard joining.replaced == leg.name else { return false }
    }
    leave(leg)
    return true
  }
}
