import CNet
import Glibc
import NetCore
import Synchronization
import Testing

@testable import Media

/// The port pool on virtual time, and the arithmetic of waiting.
@Suite struct PoolTests {
  private let start = Instant(nanoseconds: 1_000_000_000_000)

  /// A pool of one worker that nobody listens to.
  private final class Bench {
    let memory: UnsafeMutablePointer<PortSlot>
    let epoll = cnet_epoll()
    let pool: PortPool

    init(ports: ClosedRange<UInt16>, quarantine: Instant.Span, capacity: Int = 64, ahead: Int = 1) throws {
      memory = .allocate(capacity: capacity)
      pool = try PortPool(
        MediaConfiguration(
          addresses: [CoreHarness.address], ports: ports, ahead: ahead, quarantine: quarantine),
        capacity: capacity, homes: [PortPool.Home(slots: memory, epoll: epoll)])
    }

    func lease(_ now: Instant) -> PortPool.Lease? { pool.lease(worker: 0, family: .v4, now: now)?.lease }

    deinit {
      pool.close()
      memory.deallocate()
      close(epoll)
    }
  }

  @Test(
    "pairs are even and odd, whatever the range begins and ends with",
    arguments: [
      (10_000...31_999, 11_000), (10_001...10_004, 1), (10_000...10_000, 0), (10_001...10_002, 0), (10_000...10_002, 1),
      (65_534...65_535, 1),
    ] as [(ClosedRange<UInt16>, Int)])
  func pairs(range: ClosedRange<UInt16>, count: Int) {
    #expect(PortPool.pairs(in: range) == count)
  }

  @Test("a released pair rests before it is leased again, and from the last packet on that still comes")
  func rest() throws {
    let bench = try Bench(ports: 21_500...21_501, quarantine: .seconds(1))
    let first = try #require(bench.lease(start))
    #expect(bench.lease(start) == nil)
    bench.pool.rest(worker: 0, [first.slot], now: start)
    #expect(bench.lease(start + .milliseconds(999)) == nil)
    let second = try #require(bench.lease(start + .milliseconds(1000)))
    #expect(second.slot == first.slot && second.generation == first.generation + 1 && second.port == first.port)
    bench.pool.rest(worker: 0, [second.slot], now: start + .milliseconds(2000))
    bench.memory[0].strayAt.store((start + .milliseconds(2900)).nanoseconds, ordering: .relaxed)
    #expect(bench.lease(start + .milliseconds(3100)) == nil)
    #expect(bench.lease(start + .milliseconds(3950)) != nil)
    #expect(bench.pool.usage.leased == 1 && bench.pool.usage.bound == 1)
  }

  @Test("the one that has rested longest is leased first, before a new one is bound")
  func order() throws {
    let bench = try Bench(ports: 21_510...21_549, quarantine: .milliseconds(100))
    let leases = try (0..<3).map { _ in try #require(bench.lease(start)) }
    bench.pool.rest(worker: 0, [leases[1].slot], now: start)
    bench.pool.rest(worker: 0, [leases[0].slot], now: start + .milliseconds(50))
    #expect(bench.lease(start + .milliseconds(120))?.slot == leases[1].slot)
    let fresh = try #require(bench.lease(start + .milliseconds(120)))
    #expect(!leases.map(\.slot).contains(fresh.slot))
    #expect(bench.lease(start + .milliseconds(160))?.slot == leases[0].slot)
    #expect(bench.pool.usage.leased == 4 && bench.pool.usage.bound == 4)
  }

  @Test("pairs are bound ahead, and no more than the limit of open files allows")
  func ahead() throws {
    let bench = try Bench(ports: 21_550...21_649, quarantine: .zero, capacity: 12, ahead: 8)
    bench.pool.fill()
    #expect(bench.pool.ready(family: 0) == 8)
    var count = 0
    while bench.lease(start) != nil { count += 1 }
    #expect(count == 12 && bench.pool.usage.refused == 1)
  }

  @Test("a queue gives back what was put in, in order")
  func queue() {
    var queue = Queue<Int>()
    var expected = 0
    for n in 0..<1000 {
      queue.append(n)
      if n % 3 == 2 {
        #expect(queue.first == expected)
        #expect(queue.count == n + 1 - expected)
        let taken = queue.popFirst()
        #expect(taken == expected)
        expected += 1
      }
    }
    while let taken = queue.popFirst() {
      #expect(taken == expected)
      expected += 1
    }
    #expect(expected == 1000 && queue.isEmpty)
  }

  /// Feeds one second of packets, `burst` at a time; the answer is the wait that came of it.
  private func wait(rate: Int, burst: Int, limit: Instant.Span = .milliseconds(1)) -> Instant.Span {
    var gathering = Gathering(limit: limit, now: start)
    var longest = Instant.Span.zero
    for n in 0..<(rate / burst) {
      let at = start + Instant.Span(nanoseconds: Int64(n * burst) * 1_000_000_000 / Int64(rate))
      gathering.handled(burst, now: at)
      longest = max(longest, gathering.wait)
    }
    return longest
  }

  @Test("packets gather where that saves wake-ups: not when they are rare or come in bursts")
  func gathering() {
    #expect(wait(rate: 500, burst: 1) == .zero)
    #expect((600_000...1_000_000).contains(wait(rate: 5000, burst: 1).nanoseconds))
    #expect((200_000...250_000).contains(wait(rate: 20_000, burst: 1).nanoseconds))
    #expect((200_000...250_000).contains(wait(rate: 50_000, burst: 1).nanoseconds))
    #expect(wait(rate: 20_000, burst: 4) == .zero)
    #expect(wait(rate: 80_000, burst: 16) == .zero)
    #expect(wait(rate: 20_000, burst: 1, limit: .zero) == .zero)
  }
}

@Suite struct MemoryTests {
  @Test("a leg takes little more than a kilobyte here, beside its sockets")
  func size() {
    #expect(MemoryLayout<StreamState>.stride + MemoryLayout<PortSlot>.stride < 1200)
  }
}
