internal import NetCore
internal import Synchronization

/// What one shard's loop sends to another's.
enum Crossing: Sendable {
  /// A message that arrived here and belongs there; raw, as it is parsed by the shard that owns it.
  case arrived([UInt8], Flow)
  /// A message of shard `from` for a connection there; `connection` 0: by `flow.remote`, opened if there is none.
  case send([UInt8], Flow, connection: UInt64, from: UInt8)
  /// Not sent: for the shard that sent it.
  case failed(Flow)
  case closed(UInt64)
  /// A connection to a remote whose home shard is there, though it is owned elsewhere; and that it has gone.
  case opened(RemoteKey, UInt64)
  case gone(RemoteKey, UInt64)

  /// Bounded: the rest is bounded by the number of connections and of sends.
  fileprivate var isMessage: Bool {
    switch self {
    case .arrived, .send: true
    case .failed, .closed, .opened, .gone: false
    }
  }
}

/// A shard's bounded mailbox. The one lock on a message's way, held for an append; the owner is woken when it was empty.
final class ShardMailbox<Item: Sendable>: Sendable {
  private struct State {
    var crossings: [Crossing] = []
    var items: [Item] = []
    var messages = 0
    var isAwake = false
    var isClosed = false
    var wake: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())
  private let capacity: Int

  init(capacity: Int) { self.capacity = max(1, capacity) }

  /// From now on `wake` is called, once for what is already there.
  func open(wake: @escaping @Sendable () -> Void) {
    let isWaiting = state.withLock { state in
      state.wake = wake
      state.isAwake = !state.items.isEmpty || !state.crossings.isEmpty
      return state.isAwake
    }
    if isWaiting { wake() }
  }

  /// Nothing is taken any more, and the owner is no longer referred to.
  func close() {
    state.withLock { state in
      state.isClosed = true
      state.wake = nil
      state.items = []
      state.crossings = []
    }
  }

  /// False when `capacity` items wait, or it is closed.
  func post(_ item: Item) -> Bool {
    let (isTaken, wake) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
      guard !state.isClosed, state.items.count < capacity else { return (false, nil) }
      state.items.append(item)
      return (true, Self.wakeIfAsleep(&state))
    }
    wake?()
    return isTaken
  }

  /// Empties `batch` into the mailbox in order; what does not fit is left in `batch`. True when the owner was woken.
  func deliver(_ batch: inout [Crossing]) -> Bool {
    let crossings = batch
    batch.removeAll(keepingCapacity: true)
    let (refused, wake) = state.withLock { state -> ([Crossing], (@Sendable () -> Void)?) in
      guard !state.isClosed else { return ([], nil) }
      var refused: [Crossing] = []
      for crossing in crossings {
        if crossing.isMessage {
          guard state.messages < capacity else {
            refused.append(crossing)
            continue
          }
          state.messages += 1
        }
        state.crossings.append(crossing)
      }
      return (refused, Self.wakeIfAsleep(&state))
    }
    batch.append(contentsOf: refused)
    wake?()
    return wake != nil
  }

  /// Swaps the two full arrays for the owner's two empty ones, so that neither side allocates in the long run.
  func take(_ crossings: inout [Crossing], _ items: inout [Item]) {
    let (newCrossings, newItems) = state.withLock { [crossings, items] state -> ([Crossing], [Item]) in
      let taken = (state.crossings, state.items)
      state.crossings = crossings
      state.items = items
      state.messages = 0
      state.isAwake = false
      return taken
    }
    crossings = newCrossings
    items = newItems
  }

  private static func wakeIfAsleep(_ state: inout State) -> (@Sendable () -> Void)? {
    guard !state.isAwake, let wake = state.wake, !(state.items.isEmpty && state.crossings.isEmpty) else { return nil }
    state.isAwake = true
    return wake
  }
}
