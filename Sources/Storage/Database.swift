import Foundation
internal import GRDB

/// What survives a restart: users, bindings and call records, in one SQLite file. WAL mode with `synchronous=NORMAL`: a
/// kill of the process loses nothing that was committed, a loss of power at most the last transactions.
public final class Database: Sendable {
  public enum Location: Sendable, Hashable {
    case file(String)
    /// Gone with the process.
    case memory
  }

  let writer: any DatabaseWriter
  public let location: Location

  private init(writer: any DatabaseWriter, location: Location) {
    self.writer = writer
    self.location = location
  }

  /// Opens or makes the file, its folder too, and brings its tables to this version's form. Blocks.
  /// - Throws: `StorageError`.
  public static func open(_ location: Location) throws(StorageError) -> Database {
    do {
      var configuration = Configuration()
      configuration.label = "nightjar"
      // The command line may write while no daemon runs, and read at any time.
      configuration.busyMode = .timeout(5)
      configuration.maximumReaderCount = 2
      let writer: any DatabaseWriter
      switch location {
      case .memory: writer = try DatabaseQueue(configuration: configuration)
      case .file(let path):
        try makeFile(path)
        configuration.prepareDatabase { db in
          if !db.configuration.readonly { try db.execute(sql: "PRAGMA synchronous = NORMAL") }
        }
        writer = try DatabasePool(path: path, configuration: configuration)
      }
      let migrator = Schema.migrator
      if try writer.read(migrator.hasBeenSuperseded) {
        throw StorageError(location, "was written by a later version of nightjar")
      }
      try migrator.migrate(writer)
      return Database(writer: writer, location: location)
    } catch let error as StorageError {
      throw error
    } catch {
      throw StorageError(location, StorageError.reason(error))
    }
  }

  /// Ends all use; what was written stays. Later use throws.
  public func close() {
    // So that the file alone is whole, for who copies it.
    try? writer.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
    try? writer.close()
  }

  func read<T: Sendable>(
    _ body: @escaping @Sendable (GRDB.Database) throws -> T
  ) async throws(StorageError) -> T {
    do { return try await writer.read(body) } catch { throw StorageError(location, StorageError.reason(error)) }
  }

  /// One transaction. A cancelled task writes all the same: what was asked before a shutdown must be kept.
  func write<T: Sendable>(
    _ body: @escaping @Sendable (GRDB.Database) throws -> T
  ) async throws(StorageError) -> T {
    let writer = writer
    do {
      return try await Task { try await writer.write(body) }.value
    } catch {
      throw StorageError(location, StorageError.reason(error))
    }
  }

  /// The file holds what opens the users' accounts, so nobody else may read it. SQLite gives its WAL the same mode.
  private static func makeFile(_ path: String) throws {
    let files = FileManager.default
    if files.fileExists(atPath: path) { return }
    let folder = (path as NSString).deletingLastPathComponent
    if !folder.isEmpty {
      try files.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: NSNumber(value: 0o700)])
    }
    guard files.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: NSNumber(value: 0o600)]) else {
      throw StorageError(.file(path), "cannot be created")
    }
  }
}

/// Why the database cannot be used; one line.
public struct StorageError: Error, Sendable, CustomStringConvertible {
  public var place: String
  public var message: String

  init(_ location: Database.Location, _ message: String) {
    switch location {
    case .file(let path): place = path
    case .memory: place = "database in memory"
    }
    self.message = message
  }

  public var description: String { "\(place): \(message)" }

  static func reason(_ error: any Error) -> String {
    if let error = error as? StorageError { return error.message }
    if let error = error as? DatabaseError {
      // The statement is left out: its arguments may hold what nobody should read in a log.
      return error.message ?? "SQLite error \(error.resultCode.rawValue)"
    }
    return (error as NSError).localizedDescription
  }
}
