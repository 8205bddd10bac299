public import CallEngine
import Dispatch
import Foundation

/// A file of call records that other programs read while it grows: whole lines only, in append mode. It is opened for
/// each batch, so that it can be moved away by a log rotation at any time.
public final class RecordFile: Sendable {
  public enum Format: Sendable { case csv, jsonLines }

  public let path: String
  private let format: Format
  private let queue: DispatchQueue

  public init(path: String, format: Format) {
    self.path = path
    self.format = format
    queue = DispatchQueue(label: "nightjar.records.\(format)")
  }

  /// All lines or none: a write that fails half-way is taken back.
  public func append(_ records: [CallRecord]) async throws {
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      queue.async { done.resume(with: Result { try self.appendNow(records) }) }
    }
  }

  private func appendNow(_ records: [CallRecord]) throws {
    let files = FileManager.default
    if !files.fileExists(atPath: path) {
      let folder = (path as NSString).deletingLastPathComponent
      if !folder.isEmpty { try files.createDirectory(atPath: folder, withIntermediateDirectories: true) }
      // Who called whom is nobody else's business.
      _ = files.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: NSNumber(value: 0o640)])
    }
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    defer { try? handle.close() }
    let end = try handle.seekToEnd()
    var text = ""
    if end == 0 {
      if format == .csv { text = CallRecord.csvHeader + "\n" }
    } else {
      try handle.seek(toOffset: end - 1)
      // The last line of a process that was killed, or of a full disk, may have no end.
      if try handle.read(upToCount: 1) != Data([UInt8(ascii: "\n")]) { text = "\n" }
      try handle.seekToEnd()
    }
    for record in records {
      text += format == .csv ? record.csvLine : record.json
      text += "\n"
    }
    do {
      try handle.write(contentsOf: Data(text.utf8))
    } catch {
      try? handle.truncate(atOffset: end)
      throw error
    }
  }
}
