import ArgumentParser
import Server

struct Calls: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The calls of this moment.")
  @OptionGroup var options: ClientOptions

  func run() async throws {
    let calls = try await options.ask(.calls).calls ?? []
    if options.json { return Output.line(ControlJSON.pretty(calls)) }
    var table = TextTable("ID", "STATE", "FROM", "TO", "CONTEXT", ">GEN", ">LEGS", ">TIME")
    for call in calls {
      table.add(
        call.id, call.state, call.from, call.to, call.context, "\(call.generation)", "\(call.legs)",
        Output.duration(call.seconds))
    }
    table.print(empty: "no calls")
  }
}

struct Hangup: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "End a call.")
  @Argument(help: "As `nightjar calls` shows it.")
  var id: String
  @OptionGroup var options: ClientOptions

  func run() async throws {
    let reply = try await options.ask(.hangup(id: id))
    Output.line(options.json ? ControlJSON.pretty(reply) : reply.message ?? "call \(LogEscape.text(id)) ended")
  }
}

struct Trace: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the messages of calls as they come and go, both legs, until interrupted.")
  @Option(help: ArgumentHelp("Of one call only.", valueName: "id"))
  var call: String?
  @OptionGroup var options: ClientOptions

  private struct Line: Encodable {
    var trace: String
  }

  func run() async throws {
    let client = try options.client()
    let json = options.json
    let refusal: ControlReply?
    do {
      refusal = try await client.trace(callID: call) { text in
        if json { return Output.line(String(decoding: ControlJSON.line(Line(trace: text)), as: UTF8.self)) }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
          Output.line(LogEscape.text(String(line)))
        }
      }
    } catch {
      throw Output.failure("\(error)")
    }
    if let refusal { _ = try options.accept(refusal) }
  }
}
