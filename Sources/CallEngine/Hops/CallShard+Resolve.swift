import NetCore
import NextHop
import SIPMessage
import SIPTransaction

// Where requests go: RFC 3263. A literal address, and what DNS has said already, is known at once; else one asks, and
// goes on when the answer comes as an input. Nothing waits but who needs it.
extension CallShard {
  /// The flows to the servers of a SIP or SIPS URI, in the order in which they are to be tried.
  ///
  /// `then` is called once: before this returns where all is known; with an empty list where nothing of ours leads there,
  /// DNS knows no such host, or the time is over. Have it capture names (`LegName`, slot and generation), not objects.
  func resolve(uri: Bytes, within limit: Instant.Span = CallShard.resolveLimit, then: @escaping ([Flow]) -> Void) {
    guard let uri = try? URI(parsing: uri), let query = HopQuery(uri, reach: settings.reach) else { return then([]) }
    resolve(query, within: limit) { result in then((try? result.get()) ?? []) }
  }

  /// The same for a trunk.
  func resolve(_ trunk: Trunk, within limit: Instant.Span = CallShard.resolveLimit, then: @escaping ([Flow]) -> Void) {
    if let destination = trunk.destination {
      return then(flow(to: destination, trunk.transport, peer: trunk.peer).map { [$0] } ?? [])
    }
    resolve(uri: trunk.uri(user: [])[...], within: limit) { then($0.map { $0.proving(trunk.peer) }) }
  }

  /// - Parameter then: as above; a failure says why.
  func resolve(
    _ query: HopQuery, within limit: Instant.Span = CallShard.resolveLimit,
    then: @escaping (Result<[Flow], HopFailure>) -> Void
  ) {
    if let hop = query.literalHop { return then(flows(.success([hop]), .byAddress)) }
    guard case .name(let host) = query.host else { return then(.failure(.noTransport)) }
    let peer = query.reach.has(.tls) ? PeerName(host: host.description) ?? .byAddress : .byAddress
    let name = hopWaiters.reserve()
    let asker = HopAsker(shard: shard, slot: name.slot, generation: name.generation)
    switch services.hops.resolve(query, asker: asker, now: now) {
    case .known(let result):
      hopWaiters.release(name.slot)
      then(flows(result, peer))
    case .waits:
      let timer = wheel.arm(
        TimerToken(kind: 14, which: 0, slot: name.slot, generation: name.generation), at: now + limit)
      hopWaiters.fill(name.slot, HopWaiter(timer: timer, peer: peer, done: then))
    }
  }

  /// DNS and its retransmissions end well within this.
  static let resolveLimit = Instant.Span.seconds(20 as Int64)

  /// An answer, from the mailbox.
  func resolved(_ asker: HopAsker, _ result: HopResult) {
    guard let waiter = hopWaiters.get(asker.slot, asker.generation) else { return }
    hopWaiters.remove(asker.slot, asker.generation)
    wheel.cancel(waiter.timer)
    waiter.done(flows(result, waiter.peer))
  }

  /// Nobody answered in the asker's time; the search goes on for others, and for the next call.
  func resolveTimedOut(_ token: TimerToken) {
    guard let waiter = hopWaiters.get(token.slot, token.generation) else { return }
    hopWaiters.remove(token.slot, token.generation)
    waiter.done(.failure(.silence))
  }

  /// The server at the far end of `flow` gave nothing, or 503: the next calls try it last for a while, on every shard.
  func hopFailed(_ flow: Flow, for span: Instant.Span = .seconds(30 as Int64)) {
    services.hops.failed(Hop(flow.transport, flow.remote), for: span, now: now)
  }

  /// - Parameter peer: the name that was looked up: it, and not what DNS made of it, is what TLS must prove (RFC 5922 §4).
  private func flows(_ result: HopResult, _ peer: PeerName) -> Result<[Flow], HopFailure> {
    switch result {
    case .failure(let why): return .failure(why)
    case .success(let hops):
      let flows = hops.compactMap { flow(to: $0.endpoint, $0.transport, peer: peer) }
      return flows.isEmpty ? .failure(.noTransport) : .success(flows)
    }
  }

  /// From our socket of that transport and family; nil where there is none.
  func flow(to remote: Endpoint, _ transport: Transport, peer: PeerName = .byAddress) -> Flow? {
    guard let listener = settings.listener(for: transport, family: remote.ip.family) else { return nil }
    return Flow(
      transport: transport, listener: UInt8(listener), peer: transport.isSecure ? peer : .byAddress, remote: remote,
      local: settings.listeners[listener].local)
  }
}

/// Somebody in this shard who waits for hops.
struct HopWaiter {
  var timer: TimerHandle
  var peer: PeerName
  var done: (Result<[Flow], HopFailure>) -> Void
}

extension EngineSettings {
  /// What RFC 3263 may choose from: the transports and families that we listen on.
  var reach: Reach {
    var reach = Reach()
    for listener in listeners { reach.add(listener.transport, listener.local.ip.family) }
    return reach
  }
}

extension Flow {
  /// The same way, to who must prove to be somebody else.
  func proving(_ peer: PeerName) -> Flow {
    var flow = self
    flow.peer = transport.isSecure ? peer : .byAddress
    return flow
  }
}

extension Trunk {
  /// The URI of a number behind it, for the request line.
  func uri(user: [UInt8]) -> [UInt8] {
    let parameter = transport == .udp || !isTransportFixed ? "" : ";transport=\(transport.parameterName)"
    return Array("sip:".utf8) + user + (user.isEmpty ? [] : [UInt8(ascii: "@")]) + Array("\(host)\(parameter)".utf8)
  }
}
