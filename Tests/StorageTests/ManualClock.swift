import Synchronization

/// A clock that a test moves. Sleepers wake when it has reached their deadline, or when their task is cancelled.
final class ManualClock: Clock {
  struct Instant: InstantProtocol {
    var offset: Duration
    func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
    func duration(to other: Instant) -> Duration { other.offset - offset }
    static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
  }

  private struct Sleeper {
    var id: Int
    var deadline: Instant
    var wake: CheckedContinuation<Void, any Error>
  }
  private struct State {
    var now = Instant(offset: .zero)
    var next = 0
    var sleepers: [Sleeper] = []
    var cancelled: Set<Int> = []
    var watchers: [(count: Int, ready: CheckedContinuation<Void, Never>)] = []
  }
  private let state = Mutex(State())

  var now: Instant { state.withLock { $0.now } }
  var minimumResolution: Duration { .nanoseconds(1) }

  func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    let id = state.withLock { state in
      state.next += 1
      return state.next
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (wake: CheckedContinuation<Void, any Error>) in
        let ready = state.withLock { state -> [CheckedContinuation<Void, Never>]? in
          if state.cancelled.remove(id) != nil || deadline <= state.now { return nil }
          state.sleepers.append(Sleeper(id: id, deadline: deadline, wake: wake))
          let ready = state.watchers.filter { $0.count <= state.sleepers.count }.map(\.ready)
          state.watchers.removeAll { $0.count <= state.sleepers.count }
          return ready
        }
        if let ready { ready.forEach { $0.resume() } } else { wake.resume() }
      }
    } onCancel: {
      let sleeper = state.withLock { state -> Sleeper? in
        guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
          state.cancelled.insert(id)
          return nil
        }
        return state.sleepers.remove(at: index)
      }
      sleeper?.wake.resume(throwing: CancellationError())
    }
  }

  /// Waits until `count` tasks sleep.
  func sleepers(_ count: Int) async {
    await withCheckedContinuation { ready in
      let now = state.withLock { state in
        if state.sleepers.count >= count { return true }
        state.watchers.append((count, ready))
        return false
      }
      if now { ready.resume() }
    }
  }

  func advance(by duration: Duration) {
    let due = state.withLock { state in
      state.now = state.now.advanced(by: duration)
      let now = state.now
      let due = state.sleepers.filter { $0.deadline <= now }
      state.sleepers.removeAll { $0.deadline <= now }
      return due
    }
    for sleeper in due.sorted(by: { $0.deadline < $1.deadline }) { sleeper.wake.resume() }
  }
}
