import LuaRuntime
import NetCore
import SIPTransaction

// `on.timer`, `on.trunk` and `on.unload`: coroutines that belong to no call. They run once a server, so on the first shard only.
extension CallShard {
  func readHandlers(of script: ScriptGeneration) {
    guard case .finished(let values) = script.vm.start(entry: "handlers", args: [], group: 0).1 else { return }
    for handler in values.first?.asArray ?? [] {
      switch handler["name"].asString {
      case "refer": script.hasRefer = true
      case "timer" where shard == 0: script.timers.append(handler["seconds"].asDouble ?? 60)
      case "unload" where shard == 0: script.hasUnload = true
      case "trunk" where shard == 0: script.hasTrunk = true
      default: break
      }
    }
  }

  /// Timers stop with their generation: a retired one's are not armed again.
  func armTimers(of script: ScriptGeneration) {
    for index in script.timers.indices { arm(timer: index, of: script) }
  }

  private func arm(timer index: Int, of script: ScriptGeneration) {
    _ = wheel.arm(
      TimerToken(kind: 4, which: 0, slot: UInt32(index), generation: UInt32(truncatingIfNeeded: script.number)),
      at: now + .seconds(max(0.01, script.timers[index])))
  }

  func scriptTimer(_ token: TimerToken) {
    guard let script, UInt32(truncatingIfNeeded: script.number) == token.generation,
      script.timers.indices.contains(Int(token.slot))
    else { return }
    let index = Int(token.slot)
    arm(timer: index, of: script)
    // One that is still running is not run twice at once.
    if tasks.elements.contains(where: { $0.script === script && $0.kind == .timer(index) }) { return }
    start(newTask(script, nil, .timer(index)), entry: "timer", [.integer(Int64(index + 1))])
  }

  /// What the script wanted done when it gives way to the next; its VM lives until this has run.
  func unload(_ old: ScriptGeneration) {
    guard shard == 0, old.hasUnload else { return }
    start(newTask(old, nil, .unload), entry: "unload", [.integer(Int64(old.number))])
  }
}
