import NetCore
import SIPMessage
import SIPTransaction

/// One trunk as the first shard looks after it: its registration and its pings. It lives until the configuration names
/// the trunk no more and our Contact is taken away.
final class TrunkKeeper {
  /// A timer's or a response's way back.
  let slot: UInt32
  let generation: UInt32
  private(set) var trunk: Trunk
  let status: TrunkStatus
  var registration: RegistrationMachine?
  var ping = PingMachine()
  var registerTimer: TimerHandle?
  var pingTimer: TimerHandle?

  // Of all REGISTERs of one registration (RFC 3261 §10.2).
  let callID: [UInt8]
  let fromTag: [UInt8]
  private var cseq: UInt32 = 0
  /// In our Contact: who calls it has it from the registrar.
  let contactToken: [UInt8]
  static let tokenLength = 32
  /// What was logged last of the registration, so that the same is not logged at each attempt.
  var loggedProblem: String?
  var isRegisteredLogged = false

  /// Number of the ping that an answer is awaited for; an older one's answer comes too late.
  private(set) var pingNumber: UInt32 = 0
  var pingSent: Instant?
  var pingFlow: Flow?
  /// Servers that the present REGISTER may go to, the one that it went to first (RFC 3263 §4.3).
  var registrars: [Flow] = []
  /// The configuration names it no more.
  var isRemoved = false

  init(slot: UInt32, generation: UInt32, trunk: Trunk, status: TrunkStatus, callID: [UInt8], fromTag: [UInt8]) {
    self.slot = slot
    self.generation = generation
    self.trunk = trunk
    self.status = status
    self.callID = callID
    self.fromTag = fromTag
    var system = SystemRandomNumberGenerator()
    let word: UInt64 = system.next()
    contactToken = Array(
      Token(
        shard: UInt8(truncatingIfNeeded: word), slot: UInt32(truncatingIfNeeded: word >> 8) & 0xff_ffff,
        generation: UInt32(truncatingIfNeeded: word >> 32), random: system.next()
      ).hex)
    registration = trunk.plan.registration.map { RegistrationMachine(expires: $0.expires) }
  }

  func nextCSeq() -> UInt32 {
    cseq = cseq >= 0x7fff_ffff ? 1 : cseq + 1
    return cseq
  }

  func nextPing(at now: Instant) -> UInt32 {
    pingNumber &+= 1
    pingSent = now
    return pingNumber
  }

  /// The same trunk as a reload has it: what concerns the registration has not changed.
  func adopt(_ trunk: Trunk) { self.trunk = trunk }

  /// Whether a registration goes on: same registrar, same way there, same account.
  func isSame(_ other: Trunk) -> Bool {
    trunk.name == other.name && trunk.host == other.host && trunk.transport == other.transport
      && trunk.peer == other.peer && trunk.isTransportFixed == other.isTransportFixed
      && trunk.plan.credentials == other.plan.credentials
      && trunk.plan.registration == other.plan.registration
  }
}
