import ArgumentParser
import Server

struct Check: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Validate configuration and dialplan without opening a socket.",
    discussion: "Prints file:line:column: what is wrong for every fault, and exits with 1 when there is one.")

  @OptionGroup var options: ConfigurationOptions

  @Flag(help: "For machines.")
  var json = false

  private struct Report: Encodable {
    struct Fault: Encodable {
      var file: String
      var line: Int
      var column: Int
      var message: String
    }
    var ok: Bool
    var faults: [Fault]
  }

  func run() async throws {
    let file = try options.path()
    let faults: [ConfigurationFault]
    do {
      faults = await Server.check(configuration: try ConfigurationReader.read(file: file))
    } catch {
      faults = error.faults
    }
    if json {
      let shown = faults.map { Report.Fault(file: $0.file, line: $0.line, column: $0.column, message: $0.message) }
      Output.line(ControlJSON.pretty(Report(ok: faults.isEmpty, faults: shown)))
      if !faults.isEmpty { throw ExitCode(1) }
    } else if faults.isEmpty {
      Output.line("\(file): good")
    } else {
      throw Output.failure(faults.map { LogEscape.text($0.description) }.joined(separator: "\n"))
    }
  }
}
