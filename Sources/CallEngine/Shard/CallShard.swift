import LuaRuntime
import Media
public import NetCore
public import SIPMessage
public import SIPTransaction

/// One event-loop thread's whole telephony: transactions, dialogs, calls, one Lua VM a script generation, one timer
/// wheel. It does no I/O and reads no clock: `receive`, `handle` or `tick`, then drain `outbox`.
public final class CallShard {
  let shard: UInt8
  let services: EngineServices
  var settings: EngineSettings
  var directory: Directory
  var now: Instant
  var wheel: TimerWheel
  var table: TransactionTable
  let timers: TransactionTimers

  var legs = Slab<Leg>()
  var calls = Slab<Call>()
  var tasks = Slab<ScriptTask>()
  /// Who waits for the response to a request of ours, by the slot of its transaction.
  var owners: [RequestOwner] = []
  /// Trunks that are registered with or pinged; the first shard's work.
  var trunkKeepers = Slab<TrunkKeeper>()
  /// The leg of a pending INVITE, by the slot of its server transaction, for CANCEL.
  var pendingInvites: [LegName] = []

  /// Those that wait for DNS.
  var hopWaiters = Slab<HopWaiter>()

  var scripts: [ScriptGeneration] = []
  var script: ScriptGeneration?
  /// Tasks that used up their burst and go on in a later turn.
  var sliced: [Int] = []
  /// Swapped with the table's, so that neither is allocated anew.
  private var events: [TransactionEvent] = []
  private var outgoing: [Outgoing] = []
  var mediaCommands: [MediaCommand] = []
  var mediaOwners: [MediaEndpointID: UInt64] = [:]
  /// Ports given back whose counters are still to come.
  var statisticsOwners: [MediaEndpointID: (slot: UInt32, generation: UInt32, role: Leg.Role, codec: String)] =
    [:]
  /// Turns of the server's keep-alives; only shard 0 takes them.
  var keepalives = Keepalives()
  var draining: (@Sendable () -> Void)?
  /// Coroutines whose values are there, resumed once the present input is worked off.
  var ready: [(slot: UInt32, generation: UInt32)] = []
  /// Where values for scripts are put together.
  let writer = LuaWriter()
  var spawnQueue: [(script: ScriptGeneration, call: Call?, index: Int64)] = []
  /// VMs of generations that no call runs any more; closed on another thread.
  var retired: [VMHandoff] = []
  var random: TokenMint
  /// Ends of bridges to other calls.
  var transfers = TransferState()
  /// Of strangers' requests (`CallShard+Door.swift`).
  var meter: RequestMeter
  var visitor: Visitor?
  /// In tokens that name no leg.
  static let noSlot: UInt32 = 0xff_ffff

  public init(shard: UInt8, services: EngineServices, generation: Generation, now: Instant, timers: TransactionTimers) {
    self.shard = shard
    self.services = services
    settings = generation.settings
    directory = generation.directory
    self.now = now
    wheel = TimerWheel(now: now)
    table = TransactionTable(shard: shard, timers: timers)
    self.timers = timers
    var system = SystemRandomNumberGenerator()
    random = TokenMint(key: (system.next(), system.next()))
    meter = RequestMeter(key: (system.next(), system.next()))
    adopt(generation)
    keepTrunks()
  }

  // MARK: inputs

  public func receive(_ message: Message, now: Instant) {
    self.now = now
    if services.trace.isOn { trace(message, sent: false) }
    services.counters.add(message.isRequest ? .requests : .responses)
    if message.isRequest, isTurnedAway(message) { return }
    table.receive(message, now: now, wheel: &wheel)
    settle()
    visitor = nil
  }

  public func handle(_ input: ShardInput, now: Instant) {
    self.now = now
    switch input {
    case .media(let events):
      for event in events { media(event) }
    case .adopt(let generation):
      adopt(generation)
      keepTrunks()
    case .directory(let directory):
      self.directory = directory
      keepTrunks()
    case .drain(let drained):
      draining = drained
      leaveTrunks()
      checkDrained()
    case .hangUpAll:
      for call in calls.elements { hangUp(call, .init(side: .system, status: 503, cause: .normalUnspecified)) }
    case .hangUp(let id, let done):
      let call = calls.elements.first { $0.id == id || ($0.id.hasPrefix(id) && id.utf8.count >= 8) }
      if let call { hangUp(call, .init(side: .system, status: 503, cause: .normalClearing)) }
      done(call != nil)
    case .snapshot(let reply):
      reply(snapshot())
    case .half(let message):
      receive(message)
    case .resolved(let asker, let result):
      resolved(asker, result)
    }
    settle()
  }

  public func flowFailed(_ flow: Flow, now: Instant) {
    self.now = now
    table.flowFailed(flow, now: now, wheel: &wheel)
    settle()
  }

  public func connectionClosed(_ connection: UInt64, now: Instant) {
    self.now = now
    services.journal.record(services.bindings.remove(connection: connection))
    settle()
  }

  /// Timers that are due, and scripts whose turn it is again.
  public func tick(now: Instant) {
    self.now = now
    let turn = sliced
    sliced.removeAll(keepingCapacity: true)
    for slot in turn { resumeSliced(slot) }
    while let token = wheel.popExpired(now: now) {
      if token.kind == 0 {
        table.fire(token, now: now, wheel: &wheel)
      } else {
        fire(token)
      }
    }
    settle()
  }

  /// When `tick` is next wanted; may be early.
  public var nextDeadline: Instant? { sliced.isEmpty && spawnQueue.isEmpty ? wheel.nextDeadline : now }

  /// Hands out what is to be sent, in order, and forgets it.
  public func drain(_ send: (Outgoing) -> Void) {
    guard !table.outbox.isEmpty else { return }
    var batch: [Outgoing] = []
    swap(&batch, &outgoing)
    swap(&batch, &table.outbox)
    let traced = services.trace.isOn
    for item in batch {
      if traced { trace(item) }
      send(item)
    }
    batch.removeAll(keepingCapacity: true)
    swap(&batch, &outgoing)
  }

  /// A VM that no call runs any more, to be closed on another thread.
  public func takeRetired() -> VMHandoff? { retired.popLast() }

  /// The inputs of one wake are over: what was gathered for the media plane goes in one piece.
  public func endOfBatch() {
    for script in scripts where script.calls > 0 {
      for group in script.vm.evictedGroups() { evicted(group) }
    }
    guard !mediaCommands.isEmpty else { return }
    services.media.send(mediaCommands)
    mediaCommands.removeAll(keepingCapacity: true)
  }

  public var callCount: Int { calls.count }
  public var transactionCount: Int { table.counts.clients + table.counts.servers }

  /// Works off what the transactions had to say until nothing is left. Tasks that spawn tasks without end give way to
  /// other calls: what they spawned starts with the next turn.
  func settle() {
    var rounds = 0
    var batch: [TransactionEvent] = []
    swap(&batch, &events)
    while true {
      while table.takeEvents(&batch) {
        for event in batch { dispatch(event) }
      }
      if !ready.isEmpty {
        runReady()
      } else if !spawnQueue.isEmpty, rounds < 8 {
        startSpawned()
        rounds += 1
      } else {
        break
      }
    }
    batch.removeAll(keepingCapacity: true)
    swap(&batch, &events)
  }

  // MARK: tokens

  func mint(slot: UInt32, generation: UInt32) -> Token {
    Token(shard: shard, slot: slot, generation: generation, random: random.next())
  }

  /// The leg that a tag of ours names, whatever the sender made of it.
  func leg(tag: Bytes?) -> Leg? {
    guard let tag, let token = Token(hex: tag), token.shard == shard,
      let leg = legs.get(token.slot, token.generation), leg.token == token
    else { return nil }
    return leg
  }

  func leg(_ name: LegName) -> Leg? { legs.get(name.slot, name.generation) }

  func own(_ id: ClientTransactionID, _ owner: RequestOwner) {
    let slot = Int(id.slot)
    while owners.count <= slot { owners.append(.none) }
    owners[slot] = owner
  }

  func checkDrained() {
    if calls.count == 0, !isLeavingTrunks, let drained = draining {
      draining = nil
      isDrained = true
      drained()
    }
  }
  var isDrained = false
  var isDraining: Bool { draining != nil || isDrained }
}

/// What a response of a peer is for.
enum RequestOwner {
  case none
  /// `isBinding`: as in `Leg`, for another fork's answer that comes when the leg is over.
  case invite(LegName, isBinding: Bool)
  /// `passed`: the leg whose re-INVITE it passes on; nil where it is our own.
  case reinvite(LegName, passed: LegName?)
  /// An INVITE to a server that was given up for another (RFC 3263 §4.3), and where it went.
  case givenUp(GivenUpServer)
  case bye(LegName)
  /// The same for our UPDATE.
  case update(LegName, passed: LegName?)
  /// A request that was passed on within a call: who waits for its response, and the leg it went to.
  case passed(ServerTransactionID, to: LegName)
  /// A request of the server's own. Called with every provisional response and with the final one; with the status
  /// alone (408, 503) where no response came.
  case own((_ status: Int, _ response: Message?) -> Void)
}
