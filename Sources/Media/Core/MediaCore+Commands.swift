import NetCore

extension MediaCore {
  /// Does what a command says. One that names an endpoint whose lease has ended does nothing.
  mutating func apply(_ command: MediaCommand, now: Instant) {
    switch command {
    case .remote(let id, let rtp, let rtcp, let codecs, let sending, let receiving, let latch):
      guard let slot = slot(id) else { return }
      remote(slot, rtp: rtp, rtcp: rtcp, codecs: codecs, latch: latch, now: now)
      if !sending { slots[slot].sent.detach() }
      slots[slot].sending = sending
      slots[slot].receiving = receiving
    case .bridge(let a, let b, let aToB, let bToA):
      precondition(a.worker == b.worker, "a bridge joins two endpoints of one worker: lease near:")
      guard let first = slot(a), let second = slot(b), first != second else { return }
      endRingback(first)
      endRingback(second)
      join(first, to: second, map: aToB)
      join(second, to: first, map: bToA)
    case .unbridge(let id):
      guard let slot = slot(id) else { return }
      unroute(slot)
    case .ringback(let id, let source, let from, let promised, let map):
      guard let slot = slot(id) else { return }
      startRingback(slot, source: source, from: from, promised: promised, map: map, now: now)
    case .play(let id, let source, let token):
      guard let slot = slot(id) else { return }
      if isPlaying(slot, source, token) { return }
      start(slot, source, role: .play(token: token), now: now)
    case .stopPlaying(let id):
      guard let slot = slot(id) else { return }
      stop(slot, .stopped)
    case .echo(let id, let isOn):
      guard let slot = slot(id) else { return }
      if isOn {
        if slots[slot].route == .echo { return }
        unroute(slot)
        slots[slot].route = .echo
        setMap(slot, .identity)
      } else if slots[slot].route == .echo {
        unroute(slot)
      }
    case .watch(let id, let timeout):
      guard let slot = slot(id) else { return }
      watch(slot, timeout ?? .zero, now: now)
    case .statistics(let id, let token):
      guard let slot = slot(id) else { return }
      emit(slot, .statistics(id, token: token, slots[slot].statistics()))
    case .release(let id):
      guard let slot = slot(id) else { return }
      close(slot)
    }
  }

  private mutating func remote(
    _ slot: Int, rtp: Endpoint?, rtcp: Endpoint?, codecs: MediaCodecs, latch: Bool, now: Instant
  ) {
    let stream = slots + slot
    let address = SocketAddress(rtp)
    stream.pointee.latch.rearm(signalled: address, follows: latch)
    stream.pointee.control.rearm(signalled: SocketAddress(rtcp), rtp: address)
    stream.pointee.follows = latch
    stream.pointee.codecs = codecs
    stream.pointee.clockRate = min(max(codecs.clockRate, 1000), 384_000)
    stream.pointee.eventType = codecs.telephoneEventIn ?? codecs.telephoneEvent ?? PayloadMap.unmapped
    disconnect(slot)
    if stream.pointee.connection == .refused { stream.pointee.connection = .none }
    if stream.pointee.reportAt == .distantFuture {
      let random = UInt32(truncatingIfNeeded: nextRandom())
      stream.pointee.reportAt = now + ControlPacket.interval(first: true, random: random)
    }
  }

  private mutating func join(_ slot: Int, to peer: Int, map: PayloadMap) {
    let stream = slots + slot
    if stream.pointee.route != .bridge || Int(stream.pointee.peer) != peer { unroute(slot) }
    stream.pointee.route = .bridge
    stream.pointee.peer = UInt32(peer)
    stream.pointee.peerGeneration = slots[peer].generation
    setMap(slot, map)
  }

  private mutating func setMap(_ slot: Int, _ map: PayloadMap) {
    slots[slot].map = map.flat
  }

  /// Takes a leg out of its bridge, both ways, or out of its echo.
  private mutating func unroute(_ slot: Int) {
    let stream = slots + slot
    let peer = slots + Int(stream.pointee.peer)
    if stream.pointee.route == .bridge, peer.pointee.route == .bridge, Int(peer.pointee.peer) == slot,
      peer.pointee.peerGeneration == stream.pointee.generation
    {
      peer.pointee.route = .none
      peer.pointee.sent.detach()
    }
    stream.pointee.route = .none
    stream.pointee.sent.detach()
  }

  private mutating func close(_ slot: Int) {
    if hasPerishable {
      let released = id(slot)
      events.removeAll { $0.event.endpoint == released && !$0.event.outlivesRelease }
    }
    if slots[slot].generator >= 0 { remove(Int(slots[slot].generator)) }
    unroute(slot)
    unwatch(slot)
    disconnect(slot)
    slots[slot].gate = .none
    slots[slot].generation = 0
    leases -= 1
    self.released.append(UInt32(slot))
  }
}
