public import CallEngine
public import Logging

/// The registrar's journal: changes of bindings reach the database within a quarter of a second, in batches. Of several
/// changes to one contact in a batch only the last is written, so that a storm of registrations costs one row each.
public final class BindingStore: BindingJournal {
  private let queue: WriteBehind<BindingChange>

  public init(
    database: Database, capacity: Int = 200_000, clock: any Clock<Duration> = ContinuousClock(), logger: Logger
  ) {
    var settings = WriteBehind<BindingChange>.Settings(what: "bindings to the database", delay: .milliseconds(150))
    settings.capacity = capacity
    queue = WriteBehind(settings, clock: clock, logger: logger) { try await database.apply(Self.coalesced($0)) }
  }

  public func record(_ changes: [BindingChange]) { queue.offer(changes) }

  /// Changes that found the queue full, or could not be written before the end.
  public var dropped: Int { queue.dropped }

  /// Writes until `close` or cancellation, all that waits included.
  public func run() async { await queue.run() }

  /// Takes no more; `run` ends when what waits is written.
  public func close() { queue.close() }

  private struct Key: Hashable {
    var user: [UInt8]
    var contact: [UInt8]
  }

  /// The last change of each contact, in the order of those.
  static func coalesced(_ changes: [BindingChange]) -> [BindingChange] {
    var seen: Set<Key> = []
    var kept: [BindingChange] = []
    for change in changes.reversed() {
      let key =
        switch change {
        case .upsert(let user, let binding): Key(user: user, contact: Array(binding.contact))
        case .remove(let user, let contact): Key(user: user, contact: contact)
        }
      if seen.insert(key).inserted { kept.append(change) }
    }
    return kept.reversed()
  }
}
