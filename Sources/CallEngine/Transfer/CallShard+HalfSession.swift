import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// What passes between the phones of two halves within their calls: re-INVITE and INFO; and how the two sessions, which
// were made without each other, come to fit.
extension CallShard {
  // MARK: re-INVITE

  /// A re-INVITE of our phone: the other side's phone is asked.
  func pass(_ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ proposed: RemoteDescription, _ half: Half) {
    guard pass(offer: proposed, id, message, leg, half) else { return }
    leg.serverInvite = id
    remember(id, leg)
  }

  /// The same of an UPDATE (RFC 3311).
  func pass(update id: ServerTransactionID, _ message: Message, _ leg: Leg, _ proposed: RemoteDescription, _ half: Half)
  {
    if pass(offer: proposed, id, message, leg, half) { leg.extras.serverUpdate = id }
  }

  private func pass(
    offer proposed: RemoteDescription, _ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ half: Half
  ) -> Bool {
    guard half.exchange == .none else {
      leg.offers.offerFailed()
      reply(id, message, 491)
      return false
    }
    leg.proposed = proposed
    half.exchange = .asked
    post(.offer(proposed), from: half)
    return true
  }

  /// The other side's phone has asked.
  func offered(_ half: Half, _ offer: RemoteDescription) {
    guard half.stage == .joined, let leg = half.leg, leg.call === half.call, half.exchange == .none, isFree(leg) else {
      return post(.refuseOffer(491), from: half)
    }
    guard let sdp = offerAgain(to: leg, offer) else { return post(.refuseOffer(488), from: half) }
    half.exchange = .answering
    sendReinvite(leg, sdp, passedFrom: nil)
  }

  private func isFree(_ leg: Leg) -> Bool {
    leg.phase == .confirmed && leg.isQuiet && leg.byeReason == nil && leg.reinviteTimer == nil && leg.dialog != nil
      && leg.port != nil
  }

  /// The other side's phone has answered what ours asked.
  func answered(_ half: Half, _ answer: RemoteDescription) {
    guard half.exchange == .asked else { return }
    half.exchange = .none
    guard let leg = half.leg, let proposed = leg.proposed else { return }
    guard let built = relayedAnswer(to: leg, offer: proposed, from: answer.audio) else {
      return failChange(leg, status: 488)
    }
    leg.remote = proposed
    answerChange(leg, leg.description.update(built))
    sessionChanged(half, leg)
  }

  func refused(_ half: Half, _ status: Int) {
    guard half.exchange == .asked else { return }
    half.exchange = .none
    failChange(half.leg, status: status)
  }

  /// The other side's phone has cancelled what ours is being asked.
  func withdrawn(_ half: Half) {
    guard half.exchange == .answering, let id = half.leg?.clientInvite else { return }
    table.cancel(id, headers: [], now: now, wheel: &wheel)
  }

  /// Our phone has cancelled its re-INVITE.
  func withdraw(_ leg: Leg) {
    guard let half = joinedHalf(leg), half.exchange == .asked else { return }
    half.exchange = .none
    post(.withdrawOffer, from: half)
  }

  /// Our phone has answered a re-INVITE of ours.
  func reinviteAnswered(_ half: Half, _ leg: Leg, _ answer: RemoteDescription) {
    let exchange = half.exchange
    half.exchange = .none
    if exchange == .answering { post(.answer(answer), from: half) }
    guard exchange == .settling else { return sessionChanged(half, leg) }
    half.hasMoved = false
    half.hasResumed = true
    sessionChanged(half, leg, turn: half.turns + 1)
  }

  /// It has refused it; true where that is dealt with.
  func reinviteRefused(_ leg: Leg, _ status: Int) -> Bool {
    guard let half = joinedHalf(leg) else { return false }
    let exchange = half.exchange
    half.exchange = .none
    switch exchange {
    case .none, .asked: return false
    case .answering: post(.refuseOffer(status), from: half)
    case .settling:
      if status == 491 { return false }
      half.hasResumed = true
      half.wasRefused = true
      if half.hasMoved {
        hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination))
      } else {
        settle(half, turn: half.turns)
      }
    }
    return true
  }

  /// The session of our phone is another one: the bridge and the other half must know.
  func sessionChanged(_ half: Half, _ leg: Leg, turn: Int? = nil) {
    sendMedia(leg)
    bridge(half)
    watch(leg, leg.call.dial?.options.rtpTimeout ?? settings.mediaTimeout)
    if let view = mediaView(leg) { post(.media(view, turn: turn), from: half) }
  }

  // MARK: making two sessions fit

  /// Our side's turn: offers our phone what the other can do where that is needed (it was on hold, or moved, or speaks
  /// another codec), and passes the turn on. A phone that need not know is not asked.
  func settle(_ half: Half, turn: Int) {
    guard half.stage == .joined, let leg = half.leg, let view = half.view, leg.call === half.call, leg.isLive else {
      return
    }
    half.turns = turn
    let speaks = CallShard.speak(leg, view)
    if half.hasMoved || (!half.hasResumed && isHeld(leg)) || (!speaks && !half.wasRefused) {
      guard isFree(leg) else {
        leg.wantsReoffer = true
        return
      }
      leg.wantsReoffer = false
      if let sdp = offer(to: leg, of: view) {
        half.exchange = .settling
        return sendReinvite(leg, sdp, passedFrom: nil)
      }
      half.wasRefused = true
    }
    if turn == 0 || (!speaks && turn < 4) {
      if let own = mediaView(leg) { post(.media(own, turn: turn + 1), from: half) }
    } else if !speaks {
      hangUp(leg.call, .init(side: .system, status: 488, cause: .incompatibleDestination))
    }
  }

  func isHeld(_ leg: Leg) -> Bool {
    leg.description.audio?.direction != .sendrecv || leg.remote?.audio.direction != .sendrecv
  }

  /// What the other side's phone speaks now, as an offer to ours.
  private func offer(to leg: Leg, of view: MediaView) -> [UInt8]? {
    guard let port = leg.port, let remote = view.remote else { return nil }
    let names = CallShard.agreed(view.local, remote.audio).map { "\($0.name)/\($0.clockRate)" }
    let previous = leg.localSDP.flatMap { try? SessionDescription(parsing: $0[...]) }
    guard
      let built = try? OfferAnswerSDP.relayedOffer(
        from: remote.session, audio: remote.audio, address: described(port), port: port.rtpPort,
        session: leg.description.identity, codecs: names.isEmpty ? nil : names, direction: .sendrecv, previous: previous
      )
    else { return nil }
    leg.saved = leg.description
    return leg.description.update(built)
  }

  /// The codecs of a session: what both of its sides have described.
  static func agreed(_ local: AudioStream?, _ remote: AudioStream?) -> [Codec] {
    guard let local else { return remote.map { Array($0.codecs) } ?? [] }
    guard let remote else { return Array(local.codecs) }
    return local.codecs.filter { $0.match(in: remote.codecs) != nil }
  }

  /// Whether each phone sends first what the other takes.
  static func speak(_ leg: Leg, _ view: MediaView) -> Bool {
    let ours = agreed(leg.description.audio, leg.remote?.audio)
    let theirs = agreed(view.local, view.remote?.audio)
    guard let first = ours.first, let second = theirs.first else { return false }
    return first.match(in: theirs[...]) != nil && second.match(in: ours[...]) != nil
  }

  // MARK: INFO, MESSAGE

  /// INFO (RFC 6086) or MESSAGE (RFC 3428 §7) of our phone, for the other side's.
  func pass(_ id: ServerTransactionID, _ message: Message, _ half: Half) {
    var lines = MessageWriter(capacity: 64)
    passHeaders(&lines, from: message, changes: HeaderChanges())
    post(
      .info(
        PassedInfo(
          method: message.method, lines: lines.bytes, package: message.first(named: "Info-Package").map { Array($0) },
          type: message.contentType.map { Array($0) },
          disposition: message.first(.contentDisposition).map { Array($0) },
          body: Array(message.body)), id), from: half)
  }

  func passInfo(_ half: Half, _ info: PassedInfo, _ waiting: ServerTransactionID) {
    guard let leg = half.leg, leg.phase == .confirmed, leg.dialog != nil else {
      return post(.infoDone(waiting, 481), from: half)
    }
    let (id, branch) = table.reserveClient()
    var writer = leg.dialog!.request(
      info.method, branch: branch, viaSentBy: sentBy(of: leg.flow), transport: leg.flow.transport)
    writer.append(info.lines)
    if let package = info.package { writer.header(name: Array("Info-Package".utf8)[...], value: package[...]) }
    if let type = info.type { writer.header(.contentType, type[...]) }
    if let disposition = info.disposition { writer.header(.contentDisposition, disposition[...]) }
    writer.finish(body: info.body[...])
    let (peer, own) = (half.peer, half.name)
    self.own(
      id,
      .own { [unowned self] status, _ in
        guard status >= 200, let peer else { return }
        post(HalfMessage(to: peer, from: own, body: .infoDone(waiting, status)))
      })
    table.send(id, method: info.method, bytes: writer.bytes, flow: leg.dialog!.flow, now: now, wheel: &wheel)
  }
}
