import NetCore

extension MediaCore {
  /// A datagram that came to the RTCP port of `slot`. It ends here.
  mutating func receiveControl(
    _ slot: Int, _ bytes: UnsafeMutableRawPointer, _ count: Int, from: SocketAddress, now: Instant
  ) {
    let stream = slots + slot
    guard stream.pointee.generation != 0 else {
      strays &+= 1
      return
    }
    guard let summary = ControlPacket.read(bytes, count, ourSSRC: stream.pointee.sent.ssrc) else {
      stream.pointee.malformed &+= 1
      return
    }
    let heard = stream.pointee.latch.source
    guard stream.pointee.control.accept(from, rtp: heard, follows: stream.pointee.follows) else {
      stream.pointee.strangers &+= 1
      return
    }
    if let sender = summary.sender, stream.pointee.received.isStarted, sender == stream.pointee.received.ssrc {
      stream.pointee.received.heardReport(ntpMiddle: summary.ntpMiddle, at: now)
    }
    if let report = summary.report {
      stream.pointee.remoteReport = report
      if report.lastReport != 0 {
        // RFC 3550 §6.4.1: A − LSR − DLSR, in 1/65536 s.
        let trip = UInt32(truncatingIfNeeded: ntp(now) >> 16) &- report.lastReport &- report.delay
        if trip < 60 << 16 { stream.pointee.roundTripMs = Double(trip) * 1000 / 65536 }
      }
    }
  }

  mutating func queueReport(_ slot: Int) {
    let random = UInt32(truncatingIfNeeded: nextRandom())
    slots[slot].reportAt = .distantFuture
    if slots[slot].isReportQueued { return }
    slots[slot].isReportQueued = true
    slots[slot].reportInterval = ControlPacket.interval(first: false, random: random)
    reports.append(UInt32(slot))
  }

  mutating func writeReport(_ slot: Int, now: Instant, into bytes: UnsafeMutableRawPointer) -> Made? {
    let stream = slots + slot
    // A slot that was leased anew since has not asked.
    guard stream.pointee.generation != 0, stream.pointee.isReportQueued else { return nil }
    stream.pointee.isReportQueued = false
    stream.pointee.reportAt = now + stream.pointee.reportInterval
    guard !stream.pointee.control.destination.isNone else { return nil }
    var sender: ControlPacket.SenderInfo?
    if stream.pointee.sent.isStarted, stream.pointee.sending {
      sender = ControlPacket.SenderInfo(
        ntp: ntp(now), timestamp: stream.pointee.sent.timestamp(at: now, clockRate: stream.pointee.clockRate),
        packets: UInt32(truncatingIfNeeded: stream.pointee.sent.packets), octets: stream.pointee.sent.octets)
    }
    let block = stream.pointee.received.isStarted ? stream.pointee.received.report(now: now) : nil
    let count = ControlPacket.write(
      into: bytes, ssrc: stream.pointee.sent.ssrc, sender: sender, block: block, cname: cname)
    return Made(slot: slot, count: count, isControl: true)
  }

  /// 64 bits of NTP time, seconds since 1900 in the upper half (RFC 3550 §4).
  func ntp(_ now: Instant) -> UInt64 {
    let unix = now.nanoseconds &+ wallOffset
    let seconds = UInt64(bitPattern: unix / 1_000_000_000 &+ 2_208_988_800)
    let rest = UInt64(bitPattern: unix % 1_000_000_000)
    return seconds << 32 | (rest << 32) / 1_000_000_000
  }

  mutating func watch(_ slot: Int, _ timeout: Instant.Span, now: Instant) {
    guard timeout > .zero else { return unwatch(slot) }
    slots[slot].watch = timeout
    slots[slot].lastHeard = now
    if slots[slot].watchIndex < 0 {
      slots[slot].watchIndex = Int32(watched.count)
      watched.append(UInt32(slot))
    }
    nextScan = min(nextScan, now + timeout)
  }

  mutating func unwatch(_ slot: Int) {
    let index = Int(slots[slot].watchIndex)
    guard index >= 0 else { return }
    slots[slot].watchIndex = -1
    let last = watched.removeLast()
    if index < watched.count {
      watched[index] = last
      slots[Int(last)].watchIndex = Int32(index)
    }
    if watched.isEmpty { nextScan = .distantFuture }
  }

  /// Looks at every watched leg, then says when the first of them can run out.
  mutating func scan(now: Instant) {
    var next = Instant.distantFuture
    var index = 0
    while index < watched.count {
      let slot = Int(watched[index])
      let end = slots[slot].lastHeard + slots[slot].watch
      if end <= now {
        unwatch(slot)
        emit(slot, .timeout(id(slot)))
        continue
      }
      next = min(next, end)
      index += 1
    }
    nextScan = next == .distantFuture ? next : max(next, now + .milliseconds(10))
  }
}
