import CallEngine
import Foundation
import Logging
import NetCore
import Synchronization

@testable import Storage

/// A folder of its own for a test, gone with it.
final class TemporaryFolder: Sendable {
  let path: String
  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "nightjar-storage-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
  func text(_ name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }
  func mode(_ name: String) throws -> Int {
    (try FileManager.default.attributesOfItem(atPath: file(name))[.posixPermissions] as? Int) ?? 0
  }

  /// What a process that is killed at this moment leaves: the files as they are, without a clean close.
  func afterKill(of name: String) throws -> String {
    let copy = file("killed")
    try? FileManager.default.removeItem(atPath: copy)
    try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
    for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: file(name) + suffix) {
      try FileManager.default.copyItem(atPath: file(name) + suffix, toPath: "\(copy)/\(name)\(suffix)")
    }
    return "\(copy)/\(name)"
  }
}

/// Keeps what was logged.
struct LogCollector: LogHandler {
  final class Lines: Sendable {
    private let kept = Mutex<[String]>([])
    var all: [String] { kept.withLock { $0 } }
    func add(_ line: String) { kept.withLock { $0.append(line) } }
  }
  let lines: Lines
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
  func log(event: LogEvent) {
    let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    lines.add(([event.message.description] + fields).joined(separator: " "))
  }

  static func logger(_ lines: Lines = Lines()) -> Logger { Logger(label: "test") { _ in LogCollector(lines: lines) } }
}

func record(_ id: String, end: Int64 = 5_000, vars: [CallRecord.Variable] = []) -> CallRecord {
  CallRecord(
    id: id, startMs: end - 4_000, answerMs: end - 3_000, endMs: end, from: "1000", fromName: "Alice, \"A\"", to: "1001",
    context: "internal", user: "1000", source: "udp:127.0.0.1:5070", generation: 1, status: 200, cause: .normalClearing,
    endedBy: .caller, attempts: [.init(target: "user/1001", status: 200, cause: .normalClearing)], vars: vars)
}

func binding(_ contact: String, expires: Int64, cseq: UInt32 = 1) -> Binding {
  Binding(
    contact: Array(contact.utf8)[...], expires: expires, callID: Array("call@phone".utf8)[...], cseq: cseq,
    flow: Flow(
      transport: .udp, listener: 0, remote: Endpoint("192.0.2.7:5060") ?? Endpoint(IPAddress(v4: 0), 0),
      local: Endpoint("127.0.0.1:5060") ?? Endpoint(IPAddress(v4: 0), 0)))
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
