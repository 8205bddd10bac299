import NetCore

/// `tone_until_media`: the tone until the callee's own early media is heard to be some, and the tone again when that has
/// stopped.
extension MediaCore {
  /// A packet of a leg that rings. Nil: the gate is gone, and the packet goes its ordinary way.
  mutating func earlyMedia(
    _ slot: Int, _ packet: RTPPacket, _ type: UInt8, _ isEvent: Bool, _ now: Instant
  ) -> Int? {
    let gate = slots[slot].gate
    let target = Int(gate.slot)
    guard slots[target].generation == gate.generation, slots[target].generator >= 0 else {
      slots[slot].gate = .none
      return nil
    }
    let index = Int(slots[target].generator)
    guard case .ringback(var ringback) = generators[index].role else {
      slots[slot].gate = .none
      return nil
    }
    if let active = ringback.active {
      guard active == UInt32(slot) else { return -1 }
      ringback.lastHeard = now
      generators[index].role = .ringback(ringback)
    } else {
      guard type == ringback.promised, !isEvent, isAudible(packet, slot: slot, type: type) else {
        slots[slot].gate.run = 0
        return -1
      }
      slots[slot].gate.run += 1
      guard slots[slot].gate.run >= Ringback.packetsToTakeOver else { return -1 }
      slots[slot].gate.run = 0
      ringback.active = UInt32(slot)
      ringback.lastHeard = now
      generators[index].role = .ringback(ringback)
      slots[target].isGenerating = false
      emit(target, .takeover(id(target), true))
    }
    return forward(
      slot, packet, to: target, as: ringback.map[type] ?? PayloadMap.unmapped, isEvent: isEvent, now: now)
  }

  private func isAudible(_ packet: RTPPacket, slot: Int, type: UInt8) -> Bool {
    let law: G711Law = type == slots[slot].codecs.pcma || (slots[slot].codecs.pcma == nil && type == 8) ? .pcma : .pcmu
    return !G711.isSilent(UnsafeRawBufferPointer(start: packet.payload, count: packet.payloadCount), law)
  }

  mutating func startRingback(
    _ slot: Int, source: AudioSource, from: [MediaEndpointID], promised: UInt8, map: PayloadMap, now: Instant
  ) {
    var ringback = Ringback(promised: promised, map: map, from: from)
    let index = Int(slots[slot].generator)
    if index >= 0, generators[index].source == source, case .ringback(let old) = generators[index].role {
      // Said again, or another callee rings: the cadence goes on.
      closeGates(slot, old)
      if let active = old.active, from.contains(where: { $0.slot == active }) {
        ringback.active = active
        ringback.lastHeard = old.lastHeard
      } else if old.active != nil {
        resume(index, now: now)
      }
      generators[index].role = .ringback(ringback)
    } else {
      start(slot, source, role: .ringback(ringback), now: now)
    }
    guard slots[slot].generator >= 0 else { return }
    for id in from {
      guard let leg = self.slot(id), leg != slot else { continue }
      slots[leg].gate = StreamState.Gate(slot: UInt32(slot), generation: slots[slot].generation)
    }
  }

  /// Called on each tick while early media is heard.
  mutating func checkFallback(_ index: Int, now: Instant) {
    guard case .ringback(var ringback) = generators[index].role, let active = ringback.active else { return }
    let slot = generators[index].slot
    let isAlive = slots[Int(active)].gate.slot == UInt32(slot) && !slots[Int(active)].gate.isNone
    guard !isAlive || now - ringback.lastHeard >= Ringback.fallback else { return }
    ringback.active = nil
    generators[index].role = .ringback(ringback)
    resume(index, now: now)
    emit(slot, .takeover(id(slot), false))
  }

  /// The tone from the start of its cadence.
  private mutating func resume(_ index: Int, now: Instant) {
    let slot = generators[index].slot
    slots[slot].isGenerating = true
    switch generators[index].playback {
    case .tone(let player): generators[index].playback = .tone(TonePlayer(player.tone))
    case .clips(let player): generators[index].playback = .clips(ClipPlayer(player.clips, loop: player.loop))
    case .loading, .silence: break
    }
  }

  mutating func closeGates(_ slot: Int, _ ringback: Ringback) {
    for id in ringback.from {
      guard let leg = self.slot(id), slots[leg].gate.slot == UInt32(slot) else { continue }
      slots[leg].gate = .none
    }
  }
}
