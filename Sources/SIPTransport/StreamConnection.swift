internal import Logging
internal import NIOCore
internal import NIOTLS
internal import NetCore
internal import SIPMessage

/// One TCP, TLS or WebSocket connection, accepted or opened by us: frames what comes (RFC 3261 §18.3, RFC 7118 §5),
/// collects a batch's messages into one write, and ends when the peer breaks a rule, says nothing, or does not read.
final class StreamConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private enum State {
    /// Opened by us, not yet there: messages collect in `pending`.
    case connecting
    /// Accepted, its channel not yet active.
    case accepted
    /// A TLS handshake or the request for a WebSocket: nothing of SIP has passed, messages collect in `pending`.
    case negotiating(any Channel)
    case open(any Channel)
    case closed
  }
  enum Ending { case byPeer, idle, slowReader, framing, refused, handshakeFailed, connectFailed, shutdown }
  /// Who is told when a write fails.
  private struct Sender {
    var flow: Flow
    var shard: UInt8
  }

  let host: ShardHost
  let listener: UInt8
  let transport: Transport
  private(set) var id: UInt64 = 0
  private(set) var key: RemoteKey?
  private var flow: Flow?
  private var state: State
  private var framing: StreamFraming
  private let isOutbound: Bool

  private var pending = ByteBuffer()
  private var senders: [Sender] = []
  private var isDirty = false
  /// Bytes given to NIO and not yet taken by the kernel, and since when none was taken.
  private var outstanding = 0
  private var stalledSince: Instant?

  /// Since when the peer owes the rest of a message: from the start its first, later one that it has begun.
  private var owesSince: Instant?
  private var lastActivity: Instant

  /// `remote` for one that we open: it has its place in the table before it is connected.
  init(_ host: ShardHost, listener: UInt8, transport: Transport, remote: RemoteKey? = nil, now: Instant) {
    self.host = host
    self.listener = listener
    self.transport = transport
    framing = StreamFraming(transport, host.configuration)
    state = remote == nil ? .accepted : .connecting
    isOutbound = remote != nil
    key = remote
    owesSince = now
    lastActivity = now
    if remote != nil { id = host.connections.insert(self, isOutbound: true) ?? 0 }
  }

  // MARK: In

  func channelActive(context: ChannelHandlerContext) {
    guard let local = context.localAddress.flatMap(Endpoint.init),
      let remote = context.remoteAddress.flatMap(Endpoint.init)
    else {
      end(.byPeer)
      return context.close(promise: nil)
    }
    switch state {
    case .accepted:
      guard let id = host.connections.insert(self, isOutbound: false) else { return context.close(promise: nil) }
      self.id = id
      key = RemoteKey(transport: transport, remote: remote, peer: .byAddress)
    case .connecting: break
    case .negotiating, .open, .closed: return context.close(promise: nil)
    }
    state = .negotiating(context.channel)
    flow = Flow(
      transport: transport, listener: listener, peer: key?.peer ?? .byAddress, connection: id, remote: remote,
      local: local)
    host.watchConnections()
    if transport == .tcp { opened() }
    context.fireChannelActive()
  }

  /// RFC 5922: what is sent before the peer has proved who he is would reach anybody.
  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent, case .negotiating = state, transport.isSecure {
      let wildcards = host.tls.current?.acceptsWildcards ?? false
      if let key, isOutbound, !TLSHandshake.isProven(context, key, wildcards: wildcards) {
        host.logger.notice(
          "a TLS server is not who it should be",
          metadata: ["remote": "\(key.remote)", "expected": "\(key.peer.host ?? key.remote.ip.description)"])
        end(.handshakeFailed)
        return host.endBatch()
      }
      if transport == .tls { opened() }
    }
    context.fireUserInboundEventTriggered(event)
  }

  /// From here on messages pass.
  private func opened() {
    guard case .negotiating(let channel) = state else { return }
    state = .open(channel)
    // One that we opened owes nothing until we have asked for something.
    if isOutbound { owesSince = nil }
    if isOutbound { host.counters.connectionsOpened.bump() } else { host.counters.connectionsAccepted.bump() }
    host.connectionOpened(self)
    flush()
    host.endBatch()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .closed = state { return }
    guard let flow else { return }
    lastActivity = .now
    framing.append(Self.unwrapInboundIn(data).readableBytesView)
    while let frame = framing.next() {
      switch frame {
      case .message(let bytes):
        owesSince = nil
        host.arrived(bytes, flow)
      case .keepAlive:
        owesSince = nil
        host.counters.keepAlives.bump()
        write(StreamConnection.pong, from: nil)
      case .sign:
        owesSince = nil
        host.counters.keepAlives.bump()
      case .opened(let response):
        append(response)
        opened()
      case .control(let bytes): append(bytes)
      case .refused(let response):
        append(response)
        end(.refused)
      case .broken(let farewell, let reason):
        append(farewell)
        host.logger.debug("not SIP on a connection", metadata: ["remote": "\(flow.remote)", "reason": "\(reason)"])
        end(.framing)
      case .ended(let farewell):
        append(farewell)
        end(.byPeer)
      }
      // A reply to this very message may have found the peer too slow.
      if case .closed = state { return }
    }
    if owesSince == nil, framing.isPartial { owesSince = lastActivity }
  }

  func channelReadComplete(context: ChannelHandlerContext) { host.endBatch() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if case .negotiating = state, transport.isSecure {
      // Strangers fail as they like; that we cannot reach a trunk is for its operator to know.
      host.logger.log(
        level: isOutbound ? .notice : .debug, "a TLS handshake failed",
        metadata: ["remote": "\(flow.map { "\($0.remote)" } ?? "")", "error": "\(error)"])
      end(.handshakeFailed)
    } else {
      end(.byPeer)
    }
    host.endBatch()
  }

  func channelInactive(context: ChannelHandlerContext) {
    end(.byPeer)
    host.endBatch()
  }

  // MARK: Out

  /// Adds a message to this batch's write. `from`: the flow to name, and the shard to tell, when it cannot be sent.
  func write(_ bytes: [UInt8], from sender: (flow: Flow, shard: UInt8)?) {
    if case .closed = state {
      if let sender { host.fail(sender.flow, to: sender.shard) }
      return
    }
    if let sender {
      let isKnown = senders.last.map { $0.flow == sender.flow && $0.shard == sender.shard } ?? false
      if !isKnown { senders.append(Sender(flow: sender.flow, shard: sender.shard)) }
    }
    guard outstanding + pending.readableBytes + bytes.count <= host.configuration.streams.writeBufferLimit else {
      return end(.slowReader)
    }
    // RFC 5626 §3.5.1: what comes back to a keep-alive of ours is one CRLF.
    if bytes.count == 4, bytes == StreamConnection.ping { framing.expectsPong() }
    if transport.isWebSocket { pending.writeBytes(WebSocketFrame.head(ofMessage: bytes)) }
    append(bytes)
  }

  /// Octets as they are, bounded by who may ask for them.
  private func append(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    pending.writeBytes(bytes)
    if !isDirty {
      isDirty = true
      host.dirty.append(self)
    }
    // A peer that only pings and never reads.
    if outstanding + pending.readableBytes > host.configuration.streams.writeBufferLimit + 65_536 { end(.slowReader) }
  }

  /// One write and one promise for the whole batch.
  func flush() {
    isDirty = false
    guard case .open(let channel) = state, pending.readableBytes > 0 else { return }
    let buffer = pending
    let senders = self.senders
    pending = ByteBuffer()
    self.senders = []
    let length = buffer.readableBytes
    if outstanding == 0 { stalledSince = .now }
    outstanding += length
    let promise = channel.eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenComplete { [self] result in
      outstanding -= length
      switch result {
      case .success:
        lastActivity = .now
        stalledSince = outstanding == 0 ? nil : lastActivity
      case .failure:
        for sender in senders { host.fail(sender.flow, to: sender.shard) }
        host.endBatch()
      }
    }
    channel.writeAndFlush(buffer, promise: promise)
  }

  // MARK: End

  func connectFailed() {
    end(.connectFailed)
    host.endBatch()
  }

  /// Applies the time limits; called now and then.
  func check(now: Instant) {
    let limits = host.configuration.streams
    switch state {
    case .connecting, .accepted, .closed: return
    case .negotiating:
      guard let owesSince else { return }
      if isOutbound, now - owesSince > limits.connectTimeout { return end(.connectFailed) }
      if !isOutbound, now - owesSince > limits.messageTimeout { return end(.idle) }
    case .open:
      if let stalledSince, now - stalledSince > limits.writeTimeout {
        end(.slowReader)
      } else if let owesSince, now - owesSince > limits.messageTimeout {
        end(.idle)
      } else if now - lastActivity > limits.idleTimeout {
        end(.idle)
      }
    }
  }

  /// Once, whatever ends it: frees its place, tells who waited, and every shard.
  func end(_ why: Ending) {
    let channel: (any Channel)?
    var wasOpen = false
    switch state {
    case .closed: return
    case .open(let open):
      channel = open
      wasOpen = true
    case .negotiating(let halfway): channel = halfway
    case .connecting, .accepted: channel = nil
    }
    state = .closed
    switch why {
    case .byPeer: if isOutbound, !wasOpen { host.counters.connectFailures.bump() }
    case .shutdown: break
    case .idle: host.counters.idleTimeouts.bump()
    case .slowReader: host.counters.slowReaders.bump()
    case .framing: host.counters.framingErrors.bump()
    case .refused: host.counters.upgradesRefused.bump()
    case .handshakeFailed: host.counters.handshakeFailures.bump()
    case .connectFailed: host.counters.connectFailures.bump()
    }
    if case .shutdown = why, wasOpen, transport.isWebSocket {
      pending.writeBytes(WebSocketFrame.close(.goingAway))
    }
    if let channel, pending.readableBytes > 0, why.says(wasOpen: wasOpen) {
      // What the parser says to a head that the framer stumbled over, an HTTP error, a WebSocket's farewell.
      channel.writeAndFlush(pending, promise: nil)
      if why == .framing { senders = [] }
    }
    for sender in senders { host.fail(sender.flow, to: sender.shard) }
    senders = []
    pending = ByteBuffer()
    host.connectionEnded(self, wasOpen: wasOpen, isDropped: why.isDropped)
    channel?.close(promise: nil)
  }

  private static let ping: [UInt8] = [13, 10, 13, 10]
  private static var pong: [UInt8] { [13, 10] }
}

extension StreamConnection.Ending {
  /// For what the peer did.
  fileprivate var isDropped: Bool {
    switch self {
    case .slowReader, .framing, .refused, .handshakeFailed: true
    case .byPeer, .idle, .connectFailed, .shutdown: false
    }
  }

  /// Whether what waits is still sent.
  fileprivate func says(wasOpen: Bool) -> Bool {
    switch self {
    case .framing, .byPeer, .shutdown: wasOpen
    case .refused: true
    case .idle, .slowReader, .handshakeFailed, .connectFailed: false
    }
  }
}
