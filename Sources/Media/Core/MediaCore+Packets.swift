import NetCore

extension MediaCore {
  /// After so many packets in a row a source is worth a `connect`; after more, one that is not the signalled one. Until
  /// then the signalled address can still be heard, and take its place.
  private static let steadyPackets: UInt16 = 32
  private static let steadyPacketsElsewhere: UInt16 = 512

  /// So long nothing comes from a phone until it may speak from another port.
  static let silence = Instant.Span.milliseconds(1000)

  /// An RTP datagram that came to `slot`. The answer is the slot that the datagram, rewritten in place, has to be sent
  /// from, or negative when it ends here.
  @inline(__always)
  mutating func receive(
    _ slot: Int, _ bytes: UnsafeMutableRawPointer, _ count: Int, from: SocketAddress, now: Instant
  ) -> Int {
    let stream = slots + slot
    guard stream.pointee.generation != 0 else {
      strays &+= 1
      return -1
    }
    guard let packet = RTPPacket(bytes, count) else {
      stream.pointee.malformed &+= 1
      return -1
    }
    switch stream.pointee.latch.accept(from, ssrc: packet.ssrc, sequence: packet.sequence) {
    case .accepted: break
    case .moved: moved(slot)
    case .rejected:
      guard rebinds(slot, packet, from: from, now: now) else {
        stream.pointee.strangers &+= 1
        return -1
      }
    }
    let type = packet.payloadType
    let isEvent = type == stream.pointee.eventType
    let clockRate = stream.pointee.clockRate
    switch stream.pointee.received.update(packet, now: now, clockRate: clockRate, timed: !isEvent) {
    case .inSequence: break
    case .restarted: restarted(slot)
    case .suspicious:
      stream.pointee.malformed &+= 1
      return -1
    }
    stream.pointee.lastHeard = now
    if stream.pointee.steady < Self.steadyPacketsElsewhere { steady(slot) }
    guard stream.pointee.receiving else {
      stream.pointee.held &+= 1
      return -1
    }
    if isEvent {
      if let digit = stream.pointee.digit.update(packet, now: now) { report(slot, digit) }
    } else if stream.pointee.digit.isOpen {
      if let digit = stream.pointee.digit.expire(now: now) { report(slot, digit) }
    }
    if now >= stream.pointee.reportAt { queueReport(slot) }
    if !stream.pointee.gate.isNone, let target = earlyMedia(slot, packet, type, isEvent, now) { return target }
    let target: Int
    switch stream.pointee.route {
    case .none: return -1
    case .bridge:
      target = Int(stream.pointee.peer)
      guard slots[target].generation == stream.pointee.peerGeneration else { return -1 }
    case .echo: target = slot
    }
    return forward(slot, packet, to: target, as: stream.pointee.map[Int(type)], isEvent: isEvent, now: now)
  }

  /// Rewrites a packet of `slot` for `target`.
  @inline(__always)
  mutating func forward(
    _ slot: Int, _ packet: RTPPacket, to target: Int, as type: UInt8, isEvent: Bool, now: Instant
  ) -> Int {
    guard type != PayloadMap.unmapped else {
      slots[slot].unmapped &+= 1
      return -1
    }
    let out = slots + target
    guard out.pointee.sending, !out.pointee.latch.destination.isNone else {
      out.pointee.held &+= 1
      return -1
    }
    // A connected socket would not hear a phone whose port has changed.
    if out.pointee.connection == .connected, now - out.pointee.lastHeard >= Self.silence { disconnect(target) }
    let key = UInt64(UInt32(truncatingIfNeeded: slot + 1)) << 32 | UInt64(packet.ssrc)
    let clockRate = out.pointee.clockRate
    if isEvent {
      guard
        out.pointee.sent.relayEvent(
          packet, key: key, payloadType: type, now: now, clockRate: clockRate, overlaid: out.pointee.isGenerating)
      else { return -1 }
    } else {
      if out.pointee.isGenerating { return -1 }
      guard out.pointee.sent.relay(packet, key: key, payloadType: type, now: now, clockRate: clockRate) else {
        return -1
      }
    }
    if now >= out.pointee.reportAt { queueReport(target) }
    relayed &+= 1
    return target
  }

  /// Whether a NAT has given the phone a new port in mid-call: its stream goes on from there, and the old one is silent.
  private mutating func rebinds(_ slot: Int, _ packet: RTPPacket, from: SocketAddress, now: Instant) -> Bool {
    let stream = slots + slot
    guard now - stream.pointee.lastHeard >= Self.silence, stream.pointee.received.isContinued(by: packet),
      stream.pointee.latch.rebind(from, ssrc: packet.ssrc, sequence: packet.sequence) != .rejected
    else { return false }
    moved(slot)
    return true
  }

  private mutating func moved(_ slot: Int) {
    let stream = slots + slot
    disconnect(slot)
    stream.pointee.control.follow(stream.pointee.latch.source)
    if stream.pointee.latch.isElsewhere, let source = stream.pointee.latch.source.endpoint {
      emit(slot, .latched(id(slot), source))
    }
  }

  /// The source has a new SSRC or has renumbered: whoever hears it gets a change of source.
  private mutating func restarted(_ slot: Int) {
    let stream = slots + slot
    stream.pointee.gate.run = 0
    let gate = stream.pointee.gate
    if !gate.isNone, slots[Int(gate.slot)].generation == gate.generation, !slots[Int(gate.slot)].isGenerating {
      slots[Int(gate.slot)].sent.detach()
    }
    if stream.pointee.route == .echo { stream.pointee.sent.detach() }
    let peer = Int(stream.pointee.peer)
    if stream.pointee.route == .bridge, slots[peer].generation == stream.pointee.peerGeneration,
      !slots[peer].isGenerating
    {
      slots[peer].sent.detach()
    }
  }

  private mutating func steady(_ slot: Int) {
    let stream = slots + slot
    stream.pointee.steady += 1
    guard stream.pointee.connection == .none, stream.pointee.latch.isLocked,
      stream.pointee.latch.source == stream.pointee.latch.destination
    else { return }
    let enough = stream.pointee.latch.isElsewhere ? Self.steadyPacketsElsewhere : Self.steadyPackets
    if stream.pointee.steady >= enough { stream.pointee.connection = .wanted }
  }

  /// Anybody may be heard again.
  mutating func disconnect(_ slot: Int) {
    slots[slot].steady = 0
    if slots[slot].connection == .connected { reconnect.append(UInt32(slot)) }
    if slots[slot].connection != .refused { slots[slot].connection = .none }
  }

  private mutating func report(_ slot: Int, _ digit: DigitState.Digit) {
    emit(slot, .dtmf(id(slot), digit.event, durationMs: digit.durationMs))
  }
}
