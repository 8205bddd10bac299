import Logging
import Synchronization
import Testing

@testable import Storage

@Suite("Write-behind queue")
struct WriteBehindTests {
  struct DiskFull: Error {}

  /// Takes batches; fails as often as it is told; a test waits for each attempt.
  final class Sink: Sendable {
    private let failures: Mutex<Int>
    private let kept = Mutex<[[Int]]>([])
    private let (attempts, attempt) = AsyncStream<Void>.makeStream()
    init(failures: Int = 0) { self.failures = Mutex(failures) }

    var batches: [[Int]] { kept.withLock { $0 } }

    @Sendable func write(_ batch: [Int]) throws {
      defer { attempt.yield() }
      let fails = failures.withLock { left in
        defer { left = max(0, left - 1) }
        return left > 0
      }
      if fails { throw DiskFull() }
      kept.withLock { $0.append(batch) }
    }

    func nextAttempt() async { for await _ in attempts { return } }
  }

  private func queue(
    _ sink: Sink, clock: ManualClock, capacity: Int = 100, batch: Int = 100, log: LogCollector.Lines = .init()
  ) -> WriteBehind<Int> {
    var settings = WriteBehind<Int>.Settings(what: "numbers", delay: .milliseconds(200))
    settings.capacity = capacity
    settings.batch = batch
    return WriteBehind(settings, clock: clock, logger: LogCollector.logger(log)) { try sink.write($0) }
  }

  @Test("what comes within the delay is one batch, in order")
  func batch() async {
    let (sink, clock) = (Sink(), ManualClock())
    let queue = queue(sink, clock: clock)
    async let run: Void = queue.run()
    queue.offer(1)
    await clock.sleepers(1)
    clock.advance(by: .milliseconds(199))
    queue.offer([2, 3])
    #expect(sink.batches == [])
    #expect(queue.waiting == 3)
    clock.advance(by: .milliseconds(1))
    await sink.nextAttempt()
    #expect(sink.batches == [[1, 2, 3]])
    queue.offer(4)
    await clock.sleepers(1)
    clock.advance(by: .milliseconds(200))
    await sink.nextAttempt()
    #expect(sink.batches == [[1, 2, 3], [4]])
    queue.close()
    await run
    #expect(queue.waiting == 0)
    #expect(queue.dropped == 0)
  }

  @Test("a long queue is written in batches of bounded size")
  func bounded() async {
    let (sink, clock) = (Sink(), ManualClock())
    let queue = queue(sink, clock: clock, batch: 2)
    queue.offer([1, 2, 3, 4, 5])
    queue.close()
    await queue.run()
    #expect(sink.batches == [[1, 2], [3, 4], [5]])
  }

  @Test("a full queue drops, counts and says so once, and says how many when there is room again")
  func full() async {
    let (sink, clock, log) = (Sink(), ManualClock(), LogCollector.Lines())
    let queue = queue(sink, clock: clock, capacity: 3, log: log)
    for n in 1...10 { queue.offer(n) }
    #expect(queue.dropped == 7)
    #expect(queue.waiting == 3)
    #expect(log.all == ["queue is full, dropping capacity=3 what=numbers"])
    queue.close()
    await queue.run()
    #expect(sink.batches == [[1, 2, 3]])
    #expect(log.all.last == "queue was full dropped=7 what=numbers")
    queue.offer(11)
    #expect(queue.dropped == 8)
  }

  @Test("a batch that failed is tried again as it was, and counts against the capacity meanwhile")
  func retry() async {
    let (sink, clock, log) = (Sink(failures: 2), ManualClock(), LogCollector.Lines())
    let queue = queue(sink, clock: clock, capacity: 4, log: log)
    async let run: Void = queue.run()
    queue.offer([1, 2])
    await clock.sleepers(1)
    clock.advance(by: .milliseconds(200))
    await sink.nextAttempt()
    queue.offer([3, 4, 5])
    #expect(queue.dropped == 1)
    await clock.sleepers(1)
    clock.advance(by: .seconds(1))
    await sink.nextAttempt()
    await clock.sleepers(1)
    clock.advance(by: .seconds(1))
    await sink.nextAttempt()
    await sink.nextAttempt()
    #expect(sink.batches == [[1, 2], [3, 4]])
    queue.close()
    await run
    #expect(log.all.filter { $0.hasPrefix("cannot be written") }.count == 1)
    #expect(log.all.contains { $0.hasPrefix("writing works again") })
  }

  @Test("what waits is written at the end, without the delay")
  func close() async {
    let (sink, clock) = (Sink(), ManualClock())
    let queue = queue(sink, clock: clock)
    async let run: Void = queue.run()
    queue.offer(1)
    await clock.sleepers(1)
    queue.close()
    await run
    #expect(sink.batches == [[1]])
  }

  @Test("a cancelled task writes what waits before it ends")
  func cancel() async {
    let (sink, clock) = (Sink(), ManualClock())
    let queue = queue(sink, clock: clock)
    let run = Task { await queue.run() }
    queue.offer(1)
    await clock.sleepers(1)
    run.cancel()
    await run.value
    #expect(sink.batches == [[1]])
  }

  @Test("what cannot be written at the end is counted as lost, and the end is not held up")
  func lost() async {
    let (sink, clock, log) = (Sink(failures: .max), ManualClock(), LogCollector.Lines())
    let queue = queue(sink, clock: clock, log: log)
    queue.offer([1, 2])
    queue.close()
    await queue.run()
    #expect(queue.dropped == 2)
    #expect(log.all.contains { $0.hasPrefix("cannot be written, lost") })
  }

  @Test("offers of many threads all arrive")
  func threads() async {
    let (sink, clock) = (Sink(), ManualClock())
    let queue = queue(sink, clock: clock, capacity: 10_000, batch: 10_000)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 { group.addTask { for n in 0..<500 { queue.offer(n) } } }
    }
    queue.close()
    await queue.run()
    #expect(sink.batches.joined().count == 4000)
  }
}
