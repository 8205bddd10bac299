import Media
import NetCore
import SDP
import SIPMessage
import SIPTransaction

// The life of a half: made, joined, over; and how its messages go.
extension CallShard {
  func half(_ name: HalfName) -> Half? {
    name.shard == shard ? transfers.halves.get(name.slot, name.generation) : nil
  }

  /// A half of `call`; it must have none.
  func makeHalf(_ call: Call, leg: Leg?, stage: Half.Stage, leads: Bool) -> Half {
    let (slot, generation) = transfers.halves.reserve()
    let half = Half(
      name: HalfName(shard: shard, slot: slot, generation: generation), call: call, leg: leg, stage: stage, leads: leads
    )
    transfers.halves.fill(slot, half)
    return half
  }

  /// The half is over, on this side.
  func drop(_ half: Half) {
    transfers.halves.remove(half.name.slot, half.name.generation)
    if half.call.transfer?.half === half { half.call.transfer?.half = nil }
    if half.call.transfer?.joining === half { half.call.transfer?.joining = nil }
  }

  // MARK: mailbox

  func post(_ body: HalfMessage.Body, from half: Half) {
    guard let peer = half.peer else { return }
    post(HalfMessage(to: peer, from: half.name, body: body))
  }

  /// A mailbox that is full is tried again, in order: what halves say must not be lost.
  func post(_ message: HalfMessage) {
    if transfers.unsent.isEmpty, services.peers.post(.half(message), to: Int(message.to.shard)) { return }
    guard transfers.unsent.count < TransferState.mostUnsent else { return }
    transfers.unsent.append((message, 0))
    armUnsent()
  }

  func postAgain() {
    transfers.timer = nil
    var left: [(message: HalfMessage, tries: Int)] = []
    for (message, tries) in transfers.unsent {
      let blocked = left.contains { $0.message.to.shard == message.to.shard }
      if !blocked, services.peers.post(.half(message), to: Int(message.to.shard)) { continue }
      // Ten seconds of it: that shard has stopped, and the call that the message is of has nobody behind it.
      if tries < 200 { left.append((message, tries + 1)) } else { undeliverable(message) }
    }
    transfers.unsent = left
    if !left.isEmpty { armUnsent() }
  }

  private func armUnsent() {
    guard transfers.timer == nil else { return }
    transfers.timer = wheel.arm(
      TimerToken(kind: 12, which: 3, slot: 0, generation: 0), at: now + .milliseconds(50))
  }

  private func undeliverable(_ message: HalfMessage) {
    guard let half = half(message.from) else { return }
    receive(
      HalfMessage(
        to: half.name, from: message.to,
        body: half.stage == .joined
          ? .over(.init(side: .system, status: 503, cause: .temporaryFailure)) : .refused(503)))
  }

  /// What another call's half says.
  func receive(_ message: HalfMessage) {
    switch message.body {
    case .join(let request): return joinRequested(request, by: message.from)
    case .joinHere(let request):
      guard let half = half(message.to) else { return refuseJoin(message.from, 481) }
      return joinHere(request, by: message.from, half)
    default: break
    }
    guard let half = half(message.to), half.peer == nil || half.peer == message.from else {
      // A half that is gone: whoever still speaks to it learns so.
      if case .over = message.body { return }
      if case .refused = message.body { return }
      return post(
        HalfMessage(
          to: message.from, from: message.to,
          body: .over(.init(side: .system, status: 487, cause: .normalClearing))))
    }
    switch message.body {
    case .join, .joinHere: break
    case .ringing(let status): otherRings(half, status, message.from)
    case .ready(let view, let who):
      half.peer = message.from
      half.view = view
      ready(half, who: who)
    case .refused(let status): joinFailed(half, status)
    case .commit(let view, let who):
      half.view = view
      committed(half, who: who)
    case .media(let view, let turn):
      half.view = view
      bridge(half)
      if let turn { settle(half, turn: turn) }
    case .offer(let offer): offered(half, offer)
    case .answer(let answer): answered(half, answer)
    case .refuseOffer(let status): refused(half, status)
    case .withdrawOffer: withdrawn(half)
    case .info(let info, let id): passInfo(half, info, id)
    case .infoDone(let id, let status):
      if let request = table.request(of: id) { reply(id, request, status) }
    case .refer(let order): referred(half, order)
    case .referProgress(let status):
      if let leg = half.leg { tell(leg, status) }
      if status >= 200, let pending = half.call.transfer?.pending {
        if status < 300 { note(pending.order, half.call) }
        half.call.transfer?.pending = nil
      }
    case .over(let info): otherOver(half, info)
    }
  }

  /// The other side wants its phone's REFER done to ours.
  private func referred(_ half: Half, _ order: TransferOrder) {
    guard let leg = half.leg, half.stage == .joined, !isTransferring(half.call), leg.phase == .confirmed,
      leg.call === half.call, (half.call.transfer?.count ?? 0) < CallTransfer.mostTransfers
    else { return post(.referProgress(491), from: half) }
    transfer(leg, by: .half, order)
  }

  // MARK: the end

  /// The call ends: whoever is behind its half learns so.
  func endHalves(_ call: Call, _ info: Call.Hangup) {
    for half in [call.transfer?.half, call.transfer?.joining] {
      guard let half else { continue }
      var told = info
      // From the other call's side it is the phone behind the half that left.
      if info.side != .system { told.side = .callee }
      if half.stage == .ringing, told.status < 300 { told.status = CallShard.status(of: call, info) }
      post(.over(told), from: half)
      drop(half)
    }
  }

  private static func status(of call: Call, _ info: Call.Hangup) -> Int {
    info.cause == .normalClearing ? call.attempts.last { $0.status >= 300 }?.status ?? 480 : info.cause.status
  }

  private func otherOver(_ half: Half, _ info: Call.Hangup) {
    switch half.stage {
    case .asking: joinFailed(half, info.status >= 300 ? info.status : 481)
    case .ringing where half.leads: joinFailed(half, info.status >= 300 ? info.status : 480)
    case .ringing, .offered:
      // Nothing has happened yet, unless the leg that was to be replaced has been let go already.
      let call = half.call
      let isAlone = half.replaced.map { leg($0) == nil } ?? false
      drop(half)
      if isAlone { hangUp(call, info) }
    case .joined:
      let call = half.call
      var seen = info
      if info.side != .system { seen.side = half.leg?.role == .callee ? .caller : .callee }
      if seen.status >= 300 { seen.status = 200 }
      let leg = half.leg
      drop(half)
      if let leg, leg.transfer?.referral != nil, leg.call === call {
        // It asked for this itself: it hears of it first.
        return endWhenTold(leg, seen)
      }
      hangUp(call, seen)
    }
  }

  // MARK: media

  func mediaView(_ leg: Leg) -> MediaView? {
    leg.port.map { MediaView(port: $0.id, local: leg.description.audio, remote: leg.remote) }
  }

  /// Both ways between our leg and the other half's.
  func bridge(_ half: Half) {
    guard half.leads, half.stage == .joined, let leg = half.leg, leg.call === half.call, let port = leg.port,
      let view = half.view, port.id.worker == view.port.worker
    else { return }
    var ours = PayloadMap()
    if let from = leg.description.audio?.formats, let to = view.remote?.audio.formats {
      OfferAnswerSDP.payloadMap(from: from, to: to, alias: leg.remote?.audio.formats) { ours[$0] = $1 }
    }
    var theirs = PayloadMap()
    if let from = view.local?.formats, let to = leg.remote?.audio.formats {
      OfferAnswerSDP.payloadMap(from: from, to: to, alias: view.remote?.audio.formats) { theirs[$0] = $1 }
    }
    mediaCommands.append(.bridge(port.id, view.port, aToB: ours, bToA: theirs))
  }

  /// The port must be of the worker that carries the other side's: else another one, whose address the phone is told.
  func bringNear(_ leg: Leg, _ other: MediaEndpointID, _ half: Half) -> Bool {
    if let port = leg.port, port.id.worker == other.worker { return true }
    let family = leg.port?.address.family ?? leg.remote?.audio.rtp.ip.family ?? leg.flow.remote.ip.family
    guard let port = services.media.lease(owner: UInt32(shard), family: family, near: other) else {
      services.counters.add(.portsExhausted)
      return false
    }
    if leg.port != nil {
      releaseMedia(leg)
      half.hasMoved = true
    }
    leg.port = port
    mediaOwners[port.id] = UInt64(leg.token.generation) << 32 | UInt64(leg.token.slot)
    sendMedia(leg)
    return true
  }

  /// A leg of a joined half, and nothing under way that its call waits for.
  func joinedHalf(_ leg: Leg) -> Half? {
    guard let half = leg.call.transfer?.half, half.stage == .joined, half.leg === leg else { return nil }
    return half
  }
}
