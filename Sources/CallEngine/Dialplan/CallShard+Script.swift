import Logging
import LuaRuntime
import Media
import NetCore
import SIPMessage
import SIPTransaction

// Scripts: which generation new calls run, coroutines started, resumed and closed, and how a script's end ends its call.
extension CallShard {
  func adopt(_ generation: Generation) {
    settings = generation.settings
    directory = generation.directory
    table.large.limit = settings.datagramLimit
    table.large.streams = settings.largeRequestStreams
    startKeepalives()
    guard let loaded = generation.vm?.take() else {
      if let old = script, generation.vm == nil {
        old.isRetired = true
        script = nil
        unload(old)
        retireIfIdle(old)
      }
      return
    }
    let new = ScriptGeneration(number: generation.number, loaded: loaded, settings: generation.settings)
    loaded.door.answer = { [unowned self, unowned new] operation, task, group, arguments, reply in
      self.host(operation, task, group, arguments, new, reply)
    }
    if let old = script {
      old.isRetired = true
      unload(old)
      retireIfIdle(old)
    }
    script = new
    scripts.append(new)
    readHandlers(of: new)
    armTimers(of: new)
  }

  /// A generation whose last call has ended gives its memory back, off the loop.
  func retireIfIdle(_ old: ScriptGeneration) {
    guard old.isRetired, old.isIdle, scripts.contains(where: { $0 === old }) else { return }
    scripts.removeAll { $0 === old }
    retired.append(old.handOff())
  }

  func startScript(_ call: Call) {
    let task = newTask(call.script, call, .main)
    call.mainTask = Int(task.slot)
    let (lua, step) = task.script.vm.start(entry: "invite", group: task.group) { writer in
      writer.integer(call.handle)
      if let number = call.invite.requestURI.decodedUser { writer.string(number) }
    }
    task.lua = lua
    run(task, step)
  }

  func newTask(_ script: ScriptGeneration, _ call: Call?, _ kind: ScriptTask.Kind) -> ScriptTask {
    let (slot, generation) = tasks.reserve()
    let task = ScriptTask(slot: slot, generation: generation, script: script, call: call, kind: kind)
    tasks.fill(slot, task)
    if let call { call.tasks.append(Int(slot)) } else { script.detached += 1 }
    return task
  }

  func start(_ task: ScriptTask, entry: String, _ arguments: LuaFlat) {
    let (lua, step) = task.script.vm.start(entry: entry, args: arguments, group: task.group)
    task.lua = lua
    run(task, step)
  }

  func startSpawned() {
    let queue = spawnQueue
    spawnQueue.removeAll(keepingCapacity: true)
    for request in queue {
      let call = request.call
      if let call, call.isReleased { continue }
      let task = newTask(request.script, call, .spawned)
      start(task, entry: "spawned", [call.map { .integer($0.handle) } ?? .null, .integer(request.index)])
    }
  }

  // MARK: running

  func task(at slot: Int) -> ScriptTask? { tasks.at(UInt32(slot)) }

  /// Steps a coroutine until it waits for something or is over.
  private func run(_ task: ScriptTask, _ first: LuaStep) {
    var step = first
    task.burst = 0
    while true {
      switch step {
      case .finished: return finished(task, nil)
      case .failed(let failure): return finished(task, failure)
      case .sliced:
        task.waiting = .turn
        sliced.append(Int(task.slot))
        return
      case .asked(let operation, let arguments):
        task.waiting = .nothing
        switch perform(operation, task, arguments) {
        case .waits: return
        case .now(let values):
          task.burst += 1
          if task.burst > 100 {
            // A script that only asks and never waits gives way to other calls.
            task.waiting = .ready(values)
            sliced.append(Int(task.slot))
            return
          }
          guard let lua = task.lua else { return }
          step = task.script.vm.resume(lua, with: values)
        }
      }
    }
  }

  /// Hands a waiting coroutine what it waited for, after the present input is worked off.
  func wake(_ slot: Int, _ values: LuaFlat) {
    guard let task = task(at: slot) else { return }
    if let timer = task.timer {
      wheel.cancel(timer)
      task.timer = nil
    }
    task.waiting = .ready(values)
    ready.append((task.slot, task.generation))
  }

  func runReady() {
    let queue = ready
    ready.removeAll(keepingCapacity: true)
    for (slot, generation) in queue {
      guard let task = tasks.get(slot, generation), case .ready(let values) = task.waiting, let lua = task.lua else {
        continue
      }
      task.waiting = .nothing
      run(task, task.script.vm.resume(lua, with: values))
    }
  }

  func resumeSliced(_ slot: Int) {
    guard let task = task(at: slot), let lua = task.lua else { return }
    switch task.waiting {
    case .turn: run(task, task.script.vm.resume(lua, with: []))
    case .ready(let values):
      task.waiting = .nothing
      run(task, task.script.vm.resume(lua, with: values))
    case .nothing, .dial, .timer, .played, .accepted, .hangup, .refer: return
    }
  }

  // MARK: the end of a coroutine

  private func finished(_ task: ScriptTask, _ failure: LuaFailure?) {
    remove(task)
    if let failure { failed(task, failure) }
    guard let call = task.call else { return }
    switch task.kind {
    case .main:
      call.mainTask = nil
      if call.hangup == nil, failure == nil { scriptEnded(call) }
    case .hook: nextHook(call)
    case .refer: referTaskEnded(call, task)
    case .spawned, .timer, .unload, .trunk: break
    }
    checkRelease(call)
  }

  private func remove(_ task: ScriptTask) {
    if let timer = task.timer { wheel.cancel(timer) }
    task.timer = nil
    task.lua = nil
    tasks.remove(task.slot, task.generation)
    if task.group != task.call?.group { task.script.vm.endGroup(task.group) }
    if let call = task.call {
      call.tasks.removeAll { $0 == Int(task.slot) }
    } else {
      task.script.detached -= 1
      retireIfIdle(task.script)
    }
  }

  /// A script that ends without a final answer: 480 with cause 31; with the call answered: BYE, cause 16.
  private func scriptEnded(_ call: Call) {
    if call.caller.phase == .early {
      log(.warning, call, "the script ended without an answer")
      hangUp(call, .init(side: .system, status: 480, cause: .normalUnspecified))
    } else {
      hangUp(call, .init(side: .system, status: 200, cause: .normalClearing))
    }
  }

  private func failed(_ task: ScriptTask, _ failure: LuaFailure) {
    let limit = failure.kind == .cpuLimit || failure.kind == .memoryLimit || failure.kind == .taskLimit
    services.counters.add(limit ? .scriptLimits : .scriptErrors)
    let text = "\(failure.message)\(failure.traceback.isEmpty ? "" : "\n" + failure.traceback)"
    guard let call = task.call else {
      return services.logger.error("\(text)", metadata: ["generation": .stringConvertible(task.script.number)])
    }
    if call.scriptError == nil { call.scriptError = failure.message }
    if limit { call.isBreached = true }
    log(.error, call, text)
    // A broken limit ends the call whichever of its coroutines broke it; an error only from the main one.
    guard limit || task.kind == .main, call.hangup == nil else { return }
    hangUp(
      call,
      .init(
        side: .system, status: 500, cause: .temporaryFailure, text: limit ? "script limit" : nil))
  }

  /// The VM was full, and this call held the most of it: it ends, the others go on.
  func evicted(_ group: UInt64) {
    guard let call = call(handle: Int(bitPattern: UInt(group))), call.hangup == nil else { return }
    services.counters.add(.scriptLimits)
    log(.error, call, "script limit: the memory of all scripts is used up, and this call held the most")
    if call.scriptError == nil { call.scriptError = "script limit: memory of all scripts" }
    call.isBreached = true
    hangUp(call, .init(side: .system, status: 500, cause: .temporaryFailure, text: "script limit"))
    settle()
  }

  // MARK: after the hang-up

  /// Verbs that wait return `nil, {kind="hangup", …}`; a dial has had its result.
  func wakeForHangup(_ call: Call) {
    for slot in call.tasks {
      guard let task = task(at: slot) else { continue }
      switch task.waiting {
      case .timer, .played, .accepted, .hangup, .refer: wake(slot, hangupValues(call))
      case .nothing, .dial, .turn, .ready: break
      }
    }
  }

  /// `on_hangup` functions, the last registered first, each in a coroutine of its own.
  func nextHook(_ call: Call) {
    // One that ends at once comes back here: a loop, so that many of them do not go deep.
    guard !call.isStartingHooks else { return }
    call.isStartingHooks = true
    defer { call.isStartingHooks = false }
    while call.hangup != nil, !call.tasks.contains(where: { task(at: $0)?.kind == .hook }),
      let index = call.hooksLeft.popLast()
    {
      let task = newTask(call.script, call, .hook)
      start(task, entry: "hangup_hook", [.integer(call.handle), .integer(Int64(index)), hangupInfo(call)])
    }
  }

  /// The grace period is over: what still runs is closed quietly.
  func closeTasks(_ call: Call) {
    call.graceTimer = nil
    call.hooksLeft = []
    for slot in call.tasks {
      guard let task = task(at: slot) else { continue }
      services.counters.add(.scriptsClosed)
      close(task)
    }
    if call.statisticsPending > 0 {
      statisticsOwners = statisticsOwners.filter {
        $0.value.slot != call.slot || $0.value.generation != call.generationOfSlot
      }
      call.statisticsPending = 0
    }
    checkRelease(call)
  }

  func close(_ task: ScriptTask) {
    if let lua = task.lua { task.script.vm.close(lua) }
    remove(task)
  }

  func forget(_ call: Call) {
    call.script.vm.endGroup(call.group)
    call.script.calls -= 1
    retireIfIdle(call.script)
  }

  // MARK: time

  func arm(_ task: ScriptTask, after: Instant.Span, with values: LuaFlat) {
    task.waiting = .timer(values)
    task.timer = wheel.arm(
      TimerToken(kind: 3, which: 0, slot: task.slot, generation: task.generation), at: now + after)
  }

  func taskTimer(_ token: TimerToken) {
    guard let task = tasks.get(token.slot, token.generation) else { return }
    task.timer = nil
    guard case .timer(let values) = task.waiting else { return }
    if task.stopsPlaying, let port = task.call?.caller.port {
      task.stopsPlaying = false
      mediaCommands.append(.stopPlaying(port.id))
      mediaCommands.append(.echo(port.id, false))
    }
    wake(Int(task.slot), values)
  }

  // MARK: log

  func log(_ level: Logger.Level, _ call: Call, _ text: @autoclosure () -> String) {
    guard services.logger.logLevel <= level else { return }
    services.logger.log(
      level: level, "\(text())",
      metadata: ["call": .string(call.id), "generation": .stringConvertible(call.script.number)])
  }
}
