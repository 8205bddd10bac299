import LuaRuntime
import Testing

/// A machine with a minimal prelude and a host that records: `verb(…)` waits, `service(…)` is answered at once, and
/// `task(name, fn)` registers what a test starts.
final class Machine {
  static let prelude = """
    define("verb", function(...) return ask(OP.verb, ...) end)
    define("service", function(...) return host(OP.service, ...) end)
    define("task", entry)
    define("fail", fail)
    """

  let vm: LuaVM
  private let recorder: Recorder

  final class Recorder {
    var calls: [(op: Int32, task: LuaTask, group: UInt64, args: [LuaValue])] = []
    var reply: (Int32, [LuaValue]) -> HostReply = { _, _ in .none }
  }

  init(
    _ script: String, limits: LuaLimits = .quick, directory: String? = nil,
    reply: @escaping (Int32, [LuaValue]) -> HostReply = { _, args in .values(args) }
  ) throws(LuaFailure) {
    let recorder = Recorder()
    recorder.reply = reply
    self.recorder = recorder
    vm = try LuaVM(
      preludes: [("test", Array(Machine.prelude.utf8))], operations: ["verb", "service", "log"], limits: limits,
      scriptDirectory: directory
    ) { op, task, group, args, _ in
      recorder.calls.append((op, task, group, args.values))
      return recorder.reply(op, args.values)
    }
    try vm.load(source: Array(script.utf8), name: "dialplan.lua")
  }

  var calls: [(op: Int32, task: LuaTask, group: UInt64, args: [LuaValue])] { recorder.calls }

  /// What a run has come to, and what it asked on the way.
  struct Run {
    var values: [LuaValue] = []
    var asked: [[LuaValue]] = []
    var slices = 0
    var failure: LuaFailure?
  }

  /// Runs a task to its end. Each ask is answered with `answer(args)`.
  func run(
    _ entry: String, _ args: [LuaValue] = [], group: UInt64 = 1, answer: ([LuaValue]) -> [LuaValue] = { $0 }
  ) -> Run {
    var run = Run()
    var (task, step) = vm.start(entry: entry, args: LuaFlat(args), group: group)
    while run.slices < 100_000 {
      switch step {
      case .asked(_, let args):
        run.asked.append(args.values)
        step = vm.resume(task, with: LuaFlat(answer(args.values)))
      case .sliced:
        run.slices += 1
        step = vm.resume(task)
      case .finished(let values):
        run.values = values
        return run
      case .failed(let failure):
        run.failure = failure
        return run
      }
    }
    task = .none
    Issue.record("the task does not end")
    return run
  }

  /// Loads and runs `body` as the body of a task.
  static func run(
    _ body: String, _ args: [LuaValue] = [], limits: LuaLimits = .quick,
    reply: @escaping (Int32, [LuaValue]) -> HostReply = { _, args in .values(args) }
  ) throws(LuaFailure) -> Run {
    try Machine("task('main', function(...) \(body)\nend)", limits: limits, reply: reply).run("main", args)
  }
}

extension LuaLimits {
  /// Small, so that endless loops end soon.
  static var quick: LuaLimits {
    var limits = LuaLimits()
    limits.burst = .milliseconds(1)
    limits.callCPU = .milliseconds(15)
    limits.loadCPU = .milliseconds(400)
    limits.callMemoryBytes = 2 << 20
    limits.memoryBytes = 16 << 20
    return limits
  }

  /// The same with all the time in the world: for tests of memory.
  static var patient: LuaLimits {
    var limits = quick
    limits.burst = .seconds(60)
    limits.callCPU = .seconds(60)
    return limits
  }
}
