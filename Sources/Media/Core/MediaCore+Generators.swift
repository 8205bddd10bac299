import NetCore

extension MediaCore {
  /// A packet of our own that the caller has to send.
  struct Made {
    var slot: Int
    var count: Int
    /// RTCP, to the leg's control address.
    var isControl = false
  }

  /// The next packet that is due of its own accord, written to `bytes`, which has room for 256. Nil: nothing more at
  /// `now`, and `deadline` says when to come back.
  mutating func poll(now: Instant, into bytes: UnsafeMutableRawPointer) -> Made? {
    while let slot = reports.popLast() {
      if let made = writeReport(Int(slot), now: now, into: bytes) { return made }
    }
    if now >= nextTick, let made = tick(now: now, into: bytes) { return made }
    if now >= nextScan { scan(now: now) }
    return nil
  }

  private mutating func tick(now: Instant, into bytes: UnsafeMutableRawPointer) -> Made? {
    while cursor < generators.count {
      checkFallback(cursor, now: now)
      generators[cursor].catchUp(now: now)
      guard generators[cursor].due <= now else {
        cursor += 1
        continue
      }
      let slot = generators[cursor].slot
      let due = generators[cursor].due
      generators[cursor].due = due + Generator.interval
      // Early media is heard, or the file is still being read.
      guard slots[slot].isGenerating else { continue }
      guard let (law, type) = slots[slot].generated, slots[slot].sending, !slots[slot].latch.destination.isNone else {
        generators[cursor].playback.skip(frames: 1)
        slots[slot].sent.detach()
        if generators[cursor].playback.isOver { finish(cursor) }
        continue
      }
      let packet = RTPPacket(writing: bytes, payloadCount: Playback.frame)
      let payload = packet.payload.assumingMemoryBound(to: UInt8.self)
      guard generators[cursor].playback.fill(payload, law) else {
        finish(cursor)
        continue
      }
      let skipped = generators[cursor].skipped
      generators[cursor].skipped = 0
      slots[slot].sent.generate(
        packet, key: generators[cursor].key, payloadType: type, samples: UInt32(Playback.frame), skipped: skipped,
        due: due)
      generatedPackets &+= 1
      if now >= slots[slot].reportAt { queueReport(slot) }
      return Made(slot: slot, count: packet.count)
    }
    cursor = 0
    nextTick = generators.isEmpty ? .distantFuture : following(now)
    return nil
  }

  /// The next tick of the common grid after `now`.
  private func following(_ now: Instant) -> Instant {
    let passed = (now - nextTick).nanoseconds / Generator.interval.nanoseconds
    return nextTick + Generator.interval * (passed + 1)
  }

  func isPlaying(_ slot: Int, _ source: AudioSource, _ token: UInt32) -> Bool {
    guard slots[slot].generator >= 0 else { return false }
    let generator = generators[Int(slots[slot].generator)]
    guard generator.source == source, case .play(let running) = generator.role else { return false }
    return running == token
  }

  mutating func start(_ slot: Int, _ source: AudioSource, role: Generator.Role, now: Instant) {
    stop(slot, .stopped)
    let key = newKey()
    let playback: Playback
    switch source {
    case .tone(let kind, let country): playback = .tone(TonePlayer(Tone.named(kind, country: country)))
    case .silence: playback = .silence
    case .file(let path, _):
      playback = .loading
      loads.append((key, [path]))
    case .list(let paths, _):
      playback = .loading
      loads.append((key, paths))
    }
    if nextTick == .distantFuture { nextTick = now }
    slots[slot].generator = Int32(generators.count)
    generators.append(
      Generator(slot: slot, key: key, source: source, playback: playback, due: max(nextTick, now), role: role))
    slots[slot].isGenerating = !playback.isLoading
    if slots[slot].generated == nil {
      fail(generators.count - 1, "the leg has no codec that can be generated (PCMU, PCMA)")
    }
  }

  /// The answer to one of `loads`.
  mutating func loaded(_ key: UInt64, _ clips: [AudioClip], failure: String?, now: Instant) {
    guard let index = generators.firstIndex(where: { $0.key == key }) else { return }
    if let failure { return fail(index, failure) }
    let loop: Bool
    switch generators[index].source {
    case .file(_, let again): loop = again
    case .list(_, let again): loop = again
    case .tone, .silence: return
    }
    generators[index].playback = .clips(ClipPlayer(clips, loop: loop))
    if case .ringback(let ringback) = generators[index].role, ringback.active != nil { return }
    slots[generators[index].slot].isGenerating = true
  }

  /// A prompt that cannot be had is over. A ring-back goes on as the tone, so that the caller hears that it rings; the
  /// failure is reported under token 0.
  private mutating func fail(_ index: Int, _ why: String) {
    let slot = generators[index].slot
    switch generators[index].role {
    case .play(let token):
      remove(index)
      emit(slot, .played(id(slot), token: token, ended: .failed(why)))
    case .ringback(let ringback):
      emit(slot, .played(id(slot), token: 0, ended: .failed(why)))
      generators[index].playback = .tone(TonePlayer(Tone.named(.ringing, country: "us")))
      slots[slot].isGenerating = ringback.active == nil
    }
  }

  private mutating func finish(_ index: Int) {
    let slot = generators[index].slot
    switch generators[index].role {
    case .play(let token):
      remove(index)
      emit(slot, .played(id(slot), token: token, ended: .finished))
    case .ringback:
      // A file without loop has ended and nobody has answered: the stream goes on, in silence.
      generators[index].playback = .silence
    }
  }

  /// Ends what is generated for a leg, with the event that belongs to it.
  mutating func stop(_ slot: Int, _ end: PlaybackEnd) {
    let index = Int(slots[slot].generator)
    guard index >= 0 else { return }
    let role = generators[index].role
    remove(index)
    if case .play(let token) = role { emit(slot, .played(id(slot), token: token, ended: end)) }
  }

  mutating func endRingback(_ slot: Int) {
    let index = Int(slots[slot].generator)
    guard index >= 0, case .ringback = generators[index].role else { return }
    remove(index)
  }

  mutating func remove(_ index: Int) {
    let slot = generators[index].slot
    if case .ringback(let ringback) = generators[index].role { closeGates(slot, ringback) }
    slots[slot].generator = -1
    slots[slot].isGenerating = false
    let last = generators.count - 1
    if index != last {
      generators[index] = generators[last]
      slots[generators[index].slot].generator = Int32(index)
    }
    generators.removeLast()
    if generators.isEmpty, cursor == 0 { nextTick = .distantFuture }
  }
}
