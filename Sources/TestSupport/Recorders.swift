public import CallEngine
public import Logging
public import NetCore
internal import Synchronization

/// Keeps call records.
public final class RecordedCalls: RecordSink {
  private let kept = Mutex<[CallRecord]>([])

  public init() {}

  public func append(_ record: PendingRecord) {
    let made = record.make()
    kept.withLock { $0.append(made) }
  }
  public var all: [CallRecord] { kept.withLock { $0 } }
}

/// Keeps what the registrar would have written behind.
public final class RecordedBindings: BindingJournal {
  private let kept = Mutex<[BindingChange]>([])

  public init() {}

  public func record(_ changes: [BindingChange]) { kept.withLock { $0 += changes } }
  public var changes: [BindingChange] { kept.withLock { $0 } }
}

/// Keeps log lines.
public final class RecordedLog: Sendable {
  public struct Line: Sendable {
    public var level: Logger.Level
    public var text: String
    public var metadata: [String: String]
  }
  private let kept = Mutex<[Line]>([])

  public init() {}

  public var lines: [Line] { kept.withLock { $0 } }
  /// Texts of a level and above.
  public func texts(_ level: Logger.Level) -> [String] { lines.filter { $0.level >= level }.map(\.text) }

  /// Nothing below `level` is made.
  public func logger(level: Logger.Level = .info) -> Logger {
    var logger = Logger(label: "test") { _ in Handler(log: self) }
    logger.logLevel = level
    return logger
  }

  fileprivate func append(_ line: Line) { kept.withLock { $0.append(line) } }

  private struct Handler: LogHandler {
    let log: RecordedLog
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()

    init(log: RecordedLog) { self.log = log }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let all = metadata.merging(event.metadata ?? [:]) { $1 }
      log.append(
        Line(level: event.level, text: "\(event.message)", metadata: all.mapValues { "\($0)" }))
    }
  }
}

/// The wall clock of a simulation: a date, and the virtual time since.
public final class VirtualWallClock: Sendable {
  /// 2026-01-01T00:00:00Z in milliseconds since 1970.
  public static let origin: Int64 = 1_767_225_600_000

  private let value = Atomic<Int64>(origin)

  public init() {}

  public var milliseconds: Int64 { value.load(ordering: .relaxed) }
  /// - Parameter instant: of a `VirtualClock` that began at its default.
  public func follow(_ instant: Instant) {
    let passed = (instant - VirtualClock().now).milliseconds
    value.store(VirtualWallClock.origin + passed, ordering: .relaxed)
  }
}
