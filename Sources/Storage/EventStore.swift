public import CallEngine
public import Logging

/// Messages that wait and mailboxes reach the database within a quarter of a second, in batches. A message that is
/// delivered before its batch is written never gets there.
public final class EventStore: EventJournal {
  private let queue: WriteBehind<EventChange>

  public init(
    database: Database, capacity: Int = 100_000, clock: any Clock<Duration> = ContinuousClock(), logger: Logger
  ) {
    var settings = WriteBehind<EventChange>.Settings(what: "messages to the database", delay: .milliseconds(150))
    settings.capacity = capacity
    queue = WriteBehind(settings, clock: clock, logger: logger) { try await database.apply(Self.coalesced($0)) }
  }

  public func record(_ changes: [EventChange]) { queue.offer(changes) }

  /// Changes that found the queue full, or could not be written before the end.
  public var dropped: Int { queue.dropped }

  /// Writes until `close` or cancellation, all that waits included.
  public func run() async { await queue.run() }

  /// Takes no more; `run` ends when what waits is written.
  public func close() { queue.close() }

  private enum Key: Hashable {
    case message(Int64)
    case mailbox([UInt8])
  }

  /// The last change of each message and each mailbox, in the order of those.
  static func coalesced(_ changes: [EventChange]) -> [EventChange] {
    var seen: Set<Key> = []
    var kept: [EventChange] = []
    for change in changes.reversed() {
      let key =
        switch change {
        case .stored(_, let message): Key.message(message.id)
        case .removed(let id): Key.message(id)
        case .mailbox(let user, _): Key.mailbox(user)
        }
      if seen.insert(key).inserted { kept.append(change) }
    }
    return kept.reversed()
  }
}
