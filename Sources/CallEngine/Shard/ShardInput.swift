import LuaRuntime
public import Media
import NetCore
public import NextHop
import SIPMessage
import Synchronization

/// Everything that can happen to a shard besides time and messages. Plain values; they cross by its mailbox.
public enum ShardInput: Sendable {
  case media([MediaEvent])
  /// New calls run this generation from here on.
  case adopt(Generation)
  /// Users, access rules and trunks changed without a new script (`nightjar user add`).
  case directory(Directory)
  /// Refuse new calls with 503 and Retry-After; `drained` is called when the last call has ended.
  case drain(drained: @Sendable () -> Void)
  /// End every call now, with BYE or CANCEL.
  case hangUpAll
  /// Ends one call; `done` is told whether it was there.
  case hangUp(call: String, done: @Sendable (Bool) -> Void)
  case snapshot(@Sendable (ShardSnapshot) -> Void)
  /// What the half of another call says.
  case half(HalfMessage)
  /// DNS has answered one who asked for next hops.
  case resolved(HopAsker, HopResult)
}

/// A script that was compiled and run off the loops, with what it was loaded beside: one for each shard.
public struct Generation: Sendable {
  public var number: Int
  /// Nil: no script is configured, and every call gets 404.
  public var vm: VMHandoff?
  public var directory: Directory
  public var settings: EngineSettings

  public init(number: Int, vm: VMHandoff?, directory: Directory, settings: EngineSettings) {
    self.number = number
    self.vm = vm
    self.directory = directory
    self.settings = settings
  }
}

/// Carries a VM, which is not Sendable, from the thread that loaded it to the loop that will own it: taken once.
public final class VMHandoff: Sendable {
  private let script: Mutex<LoadedScript?>

  public init(_ script: consuming sending LoadedScript) { self.script = Mutex(script) }

  public func take() -> sending LoadedScript? {
    script.withLock { held in
      let taken = held
      held = nil
      return taken
    }
  }
}

/// A call as `nightjar calls` shows it.
public struct CallSummary: Sendable {
  public var id: String
  public var generation: Int
  public var from: String
  public var to: String
  public var context: String
  public var state: String
  public var startMilliseconds: Int64
  public var legs: Int
}

public struct ShardSnapshot: Sendable {
  public var shard: Int
  public var calls: [CallSummary]
  public var transactions: Int
  public var timers: Int
  /// Generation number and how many calls run it.
  public var generations: [(number: Int, calls: Int, memory: Int)]
}
