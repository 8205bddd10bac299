import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// What is said to the caller: provisional responses, the answer, refusals. One To-tag in every 18x and 2xx, and the
// same SDP bytes in 183 and 200 (RFC 3264 §6, RFC 6337 §3.1.1).
extension CallShard {
  /// 200 to a peer's INVITE with `sdp`: an answer to his offer, or our offer where he made none. It waits for the PRACK of
  /// an answer that went before it (RFC 3262 §3), and does not repeat one that he has acknowledged.
  func accept(_ leg: Leg, sdp: [UInt8]?, headers: [(name: [UInt8], value: [UInt8])] = []) {
    guard let id = leg.serverInvite, let request = table.request(of: id) else { return }
    if holdsAnswer(leg) {
      leg.extras.acceptance = .init(sdp: sdp, headers: headers)
      return
    }
    var sdp = sdp
    switch leg.offers.phase {
    case .remoteOffer: _ = leg.offers.sendAnswer()
    case .idle where leg.phase == .early && leg.offers.isEstablished: sdp = nil
    case .idle: if sdp != nil { _ = leg.offers.sendOffer() }
    case .localOffer: sdp = nil
    }
    var writer = MessageWriter.response(to: request, status: 200, toTag: leg.tag, capacity: size(request, sdp) + 144)
    writer.copyAll(.recordRoute, from: request)
    contact(&writer, leg)
    for header in headers { writer.header(name: header.name[...], value: header.value[...]) }
    capabilities(&writer)
    sessionAnswer(&writer, leg, request)
    finish(&writer, sdp)
    leg.serverInvite = nil
    leg.unacknowledged = id
    leg.ackCSeq = request.cseq
    remember(id, leg)
    if leg.phase == .early {
      leg.phase = .confirmed
      stopReliable(leg)
      leg.call.answerMilliseconds = services.wallClock()
      services.counters.add(.callsAnswered)
    }
    table.respond(id, status: 200, bytes: writer.bytes, now: now, wheel: &wheel)
  }

  /// A final response 300–699 to the caller's INVITE, with its Reason (RFC 3326).
  func refuse(
    _ leg: Leg, _ status: Int, text: String? = nil, reason: Reason,
    headers: [(name: [UInt8], value: [UInt8])] = [], contacts: [[UInt8]] = []
  ) {
    guard let id = leg.serverInvite, let request = table.request(of: id) else { return }
    var writer = MessageWriter.response(
      to: request, status: status, reason: text, toTag: leg.tag,
      capacity: request.responseHeadSize + (text?.utf8.count ?? 0) + 96)
    for contact in contacts { writer.header(.contact, contact[...]) }
    writer.reason(reason)
    for header in headers { writer.header(name: header.name[...], value: header.value[...]) }
    if status == 405 { writer.header(.allow, CallShard.allow) }
    if status == 503 { writer.header(.retryAfter, number: 5) }
    writer.finish()
    leg.serverInvite = nil
    stopReliable(leg)
    remember(id, nil)
    table.respond(id, status: status, bytes: writer.bytes, now: now, wheel: &wheel)
  }

  /// What a response with our Contact and Allow takes, so that its bytes are allocated once and to measure.
  func size(_ request: Message, _ sdp: [UInt8]?) -> Int {
    request.responseHeadSize + request.size(of: .recordRoute) + 160 + (sdp?.count ?? 0)
  }

  func contact(_ writer: inout MessageWriter, _ leg: Leg) {
    writer.header(.contact, contact(of: leg))
  }

  /// `sips` where that made the dialog (RFC 3261 §12.1.1, §8.1.1.8).
  func contact(of leg: Leg) -> Bytes { contact(of: leg.flow, isSecure: leg.dialog?.wantsSecureContact ?? false) }

  func contact(of flow: Flow, isSecure: Bool = false) -> Bytes {
    let listener = Int(flow.listener)
    guard settings.listeners.indices.contains(listener) else { return [] }
    let own = settings.listeners[listener]
    if settings.isNear(flow.remote.ip) { return isSecure ? own.nearSecureContact[...] : own.nearContact[...] }
    return isSecure ? own.secureContact[...] : own.contact[...]
  }

  func sentBy(of flow: Flow) -> Bytes {
    let listener = Int(flow.listener)
    guard settings.listeners.indices.contains(listener) else { return [] }
    return settings.isNear(flow.remote.ip)
      ? settings.listeners[listener].nearSentBy[...] : settings.listeners[listener].sentBy[...]
  }

  func finish(_ writer: inout MessageWriter, _ sdp: [UInt8]?) {
    if let sdp {
      writer.finish(body: sdp[...], contentType: "application/sdp")
    } else {
      writer.finish()
    }
  }

  /// The allow-list of headers that cross (HeaderPolicy), then what the script set, added and removed.
  func passHeaders(_ writer: inout MessageWriter, from message: Message?, changes: HeaderChanges) {
    if let message {
      for line in message.headers where HeaderPolicy.passes(line) && !changes.replaces(line) { writer.copy(line) }
    }
    for header in changes.added { writer.header(name: header.name[...], value: header.value[...]) }
  }

  // MARK: the caller's media

  /// Where a leg's RTP is received: leased once, at the first need; of the family of his c= line, or of `family`. All of a
  /// call's ports are of one worker: any callee may be bridged with the caller. False: no port is left, or none of the
  /// family.
  func leaseMedia(_ leg: Leg, family: IPAddress.Family? = nil) -> Bool {
    if leg.port != nil { return true }
    let family = family ?? leg.remote?.audio.rtp.ip.family ?? leg.flow.remote.ip.family
    let near = leg.call.caller?.port?.id ?? leg.call.callees.first { $0.port != nil }?.port?.id
    guard let port = services.media.lease(owner: UInt32(shard), family: family, near: near) else {
      services.counters.add(.portsExhausted)
      return false
    }
    leg.port = port
    mediaOwners[port.id] = UInt64(leg.token.generation) << 32 | UInt64(leg.token.slot)
    return true
  }

  /// The address that SDP gives a peer for a leased port: behind NAT the advertised one of its family, unless the peer
  /// is on our side of it.
  func described(_ port: MediaPort, for leg: Leg) -> IPAddress {
    if settings.advertisedMedia.isEmpty || settings.isNear(leg.flow.remote.ip) { return port.address }
    return settings.advertisedMedia.first { $0.family == port.address.family } ?? port.address
  }

  /// What one leg answered, as the answer to what another one offered. Nil: that leg has no port, or nothing that was
  /// offered was answered.
  func relayedAnswer(to leg: Leg, offer: RemoteDescription, from audio: AudioStream) -> BuiltDescription? {
    guard let port = leg.port else { return nil }
    return try? OfferAnswerSDP.relayedAnswer(
      offer: offer.session, offerAudio: offer.audio, answer: audio, address: described(port, for: leg),
      port: port.rtpPort,
      session: leg.description.identity)
  }

  /// The server's own answer to the caller's offer: one codec that we can generate, and telephone-event. Nil where the
  /// offer has none, or there is no offer or no port.
  func ownAnswer(_ leg: Leg, codecs: [String]? = nil) -> [UInt8]? {
    if let sdp = leg.localSDP { return sdp }
    guard let offer = leg.remote, let codec = generable(offer.audio, among: codecs), leaseMedia(leg) else {
      return nil
    }
    let sdp = ownAnswer(leg, to: offer, codec)
    sendMedia(leg)
    return sdp
  }

  func ownAnswer(_ leg: Leg, to offer: RemoteDescription, _ codec: Codec) -> [UInt8]? {
    guard let port = leg.port else { return nil }
    return leg.description.update(
      OfferAnswerSDP.answer(
        to: offer.session, audio: offer.audio, codecs: [codec], telephoneEvent: offer.audio.telephoneEvent,
        address: described(port, for: leg), port: port.rtpPort, session: leg.description.identity))
  }

  /// Our own offer to a caller who made none, in a 200.
  func ownOffer(_ leg: Leg) -> [UInt8]? {
    guard leaseMedia(leg), let port = leg.port else { return nil }
    return leg.description.update(
      OfferAnswerSDP.offer(
        codecs: [.pcmu, .pcma], address: described(port, for: leg), port: port.rtpPort,
        session: leg.description.identity))
  }

  /// The first codec of a list that tones and files can be made in.
  func generable(_ audio: AudioStream, among names: [String]? = nil) -> Codec? {
    let wanted = names?.map { $0.uppercased() }
    return audio.codecs.first {
      ($0.encoding == .pcmu || $0.encoding == .pcma) && $0.clockRate == 8000 && wanted?.contains($0.name) ?? true
    }
  }

  /// Tells the media plane where the peer is, what he takes, and which way audio flows.
  func sendMedia(_ leg: Leg) {
    guard let port = leg.port, let remote = leg.remote?.audio else { return }
    let local = leg.description.audio
    let direction = local?.direction ?? .sendrecv
    let agreed = local?.g711
    var codecs = MediaCodecs(
      pcmu: agreed == .pcma ? nil : remote.number(of: .pcmu), pcma: agreed == .pcmu ? nil : remote.number(of: .pcma),
      telephoneEvent: remote.telephoneEvent, comfortNoise: remote.comfortNoise)
    codecs.telephoneEventIn = local?.telephoneEvent
    if let rate = (local ?? remote).formats.first?.clockRate { codecs.clockRate = rate }
    mediaCommands.append(
      .remote(
        port.id, rtp: behindNAT(remote.destination, leg), rtcp: behindNAT(remote.rtcp, leg), codecs: codecs,
        sending: remote.direction.receives && direction.sends, receiving: remote.direction.sends && direction.receives,
        latch: true))
  }
}
