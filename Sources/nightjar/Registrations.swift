import ArgumentParser
import Server

struct Registrations: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The contacts that users have registered.")
  @OptionGroup var options: ClientOptions

  func run() async throws {
    let registrations = try await options.ask(.registrations).registrations ?? []
    if options.json { return Output.line(ControlJSON.pretty(registrations)) }
    var table = TextTable("USER", "CONTACT", "FROM", ">Q", ">EXPIRES", "AGENT")
    for one in registrations {
      table.add(
        one.user, one.contact, one.source, "\(one.priority)", "\(one.expiresInSeconds) s", one.agent ?? "")
    }
    table.print(empty: "no registrations")
  }
}

struct Trunks: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The trunks and how they answer.")
  @OptionGroup var options: ClientOptions

  func run() async throws {
    let trunks = try await options.ask(.trunks).trunks ?? []
    if options.json { return Output.line(ControlJSON.pretty(trunks)) }
    var table = TextTable("NAME", "HOST", "TRANSPORT", "CONTEXT", "STATE", ">RTT MS", ">CALLS")
    for one in trunks {
      table.add(
        one.name, one.host, one.transport, one.context, one.up.map { $0 ? "up" : "down" } ?? "not pinged",
        one.roundTripMilliseconds.map { "\(($0 * 10).rounded() / 10)" } ?? "", "\(one.calls)")
    }
    table.print(empty: "no trunks")
  }
}
