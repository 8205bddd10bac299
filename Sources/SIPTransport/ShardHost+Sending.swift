internal import NetCore
internal import SIPMessage

extension ShardHost {
  /// Sends what the driver, or a refusal, has for `flow`; never calls the driver.
  func send(_ bytes: [UInt8], _ flow: Flow) {
    switch flow.transport {
    case .udp: sendDatagram(bytes, flow)
    case .tcp, .tls, .ws, .wss:
      let key = RemoteKey(transport: flow.transport, remote: flow.remote, peer: flow.peer)
      sendStream(bytes, flow, connection: flow.connection, to: key, from: shard)
    }
  }

  private func sendDatagram(_ bytes: [UInt8], _ flow: Flow) {
    guard let port = port(for: flow) else {
      counters.sendFailures.bump()
      return notes.append(.failed(flow))
    }
    guard port.stage(bytes, flow) else { return counters.sendDrops.bump() }
    hasStaged = true
    if port.isFull { flush(port) }
  }

  /// The flow's own listener, else one of the remote's address family (a request that we begin).
  private func port(for flow: Flow) -> DatagramPort? {
    let family = flow.remote.ip.family
    let listener = Int(flow.listener)
    if listener < ports.count, let port = ports[listener], port.local.ip.family == family { return port }
    for case let port? in ports where port.local.ip.family == family { return port }
    return nil
  }

  /// Sends what this batch has staged, and what found no room before.
  func flushDatagrams() {
    hasStaged = false
    for case let port? in ports { flush(port) }
  }

  private func flush(_ port: DatagramPort) {
    let flushed = port.flush()
    counters.sent.bump(by: flushed.sent)
    for flow in flushed.impossible { fail(flow, to: shard) }
    if port.isBlocked { timer.wantRetry(now: .now) }
  }

  /// To the connection with that id, or with id 0 to the one that goes to `key`, which is opened if need be. A
  /// connection of another loop is reached through its mailbox.
  func sendStream(_ bytes: [UInt8], _ flow: Flow, connection id: UInt64, to key: RemoteKey, from sender: UInt8) {
    if id != 0 {
      let owner = ConnectionID.shard(id)
      if owner == shard {
        guard let connection = connections[id] else { return sendAgain(bytes, flow, from: sender) }
        counters.sent.bump()
        connection.write(bytes, from: (flow, sender))
      } else if owner < shards {
        cross(.send(bytes, flow, connection: id, to: key, from: sender), to: owner)
      } else {
        fail(flow, to: sender)
      }
      return
    }
    let home = key.home(of: shards)
    if home != shard {
      cross(.send(bytes, flow, connection: 0, to: key, from: sender), to: home)
    } else if let id = connections.id(to: key) {
      sendStream(bytes, flow, connection: id, to: key, from: sender)
    } else if !key.transport.isWebSocket, let connection = connect(key, listener: flow.listener) {
      counters.sent.bump()
      connection.write(bytes, from: (flow, sender))
    } else {
      fail(flow, to: sender)
    }
  }

  /// `flow` failed for a message of shard `sender`.
  func fail(_ flow: Flow, to sender: UInt8) {
    counters.sendFailures.bump()
    if sender == shard {
      notes.append(.failed(flow))
    } else {
      cross(.failed(flow), to: sender)
    }
  }

  /// The connection of `flow` is gone. One that we had opened is opened again; a response goes to where its Via says, from
  /// a new connection (RFC 3261 §18.2.2); a request to a client that had connected to us cannot reach him any more.
  private func sendAgain(_ bytes: [UInt8], _ flow: Flow, from sender: UInt8) {
    guard !flow.transport.isWebSocket, connections.mayReopen(flow.connection) else { return fail(flow, to: sender) }
    if ConnectionID.isOutbound(flow.connection) {
      let key = RemoteKey(transport: flow.transport, remote: flow.remote, peer: flow.peer)
      return sendStream(bytes, flow, connection: 0, to: key, from: sender)
    }
    guard bytes.starts(with: "SIP/2.0 ".utf8),
      let response = try? MessageParser.parse(bytes, flow: flow, limits: configuration.parserLimits)
    else { return fail(flow, to: sender) }
    let via = response.via
    // Never to another address than the request came from: a stranger's Via must not make us connect to third parties.
    let remote = Endpoint(flow.remote.ip, via.port ?? flow.transport.defaultPort)
    let peer = PeerName(host: String(decoding: via.host, as: UTF8.self)) ?? .byAddress
    let key = RemoteKey(transport: flow.transport, remote: remote, peer: flow.transport.isSecure ? peer : .byAddress)
    sendStream(bytes, flow, connection: 0, to: key, from: sender)
  }

  // MARK: Connections come and go

  /// One more has time limits.
  func watchConnections() {
    timer.wantSweep(every: configuration.streams.sweep, now: .now)
    arm()
  }

  func connectionOpened(_ connection: StreamConnection) {
    guard let key = connection.key else { return }
    let home = key.home(of: shards)
    if home == shard {
      connections.register(connection.id, to: key)
    } else {
      cross(.opened(key, connection.id), to: home)
    }
  }

  func connectionEnded(_ connection: StreamConnection, wasOpen: Bool, isDropped: Bool) {
    connections.remove(connection.id, isDropped: isDropped)
    guard let key = connection.key else { return }
    let home = key.home(of: shards)
    if home == shard {
      connections.unregister(connection.id, to: key)
    } else {
      cross(.gone(key, connection.id), to: home)
    }
    guard wasOpen else { return }
    counters.connectionsClosed.bump()
    notes.append(.closed(connection.id))
    for other in 0..<shards where other != shard { cross(.closed(connection.id), to: other) }
  }
}

extension StreamOptions {
  /// How often the time limits are looked at: often enough that none is exceeded by more than a quarter.
  var sweep: Instant.Span {
    let shortest = min(messageTimeout, idleTimeout, writeTimeout, connectTimeout)
    return max(.milliseconds(20), Instant.Span(nanoseconds: shortest.nanoseconds / 4))
  }
}
