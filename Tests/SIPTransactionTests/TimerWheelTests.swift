import NetCore
import SIPTransaction
import Testing

private func token(_ slot: Int) -> TimerToken { TimerToken(kind: 1, which: 0, slot: UInt32(slot), generation: 0) }
private let tick = Instant.Span(nanoseconds: 1 << 22)

@Suite("Timer wheel")
struct TimerWheelTests {
  @Test(
    "a timer fires late by less than a tick and never early",
    arguments: [0, 1, 4, 5, 100, 1_073, 5_000, 274_000, 290_000, 3_600_000, 80_000_000])
  func precision(milliseconds: Int64) {
    var wheel = TimerWheel(now: .zero)
    let at = Instant.zero + .milliseconds(milliseconds) + Instant.Span(nanoseconds: 17)
    _ = wheel.arm(token(1), at: at)
    #expect(wheel.expired(now: at + Instant.Span(nanoseconds: -1)).isEmpty)
    #expect(wheel.count == 1)
    #expect(wheel.expired(now: at + tick) == [token(1)])
    #expect(wheel.count == 0)
    #expect(wheel.nextDeadline == nil)
  }

  @Test("sleeping until nextDeadline, again and again, meets every timer on time")
  func deadlines() {
    var random = SplitMix64(seed: 1)
    let origin = Instant(nanoseconds: 987_654_321_012)
    var wheel = TimerWheel(now: origin)
    var due: [Instant] = []
    for i in 0..<2_000 {
      let span = Int64(random.next() % UInt64(1 + [10, 500, 32_000, 400_000, 90_000_000][i % 5])) * 1_000_000
      due.append(origin + Instant.Span(nanoseconds: span + Int64(random.next() % 1_000_000)))
      _ = wheel.arm(token(i), at: due[i])
    }
    var fired = 0
    var wakes = 0
    var last = origin
    while let now = wheel.nextDeadline {
      #expect(now >= last)
      last = now
      wakes += 1
      wheel.advance(to: now) { token in
        fired += 1
        let at = due[Int(token.slot)]
        #expect(at <= now && now - at < tick)
      }
    }
    #expect(fired == 2_000)
    // A bucket of a coarser ring that is moved down costs a wake-up: few beside the timers themselves.
    #expect(wakes < 2 * 2_000)
  }

  @Test("against a sorted list: random arm, cancel and advance", arguments: 0..<20)
  func model(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var now = Instant(nanoseconds: Int64(random.next() % 1_000_000_000_000))
    var wheel = TimerWheel(now: now)
    var armed: [Int: (at: Instant, handle: TimerHandle)] = [:]
    var stale: [TimerHandle] = []
    for step in 0..<3_000 {
      switch random.next() % 10 {
      case 0..<5:
        let at =
          now + .milliseconds(Int64(random.next() % [3, 400, 40_000, 1_000_000, 100_000_000][Int(random.next() % 5)]))
        armed[step] = (at, wheel.arm(token(step), at: at))
      case 5..<8:
        if let (slot, timer) = armed.randomElement(using: &random) {
          wheel.cancel(timer.handle)
          armed[slot] = nil
          stale.append(timer.handle)
        }
        if let handle = stale.randomElement(using: &random) { wheel.cancel(handle) }
      default:
        now = now + .milliseconds(Int64(random.next() % [5, 300, 20_000, 3_000_000][Int(random.next() % 4)]))
        for fired in wheel.expired(now: now) {
          guard let timer = armed.removeValue(forKey: Int(fired.slot)) else {
            Issue.record("fired though cancelled")
            continue
          }
          #expect(timer.at <= now)
          stale.append(timer.handle)
        }
        for timer in armed.values { #expect(now - timer.at < tick) }
      }
      #expect(wheel.count == armed.count)
    }
  }

  @Test("timers of one tick fire in the order they were armed")
  func order() {
    var wheel = TimerWheel(now: .zero)
    for i in 0..<10 { _ = wheel.arm(token(i), at: Instant.zero + .milliseconds(500)) }
    #expect(wheel.expired(now: Instant.zero + .milliseconds(510)) == (0..<10).map(token))
  }

  @Test("a timer can be cancelled by one that fires in the same tick")
  func cancelWithinTick() {
    var wheel = TimerWheel(now: .zero)
    let now = Instant.zero + .milliseconds(600)
    _ = wheel.arm(token(1), at: Instant.zero + .milliseconds(500))
    let second = wheel.arm(token(2), at: Instant.zero + .milliseconds(500))
    #expect(wheel.popExpired(now: now) == token(1))
    wheel.cancel(second)
    #expect(wheel.popExpired(now: now) == nil)
  }

  @Test("a timer armed while others fire waits for a later tick, so no loop can arise")
  func armWhileFiring() {
    var wheel = TimerWheel(now: .zero)
    let now = Instant.zero + .milliseconds(600)
    _ = wheel.arm(token(1), at: now)
    #expect(wheel.popExpired(now: now + tick) == token(1))
    #expect(wheel.popExpired(now: now + tick) == nil)
    _ = wheel.arm(token(2), at: .zero)
    #expect(wheel.popExpired(now: now + tick) == nil)
    #expect(wheel.popExpired(now: now + tick * 2) == token(2))
  }

  @Test("stale handles are harmless after their place is used again")
  func staleHandle() {
    var wheel = TimerWheel(now: .zero)
    let first = wheel.arm(token(1), at: Instant.zero + .milliseconds(10))
    wheel.cancel(first)
    _ = wheel.arm(token(2), at: Instant.zero + .milliseconds(10))
    wheel.cancel(first)
    wheel.cancel(.none)
    #expect(wheel.expired(now: Instant.zero + .milliseconds(20)) == [token(2)])
  }

  @Test("a clock that stands or steps back fires nothing twice")
  func backwards() {
    var wheel = TimerWheel(now: Instant.zero + .milliseconds(10_000))
    _ = wheel.arm(token(1), at: Instant.zero + .milliseconds(10_100))
    #expect(wheel.expired(now: .zero).isEmpty)
    #expect(wheel.expired(now: Instant.zero + .milliseconds(10_200)) == [token(1)])
    #expect(wheel.expired(now: Instant.zero + .milliseconds(10_100)).isEmpty)
  }

  @Test("a timer that never comes costs no walk")
  func distantFuture() {
    var wheel = TimerWheel(now: .zero)
    let handle = wheel.arm(token(1), at: .distantFuture)
    #expect(wheel.expired(now: Instant.zero + .milliseconds(1_000_000_000)).isEmpty)
    wheel.cancel(handle)
    #expect(wheel.count == 0)
  }
}

/// A small generator with a seed: the tests must be repeatable.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
