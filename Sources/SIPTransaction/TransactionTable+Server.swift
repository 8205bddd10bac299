internal import NetCore
internal import SIPMessage

/// Server transactions: requests come in. (`TransactionTable+Responses.swift` answers them.)
extension TransactionTable {
  func serverID(_ slot: UInt32) -> ServerTransactionID {
    ServerTransactionID(slot: slot, generation: servers.generation(of: slot))
  }

  mutating func receiveRequest(_ message: Message, now: Instant, wheel: inout TimerWheel) {
    let key = TransactionKey.server(message, key: key)
    if let slot = serverIndex[key] {
      if message.method == .ack {
        receiveAck(message, slot, now: now, wheel: &wheel)
      } else {
        answerAgain(slot)
      }
      return
    }
    switch message.method {
    case .ack: events.append(.ack(message))
    case .cancel: receiveCancel(message, key, wheel: &wheel)
    default: receiveNew(message, key, now: now, wheel: &wheel)
    }
  }

  /// A copy of a request (§17.2.1, §17.2.2).
  private mutating func answerAgain(_ slot: UInt32) {
    counts.requestRetransmissions += 1
    switch servers[slot].machine.withInvite({ $0.request() }) {
    case .send(let bytes):
      emit(bytes, servers[slot].flow)
    case .absorb:
      break
    case nil:
      switch servers[slot].machine.withNonInvite({ $0.request() }) {
      case .send(let bytes): emit(bytes, servers[slot].flow)
      case .absorb, nil: break
      }
    }
  }

  private mutating func receiveAck(_ message: Message, _ slot: UInt32, now: Instant, wheel: inout TimerWheel) {
    if servers[slot].isLegacy, let tag = servers[slot].legacyTag,
      tag != TransactionKey.tag(message.toTag ?? [], key: key)
    {
      // §17.2.3: without the magic cookie the To tag must be the one of our response.
      events.append(.ack(message))
      return
    }
    let timers = timers
    switch servers[slot].machine.withInvite({ $0.ack(timers) }) {
    case .confirm(let timerI):
      wheel.cancel(servers[slot].again)
      wheel.cancel(servers[slot].end)
      if let timerI {
        servers[slot].end = wheel.arm(token(.i, slot, servers.generation(of: slot)), at: now + timerI)
      } else {
        endServer(slot, wheel: &wheel)
      }
    case .deliver:
      acknowledged(serverID(slot), wheel: &wheel)
      events.append(.ack(message))
    case .absorb, nil:
      counts.uselessAcks += 1
    }
  }

  /// The ACK of a 2xx has come: it is sent no more. Idempotent.
  public mutating func acknowledged(_ id: ServerTransactionID, wheel: inout TimerWheel) {
    guard servers.contains(id.slot, generation: id.generation) else { return }
    switch servers[id.slot].machine.withInvite({ $0.acknowledged() }) {
    case .stop: wheel.cancel(servers[id.slot].again)
    case .nothing, nil: break
    }
  }

  private mutating func receiveNew(
    _ message: Message, _ key: TransactionKey, now: Instant, wheel: inout TimerWheel
  ) {
    let isOutside = message.toTag == nil
    if isOutside, servers.count >= limits.serverTransactions {
      refuse(message, key)
      return
    }
    // §8.2.2.2: the same request by another way, as when a proxy upstream forked it to two names of ours.
    let mergeKey = isOutside ? TransactionKey.merge(message, key: self.key) : nil
    let isMerged = mergeKey.map { mergeIndex[$0] != nil } ?? false
    guard let slot = insertServer(message, key, mergeKey: isMerged ? nil : mergeKey) else {
      refuse(message, key)
      return
    }
    if isMerged {
      counts.merged += 1
      let tag = mintTag()
      var response = MessageWriter.response(
        to: message, status: 482, toTag: tag[...], capacity: message.responseHeadSize)
      response.finish()
      respond(serverID(slot), status: 482, bytes: response.bytes, now: now, wheel: &wheel)
    } else {
      events.append(.request(serverID(slot), message))
    }
  }

  private mutating func receiveCancel(_ message: Message, _ key: TransactionKey, wheel: inout TimerWheel) {
    let invite = serverIndex[TransactionKey.server(message, asInvite: true, key: self.key)]
    guard let slot = insertServer(message, key, mergeKey: nil) else {
      refuse(message, key)
      return
    }
    events.append(.cancel(serverID(slot), message, of: invite.map { serverID($0) }))
  }

  /// Makes the transaction and, for an INVITE, sends 100 (Trying) before anything else looks at it.
  private mutating func insertServer(
    _ message: Message, _ key: TransactionKey, mergeKey: TransactionKey?
  ) -> UInt32? {
    let flow = message.responseFlow
    let reliable = flow.transport.isReliable
    var trying: [UInt8]?
    let machine: ServerMachine
    if message.method == .invite {
      var response = MessageWriter.response(to: message, status: 100, capacity: message.responseHeadSize)
      response.finish()
      trying = response.bytes
      machine = .invite(InviteServerMachine(trying: response.bytes, reliable: reliable))
    } else {
      machine = .nonInvite(NonInviteServerMachine(reliable: reliable))
    }
    let transaction = ServerTransaction(
      machine: machine, request: message, flow: flow, key: key, mergeKey: mergeKey,
      isLegacy: !message.via.isRFC3261)
    guard let slot = servers.insert(transaction) else { return nil }
    if let trying { emit(trying, flow) }
    serverIndex.insert(key, slot: slot)
    if let mergeKey { mergeIndex.insert(mergeKey, slot: slot) }
    if reliable { serverFlows.insert(slot, remote: flow.remote) }
    counts.servers += 1
    return slot
  }

  /// 503 without a transaction. Its To tag is made from the request, so that each copy gets the same one (§8.2.7).
  private mutating func refuse(_ message: Message, _ key: TransactionKey) {
    counts.overloaded += 1
    let tag = Token(shard: shard, slot: Self.noSlot, generation: 0, random: key.b).hex
    var response = MessageWriter.response(to: message, status: 503, toTag: tag[...])
    response.header(.retryAfter, number: limits.retryAfter)
    response.finish()
    emit(response.bytes, message.responseFlow)
  }

  mutating func endServer(_ slot: UInt32, wheel: inout TimerWheel) {
    wheel.cancel(servers[slot].again)
    wheel.cancel(servers[slot].end)
    serverIndex.remove(servers[slot].key)
    if let mergeKey = servers[slot].mergeKey { mergeIndex.remove(mergeKey) }
    let flow = servers[slot].flow
    if flow.transport.isReliable { serverFlows.remove(slot, remote: flow.remote) }
    servers.remove(slot)
    counts.servers -= 1
  }
}
