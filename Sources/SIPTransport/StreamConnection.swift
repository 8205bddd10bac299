internal import Logging
internal import NIOCore
internal import NetCore
internal import SIPMessage

/// One TCP connection, accepted or opened by us: frames what comes (RFC 3261 §18.3), collects a batch's messages into
/// one write, and ends when the peer breaks a rule, says nothing, or does not read.
final class StreamConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private enum State {
    /// Opened by us, not yet there: messages collect in `pending`.
    case connecting
    /// Accepted, its channel not yet active.
    case accepted
    case open(any Channel)
    case closed
  }
  enum Ending { case byPeer, idle, slowReader, framing, connectFailed, shutdown }
  /// Who is told when a write fails.
  private struct Sender {
    var flow: Flow
    var shard: UInt8
  }

  let host: ShardHost
  let listener: UInt8
  private(set) var id: UInt64 = 0
  private(set) var key: RemoteKey?
  private var flow: Flow?
  private var state: State
  private var framer: StreamFramer

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
  init(_ host: ShardHost, listener: UInt8, remote: RemoteKey? = nil, now: Instant) {
    self.host = host
    self.listener = listener
    framer = StreamFramer(limits: host.configuration.parserLimits)
    state = remote == nil ? .accepted : .connecting
    key = remote
    owesSince = remote == nil ? now : nil
    lastActivity = now
    if remote != nil { id = host.connections.insert(self) ?? 0 }
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
      guard let id = host.connections.insert(self) else { return context.close(promise: nil) }
      self.id = id
      key = RemoteKey(transport: .tcp, remote: remote)
      host.counters.connectionsAccepted.bump()
    case .connecting: host.counters.connectionsOpened.bump()
    case .open, .closed: return context.close(promise: nil)
    }
    state = .open(context.channel)
    flow = Flow(transport: .tcp, listener: listener, connection: id, remote: remote, local: local)
    host.connectionOpened(self)
    flush()
    host.endBatch()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .open = state, let flow else { return }
    lastActivity = .now
    framer.append(Self.unwrapInboundIn(data).readableBytesView)
    do throws(SIPError) {
      while let frame = try framer.next() {
        owesSince = nil
        switch frame {
        case .message(let bytes): host.arrived(bytes, flow)
        case .keepAlive:
          host.counters.keepAlives.bump()
          write(StreamConnection.pong, from: nil)
        case .pong: host.counters.keepAlives.bump()
        }
        // A reply to this very message may have found the peer too slow.
        guard case .open = state else { return }
      }
      if owesSince == nil, framer.pending > 0 { owesSince = lastActivity }
    } catch {
      host.logger.debug("not SIP on a connection", metadata: ["remote": "\(flow.remote)", "reason": "\(error.reason)"])
      end(.framing)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) { host.endBatch() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    end(.byPeer)
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
    pending.writeBytes(bytes)
    if !isDirty {
      isDirty = true
      host.dirty.append(self)
    }
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
    guard case .open = state else { return }
    if let stalledSince, now - stalledSince > limits.writeTimeout {
      end(.slowReader)
    } else if let owesSince, now - owesSince > limits.messageTimeout {
      end(.idle)
    } else if now - lastActivity > limits.idleTimeout {
      end(.idle)
    }
  }

  /// Once, whatever ends it: frees its place, tells who waited, and every shard.
  func end(_ why: Ending) {
    let channel: (any Channel)?
    switch state {
    case .closed: return
    case .open(let open): channel = open
    case .connecting, .accepted: channel = nil
    }
    state = .closed
    switch why {
    case .byPeer, .shutdown: break
    case .idle: host.counters.idleTimeouts.bump()
    case .slowReader: host.counters.slowReaders.bump()
    case .framing: host.counters.framingErrors.bump()
    case .connectFailed: host.counters.connectFailures.bump()
    }
    if why == .framing, let channel, pending.readableBytes > 0 {
      // The framer passed on the head that it stumbled over, and this is what the parser says to it.
      channel.writeAndFlush(pending, promise: nil)
      senders = []
    }
    for sender in senders { host.fail(sender.flow, to: sender.shard) }
    senders = []
    pending = ByteBuffer()
    host.connectionEnded(self, wasOpen: channel != nil)
    channel?.close(promise: nil)
  }

  private static var pong: [UInt8] { [13, 10] }
}
