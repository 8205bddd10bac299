import ArgumentParser
import Server

/// The program. Each command has a file; what they share is in `Options.swift`, `Output.swift` and `Ask.swift`.
@main
struct Nightjar: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nightjar",
    abstract: "A SIP server that is programmed in Lua.",
    discussion: """
      The configuration is the file that --config names, else $NIGHTJAR_CONFIG, else /etc/nightjar/nightjar.yaml, else
      Config/nightjar.yaml.
      """,
    version: "nightjar \(Server.version)",
    groupedSubcommands: [
      CommandGroup(name: "The server", subcommands: [Serve.self, Check.self]),
      CommandGroup(
        name: "A running server",
        subcommands: [
          Reload.self, Status.self, Calls.self, Registrations.self, Trunks.self, Generations.self, Hangup.self,
          Trace.self, Bans.self,
        ]),
      CommandGroup(name: "Users", subcommands: [User.self]),
      CommandGroup(name: "Coming with a later release", subcommands: [Console.self, Explain.self, Test.self]),
    ])
}
