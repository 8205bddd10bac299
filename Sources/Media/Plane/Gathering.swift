import NetCore

/// How long a worker lets packets gather before it looks at the sockets again. Waking a thread costs as much as relaying
/// a packet, or more; where packets come close together one wake-up shall serve several of them: some four, and as many as
/// come in a quarter of a millisecond where they are more. The wait never exceeds `limit`. There is none where it gains
/// nothing: when packets are rare, and when they gather by themselves, be it that they come in bursts, or that the
/// processor is busy elsewhere. Which of these holds is measured, without waiting, for a short while every quarter of a
/// second.
struct Gathering {
  private let limit: Instant.Span
  private var windowStart: Instant
  private var packets: Int64 = 0
  private var wakes: Int64 = 0
  private var windowsToProbe = 0
  private var isProbing = true
  /// Zero: do not wait.
  private(set) var wait: Instant.Span = .zero

  private static let window = Instant.Span.milliseconds(10)
  private static let windowsBetweenProbes = 25
  private static let packetsAWake: Int64 = 4
  /// Nanoseconds that nobody hears, of which a dense stream may have as many packets as come.
  private static let unheard: Int64 = 250_000
  /// A wait that gathers fewer packets than this is none.
  private static let worthwhile: Int64 = 2

  init(limit: Instant.Span, now: Instant) {
    self.limit = limit
    windowStart = now
  }

  /// A wake-up has handled `count` packets.
  @inline(__always) mutating func handled(_ count: Int, now: Instant) {
    packets += Int64(count)
    wakes += 1
    let elapsed = now - windowStart
    if elapsed >= Self.window { measure(elapsed, now: now) }
  }

  private mutating func measure(_ elapsed: Instant.Span, now: Instant) {
    defer {
      windowStart = now
      packets = 0
      wakes = 0
    }
    if !isProbing {
      windowsToProbe -= 1
      guard windowsToProbe <= 0 else { return }
      isProbing = true
      wait = .zero
      return
    }
    isProbing = false
    windowsToProbe = Self.windowsBetweenProbes
    let interval = max(elapsed.nanoseconds / max(packets, 1), 1)
    let gathering = min(max(interval * Self.packetsAWake, Self.unheard), limit.nanoseconds)
    let isUseful = gathering >= interval * Self.worthwhile
    // Half as many come together already: let them.
    let isNatural = packets * 2 >= wakes * (gathering / interval)
    wait = isUseful && !isNatural ? Instant.Span(nanoseconds: gathering) : .zero
  }
}
