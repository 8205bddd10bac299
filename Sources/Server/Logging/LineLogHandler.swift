import Foundation
public import Logging
import Synchronization

/// How the daemon logs; shared by all its loggers, so that a reload changes the level of those that live.
public final class LogSettings: Sendable {
  public let format: ServerConfiguration.Log.Format
  private let current: Atomic<UInt8>

  public init(_ log: ServerConfiguration.Log) {
    format = log.format
    current = Atomic(Self.rank(log.level.logging))
  }

  public var level: Logger.Level {
    get {
      let rank = Int(current.load(ordering: .relaxed))
      return Logger.Level.allCases.indices.contains(rank) ? Logger.Level.allCases[rank] : .info
    }
    set { current.store(Self.rank(newValue), ordering: .relaxed) }
  }

  private static func rank(_ level: Logger.Level) -> UInt8 {
    UInt8(truncatingIfNeeded: Logger.Level.allCases.firstIndex(of: level) ?? 2)
  }

  /// A logger that writes to standard error.
  public func logger(label: String) -> Logger {
    Logger(label: label) { LineLogHandler(label: $0, settings: self, write: StandardErrorLog.write) }
  }
}

extension ServerConfiguration.Log.Level {
  public var logging: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}

/// One line an event, as text for people or as JSON for machines. What a peer sent may be in any part of it, so control
/// characters are escaped: nobody can forge a line or move the cursor of a terminal.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?
  private let label: String
  private let settings: LogSettings
  private let write: @Sendable (String) -> Void
  private let now: @Sendable () -> Date
  private var ownLevel: Logger.Level?

  /// - Parameters:
  ///   - write: Gets a line without its end; from any thread.
  ///   - now: The wall clock.
  init(
    label: String, settings: LogSettings, write: @escaping @Sendable (String) -> Void,
    now: @escaping @Sendable () -> Date = { Date() }
  ) {
    self.label = label
    self.settings = settings
    self.write = write
    self.now = now
  }

  /// The level of all loggers, unless this one was given its own.
  var logLevel: Logger.Level {
    get { ownLevel ?? settings.level }
    set { ownLevel = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var fields = metadata
    if let provided = metadataProvider?.get() { fields.merge(provided) { _, new in new } }
    if let own = event.metadata { fields.merge(own) { _, new in new } }
    if let error = event.error, fields["error"] == nil { fields["error"] = "\(error)" }
    let line = LogLine(
      time: now(), level: event.level, label: label, message: event.message.description,
      fields: fields.sorted { $0.key < $1.key })
    write(settings.format == .json ? line.json : line.text)
  }
}

/// Standard error, a line a write, so that lines of several threads do not mix.
enum StandardErrorLog {
  private static let turn = Mutex<Void>(())

  @Sendable static func write(_ line: String) {
    let bytes = Data((line + "\n").utf8)
    // A log that cannot be written has nowhere to say so.
    turn.withLock { _ in try? FileHandle.standardError.write(contentsOf: bytes) }
  }
}
