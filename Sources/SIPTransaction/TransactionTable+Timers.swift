public import NetCore
internal import SIPMessage

/// Timers that fired, and flows that failed.
extension TransactionTable {
  /// A timer of kind 0 that the wheel handed back. One that outlived its transaction does nothing.
  public mutating func fire(_ timer: TimerToken, now: Instant, wheel: inout TimerWheel) {
    guard let which = TransactionTimer(rawValue: timer.which) else { preconditionFailure("not a timer of the table") }
    if which.isServer {
      guard servers.contains(timer.slot, generation: timer.generation) else { return }
      fireServer(which, timer.slot, now: now, wheel: &wheel)
    } else {
      guard clients.contains(timer.slot, generation: timer.generation) else { return }
      fireClient(which, timer.slot, now: now, wheel: &wheel)
    }
  }

  private mutating func fireServer(_ timer: TransactionTimer, _ slot: UInt32, now: Instant, wheel: inout TimerWheel) {
    let timers = timers
    switch timer {
    case .g:
      resend(servers[slot].machine.withInvite { $0.timerG(timers) }, .g, slot, now: now, wheel: &wheel)
    case .success:
      resend(servers[slot].machine.withInvite { $0.successAgain(timers) }, .success, slot, now: now, wheel: &wheel)
    case .h, .i:
      servers[slot].machine.withInvite { $0.lingered() }
      endServer(slot, wheel: &wheel)
    case .j:
      servers[slot].machine.withNonInvite { $0.timerJ() }
      endServer(slot, wheel: &wheel)
    case .l:
      switch servers[slot].machine.withInvite({ $0.timerL() }) {
      case .noAck: events.append(.noAck(serverID(slot)))
      case .nothing, nil: break
      }
      endServer(slot, wheel: &wheel)
    case .a, .b, .d, .e, .f, .k, .m, .cancelled:
      break
    }
  }

  private mutating func resend(
    _ action: InviteServerMachine.RetransmitAction?, _ timer: TransactionTimer, _ slot: UInt32, now: Instant,
    wheel: inout TimerWheel
  ) {
    switch action {
    case .send(let bytes, let again):
      counts.retransmitted += 1
      emit(bytes, servers[slot].flow)
      servers[slot].again = wheel.arm(token(timer, slot, servers.generation(of: slot)), at: now + again)
    case .nothing, nil:
      break
    }
  }

  private mutating func fireClient(_ timer: TransactionTimer, _ slot: UInt32, now: Instant, wheel: inout TimerWheel) {
    let timers = timers
    switch timer {
    case .a:
      switch clients[slot].machine.withInvite({ $0.timerA() }) {
      case .retransmit(let bytes, let again): retransmit(bytes, .a, slot, again: again, now: now, wheel: &wheel)
      case .nothing, nil: break
      }
    case .e:
      switch clients[slot].machine.withNonInvite({ $0.timerE(timers) }) {
      case .retransmit(let bytes, let again): retransmit(bytes, .e, slot, again: again, now: now, wheel: &wheel)
      case .nothing, nil: break
      }
    case .b:
      switch clients[slot].machine.withInvite({ $0.timerB() }) {
      case .timeout: timeout(slot, wheel: &wheel)
      case .nothing, nil: break
      }
    case .cancelled:
      switch clients[slot].machine.withInvite({ $0.cancelledTooLong() }) {
      case .timeout: timeout(slot, wheel: &wheel)
      case .nothing, nil: break
      }
    case .f:
      switch clients[slot].machine.withNonInvite({ $0.timerF() }) {
      case .timeout: timeout(slot, wheel: &wheel)
      case .nothing, nil: break
      }
    case .d, .m:
      clients[slot].machine.withInvite { $0.lingered() }
      endClient(slot, wheel: &wheel)
    case .k:
      clients[slot].machine.withNonInvite { $0.timerK() }
      endClient(slot, wheel: &wheel)
    case .g, .h, .i, .j, .l, .success:
      break
    }
  }

  private mutating func retransmit(
    _ bytes: [UInt8], _ timer: TransactionTimer, _ slot: UInt32, again: Instant.Span, now: Instant,
    wheel: inout TimerWheel
  ) {
    guard let flow = clients[slot].flow else { return }
    counts.retransmitted += 1
    emit(bytes, flow)
    clients[slot].again = wheel.arm(token(timer, slot, clients.generation(of: slot)), at: now + again)
  }

  private mutating func timeout(_ slot: UInt32, wheel: inout TimerWheel) {
    report(slot) { .timeout($0) }
    endClient(slot, wheel: &wheel)
  }

  /// What happens to a CANCEL is nobody's business but the table's.
  mutating func report(_ slot: UInt32, _ event: (ClientTransactionID) -> TransactionEvent) {
    guard clients[slot].method != .cancel else { return }
    events.append(event(ClientTransactionID(slot: slot, generation: clients.generation(of: slot))))
  }

  /// A connection that broke, or a peer that cannot be reached: by `connection` where the flow names one, else by its
  /// transport and remote address. Clients that await a final response end with `.transportError` (§17.1.4); servers
  /// stay, and the TU hears of those that still owe something.
  public mutating func flowFailed(_ flow: Flow, now: Instant, wheel: inout TimerWheel) {
    let lostClients =
      flow.transport.isReliable
      ? clientFlows.slots(remote: flow.remote) : clients.slots.filter { clients.isOccupied($0) }
    for slot in lostClients {
      // One before it may have taken this one along: an INVITE takes its CANCEL.
      guard clients.isOccupied(slot), let used = clients[slot].flow, used.isLost(with: flow) else { continue }
      if clients[slot].datagram != nil, fallBack(slot, now: now, wheel: &wheel) { continue }
      switch clients[slot].machine.withInvite({ $0.transportError() }) {
      case .inform:
        report(slot) { .transportError($0) }
        endClient(slot, wheel: &wheel)
      case .terminate:
        endClient(slot, wheel: &wheel)
      case .nothing:
        break
      case nil:
        switch clients[slot].machine.withNonInvite({ $0.transportError() }) {
        case .inform:
          report(slot) { .transportError($0) }
          endClient(slot, wheel: &wheel)
        case .nothing, nil:
          break
        }
      }
    }
    let lostServers =
      flow.transport.isReliable
      ? serverFlows.slots(remote: flow.remote) : servers.slots.filter { servers.isOccupied($0) }
    for slot in lostServers where servers[slot].flow.isLost(with: flow) {
      switch servers[slot].machine.withInvite({ $0.transportError() }) {
      case .inform: events.append(.serverTransportError(serverID(slot)))
      case .nothing, nil: break
      }
    }
  }
}
