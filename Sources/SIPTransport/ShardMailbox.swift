internal import NetCore
internal import Synchronization

/// What one shard's loop sends to another's.
enum Crossing: Sendable {
  /// A message that arrived here and belongs there; raw, as it is parsed by the shard that owns it.
  case arrived([UInt8], Flow)
  /// A message of shard `from` for a connection there; `connection` 0: by `to`, opened if there is none. The flow is what
  /// it was sent on, to be named when it fails.
  case send([UInt8], Flow, connection: UInt64, to: RemoteKey, from: UInt8)
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

/// A shard's bounded mailbox. The one lock on a message's way, held for an append; the owner is woken when it slept.
final class ShardMailbox: Sendable {
  private struct State {
    var crossings: [Crossing] = []
    var messages = 0
    /// The owner has been woken and has not looked yet.
    var isAwake = false
    var isClosed = false
    var wake: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())
  let capacity: Int

  init(capacity: Int) { self.capacity = max(1, capacity) }

  /// From now on `wake` is called; once now, for what may be there already.
  func open(wake: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.wake = wake
      state.isAwake = true
    }
    wake()
  }

  /// Nothing is taken any more, and the owner is no longer referred to.
  func close() {
    state.withLock { state in
      state.isClosed = true
      state.wake = nil
      state.crossings = []
    }
  }

  var isClosed: Bool { state.withLock { $0.isClosed } }

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
      return (refused, state.crossings.isEmpty ? nil : Self.wakeIfAsleep(&state))
    }
    batch.append(contentsOf: refused)
    wake?()
    return wake != nil
  }

  /// Something else waits for the owner: items.
  func signal() { state.withLock { Self.wakeIfAsleep(&$0) }?() }

  /// Swaps the full array for the owner's empty one, so that neither side allocates in the long run. `isAttended`: the
  /// owner will look again soon, and is not to be woken until it takes without.
  func take(_ crossings: inout [Crossing], isAttended: Bool) {
    crossings = state.withLock { [crossings] state in
      let taken = state.crossings
      state.crossings = crossings
      state.messages = 0
      state.isAwake = isAttended
      return taken
    }
  }

  private static func wakeIfAsleep(_ state: inout State) -> (@Sendable () -> Void)? {
    guard !state.isAwake, let wake = state.wake else { return nil }
    state.isAwake = true
    return wake
  }
}
