import ArgumentParser
import Server

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the server in the foreground.",
    discussion: """
      SIGHUP reloads configuration and dialplan. SIGTERM refuses new calls and ends when the last one has ended, at the
      latest after --drain seconds; a second SIGTERM ends at once.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(help: ArgumentHelp("How long calls may go on after SIGTERM.", valueName: "seconds"))
  var drain = 30.0

  func validate() throws {
    guard drain >= 0, drain <= 86400 else { throw ValidationError("--drain takes 0 to 86400 seconds") }
  }

  func run() async throws {
    let configuration = try options.load()
    do {
      try await Server.run(configuration: configuration, drain: .seconds(drain))
    } catch let error as ConfigurationError {
      throw Output.failure(error.summary)
    } catch {
      throw Output.failure("nightjar: \(LogEscape.text("\(error)"))")
    }
  }
}
