public import NetCore
public import SIPMessage

/// Client transactions: requests go out, responses come in.
extension TransactionTable {
  /// A transaction to be, and the branch that its request must carry in its Via. Follow it with `send`, or give it back
  /// with `release`.
  public mutating func reserveClient() -> (id: ClientTransactionID, branch: Token) {
    let random = mint.next()
    guard let slot = clients.insert(ClientTransaction(random: random)) else {
      // Full: a name of nothing, of which `send` reports a transport error.
      return (
        ClientTransactionID(slot: Self.noSlot, generation: 0),
        Token(shard: shard, slot: Self.noSlot, generation: 0, random: random)
      )
    }
    counts.clients += 1
    let generation = clients.generation(of: slot)
    return (
      ClientTransactionID(slot: slot, generation: generation),
      Token(shard: shard, slot: slot, generation: generation, random: random)
    )
  }

  /// Gives back a reservation that nothing was sent for.
  public mutating func release(_ id: ClientTransactionID, wheel: inout TimerWheel) {
    guard clients.contains(id.slot, generation: id.generation), clients[id.slot].flow == nil else { return }
    endClient(id.slot, wheel: &wheel)
  }

  /// Sends the request of a reserved transaction.
  /// - Parameters:
  ///   - method: not ACK: that of a 2xx is sent outside of any transaction, by `sendAck`.
  ///   - bytes: the whole request, its one Via carrying the branch.
  public mutating func send(
    _ id: ClientTransactionID, method: Method, bytes: [UInt8], flow: Flow, now: Instant, wheel: inout TimerWheel
  ) {
    precondition(method != .ack && method != .cancel, "ACK and CANCEL are not requests of their own")
    guard clients.contains(id.slot, generation: id.generation), clients[id.slot].flow == nil else {
      events.append(.transportError(id))
      return
    }
    start(id.slot, method: method, bytes: bytes, flow: flow, now: now, wheel: &wheel)
  }

  /// Sends the ACK of a 2xx, which belongs to no transaction (§13.2.2.4).
  public mutating func sendAck(_ bytes: [UInt8], flow: Flow) { emit(bytes, flow) }

  /// Sends the ACK of the 2xx to an INVITE of ours, and keeps it as long as copies of that 2xx may come.
  public mutating func sendAck(_ bytes: [UInt8], flow: Flow, of id: ClientTransactionID) {
    emit(bytes, flow)
    guard clients.contains(id.slot, generation: id.generation), let old = clients[id.slot].flow else { return }
    clients[id.slot].machine.withInvite { $0.acknowledged(bytes) }
    if old.transport.isReliable { clientFlows.remove(id.slot, remote: old.remote) }
    clients[id.slot].flow = flow
    if flow.transport.isReliable { clientFlows.insert(id.slot, remote: flow.remote) }
  }

  /// The ACK that was sent for the 2xx to an INVITE of ours, and where; nil when that is over.
  public func ack(of id: ClientTransactionID) -> Outgoing? {
    guard clients.contains(id.slot, generation: id.generation), let flow = clients[id.slot].flow,
      let ack = clients[id.slot].machine.ack
    else { return nil }
    return Outgoing(bytes: ack, flow: flow)
  }

  private mutating func start(
    _ slot: UInt32, method: Method, bytes: [UInt8], flow: Flow, now: Instant, wheel: inout TimerWheel
  ) {
    let reliable = flow.transport.isReliable
    let generation = clients.generation(of: slot)
    clients[slot].method = method
    clients[slot].flow = flow
    if method == .invite {
      let machine = InviteClientMachine(request: bytes, reliable: reliable, timers: timers)
      let start = machine.start(timers)
      clients[slot].machine = .invite(machine)
      if let timerA = start.timerA { clients[slot].again = wheel.arm(token(.a, slot, generation), at: now + timerA) }
      clients[slot].end = wheel.arm(token(.b, slot, generation), at: now + start.timerB)
    } else {
      let machine = NonInviteClientMachine(request: bytes, reliable: reliable, timers: timers)
      let start = machine.start(timers)
      clients[slot].machine = .nonInvite(machine)
      if let timerE = start.timerE { clients[slot].again = wheel.arm(token(.e, slot, generation), at: now + timerE) }
      clients[slot].end = wheel.arm(token(.f, slot, generation), at: now + start.timerF)
    }
    if reliable { clientFlows.insert(slot, remote: flow.remote) }
    emit(bytes, flow)
  }

  /// Cancels an INVITE (§9.1): at once if a provisional response has come, else with the first one; not at all if there is
  /// a final response. What then comes is that final response (487, or a 2xx that crossed), or `.timeout`.
  /// - Parameter headers: whole header lines for the CANCEL, each with its CRLF, such as a Reason.
  public mutating func cancel(
    _ id: ClientTransactionID, headers: Bytes = [], now: Instant, wheel: inout TimerWheel
  ) {
    guard clients.contains(id.slot, generation: id.generation) else { return }
    let timers = timers
    switch clients[id.slot].machine.withInvite({ $0.cancel(headers: Array(headers), timers) }) {
    case .send(let request, let wait):
      sendCancel(of: id.slot, invite: request, headers: headers, wait: wait, now: now, wheel: &wheel)
    case .later, .nothing, nil:
      break
    }
  }

  private mutating func sendCancel(
    of slot: UInt32, invite: [UInt8], headers: Bytes, wait: Instant.Span, now: Instant, wheel: inout TimerWheel
  ) {
    wheel.cancel(clients[slot].end)
    clients[slot].end = wheel.arm(token(.cancelled, slot, clients.generation(of: slot)), at: now + wait)
    guard let flow = clients[slot].flow, let own = clients.insert(ClientTransaction(random: mint.next())) else {
      return
    }
    counts.clients += 1
    clients[slot].partner = own
    clients[own].partner = slot
    let bytes = DerivedRequests.cancel(invite: invite, headers: headers)
    start(own, method: .cancel, bytes: bytes, flow: flow, now: now, wheel: &wheel)
  }

  /// The request that was answered with 401 or 407, as it was sent, for the one that the TU sends in its place (§22.2).
  /// Only while that response is worked off, and only once: a transaction that is over keeps no request.
  public mutating func takeChallenged(_ id: ClientTransactionID) -> Outgoing? {
    defer { challenged = nil }
    return challenged?.id == id ? challenged?.request : nil
  }

  mutating func receiveResponse(_ message: Message, now: Instant, wheel: inout TimerWheel) {
    guard let slot = client(of: message) else {
      counts.stray += 1
      events.append(.strayResponse(message))
      return
    }
    if message.status == 401 || message.status == 407, let flow = clients[slot].flow,
      let request = clients[slot].machine.request
    {
      let id = ClientTransactionID(slot: slot, generation: clients.generation(of: slot))
      challenged = (id, Outgoing(bytes: request, flow: flow))
    }
    if clients[slot].method == .invite {
      receiveInviteResponse(message, slot, now: now, wheel: &wheel)
    } else {
      receiveOtherResponse(message, slot, now: now, wheel: &wheel)
    }
  }

  /// §17.1.3: the branch is ours, and the method of the CSeq is that of the request, as a CANCEL shares the branch.
  private func client(of message: Message) -> UInt32? {
    guard let branch = message.via.branch, let token = Token(branch: branch), token.shard == shard,
      clients.contains(token.slot, generation: token.generation), clients[token.slot].random == token.random,
      clients[token.slot].flow != nil, message.hasOneVia  // §8.1.3.3: else it was not meant for us
    else { return nil }
    if clients[token.slot].method == message.method { return token.slot }
    if message.method == .cancel, clients[token.slot].partner != .max { return clients[token.slot].partner }
    return nil
  }

  private mutating func receiveInviteResponse(
    _ message: Message, _ slot: UInt32, now: Instant, wheel: inout TimerWheel
  ) {
    let timers = timers
    let id = ClientTransactionID(slot: slot, generation: clients.generation(of: slot))
    switch message.status {
    case ..<200:
      switch clients[slot].machine.withInvite({ $0.provisional(timers) }) {
      case .proceed:
        wheel.cancel(clients[slot].again)
        wheel.cancel(clients[slot].end)
        events.append(.response(id, message))
      case .proceedAndCancel(let request, let headers, let wait):
        wheel.cancel(clients[slot].again)
        sendCancel(of: slot, invite: request, headers: headers[...], wait: wait, now: now, wheel: &wheel)
        events.append(.response(id, message))
      case .deliver:
        events.append(.response(id, message))
      case .absorb, nil:
        break
      }
    case 200..<300:
      switch clients[slot].machine.withInvite({ $0.success(timers) }) {
      case .accept(let timerM):
        wheel.cancel(clients[slot].again)
        wheel.cancel(clients[slot].end)
        clients[slot].end = wheel.arm(token(.m, slot, id.generation), at: now + timerM)
        events.append(.response(id, message))
      case .deliver:
        events.append(.response(id, message))
      case .absorb, nil:
        counts.responseRetransmissions += 1
      }
    default:
      receiveFailure(message, id, now: now, wheel: &wheel)
    }
  }

  private mutating func receiveFailure(
    _ message: Message, _ id: ClientTransactionID, now: Instant, wheel: inout TimerWheel
  ) {
    let slot = id.slot
    let timers = timers
    guard let flow = clients[slot].flow else { return }
    let action = clients[slot].machine.withInvite { machine in
      machine.failure(timers) { DerivedRequests.ack(invite: $0, response: message) }
    }
    switch action {
    case .complete(let ack, let timerD):
      emit(ack, flow)
      events.append(.response(id, message))
      wheel.cancel(clients[slot].again)
      wheel.cancel(clients[slot].end)
      if let timerD {
        clients[slot].end = wheel.arm(token(.d, slot, id.generation), at: now + timerD)
      } else {
        endClient(slot, wheel: &wheel)
      }
    case .acknowledgeAgain(let ack):
      counts.responseRetransmissions += 1
      emit(ack, flow)
    case .absorb, nil:
      counts.responseRetransmissions += 1
    }
  }

  private mutating func receiveOtherResponse(
    _ message: Message, _ slot: UInt32, now: Instant, wheel: inout TimerWheel
  ) {
    let timers = timers
    if message.status < 200 {
      switch clients[slot].machine.withNonInvite({ $0.provisional() }) {
      case .deliver: report(slot) { .response($0, message) }
      case .absorb, nil: break
      }
      return
    }
    switch clients[slot].machine.withNonInvite({ $0.final(timers) }) {
    case .complete(let timerK):
      report(slot) { .response($0, message) }
      wheel.cancel(clients[slot].again)
      wheel.cancel(clients[slot].end)
      if let timerK {
        clients[slot].end = wheel.arm(token(.k, slot, clients.generation(of: slot)), at: now + timerK)
      } else {
        endClient(slot, wheel: &wheel)
      }
    case .absorb, nil:
      counts.responseRetransmissions += 1
    }
  }

  /// Ends a transaction, and with an INVITE the CANCEL that was found through it.
  mutating func endClient(_ slot: UInt32, wheel: inout TimerWheel) {
    let partner = clients[slot].partner
    wheel.cancel(clients[slot].again)
    wheel.cancel(clients[slot].end)
    if let flow = clients[slot].flow, flow.transport.isReliable { clientFlows.remove(slot, remote: flow.remote) }
    let isInvite = clients[slot].method == .invite
    clients.remove(slot)
    counts.clients -= 1
    guard partner != .max else { return }
    if isInvite {
      clients[partner].partner = .max
      endClient(partner, wheel: &wheel)
    } else {
      clients[partner].partner = .max
    }
  }
}
