import Foundation
import Logging
import Synchronization

@testable import Server

/// A folder of its own for a test, gone with it. Its path is short enough for a socket.
final class TestFolder: Sendable {
  let path: String
  init() throws {
    path = "/tmp/nj-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
  func mode(_ name: String) throws -> Int {
    (try FileManager.default.attributesOfItem(atPath: file(name))[.posixPermissions] as? Int) ?? 0
  }
}

/// Lines that were written, from any thread.
final class LineCollector: Sendable {
  private let kept = Mutex<[String]>([])
  var all: [String] { kept.withLock { $0 } }
  @Sendable func add(_ line: String) { kept.withLock { $0.append(line) } }
}

func quietLogger() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
