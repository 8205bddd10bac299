import ArgumentParser
import Server

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "How the server stands, and what it has counted.")
  @OptionGroup var options: ClientOptions

  func run() async throws {
    let reply = try await options.ask(.status)
    guard let status = reply.status else { throw Output.failure("the server sent no status") }
    if options.json { return Output.line(ControlJSON.pretty(status)) }
    Output.line("nightjar \(status.version), process \(status.process), up \(Output.duration(status.uptimeSeconds))")
    if status.draining { Output.line("draining: new calls are refused") }
    Output.line("listening on   \(status.listen.joined(separator: ", "))")
    Output.line("generation     \(status.generation)")
    Output.line("shards         \(status.shards)")
    Output.line("calls          \(status.calls)")
    Output.line("registrations  \(status.registrations)")
    Output.line("media ports    \(status.mediaPortsUsed) of \(status.mediaPorts)")
    var table = TextTable("COUNTER", ">TOTAL")
    for (name, count) in status.counters.sorted(by: { $0.key < $1.key }) { table.add(name, "\(count)") }
    Output.line("")
    table.print(empty: "nothing counted")
  }
}

struct Generations: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The scripts that calls run.")
  @OptionGroup var options: ClientOptions

  func run() async throws {
    let generations = try await options.ask(.generations).generations ?? []
    if options.json { return Output.line(ControlJSON.pretty(generations)) }
    var table = TextTable(">GENERATION", "", ">CALLS", ">MEMORY KIB", "SCRIPT")
    for one in generations {
      table.add(
        "\(one.number)", one.current ? "current" : "retired", "\(one.calls)", "\(one.memoryBytes >> 10)",
        one.script ?? "")
    }
    table.print(empty: "no script")
  }
}

struct Reload: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read configuration and dialplan again.",
    discussion: """
      Waits until new calls run the new dialplan. When anything is wrong all stays as it was, and the exit code is 1.
      """)
  @OptionGroup var options: ClientOptions

  func run() async throws {
    let reply = try await options.ask(.reload)
    Output.line(options.json ? ControlJSON.pretty(reply) : reply.message ?? "reloaded")
  }
}
