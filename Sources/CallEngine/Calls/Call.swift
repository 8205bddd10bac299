import LuaRuntime
import Media
import NetCore
import SIPMessage
import SIPTransaction

/// A call: the caller's leg, the callees' legs, and the script that decides. Confined to its shard.
final class Call {
  let slot: UInt32
  let generationOfSlot: UInt32
  /// What scripts, logs, records and the control socket name it by: the caller's leg token in hex.
  let id: String
  let script: ScriptGeneration
  let invite: Message
  let account: UserAccount?
  let trunk: String?
  let context: String
  let startMilliseconds: Int64
  var answerMilliseconds: Int64?
  var endMilliseconds: Int64?

  var caller: Leg!
  /// Every callee's leg that is not over, those that lost a fork and still answer our CANCEL included.
  var callees: [Leg] = []
  /// The callee who talks with the caller.
  var bridged: Leg?
  var dial: Dial?
  var attempts: [CallAttempt] = []
  /// Dials that ended with a 3xx: what the script dials next is where the callee sent the call, as far as others know.
  var forwardings: [Forwarding] = []

  /// Why and by whom the call ended; set once.
  var hangup: Hangup?
  var tasks: [Int] = []
  var mainTask: Int?
  var hooks = 0
  var hooksLeft: [Int] = []
  var verbsLeft: Int
  var graceTimer: TimerHandle?
  var durationTimer: TimerHandle?
  var playToken: UInt32 = 0
  var isStartingHooks = false
  var isReleased = false
  /// It broke a limit of memory, CPU or tasks.
  var isBreached = false
  /// The caller's leg is over on the wire.
  var callerGone = false
  /// Functions of `call:on_dtmf` wait for digits.
  var wantsDigits = false

  /// What the script changed of the headers that go on.
  var headers = HeaderChanges()
  var vars: [(key: [UInt8], value: LuaValue)] = []
  var scriptError: String?
  /// Only where something is or was transferred.
  var transfer: CallTransfer?
  /// Counters of released ports that the media plane has still to report.
  var statisticsPending = 0
  var statistics: [(leg: String, codec: String, value: MediaStatistics)] = []

  /// Which side ended the call, with which cause.
  struct Hangup {
    enum Side: String { case caller, callee, system }
    var side: Side
    var status: Int
    var cause: Cause
    var text: String?
  }

  init(
    slot: UInt32, generation: UInt32, id: String, script: ScriptGeneration, invite: Message, account: UserAccount?,
    trunk: String?, context: String, startMilliseconds: Int64
  ) {
    self.slot = slot
    generationOfSlot = generation
    self.id = id
    self.script = script
    self.invite = invite
    self.account = account
    self.trunk = trunk
    self.context = context
    self.startMilliseconds = startMilliseconds
    verbsLeft = script.settings.verbsAfterHangup
  }

  /// What scripts hold: slot and generation in one integer.
  var handle: Int64 { Int64(generationOfSlot) << 32 | Int64(slot) }
  /// Memory and CPU of its tasks are charged to it.
  var group: UInt64 { UInt64(bitPattern: handle) }
  var isAnswered: Bool { answerMilliseconds != nil }

  var state: String {
    if hangup != nil { return "ended" }
    if bridged != nil || transfer?.half != nil { return "talking" }
    if dial != nil { return "ringing" }
    return isAnswered ? "answered" : "routing"
  }
}
