import Synchronization

/// What `nightjar status` and the metrics show. Relaxed atomics: written by every shard, read by whoever asks.
public final class EngineCounters: Sendable {
  public enum Name: Int, CaseIterable, Sendable {
    case requests, responses, callsStarted, callsAnswered, callsFailed, callsEnded, registrations, challenges
    case authenticationFailures, scriptErrors, scriptLimits, scriptsClosed, portsExhausted, strayResponses,
      strayRequests
    case mediaTimeouts
  }

  private let cells: InlineArray<16, Atomic<Int>>

  public init() {
    precondition(Name.allCases.count == 16, "a cell for each counter")
    cells = InlineArray { _ in Atomic(0) }
  }

  public func add(_ name: Name, _ n: Int = 1) { cells[name.rawValue].wrappingAdd(n, ordering: .relaxed) }
  public subscript(name: Name) -> Int { cells[name.rawValue].load(ordering: .relaxed) }
  public var all: [(String, Int)] { Name.allCases.map { ("\($0)", self[$0]) } }
}
