internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NetCore

/// A connection that says nothing for so long is probed by TCP itself: it keeps NATs open between a phone's messages, and
/// finds phones that are gone (RFC 1122 §4.2.3.6).
private let keepAliveSeconds = 120

extension NIOBSDSocket.Option {
  /// `TCP_KEEPIDLE` of Linux.
  fileprivate static let keepIdle = NIOBSDSocket.Option(rawValue: 4)
  /// `IP_BIND_ADDRESS_NO_PORT` of Linux.
  fileprivate static let bindAddressNoPort = NIOBSDSocket.Option(rawValue: 24)
}

extension ShardHost {
  /// Opens a connection to `key.remote`; what is written to it meanwhile waits (RFC 3261 §18.1.1).
  func connect(_ key: RemoteKey, listener: UInt8) -> StreamConnection? {
    guard !isStopped, let remote = key.remote.socketAddress else { return nil }
    let contexts = key.transport.isSecure ? tls.current : nil
    guard contexts != nil || !key.transport.isSecure else { return nil }
    let connection = StreamConnection(self, listener: listener, transport: key.transport, remote: key, now: .now)
    guard connection.id != 0 else { return nil }
    connections.register(connection.id, to: key)
    var bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(.nanoseconds(configuration.streams.connectTimeout.nanoseconds))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .channelOption(.tcpOption(.keepIdle), value: keepAliveSeconds)
    // From the address that the peer knows us by, unless that is any; the port is chosen at connect, by 4-tuple.
    let local = listeners.indices.contains(Int(listener)) ? listeners[Int(listener)].endpoint.ip : nil
    if let local, !local.isUnspecified, local.family == key.remote.ip.family,
      let address = Endpoint(local, 0).socketAddress
    {
      bootstrap = bootstrap.channelOption(
        ChannelOptions.Types.SocketOption(level: .ip, name: .bindAddressNoPort), value: 1)
      bootstrap = bootstrap.bind(to: address)
    }
    let bound = NIOLoopBound(connection, eventLoop: loop)
    bootstrap
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let contexts { try channel.pipeline.syncOperations.addHandler(TLSHandshake.client(contexts, key.peer)) }
          try channel.pipeline.syncOperations.addHandler(bound.value)
        }
      }
      .connect(to: remote)
      .whenFailure { error in
        bound.value.host.logger.debug("connect failed", metadata: ["remote": "\(key.remote)", "error": "\(error)"])
        bound.value.connectFailed()
      }
    return connection
  }

  /// Accepts on a listening descriptor, which this takes over; the connections are spread over `hosts`.
  func accept(
    on descriptor: CInt, listener: UInt8, ledger: AcceptLedger, group: any EventLoopGroup,
    hosts: [ObjectIdentifier: NIOLoopBound<ShardHost>]
  ) -> EventLoopFuture<Void> {
    let gate = NIOLoopBound((self, ledger), eventLoop: loop)
    let backlog = configuration.streams.backlog
    return ServerBootstrap(group: loop, childGroup: group)
      .serverChannelOption(.maxMessagesPerRead, value: 64)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let (host, ledger) = gate.value
          // Out of descriptors: wait instead of spinning on an accept that fails.
          try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler(shouldForwardIOErrorCaught: false))
          try channel.pipeline.syncOperations.addHandler(AcceptGate(ledger, host.counters, host.bans))
        }
      }
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.socketOption(.so_keepalive), value: 1)
      .childChannelOption(.tcpOption(.keepIdle), value: keepAliveSeconds)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard let host = hosts[ObjectIdentifier(channel.eventLoop)]?.value, !host.isStopped else {
            throw ChannelError.ioOnClosedChannel
          }
          let transport = host.listeners[Int(listener)].transport
          if transport.isSecure, let contexts = host.tls.current {
            try channel.pipeline.syncOperations.addHandler(HandshakePacer(host))
            try channel.pipeline.syncOperations.addHandler(TLSHandshake.server(contexts))
          }
          try channel.pipeline.syncOperations.addHandler(
            StreamConnection(host, listener: listener, transport: transport, now: .now))
        }
      }
      .withBoundSocket(descriptor)
      .map { channel in
        // NIO has called listen with 128 for a socket that it was given; a burst overflows that, and each connect that
        // does not fit is a second late (Linux: the SYN is dropped and sent again).
        _ = Glibc.listen(descriptor, backlog)
        gate.value.0.acceptors.append(channel)
      }
  }
}
