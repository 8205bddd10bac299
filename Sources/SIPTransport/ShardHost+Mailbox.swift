internal import NetCore
internal import SIPMessage

extension ShardHost {
  /// Gives what this batch had for other shards to their mailboxes: one lock and at most one wake a shard.
  func crossOver() {
    guard hasOutward else { return }
    hasOutward = false
    for other in outward.indices where !outward[other].isEmpty {
      if mailboxes[other].deliver(&outward[other]) { counters.wakes.bump() }
      guard !outward[other].isEmpty else { continue }
      let refused = outward[other]
      outward[other].removeAll(keepingCapacity: true)
      for crossing in refused { overloaded(crossing) }
    }
  }

  /// Woken by the mailbox.
  func mailboxWoke() {
    guard !isStopped else { return }
    let isDone = drainMailbox()
    endBatch()
    if !isDone { continueLater { $0.mailboxWoke() } }
  }

  /// Works off a part of what waits, so that the sockets have their turn; true when that was all.
  func drainMailbox(isAttended: Bool = false) -> Bool {
    if inboxNext == inbox.count {
      inbox.removeAll(keepingCapacity: true)
      inboxNext = 0
      mailboxes[Int(shard)].take(&inbox, isAttended: isAttended)
    }
    var budget = 256
    budget -= driver.handleItems(budget) { drain() }
    while budget > 0, inboxNext < inbox.count {
      budget -= 1
      let crossing = inbox[inboxNext]
      inboxNext += 1
      handle(crossing)
    }
    guard inboxNext == inbox.count else { return false }
    inbox.removeAll(keepingCapacity: true)
    inboxNext = 0
    return budget > 0
  }

  private func handle(_ crossing: Crossing) {
    switch crossing {
    case .arrived(let bytes, let flow): receive(bytes, flow)
    case .send(let bytes, let flow, let id, let key, let sender):
      sendStream(bytes, flow, connection: id, to: key, from: sender)
    case .failed(let flow): notes.append(.failed(flow))
    case .closed(let id): notes.append(.closed(id))
    case .opened(let key, let id): connections.register(id, to: key)
    case .gone(let key, let id): connections.unregister(id, to: key)
    }
  }

  /// Another shard has no room: a new request gets 503 from here without any state (RFC 3261 §21.5.4, §8.2.7), the
  /// rest is left to its sender's retransmissions; a message to a stream is its sender's failure.
  private func overloaded(_ crossing: Crossing) {
    switch crossing {
    case .arrived(let bytes, let flow):
      guard let refusal = Overload.refusal(bytes, flow: flow, limits: configuration.parserLimits) else {
        return counters.overloadDropped.bump()
      }
      counters.overloadRejected.bump()
      send(refusal.bytes, refusal.flow)
    case .send(_, let flow, _, _, let sender):
      counters.overloadDropped.bump()
      fail(flow, to: sender)
    case .failed, .closed, .opened, .gone: preconditionFailure("the mailbox never refuses these")
    }
  }
}

enum Overload {
  /// 503 for a request outside a dialog that wants an answer; nil for anything else.
  static func refusal(_ bytes: [UInt8], flow: Flow, limits: ParserLimits) -> (bytes: [UInt8], flow: Flow)? {
    guard let request = try? MessageParser.parse(bytes, flow: flow, limits: limits), request.isRequest,
      request.method != .ack, request.method != .cancel, request.toTag == nil
    else { return nil }
    // §8.2.7: the same To tag for every retransmission, without remembering it.
    var response = MessageWriter.response(to: request, status: 503, toTag: Array("overload".utf8)[...])
    response.append("Retry-After: 5\r\n")
    response.finish()
    return (response.bytes, request.responseFlow)
  }
}
