import Foundation
import SIPTransport

/// An authority and certificates of its, made by openssl in a folder that goes with them.
final class Certificates: Sendable {
  let folder: String
  var authority: String { folder + "/ca.pem" }

  init() throws {
    folder = NSTemporaryDirectory() + "/nightjar-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try openssl(["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority"])
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// A certificate and its key. `names` is a subjectAltName: `DNS:a.example.com,IP:127.0.0.1`.
  func make(_ file: String, _ names: String) throws -> TLSOptions.Certificate {
    try openssl([
      "-keyout", file + ".key", "-out", file + ".pem", "-subj", "/CN=\(file)", "-CA", "ca.pem", "-CAkey", "ca.key",
      "-addext", "subjectAltName=\(names)", "-addext", "basicConstraints=critical,CA:FALSE",
    ])
    return .init(chain: "\(folder)/\(file).pem", key: "\(folder)/\(file).key")
  }

  /// Of this authority, which they also trust.
  func contexts(_ names: String = "DNS:sip.example.com") throws -> TLSContexts {
    var options = TLSOptions(certificates: [try make("one", names)])
    options.serverAuthorities = authority
    return try TLSContexts(options)
  }

  private func openssl(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
      + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Peer.Failure.system("openssl", process.terminationStatus) }
  }
}
