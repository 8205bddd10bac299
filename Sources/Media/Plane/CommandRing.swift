import CNet
import Glibc
import Synchronization

/// What a worker is told. Leases come first: a slot is leased again only when its worker has said that it is free.
struct WorkerInputs: Sendable {
  typealias Lease = (slot: UInt32, generation: UInt32, owner: UInt32)
  typealias Clips = (key: UInt64, clips: [AudioClip], failure: String?)

  var leases: [Lease] = []
  /// In the order in which they were given.
  var commands: [MediaCommand] = []
  /// Files that were read.
  var clips: [Clips] = []

  var isEmpty: Bool { leases.isEmpty && commands.isEmpty && clips.isEmpty }

  mutating func removeAll() {
    leases.removeAll(keepingCapacity: leases.capacity < 4096)
    commands.removeAll(keepingCapacity: commands.capacity < 4096)
    clips.removeAll()
  }
}

/// The way into a worker. A wake-up costs more than all else here, so only a worker that sleeps deeply is woken: one that
/// has had something to do within the last moments looks by itself every 50 ms, and before it handles any packet. Most
/// commands only say what shall become of packets; the others can wait as long as nobody hears it.
final class CommandRing: Sendable {
  private struct State {
    var inputs = WorkerInputs()
    /// The eventfd has been written since the worker last took.
    var isWoken = false
    /// The worker sleeps until it is called.
    var isAsleep = false
  }

  private let state = Mutex(State())
  private let isFilled = Atomic<Bool>(false)
  private let isStopped = Atomic<Bool>(false)
  let wakeDescriptor: Int32

  /// So many waiting commands are memory enough.
  private static let patience = 1024

  init() throws(MediaError) {
    wakeDescriptor = cnet_eventfd(0)
    if wakeDescriptor < 0 { throw MediaError("eventfd", error: -wakeDescriptor) }
  }

  deinit { close(wakeDescriptor) }

  /// A lease. Nobody is woken for it, as nothing happens to it before a command or a packet comes.
  func open(slot: UInt32, generation: UInt32, owner: UInt32) {
    state.withLock { state in
      state.inputs.leases.append((slot, generation, owner))
      isFilled.store(true, ordering: .releasing)
    }
  }

  /// A batch of commands of this worker. They are copied, so that the caller's array stays his own and is used again.
  func append(_ commands: some Sequence<MediaCommand>) {
    add { $0.commands.append(contentsOf: commands) }
  }

  func loaded(_ key: UInt64, _ clips: [AudioClip], failure: String?) {
    add { $0.clips.append((key, clips, failure)) }
  }

  @inline(__always) private func add(_ change: (inout WorkerInputs) -> Void) {
    let wakes = state.withLock { state in
      change(&state.inputs)
      isFilled.store(true, ordering: .releasing)
      guard !state.isWoken, state.isAsleep || state.inputs.commands.count >= Self.patience else { return false }
      state.isWoken = true
      return true
    }
    if wakes { wake() }
  }

  /// Has the worker look at once at what waits.
  func nudge() {
    if isFilled.load(ordering: .acquiring) { wake() }
  }

  func stop() {
    isStopped.store(true, ordering: .releasing)
    wake()
  }

  var stopped: Bool { isStopped.load(ordering: .acquiring) }

  /// All that waits, in exchange for what is empty and is filled next. False: nothing did.
  func take(into inputs: inout WorkerInputs) -> Bool {
    guard isFilled.load(ordering: .acquiring) else { return false }
    state.withLock { state in
      swap(&state.inputs, &inputs)
      state.isWoken = false
      state.isAsleep = false
      isFilled.store(false, ordering: .relaxed)
    }
    return true
  }

  /// The worker wants to sleep until it is called. False: something waits.
  func sleep() -> Bool {
    state.withLock { state in
      guard state.inputs.isEmpty else { return false }
      state.isAsleep = true
      return true
    }
  }

  /// The worker watches the descriptor for edges, so nobody has to read it.
  private func wake() {
    var one: UInt64 = 1
    _ = write(wakeDescriptor, &one, 8)
  }
}

extension MediaCommand {
  /// Any of the endpoints that it names: they are all of one worker.
  var endpoint: MediaEndpointID {
    switch self {
    case .remote(let id, _, _, _, _, _, _), .bridge(let id, _, _, _), .unbridge(let id), .ringback(let id, _, _, _, _),
      .play(let id, _, _), .stopPlaying(let id), .echo(let id, _), .watch(let id, _), .statistics(let id, _),
      .release(let id):
      id
    }
  }
}
