import LuaRuntime
import NetCore
import SIPTransaction

/// One loaded dialplan in this shard: its VM, the settings it was loaded beside, and how many calls still run it.
final class ScriptGeneration {
  let number: Int
  private let loaded: LoadedScript
  var vm: LuaVM { loaded.vm }
  let settings: EngineSettings
  var calls = 0
  var isRetired = false
  /// Coroutines that belong to no call: `on.timer`, `on.unload`, and what they spawned.
  var detached = 0
  /// `on.timer` functions, by their index less one, in seconds.
  var timers: [Double] = []
  var hasUnload = false
  var hasTrunk = false
  /// It has an `on.refer`.
  var hasRefer = false
  /// Names a group in the VM for each detached coroutine; calls' handles never have the top bit.
  private var lastGroup: UInt64 = 1 << 63

  init(number: Int, loaded: LoadedScript, settings: EngineSettings) {
    self.number = number
    self.loaded = loaded
    self.settings = settings
  }

  func nextGroup() -> UInt64 {
    lastGroup += 1
    return lastGroup
  }

  var isIdle: Bool { calls == 0 && detached == 0 }

  /// Gives the VM up for good. Nothing here uses it again, which the compiler cannot see of a stored property.
  func handOff() -> VMHandoff {
    loaded.door.answer = { _, _, _, _, _ in .raise("this generation is over") }
    nonisolated(unsafe) let loaded = self.loaded
    return unsafe VMHandoff(loaded)
  }
}

/// A coroutine of a script and what it waits for.
final class ScriptTask {
  enum Kind: Equatable {
    case main
    case hook
    case spawned
    /// `on.refer`.
    case refer
    case timer(Int)
    case unload
    case trunk
  }
  enum Waiting: Equatable {
    case nothing
    case dial
    /// `sleep`, `wait`, and verbs with a `duration`; resumed with these values when the timer fires.
    case timer(LuaFlat)
    /// Audio that ends by itself.
    case played(token: UInt32)
    /// That the 200 leaves.
    case accepted
    /// Nothing but the hang-up.
    case hangup
    /// What comes of a REFER of ours.
    case refer
    /// Its burst is over; resumed without values.
    case turn
    /// Its next values are there; resumed in the next turn.
    case ready(LuaFlat)
  }

  let slot: UInt32
  let generation: UInt32
  let script: ScriptGeneration
  /// Nil: it belongs to no call.
  let call: Call?
  /// What its memory and CPU are charged to.
  let group: UInt64
  let kind: Kind
  var lua: LuaTask?
  var waiting = Waiting.nothing
  var timer: TimerHandle?
  /// Verbs answered at once since it last gave way.
  var burst = 0
  /// When its timer fires the audio that it started is stopped.
  var stopsPlaying = false

  init(slot: UInt32, generation: UInt32, script: ScriptGeneration, call: Call?, kind: Kind) {
    self.slot = slot
    self.generation = generation
    self.script = script
    self.call = call
    // A call that broke a limit never runs again in its own group; its hooks do, in one of their own.
    group = call.map { $0.isBreached ? script.nextGroup() : $0.group } ?? script.nextGroup()
    self.kind = kind
  }
}
