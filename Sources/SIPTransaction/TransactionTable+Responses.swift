public import NetCore
public import SIPMessage

/// Server transactions: responses go out.
extension TransactionTable {
  /// The request of a transaction that has no final response yet, else nil.
  public func request(of id: ServerTransactionID) -> Message? {
    guard servers.contains(id.slot, generation: id.generation) else { return nil }
    return servers[id.slot].request
  }

  /// Where the responses of this transaction go; nil when it is over.
  public func flow(of id: ServerTransactionID) -> Flow? {
    guard servers.contains(id.slot, generation: id.generation) else { return nil }
    return servers[id.slot].flow
  }

  /// Sends a response and moves the machine.
  /// - Parameter status: 100–699, as in `bytes`.
  /// - Returns: false, with nothing sent, when there was a final response before, or the transaction is over.
  @discardableResult
  public mutating func respond(
    _ id: ServerTransactionID, status: Int, bytes: [UInt8], now: Instant, wheel: inout TimerWheel
  ) -> Bool {
    precondition((100...699).contains(status), "not a SIP status")
    guard servers.contains(id.slot, generation: id.generation) else { return false }
    let timers = timers
    let flow = servers[id.slot].flow
    let answered = servers[id.slot].machine.withInvite { machine -> InviteAnswer in
      if status < 200 { return .provisional(machine.provisional(bytes)) }
      if status < 300 { return .success(machine.success(bytes, timers)) }
      return .failure(machine.failure(bytes, timers))
    }
    switch answered {
    case .provisional(.refused), .success(.refused), .failure(.refused):
      return false
    case .provisional(.send):
      emit(bytes, flow)
      return true
    case .success(.send(let again, let timerL)):
      emit(bytes, flow)
      finish(id, bytes)
      servers[id.slot].again = wheel.arm(token(.success, id.slot, id.generation), at: now + again)
      servers[id.slot].end = wheel.arm(token(.l, id.slot, id.generation), at: now + timerL)
      return true
    case .failure(.send(let timerG, let timerH)):
      emit(bytes, flow)
      finish(id, bytes)
      if let timerG {
        servers[id.slot].again = wheel.arm(token(.g, id.slot, id.generation), at: now + timerG)
      }
      servers[id.slot].end = wheel.arm(token(.h, id.slot, id.generation), at: now + timerH)
      return true
    case nil:
      return respondNonInvite(id, status: status, bytes: bytes, flow: flow, now: now, wheel: &wheel)
    }
  }

  private enum InviteAnswer {
    case provisional(InviteServerMachine.ProvisionalAction)
    case success(InviteServerMachine.SuccessAction)
    case failure(InviteServerMachine.FailureAction)
  }

  private mutating func respondNonInvite(
    _ id: ServerTransactionID, status: Int, bytes: [UInt8], flow: Flow, now: Instant, wheel: inout TimerWheel
  ) -> Bool {
    if status < 200 {
      switch servers[id.slot].machine.withNonInvite({ $0.provisional(bytes) }) {
      case .send:
        emit(bytes, flow)
        return true
      case .refused, nil:
        return false
      }
    }
    let timers = timers
    switch servers[id.slot].machine.withNonInvite({ $0.final(bytes, timers) }) {
    case .send(let timerJ):
      emit(bytes, flow)
      finish(id, bytes)
      if let timerJ {
        servers[id.slot].end = wheel.arm(token(.j, id.slot, id.generation), at: now + timerJ)
      } else {
        endServer(id.slot, wheel: &wheel)
      }
      return true
    case .refused, nil:
      return false
    }
  }

  /// After its final response a transaction holds the message no longer.
  private mutating func finish(_ id: ServerTransactionID, _ final: [UInt8]) {
    let request = servers[id.slot].request
    servers[id.slot].request = nil
    if servers[id.slot].isLegacy, let flow = request?.flow,
      let tag = (try? MessageParser.parse(final, flow: flow))?.toTag
    {
      servers[id.slot].legacyTag = TransactionKey.tag(tag, key: key)
    }
  }

  /// Answers a CANCEL: 200 where its INVITE was found, else 481 (§9.2).
  /// - Parameter toTag: the tag of the INVITE's own responses, which the 200 should share; nil makes one.
  public mutating func answerCancel(
    _ id: ServerTransactionID, found: Bool, toTag: Bytes?, now: Instant, wheel: inout TimerWheel
  ) {
    guard let message = request(of: id) else { return }
    let status = found ? 200 : 481
    let tag = toTag ?? mintTag()[...]
    var response = MessageWriter.response(
      to: message, status: status, toTag: tag, capacity: message.responseHeadSize)
    response.finish()
    respond(id, status: status, bytes: response.bytes, now: now, wheel: &wheel)
  }
}
