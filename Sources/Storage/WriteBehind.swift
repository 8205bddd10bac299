public import Logging
import Synchronization

/// Carries values from the loops to slow storage: a bounded queue, and one writer that takes all that is there a moment
/// after the first came. `offer` never blocks; what does not fit is dropped and counted. A batch that cannot be written
/// is kept and tried again, while the queue behind it fills.
public final class WriteBehind<Element: Sendable>: Sendable {
  public struct Settings: Sendable {
    /// What is being written, as the log says it: `call records to /var/…`.
    public var what: String
    /// Elements that wait at most.
    public var capacity = 100_000
    /// Elements of one write at most.
    public var batch = 4096
    /// From the first element of a batch to its write.
    public var delay: Duration
    /// After a write that failed.
    public var retry = Duration.seconds(1)

    public init(what: String, delay: Duration) {
      self.what = what
      self.delay = delay
    }
  }

  private struct State {
    var queue: [Element] = []
    /// Taken by the writer and not written yet; they count against the capacity.
    var taken = 0
    var dropped = 0
    /// Drops that the log has not told of yet, since the queue was full.
    var droppedSinceFull = 0
    var closed = false
    /// The pause that `close` cuts short.
    var pause: Task<Void, Never>?
  }

  private let settings: Settings
  private let clock: any Clock<Duration>
  private let logger: Logger
  private let write: @Sendable ([Element]) async throws -> Void
  private let state = Mutex(State())
  private let wakes: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation

  /// - Parameter write: Writes all or throws; not called by two tasks at once.
  public init(
    _ settings: Settings, clock: any Clock<Duration> = ContinuousClock(), logger: Logger,
    write: @escaping @Sendable ([Element]) async throws -> Void
  ) {
    self.settings = settings
    self.clock = clock
    self.logger = logger
    self.write = write
    (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// From any thread; one short lock, and a wake only for the first element of a batch.
  public func offer(_ element: Element) { offer(CollectionOfOne(element)) }

  /// Of several what fits is taken, the first ones first.
  public func offer(_ elements: some Collection<Element>) {
    if elements.isEmpty { return }
    let (wake, becameFull) = state.withLock { state in
      let room = state.closed ? 0 : max(0, settings.capacity - state.queue.count - state.taken)
      let fitting = elements.prefix(room)
      let missed = elements.count - fitting.count
      let wasEmpty = state.queue.isEmpty
      let wasFull = state.droppedSinceFull > 0
      state.queue.append(contentsOf: fitting)
      state.dropped += missed
      state.droppedSinceFull += missed
      return (wasEmpty && !fitting.isEmpty, missed > 0 && !wasFull)
    }
    if wake { self.wake.yield() }
    if becameFull {
      logger.error(
        "queue is full, dropping", metadata: ["what": "\(settings.what)", "capacity": "\(settings.capacity)"])
    }
  }

  /// How many were dropped since the start.
  public var dropped: Int { state.withLock { $0.dropped } }
  /// How many wait.
  public var waiting: Int { state.withLock { $0.queue.count + $0.taken } }

  /// Writes until `close`, or until the task is cancelled; then what waits is written a last time. Called once.
  public func run() async {
    for await _ in wakes {
      await pause(settings.delay)
      await writeAll()
      if isClosed { break }
    }
    state.withLock { $0.closed = true }
    await writeAll()
  }

  /// Takes no more; `run` ends when what waits is written.
  public func close() {
    state.withLock { state in
      state.closed = true
      state.pause?.cancel()
    }
    wake.finish()
  }

  private var isClosed: Bool { Task.isCancelled || state.withLock { $0.closed } }

  private func writeAll() async {
    while true {
      // Swapped, not copied: the loops wait for this lock.
      let all = state.withLock { state in
        var all: [Element] = []
        swap(&all, &state.queue)
        state.taken = all.count
        return all
      }
      if all.isEmpty { break }
      var rest = all[...]
      while !rest.isEmpty {
        let batch = rest.prefix(settings.batch)
        await write(untilDone: Array(batch))
        rest = rest.dropFirst(batch.count)
        state.withLock { $0.taken = rest.count }
      }
    }
    let missed = state.withLock { state in
      defer { state.droppedSinceFull = 0 }
      return state.droppedSinceFull
    }
    if missed > 0 {
      logger.error("queue was full", metadata: ["what": "\(settings.what)", "dropped": "\(missed)"])
    }
  }

  private func write(untilDone batch: [Element]) async {
    var failures = 0
    while true {
      do {
        try await write(batch)
        if failures > 0 { logger.notice("writing works again", metadata: ["what": "\(settings.what)"]) }
        return
      } catch {
        failures += 1
        let last = isClosed
        // A disk that is full stays so for a while: once a minute is enough.
        if failures % 60 == 1 || last {
          logger.error(
            last ? "cannot be written, lost" : "cannot be written, trying again",
            metadata: ["what": "\(settings.what)", "count": "\(batch.count)", "error": "\(error)"])
        }
        if last {
          state.withLock { $0.dropped += batch.count }
          return
        }
        await pause(settings.retry)
      }
    }
  }

  /// Sleeps, unless or until closed.
  private func pause(_ length: Duration) async {
    let pause = Task { [clock] in _ = try? await clock.sleep(for: length) }
    let closed = state.withLock { state in
      state.pause = pause
      return state.closed
    }
    if closed { pause.cancel() }
    await withTaskCancellationHandler {
      await pause.value
    } onCancel: {
      pause.cancel()
    }
    state.withLock { $0.pause = nil }
  }
}
