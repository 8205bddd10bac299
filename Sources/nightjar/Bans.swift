import ArgumentParser
import Foundation
import Server

/// Sources that sent too many wrong credentials (`limits.ban`).
struct Bans: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Sources that nothing is read from.", subcommands: [List.self, Remove.self], defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Who is banned, and for how long.")
    @OptionGroup var options: ClientOptions

    func run() async throws {
      let bans = try await options.ask(.bans).bans ?? []
      if options.json { return Output.line(ControlJSON.pretty(bans)) }
      var table = TextTable("SOURCE", "SINCE", ">LEFT")
      for one in bans {
        let since = Date(timeIntervalSince1970: Double(one.sinceMilliseconds) / 1000)
        table.add(one.source, since.formatted(.iso8601), "\(one.secondsLeft) s")
      }
      table.print(empty: "nobody is banned")
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Listen to a source again.")
    @Argument(help: "An address as the list shows it.")
    var source: String?
    @Flag(help: "All of them.")
    var all = false
    @OptionGroup var options: ClientOptions

    func validate() throws {
      guard all != (source != nil) else { throw ValidationError("name one source, or --all") }
    }

    func run() async throws {
      let reply = try await options.ask(.unban(source: source))
      if options.json { return Output.line(ControlJSON.pretty(reply)) }
      Output.line(reply.message ?? "done")
    }
  }
}
