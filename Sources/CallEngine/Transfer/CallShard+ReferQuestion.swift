import Logging
import LuaRuntime
import NetCore
import SIPMessage
import SIPTransaction

/// A REFER that a script is asked about, or that is passed on.
final class ReferQuestion {
  /// Waits for its response.
  let request: ServerTransactionID
  /// Whose phone sent it.
  let leg: LegName
  var target: ReferTarget
  var task: (slot: UInt32, generation: UInt32)?
  var timer: TimerHandle?

  init(request: ServerTransactionID, leg: LegName, target: ReferTarget) {
    self.request = request
    self.leg = leg
    self.target = target
  }
}

/// `on_refer` of a dial.
enum ReferHandling: Sendable {
  case pass
  case ask
}

// `on.refer(call, target)`: a coroutine of the call whose result decides. The phone waits for its 202 at most as long as
// a transaction does, so the script has ten seconds.
extension CallShard {
  func ask(_ question: ReferQuestion, _ call: Call, _ leg: Leg, ofDial: Bool) {
    call.transferState.asking = question
    let task = newTask(call.script, call, .refer)
    question.task = (task.slot, task.generation)
    question.timer = wheel.arm(
      TimerToken(kind: 12, which: 2, slot: call.slot, generation: call.generationOfSlot), at: now + .seconds(10))
    start(
      task, entry: "refer",
      [.integer(call.handle), .bool(ofDial), CallShard.describe(question.target, byCaller: leg.role == .caller)])
  }

  private static func describe(_ target: ReferTarget, byCaller: Bool) -> LuaValue {
    var fields: [(key: LuaValue, value: LuaValue)] = [
      (key: .text("uri"), value: .string(target.uri)), (key: .text("attended"), value: .bool(target.replaces != nil)),
      (key: .text("by"), value: .text(byCaller ? "caller" : "callee")),
    ]
    if let uri = try? URI(parsing: target.uri[...]) {
      fields.append((key: .text("host"), value: .string(Array(uri.host))))
      if let user = uri.decodedUser { fields.append((key: .text("user"), value: .string(user))) }
      if let port = uri.port { fields.append((key: .text("port"), value: .integer(Int64(port)))) }
    }
    if let display = target.display, !display.isEmpty {
      fields.append((key: .text("display"), value: .text(display)))
    }
    return .table(fields)
  }

  /// What the script's function has returned.
  func referDecided(_ call: Call, _ task: ScriptTask, _ arguments: LuaArguments) -> VerbOutcome {
    guard let question = asked(call, task) else { return CallShard.done }
    forget(question, of: call)
    switch arguments[1].asString {
    case "pass": decide(question, .pass)
    case "refuse":
      let status = Int(arguments[2].asInt ?? 603)
      decide(question, .refuse(min(max(status, 400), 699), arguments[3].asString))
    case "redirect": decide(question, .redirect(arguments[2].asBytes ?? []))
    default: decide(question, .go)
    }
    return CallShard.done
  }

  private func asked(_ call: Call, _ task: ScriptTask) -> ReferQuestion? {
    guard let question = call.transfer?.asking, let asked = question.task, asked.slot == task.slot,
      asked.generation == task.generation
    else { return nil }
    return question
  }

  private func forget(_ question: ReferQuestion, of call: Call) {
    cancel(&question.timer)
    call.transfer?.asking = nil
  }

  /// The coroutine is over; if it has not decided (an error) the REFER is refused.
  func referTaskEnded(_ call: Call, _ task: ScriptTask) {
    guard let question = asked(call, task) else { return }
    forget(question, of: call)
    decide(question, .refuse(500, nil))
  }

  func askingTimedOut(_ name: CallName) {
    guard let call = calls.get(name.slot, name.generation), let question = call.transfer?.asking else { return }
    question.timer = nil
    if let (slot, generation) = question.task, let task = tasks.get(slot, generation) {
      log(.warning, call, "on.refer took longer than ten seconds")
      call.transfer?.asking = nil
      services.counters.add(.scriptsClosed)
      close(task)
    }
    forget(question, of: call)
    decide(question, .refuse(500, nil))
  }

  /// The call ends while its script thinks about a REFER.
  func endQuestion(_ call: Call) {
    guard let question = call.transfer?.asking else { return }
    forget(question, of: call)
    decide(question, .refuse(481, nil))
  }
}
