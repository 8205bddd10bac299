import Media
import NetCore
import SDP
import SIPMessage

// What the media plane is told, and what it reports.
extension CallShard {
  /// Both ways between caller and callee, each payload number into the other side's.
  func connect(_ call: Call, _ leg: Leg, _ dial: Dial?) {
    guard let a = call.caller.port?.id, let b = leg.port?.id else { return }
    mediaCommands.append(.bridge(a, b, aToB: map(call.caller, leg), bToA: map(leg, call.caller)))
    watch(call, leg, dial)
  }

  /// A side on hold may be silent for long, an active one may not.
  func watch(_ call: Call, _ leg: Leg, _ dial: Dial?) {
    let active = dial?.options.rtpTimeout ?? settings.mediaTimeout
    watch(call.caller, active)
    watch(leg, active)
  }

  func watch(_ leg: Leg, _ active: Instant.Span) {
    guard let port = leg.port?.id else { return }
    let isHeld =
      leg.remote?.audio.direction.sends == false || leg.description.audio?.direction.receives == false
    let limit = isHeld ? settings.holdTimeout : active
    mediaCommands.append(.watch(port, timeout: limit > .zero ? limit : nil))
  }

  /// Numbers that `from` sends (those we described to it) to numbers that `to` takes (those it described).
  func map(_ from: Leg, _ to: Leg) -> PayloadMap {
    var map = PayloadMap()
    guard let ours = from.description.audio?.formats, let theirs = to.remote?.audio.formats else { return map }
    OfferAnswerSDP.payloadMap(from: ours, to: theirs, alias: from.remote?.audio.formats) { map[$0] = $1 }
    return map
  }

  func releaseMedia(_ leg: Leg) {
    guard let port = leg.port else { return }
    leg.port = nil
    mediaOwners[port.id] = nil
    if leg.call.isAnswered, !leg.isCancelled {
      // The record waits for what was counted.
      let codec = (leg.role == .caller ? leg.description.audio?.formats : leg.remote?.audio.formats)?.first
      statisticsOwners[port.id] = (leg.call.slot, leg.call.generationOfSlot, leg.role, codec?.name ?? "")
      leg.call.statisticsPending += 1
      mediaCommands.append(.statistics(port.id, token: 0))
    }
    mediaCommands.append(.release(port.id))
  }

  // MARK: ringback

  func hear(_ action: RingbackMachine.Action, _ call: Call, _ dial: Dial) {
    let caller = call.caller!
    guard caller.isLive else { return }
    switch action {
    case .nothing: return
    case .ring(let status): provisional(caller, status)
    case .generate:
      guard let sdp = earlyDescription(caller) else { return provisional(caller, 180) }
      provisional(caller, 183, sdp: sdp)
      playRingback(call, dial)
    case .relay(let slot):
      guard let leg = dial.ringing.first(where: { Int($0.token.slot) == slot }) else { return }
      relayEarly(leg, call)
    case .repeatRelay:
      provisional(caller, 183, sdp: caller.localSDP)
    }
  }

  /// The callee's early media through the relay, his answer as the promise that the 200 repeats.
  private func relayEarly(_ leg: Leg, _ call: Call) {
    let caller = call.caller!
    guard let audio = leg.remoteAudio, caller.remote != nil || canOfferEarly(caller), leaseMedia(caller) else {
      return provisional(caller, 180)
    }
    if caller.localSDP == nil {
      guard let sdp = description(for: caller, of: audio) else { return provisional(caller, 180) }
      caller.description.update(sdp)
    }
    provisional(caller, 183, sdp: caller.localSDP)
    connectEarly(leg, call)
  }

  /// What one leg said, as the answer to what another one offered; as our offer where that made none.
  func description(for leg: Leg, of audio: AudioStream) -> BuiltDescription? {
    guard let port = leg.port else { return nil }
    guard let offer = leg.remote else {
      return OfferAnswerSDP.offer(
        codecs: Array(audio.codecs), telephoneEvent: audio.telephoneEvent, address: described(port, for: leg),
        port: port.rtpPort, session: leg.description.identity)
    }
    return relayedAnswer(to: leg, offer: offer, from: audio)
  }

  /// A callee's early media to the caller.
  func connectEarly(_ leg: Leg, _ call: Call) {
    let caller = call.caller!
    sendMedia(caller)
    sendMedia(leg)
    guard caller.remote != nil, let a = caller.port?.id, let b = leg.port?.id else { return }
    mediaCommands.append(.bridge(a, b, aToB: map(caller, leg), bToA: map(leg, caller)))
  }

  /// The tone or the file, and the legs whose own early media may take over from it.
  func playRingback(_ call: Call, _ dial: Dial) {
    // Where the offer is ours nobody listens before it is answered.
    guard call.caller.remote != nil, let port = call.caller.port?.id, let codec = call.caller.agreedCodec else {
      return
    }
    let source: AudioSource
    switch dial.ringback.policy {
    case .play(_, let loop, _) where dial.options.ringbackFiles.count > 1:
      source = .list(dial.options.ringbackFiles.map { path(ofSound: $0) }, loop: loop)
    case .play(let file, let loop, _): source = .file(path: path(ofSound: file), loop: loop)
    default: source = .tone(.ringing, country: dial.options.tone)
    }
    var from: [MediaEndpointID] = []
    var promised: UInt8 = codec.payloadType
    var payloads = PayloadMap()
    let takes = dial.ringback.policy.yieldsToMedia && (dial.ringing.count == 1 || dial.options.takesFirst)
    if takes {
      for leg in dial.ringing {
        // Before any SDP of his own a callee sends with the numbers of our offer.
        guard let id = leg.port?.id, let ours = leg.localAudio,
          let number = codec.match(in: ours.codecs)?.payloadType
        else { continue }
        from.append(id)
        promised = number
        payloads = map(leg, call.caller)
      }
    }
    mediaCommands.append(.ringback(to: port, source: source, from: from, promised: promised, map: payloads))
  }

  func path(ofSound name: String) -> String { name.hasPrefix("/") ? name : settings.sounds + "/" + name }

  // MARK: events

  func media(_ event: MediaEvent) {
    switch event {
    case .timeout(let id):
      guard let leg = leg(of: id), leg.isLive, leg.call.hangup == nil else { return }
      services.counters.add(.mediaTimeouts)
      hangUp(
        leg.call, .init(side: .system, status: 408, cause: .recoveryOnTimerExpiry, text: "no media"))
    case .played(let id, let token, let ended):
      guard let leg = leg(of: id) else { return }
      played(leg.call, token, ended)
    case .statistics(let id, _, let statistics):
      guard let (slot, generation, role, codec) = statisticsOwners.removeValue(forKey: id),
        let call = calls.get(slot, generation)
      else { return }
      call.statistics.append((role == .caller ? "caller" : "callee", codec, statistics))
      // Zero after the grace period: the record no longer waits for it.
      call.statisticsPending = max(0, call.statisticsPending - 1)
      checkRelease(call)
    case .latched, .takeover, .dtmf:
      return
    }
  }

  private func leg(of id: MediaEndpointID) -> Leg? {
    guard let owner = mediaOwners[id] else { return nil }
    return legs.get(UInt32(truncatingIfNeeded: owner), UInt32(truncatingIfNeeded: owner >> 32))
  }
}
