import Logging
import LuaRuntime
import NetCore
import NextHop
import SIPMessage
import SIPTransaction

// The first shard looks after the trunks for all: it registers, it pings, and tells the script what became of it.
extension CallShard {
  enum TrunkTimer: UInt8 { case register, ping, pingOver, leave }

  /// How long the end of the server waits for registrars to hear of it.
  private static let leaveTime = Instant.Span.seconds(2 as Int64)

  /// The directory is a new one: trunks that are new are taken up, those that are gone leave, the others go on.
  func keepTrunks() {
    guard shard == 0, !isDraining else { return }
    for keeper in trunkKeepers.elements where !keeper.isRemoved {
      if let trunk = directory.trunk(named: keeper.trunk.name), keeper.isSame(trunk) {
        let ping = keeper.trunk.plan.ping
        keeper.adopt(trunk)
        if trunk.plan.ping != ping { pingAnew(keeper) }
      } else {
        let isGone = directory.trunk(named: keeper.trunk.name) == nil
        remove(keeper)
        if isGone { services.trunks.forget(keeper.trunk.name) }
      }
    }
    let kept = Set(trunkKeepers.elements.lazy.filter { !$0.isRemoved }.map(\.trunk.name))
    for trunk in directory.trunks where !kept.contains(trunk.name) { take(up: trunk) }
  }

  private func take(up trunk: Trunk) {
    guard trunk.plan.ping > .zero || trunk.plan.registration != nil else { return }
    let (slot, generation) = trunkKeepers.reserve()
    let keeper = TrunkKeeper(
      slot: slot, generation: generation, trunk: trunk, status: services.trunks.status(of: trunk.name),
      callID: mintCallID(), fromTag: mint(slot: CallShard.noSlot, generation: 0).hex)
    keeper.status.update { state in
      state.isUp = true
      state.roundTrip = nil
      state.registeredUntil = nil
      state.serviceRoute = []
      state.servers = []
      state.realm = nil
      state.accountProblem = nil
      state.pingProblem = nil
      state.contactToken = trunk.plan.registration == nil ? nil : keeper.contactToken
    }
    trunkKeepers.fill(slot, keeper)
    // With the shard's first tick: the sockets are there by then.
    if keeper.registration != nil { keeper.registerTimer = arm(keeper, .register, after: .milliseconds(1)) }
    pingAnew(keeper)
  }

  private func pingAnew(_ keeper: TrunkKeeper) {
    cancel(&keeper.pingTimer)
    guard keeper.trunk.plan.ping > .zero else {
      keeper.ping = PingMachine()
      return keeper.status.update { state in
        state.isUp = true
        state.roundTrip = nil
        state.pingProblem = nil
      }
    }
    keeper.pingTimer = arm(keeper, .ping, after: .milliseconds(1))
  }

  private func remove(_ keeper: TrunkKeeper) {
    keeper.isRemoved = true
    cancel(&keeper.pingTimer)
    keeper.status.update { $0.contactToken = nil }
    leave(keeper)
    if keeper.registration == nil { trunkKeepers.remove(keeper.slot, keeper.generation) }
  }

  private func leave(_ keeper: TrunkKeeper) {
    guard var registration = keeper.registration else { return }
    cancel(&keeper.registerTimer)
    let action = registration.leave()
    keeper.registration = registration
    perform(action, keeper)
  }

  /// The server ends: carriers are told that there is nobody any more, and have two seconds to hear it.
  func leaveTrunks() {
    for keeper in trunkKeepers.elements {
      cancel(&keeper.pingTimer)
      leave(keeper)
      if keeper.registration?.isLeaving == true { _ = arm(keeper, .leave, after: CallShard.leaveTime) }
    }
  }

  /// Registrars that have still to hear of the end.
  var isLeavingTrunks: Bool { trunkKeepers.elements.contains { $0.registration?.isLeaving == true } }

  /// The registration has ended for good.
  func left(_ keeper: TrunkKeeper) {
    keeper.registration = nil
    cancel(&keeper.registerTimer)
    if keeper.isRemoved {
      trunkKeepers.remove(keeper.slot, keeper.generation)
    } else {
      keeper.status.update { $0.registeredUntil = nil }
    }
    checkDrained()
  }

  // MARK: timers

  func arm(_ keeper: TrunkKeeper, _ which: TrunkTimer, after: Instant.Span) -> TimerHandle {
    wheel.arm(
      TimerToken(kind: 10, which: which.rawValue, slot: keeper.slot, generation: keeper.generation), at: now + after)
  }

  func trunkTimer(_ token: TimerToken) {
    guard let keeper = trunkKeepers.get(token.slot, token.generation), let which = TrunkTimer(rawValue: token.which)
    else { return }
    switch which {
    case .register:
      keeper.registerTimer = nil
      registerAgain(keeper)
    case .ping:
      keeper.pingTimer = nil
      sendPing(keeper)
    case .pingOver:
      keeper.pingTimer = nil
      pinged(keeper, nil)
    case .leave: left(keeper)
    }
  }

  /// The servers of a trunk, in the order in which they are tried; none where it cannot be found or reached.
  func find(_ keeper: TrunkKeeper, then: @escaping (TrunkKeeper, [Flow]) -> Void) {
    let (slot, generation) = (keeper.slot, keeper.generation)
    resolve(keeper.trunk) { [unowned self] flows in
      guard let keeper = trunkKeepers.get(slot, generation) else { return }
      if !flows.isEmpty { keeper.status.update { $0.servers = flows.map { Hop($0.transport, $0.remote) } } }
      then(keeper, flows)
    }
  }

  // MARK: pings

  private func sendPing(_ keeper: TrunkKeeper) {
    find(keeper) { [unowned self] keeper, flows in
      guard !keeper.isRemoved, !isDraining, keeper.trunk.plan.ping > .zero else { return }
      if let flow = flows.first { sendPing(keeper, flow) } else { pinged(keeper, nil) }
    }
  }

  private func sendPing(_ keeper: TrunkKeeper, _ flow: Flow) {
    let trunk = keeper.trunk
    keeper.pingFlow = flow
    let number = keeper.nextPing(at: now)
    keeper.pingTimer = arm(keeper, .pingOver, after: PingMachine.patience)
    let request = OwnRequest(
      method: .options, flow: flow, requestURI: trunk.uri(user: []),
      from: Array("<sip:ping@\(settings.domain)>;tag=".utf8) + mint(slot: CallShard.noSlot, generation: 0).hex,
      to: Array("<sip:\(trunk.host)>".utf8), callID: mintCallID(), hasContact: true)
    let (slot, generation) = (keeper.slot, keeper.generation)
    send(request) {
      $0.header(.accept, "application/sdp" as StaticString)
    } done: { [unowned self] status, _ in
      guard status >= 200, let keeper = trunkKeepers.get(slot, generation), keeper.pingNumber == number,
        keeper.pingSent != nil
      else { return }
      pinged(keeper, status)
    }
  }

  /// - Parameter status: nil where no answer came in time.
  private func pinged(_ keeper: TrunkKeeper, _ status: Int?) {
    guard !keeper.isRemoved, !isDraining, keeper.trunk.plan.ping > .zero else { return }
    let roundTrip = keeper.pingSent.map { now - $0 }
    keeper.pingSent = nil
    cancel(&keeper.pingTimer)
    let verdict = keeper.ping.result(status, plan: keeper.trunk.plan)
    keeper.pingTimer = arm(keeper, .ping, after: verdict.next)
    let isAnswer = status != nil && status != 408 && status != 503
    // The next ping, and the next call, try another server of the same host first, if there is one.
    if !isAnswer, let flow = keeper.pingFlow { hopFailed(flow) }
    keeper.status.update { state in
      if isAnswer { state.roundTrip = roundTrip }
      if let change = verdict.change {
        state.isUp = change
        state.pingProblem = change ? nil : status.map { "OPTIONS: \($0)" } ?? "OPTIONS: no answer"
      }
    }
    guard let isUp = verdict.change else { return }
    services.logger.log(
      level: isUp ? .notice : .warning, "\(isUp ? "a trunk is up again" : "a trunk is down")",
      metadata: ["trunk": .string(keeper.trunk.name)])
    guard let script, script.hasTrunk else { return }
    start(newTask(script, nil, .trunk), entry: "trunk", [.text(keeper.trunk.name), .bool(isUp)])
  }
}
