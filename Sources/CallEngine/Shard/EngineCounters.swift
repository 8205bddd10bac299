import Synchronization

/// What `nightjar status` and the metrics show. Relaxed atomics: written by every shard, read by whoever asks.
public final class EngineCounters: Sendable {
  public enum Name: Int, CaseIterable, Sendable {
    case requests, responses, callsStarted, callsAnswered, callsFailed, callsEnded, registrations, challenges
    case authenticationFailures, scriptErrors, scriptLimits, scriptsClosed, portsExhausted, strayResponses,
      strayRequests
    case mediaTimeouts
  }

  private final class Cell: Sendable {
    let value = Atomic<Int>(0)
  }
  private let cells: [Cell] = Name.allCases.map { _ in Cell() }

  public init() {}

  public func add(_ name: Name, _ n: Int = 1) { cells[name.rawValue].value.wrappingAdd(n, ordering: .relaxed) }
  public subscript(name: Name) -> Int { cells[name.rawValue].value.load(ordering: .relaxed) }
  public var all: [(String, Int)] { Name.allCases.map { ("\($0)", self[$0]) } }
}
