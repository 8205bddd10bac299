internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NetCore

/// The reading end of a UDP socket: copies each datagram out of the vector read's buffer, so that no slice pins it, and
/// closes the batch when the read is complete.
final class DatagramHandler<Driver: ShardDriver>: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let host: ShardHost<Driver>
  private let port: DatagramPort

  init(_ host: ShardHost<Driver>, _ port: DatagramPort) {
    self.host = host
    self.port = port
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = Self.unwrapInboundIn(data)
    let buffer = envelope.data
    // A keep-alive or a probe: no SIP message is as short (RFC 5626 §3.5.1; some phones send four zero octets).
    guard buffer.readableBytes > 8, let remote = Endpoint(envelope.remoteAddress),
      let bytes = buffer.getBytes(at: buffer.readerIndex, length: buffer.readableBytes)
    else { return host.counters.keepAlives.bump() }
    var local = port.local
    // On a wildcard address only the kernel knows which address it was.
    if let destination = envelope.metadata?.packetInfo.flatMap({ Endpoint($0.destinationAddress) }) {
      local = Endpoint(destination.ip, local.port)
    }
    host.arrived(bytes, Flow(transport: .udp, listener: port.listener, remote: remote, local: local))
  }

  func channelReadComplete(context: ChannelHandlerContext) { host.endBatch() }

  /// The kernel's word on one datagram: NIO closes the channel itself where the socket is beyond use.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    host.logger.debug("UDP read error", metadata: ["listener": "\(port.local)", "error": "\(error)"])
  }

  func channelInactive(context: ChannelHandlerContext) { host.datagramChannelClosed(port) }
}

extension ShardHost {
  /// Lets NIO read `port`. The future fails when the system refuses.
  func open(_ port: DatagramPort) -> EventLoopFuture<Void> {
    guard let descriptor = port.duplicate() else {
      return loop.makeFailedFuture(TransportError(.listen, "no descriptor left to read \(port.local)"))
    }
    let options = configuration.datagrams
    // 64 KiB a slot for the largest datagram, and 17 cache lines so that the slots' first lines do not all fall into
    // the same sets of the cache.
    let slot = 65_536 + 17 * 64
    let bound = NIOLoopBound((self, port), eventLoop: loop)
    return DatagramBootstrap(group: loop)
      .channelOption(.datagramVectorReadMessageCount, value: max(1, options.readBatch))
      .channelOption(.maxMessagesPerRead, value: UInt(max(1, options.readsPerTurn)))
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: slot * max(1, options.readBatch)))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let (host, port) = bound.value
          try channel.pipeline.syncOperations.addHandler(DatagramHandler(host, port))
        }
      }
      .withBoundSocket(descriptor)
      .flatMap { channel in
        let port = bound.value.1
        port.channel = channel
        return port.local.ip.isUnspecified
          ? channel.setOption(.receivePacketInfo, value: true) : channel.eventLoop.makeSucceededVoidFuture()
      }
  }

  /// Opens the port again, now and then every second: the socket lives on, as `port` holds it too.
  func datagramChannelClosed(_ port: DatagramPort) {
    port.channel = nil
    guard !isStopped else { return }
    logger.error("a UDP channel closed by itself; opening it again", metadata: ["listener": "\(port.local)"])
    let bound = NIOLoopBound((self, port), eventLoop: loop)
    loop.scheduleTask(in: .milliseconds(20)) {
      let (host, port) = bound.value
      guard !host.isStopped else { return }
      host.open(port).whenFailure { _ in
        let (host, port) = bound.value
        host.loop.scheduleTask(in: .seconds(1)) { bound.value.0.datagramChannelClosed(bound.value.1) }
        _ = port
      }
    }
  }
}
