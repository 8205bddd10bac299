public import NetCore
public import SIPMessage

/// RFC 3261 §18.1.1: a request that is too long for a datagram goes by TCP, its Via says so, and where the peer has no TCP
/// it goes by UDP after all.
public struct LargeRequests: Sendable {
  /// A TCP listener that such requests leave by.
  public struct Stream: Sendable {
    public var listener: UInt8
    public var local: Endpoint
    /// `host:port` for the Via.
    public var sentBy: [UInt8]

    public init(listener: UInt8, local: Endpoint, sentBy: [UInt8]) {
      self.listener = listener
      self.local = local
      self.sentBy = sentBy
    }
  }

  /// Octets that still go by UDP where the path's MTU is not known; 0: however many.
  public var limit = 1300
  /// At most one a family.
  public var streams: [Stream] = []
  /// A peer who refused TCP is not asked again for so long: a refusal may be a time-out of seconds.
  public var refusalHolds = Instant.Span.seconds(300)

  /// Until when peers are known to have no TCP.
  private var refused: [Endpoint: Instant] = [:]
  private static let maxRefused = 1024

  public init() {}

  /// The same request for TCP; nil where it stays with UDP.
  func byStream(_ bytes: [UInt8], _ flow: Flow, now: Instant) -> (bytes: [UInt8], flow: Flow)? {
    guard limit > 0, bytes.count > limit, flow.transport == .udp,
      let stream = streams.first(where: { $0.local.ip.family == flow.remote.ip.family })
    else { return nil }
    if let until = refused[flow.remote], until > now { return nil }
    guard let rewritten = LargeRequests.rewriteVia(bytes, sentBy: stream.sentBy) else { return nil }
    return (rewritten, Flow(transport: .tcp, listener: stream.listener, remote: flow.remote, local: stream.local))
  }

  mutating func refuses(_ remote: Endpoint, now: Instant) {
    if refused.count >= LargeRequests.maxRefused { refused = refused.filter { $0.value > now } }
    if refused.count >= LargeRequests.maxRefused { refused.removeAll() }
    refused[remote] = now + refusalHolds
  }

  /// The first header field is our own Via; nil where it is not.
  static func rewriteVia(_ bytes: [UInt8], sentBy: [UInt8]) -> [UInt8]? {
    let via = Array("Via: SIP/2.0/UDP ".utf8)
    guard let line = bytes.firstIndex(of: 0x0a).map({ $0 + 1 }), bytes[line...].starts(with: via),
      let end = bytes[(line + via.count)...].firstIndex(of: UInt8(ascii: ";"))
    else { return nil }
    var rewritten: [UInt8] = []
    rewritten.reserveCapacity(bytes.count + sentBy.count)
    rewritten += bytes[..<line]
    rewritten += Array("Via: SIP/2.0/TCP ".utf8)
    rewritten += sentBy
    rewritten += bytes[end...]
    return rewritten
  }
}

/// The request as it was meant for UDP, kept until TCP has carried it.
final class DatagramForm: Sendable {
  let bytes: [UInt8]
  let flow: Flow

  init(_ bytes: [UInt8], _ flow: Flow) {
    self.bytes = bytes
    self.flow = flow
  }
}

extension TransactionTable {
  /// Sends the request of a reserved transaction, by TCP where it is too long for UDP. Not for a peer who is only to be
  /// reached on the flow that he opened: a phone behind a NAT takes no connection.
  public mutating func sendByBestTransport(
    _ id: ClientTransactionID, method: Method, bytes: [UInt8], flow: Flow, now: Instant, wheel: inout TimerWheel
  ) {
    guard let (streamed, stream) = large.byStream(bytes, flow, now: now) else {
      return send(id, method: method, bytes: bytes, flow: flow, now: now, wheel: &wheel)
    }
    send(id, method: method, bytes: streamed, flow: stream, now: now, wheel: &wheel)
    guard clients.contains(id.slot, generation: id.generation), clients[id.slot].flow != nil else { return }
    clients[id.slot].datagram = DatagramForm(bytes, flow)
  }

  /// TCP failed before the peer said anything: the request goes by UDP. False: there is no such way.
  mutating func fallBack(_ slot: UInt32, now: Instant, wheel: inout TimerWheel) -> Bool {
    guard let datagram = clients[slot].datagram, let used = clients[slot].flow else { return false }
    clients[slot].datagram = nil
    let timers = timers
    let generation = clients.generation(of: slot)
    if clients[slot].method == .invite {
      guard let start = clients[slot].machine.withInvite({ $0.fallBack(to: datagram.bytes, timers) }) ?? nil else {
        return false
      }
      move(slot, from: used, to: datagram.flow, wheel: &wheel)
      if let timerA = start.timerA { clients[slot].again = wheel.arm(token(.a, slot, generation), at: now + timerA) }
      clients[slot].end = wheel.arm(token(.b, slot, generation), at: now + start.timerB)
    } else {
      guard let start = clients[slot].machine.withNonInvite({ $0.fallBack(to: datagram.bytes, timers) }) ?? nil else {
        return false
      }
      move(slot, from: used, to: datagram.flow, wheel: &wheel)
      if let timerE = start.timerE { clients[slot].again = wheel.arm(token(.e, slot, generation), at: now + timerE) }
      clients[slot].end = wheel.arm(token(.f, slot, generation), at: now + start.timerF)
    }
    large.refuses(datagram.flow.remote, now: now)
    emit(datagram.bytes, datagram.flow)
    return true
  }

  private mutating func move(_ slot: UInt32, from old: Flow, to new: Flow, wheel: inout TimerWheel) {
    wheel.cancel(clients[slot].again)
    wheel.cancel(clients[slot].end)
    if old.transport.isReliable { clientFlows.remove(slot, remote: old.remote) }
    clients[slot].flow = new
  }
}
