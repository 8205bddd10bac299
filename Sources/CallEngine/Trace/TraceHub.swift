import Synchronization

/// Where shards drop what they send and receive while somebody looks on. Off, it costs one relaxed load a message; on,
/// the shard that drops a message draws it too.
public final class TraceHub: Sendable {
  private struct Listener {
    var filter: TraceFilter
    var ladder = Ladder()
    var sink: Sink
  }
  private enum Sink {
    case lines(AsyncStream<String>.Continuation)
    case entries(AsyncStream<TraceEntry>.Continuation)
  }
  private struct State {
    var next = 0
    var listeners: [Int: Listener] = [:]
    var resolver = TraceResolver()
  }
  private let state = Mutex(State())
  private let on = Atomic<Bool>(false)
  private static let buffered = 4096

  public init() {}

  public var isOn: Bool { on.load(ordering: .relaxed) }

  /// Ladder lines as they happen: of one call (its id, the first eight or more characters of it, or the Call-ID of
  /// either leg), or of all. A reader who is slower than the calls misses the oldest lines, and slows nobody.
  public func lines(callID: String?) -> AsyncStream<String> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: String.self, bufferingPolicy: .bufferingNewest(TraceHub.buffered))
    let key = add(Listener(filter: TraceFilter(callID), sink: .lines(continuation)))
    continuation.onTermination = { [weak self] _ in self?.forget(key) }
    return stream
  }

  /// The same as data: see `TraceEntry.json`.
  public func entries(callID: String?) -> AsyncStream<TraceEntry> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: TraceEntry.self, bufferingPolicy: .bufferingNewest(TraceHub.buffered))
    let key = add(Listener(filter: TraceFilter(callID), sink: .entries(continuation)))
    continuation.onTermination = { [weak self] _ in self?.forget(key) }
    return stream
  }

  /// From a shard, in the order of the wire.
  public func publish(_ entry: TraceEntry) {
    state.withLock { state in
      for entry in state.resolver.resolve(entry) {
        for key in state.listeners.keys.sorted() {
          guard state.listeners[key]?.filter.passes(entry) == true else { continue }
          // A continuation's lock is inside this one and calls nothing of ours: `yield` only wakes its reader.
          switch state.listeners[key]?.sink {
          case .lines(let continuation):
            for line in state.listeners[key]?.ladder.lines(entry) ?? [] { continuation.yield(line) }
          case .entries(let continuation): continuation.yield(entry)
          case nil: break
          }
        }
      }
    }
  }

  private func add(_ listener: Listener) -> Int {
    let key = state.withLock { state in
      state.next += 1
      state.listeners[state.next] = listener
      return state.next
    }
    on.store(true, ordering: .relaxed)
    return key
  }

  private func forget(_ key: Int) {
    state.withLock { state in
      state.listeners[key] = nil
      guard state.listeners.isEmpty else { return }
      on.store(false, ordering: .relaxed)
      state.resolver = TraceResolver()
    }
  }
}
