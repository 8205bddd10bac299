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
    var table = TextTable("NAME", "HOST", "TRANSPORT", "STATE", ">RTT MS", "REGISTERED", ">CALLS", "LAST PROBLEM")
    for one in trunks {
      table.add(
        one.name, one.host, one.transport, one.up.map { $0 ? "up" : "down" } ?? "not pinged",
        one.roundTripMilliseconds.map { "\(($0 * 10).rounded() / 10)" } ?? "", Self.registration(one),
        one.maxCalls > 0 ? "\(one.calls)/\(one.maxCalls)" : "\(one.calls)", one.problem ?? "")
    }
    table.print(empty: "no trunks")
  }

  private static func registration(_ trunk: TrunkReport) -> String {
    guard let registered = trunk.registered else { return "-" }
    guard registered else { return "no" }
    return trunk.registrationExpiresIn.map { "yes, \($0) s" } ?? "yes"
  }
}
