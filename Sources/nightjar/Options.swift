import ArgumentParser
import Foundation
import Server

/// Which configuration file.
struct ConfigurationOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The configuration file.", completion: .file(extensions: ["yaml"]))
  var config: String?

  /// - Throws: `ExitCode` after it has said what is wrong.
  func path() throws -> String {
    if let config { return config }
    if let named = ProcessInfo.processInfo.environment["NIGHTJAR_CONFIG"], !named.isEmpty { return named }
    let usual = ["/etc/nightjar/nightjar.yaml", "Config/nightjar.yaml"]
    if let found = usual.first(where: { FileManager.default.fileExists(atPath: $0) }) { return found }
    throw Output.failure(
      "no configuration file: give --config FILE or set NIGHTJAR_CONFIG (looked for \(usual.joined(separator: ", ")))")
  }

  /// - Throws: `ExitCode` after one line on the first fault.
  func load() throws -> ServerConfiguration {
    let file = try path()
    do {
      return try ConfigurationReader.read(file: file)
    } catch {
      throw Output.failure(error.summary)
    }
  }
}

/// For the commands that talk to a running server.
struct ClientOptions: ParsableArguments {
  @OptionGroup var configuration: ConfigurationOptions

  @Option(help: "The control socket, instead of the one that the configuration names.")
  var socket: String?

  @Flag(help: "For machines.")
  var json = false

  func client() throws -> ControlClient {
    ControlClient(path: try socket ?? configuration.load().control.socket)
  }

  /// - Throws: `ExitCode` when nobody answers or the server refuses.
  func ask(_ command: ControlCommand) async throws -> ControlReply {
    let client = try client()
    do {
      return try accept(await client.send(command))
    } catch let failure as ControlClient.Failure {
      throw refused(.failed("\(failure)"))
    }
  }

  /// - Throws: `ExitCode` for a refusal, after it was shown.
  func accept(_ reply: ControlReply) throws -> ControlReply {
    if reply.ok { return reply }
    throw refused(reply)
  }

  private func refused(_ reply: ControlReply) -> ExitCode {
    if json { Output.line(ControlJSON.pretty(reply)) }
    // One fault is in the error already.
    let faults = reply.faults ?? []
    if faults.count > 1 { return Output.failure(faults.map(LogEscape.text).joined(separator: "\n")) }
    return Output.failure(LogEscape.text(reply.error ?? "refused"))
  }
}
