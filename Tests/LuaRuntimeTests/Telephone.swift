import LuaRuntime
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// The telephony prelude over a host that is told what to say: the language without the engine.
final class Telephone {
  static let order = [
    "errors", "schema", "check", "causes", "headers", "json", "call", "verbs", "dial", "handlers", "tasks", "services",
  ]
  static let operations = [
    "field", "header_get", "header_all", "header_set", "header_add", "header_remove", "var_set", "kv_get", "kv_set",
    "kv_incr", "kv_cas", "kv_delete", "log", "now", "uuid", "on_hangup", "spawn", "trunk_get", "trunk_list", "ring",
    "progress", "answer", "dial", "reject", "hangup", "play", "tone", "echo", "wait", "sleep", "refer",
    "refer_decided",
  ]

  struct Call: Equatable {
    var op: String
    var args: [LuaValue]
  }

  final class World {
    var told: [Call] = []
    var fields: [String: LuaValue] = [
      "id": "call-1", "context": "internal", "generation": 3, "state": "new",
      "from": .record(["user": "1000", "host": "example.org", "display": "Alice"]),
      "to": .record(["user": "1001", "host": "example.org"]),
      "ruri": .record(["user": "1001", "host": "example.org", "params": .record(["user": "phone"])]),
      "source": .record(["ip": "192.0.2.1", "port": 5060, "transport": "udp"]),
      "sdp": .record(["codecs": .array(["PCMA", "PCMU"])]),
    ]
    var replies: [String: HostReply] = [:]
    var hooks: Int64 = 0
  }

  let vm: LuaVM
  let world: World

  static let preludes: [(name: String, source: [UInt8])] = order.map { name in
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return (name: name, source: read("/\(root)/Sources/CallEngine/Lua/\(name).lua"))
  }

  private static func read(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { preconditionFailure("cannot read \(path)") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return bytes
  }

  init(_ script: String, replies: [String: HostReply] = [:], limits: LuaLimits = LuaLimits()) throws(LuaFailure) {
    let world = World()
    world.replies = replies
    self.world = world
    vm = try LuaVM(
      preludes: Telephone.preludes, operations: Telephone.operations, limits: limits, scriptDirectory: nil
    ) { op, _, _, arguments, _ in
      let name = Telephone.operations[Int(op)]
      let args = arguments.values
      if name != "field" { world.told.append(Call(op: name, args: args)) }
      if let reply = world.replies[name] { return reply }
      switch name {
      case "field": return .values([args[1].asString.flatMap { world.fields[$0] } ?? .null])
      case "on_hangup":
        world.hooks += 1
        return .values([.integer(world.hooks)])
      case "now": return .values([1700000000.5])
      case "uuid": return .values(["6ba7b810-9dad-41d1-80b4-00c04fd430c8"])
      default: return .values([true])
      }
    }
    try vm.load(source: Array(script.utf8), name: "dialplan.lua")
  }

  /// The script's on.invite with this body.
  convenience init(invite body: String, replies: [String: HostReply] = [:]) throws(LuaFailure) {
    try self.init("on.invite(function(call)\n\(body)\nend)", replies: replies)
  }

  struct Run {
    var asked: [Call] = []
    var values: [LuaValue] = []
    var failure: LuaFailure?
  }

  /// Runs an entry to its end; the n-th ask is answered with `answers[n]`, further ones with true.
  func run(_ entry: String, _ args: [LuaValue] = [7], answers: [[LuaValue]] = []) -> Run {
    var run = Run()
    var (task, step) = vm.start(entry: entry, args: LuaFlat(args), group: 7)
    while true {
      switch step {
      case .asked(let op, let args):
        let answer = run.asked.count < answers.count ? answers[run.asked.count] : [true]
        run.asked.append(Call(op: Telephone.operations[Int(op)], args: args.values))
        step = vm.resume(task, with: LuaFlat(answer))
      case .sliced: step = vm.resume(task)
      case .finished(let values):
        run.values = values
        return run
      case .failed(let failure):
        run.failure = failure
        task = .none
        return run
      }
    }
  }

  func invite(answers: [[LuaValue]] = []) -> Run { run("invite", answers: answers) }

  /// What the script told with log.info(name, {v = …}): the fields.
  var reports: [LuaValue] { world.told.filter { $0.op == "log" }.map { $0.args[2] } }

  /// Runs a body of on.invite and gives its error's message.
  static func failure(_ body: String, replies: [String: HostReply] = [:]) throws -> String {
    let run = try Telephone(invite: body, replies: replies).invite()
    return run.failure?.message ?? "no failure; asked \(run.asked)"
  }
}

extension LuaValue {
  static let hangup = LuaValue.record(["kind": "hangup", "side": "caller", "status": 487, "cause": 16])
}
