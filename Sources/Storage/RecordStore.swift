public import CallEngine
public import Logging

/// Keeps every call's record: in the database, and in a CSV or JSON-lines file where one is wanted. Files are written
/// within a quarter of a second and the database within half a second of the record, in batches, off the loops.
public final class RecordStore: RecordSink {
  public struct Settings: Sendable {
    public var csv: String?
    public var jsonLines: String?
    /// Of the database; 0: for ever. Files are left to those who rotate them.
    public var keepDays = 90
    /// Records that wait at most, for each destination.
    public var capacity = 100_000
    public init() {}
  }

  private static let fileDelay = Duration.milliseconds(200)
  private static let databaseDelay = Duration.milliseconds(400)
  private static let pruneEvery = Duration.seconds(3600)

  private let database: Database
  private let keepDays: Int
  private let clock: any Clock<Duration>
  private let wallClock: @Sendable () -> Int64
  private let logger: Logger
  private let queues: [WriteBehind<PendingRecord>]

  /// - Parameter wallClock: Milliseconds since 1970.
  public init(
    database: Database, settings: Settings, clock: any Clock<Duration> = ContinuousClock(),
    wallClock: @escaping @Sendable () -> Int64, logger: Logger
  ) {
    self.database = database
    keepDays = settings.keepDays
    self.clock = clock
    self.wallClock = wallClock
    self.logger = logger
    func queue(
      _ place: String, _ delay: Duration, _ write: @escaping @Sendable ([PendingRecord]) async throws -> Void
    ) -> WriteBehind<PendingRecord> {
      var queue = WriteBehind<PendingRecord>.Settings(what: "call records to \(place)", delay: delay)
      queue.capacity = settings.capacity
      return WriteBehind(queue, clock: clock, logger: logger, write: write)
    }
    var queues = [queue("the database", Self.databaseDelay) { try await database.insert($0) }]
    for (path, format) in [(settings.csv, RecordFile.Format.csv), (settings.jsonLines, .jsonLines)] {
      guard let path else { continue }
      let file = RecordFile(path: path, format: format)
      queues.append(queue(path, Self.fileDelay) { try await file.append($0.map { $0.make() }) })
    }
    self.queues = queues
  }

  public func append(_ record: PendingRecord) {
    for queue in queues { queue.offer(record) }
  }

  /// Records that found a queue full, or could not be written before the end.
  public var dropped: Int { queues.reduce(0) { $0 + $1.dropped } }

  /// Writes until `close` or cancellation, all that waits included; prunes at the start and every hour.
  public func run() async {
    await withTaskGroup(of: Void.self) { group in
      for queue in queues { group.addTask { await queue.run() } }
      let pruner = Task { await self.pruneForever() }
      await withTaskCancellationHandler {
        await group.waitForAll()
      } onCancel: {
        pruner.cancel()
      }
      pruner.cancel()
      await pruner.value
    }
  }

  /// Takes no more; `run` ends when what waits is written.
  public func close() { for queue in queues { queue.close() } }

  private func pruneForever() async {
    while !Task.isCancelled {
      await prune()
      do { try await clock.sleep(for: Self.pruneEvery) } catch { return }
    }
  }

  /// Removes the records that are older than `keepDays`, a few at a time, so that the writer is not held up.
  func prune() async {
    guard keepDays > 0 else { return }
    let before = wallClock() - Int64(keepDays) * 86_400_000
    var removed = 0
    do {
      while !Task.isCancelled {
        let count = try await database.pruneCalls(endedBefore: before)
        removed += count
        if count == 0 { break }
      }
    } catch {
      logger.error("old call records cannot be removed", metadata: ["error": "\(error)"])
    }
    if removed > 0 { logger.info("old call records removed", metadata: ["count": "\(removed)"]) }
  }
}
