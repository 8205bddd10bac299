internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NetCore

/// NIO's end of a UDP socket. It brings the first datagram of a wake; `ShardHost.datagramsReady` takes the rest.
final class DatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let host: ShardHost
  private let port: DatagramPort

  init(_ host: ShardHost, _ port: DatagramPort) {
    self.host = host
    self.port = port
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = Self.unwrapInboundIn(data)
    let buffer = envelope.data
    guard let remote = Endpoint(envelope.remoteAddress),
      let bytes = buffer.getBytes(at: buffer.readerIndex, length: buffer.readableBytes)
    else { return }
    let destination = envelope.metadata?.packetInfo.flatMap { Endpoint($0.destinationAddress)?.ip }
    host.datagram(bytes, from: remote, to: destination, on: port)
  }

  func channelReadComplete(context: ChannelHandlerContext) { host.datagramsReady(port) }

  /// The kernel's word on one datagram: NIO closes the channel itself where the socket is beyond use.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    host.logger.debug("UDP read error", metadata: ["listener": "\(port.local)", "error": "\(error)"])
  }

  func channelInactive(context: ChannelHandlerContext) { host.datagramChannelClosed(port) }
}

extension ShardHost {
  /// Lets NIO watch `port`. The future fails when the system refuses.
  func open(_ port: DatagramPort) -> EventLoopFuture<Void> {
    guard let descriptor = port.duplicate() else {
      return loop.makeFailedFuture(TransportError(.listen, "no descriptor left to read \(port.local)"))
    }
    let bound = NIOLoopBound((self, port), eventLoop: loop)
    return DatagramBootstrap(group: loop)
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
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
        return port.isWildcard
          ? channel.setOption(.receivePacketInfo, value: true) : channel.eventLoop.makeSucceededVoidFuture()
      }
  }

  /// Opens the port again: the socket lives on, as `port` holds it too. When that fails, every second once more.
  func datagramChannelClosed(_ port: DatagramPort) {
    port.channel = nil
    guard !isStopped else { return }
    logger.error("a UDP channel closed by itself; opening it again", metadata: ["listener": "\(port.local)"])
    let bound = NIOLoopBound((self, port), eventLoop: loop)
    loop.scheduleTask(in: .milliseconds(20)) {
      let (host, port) = bound.value
      guard !host.isStopped else { return }
      host.open(port).whenFailure { _ in
        bound.value.0.loop.scheduleTask(in: .seconds(1)) { bound.value.0.datagramChannelClosed(bound.value.1) }
      }
    }
  }
}
