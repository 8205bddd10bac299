internal import NIOCore

/// How many TLS handshakes may begin at once. The first answer of a server costs a signature, up to a millisecond with an
/// RSA key: a thousand clients that say hello together would hold a loop for a second.
struct HandshakePace<Waiting> {
  /// Begun within one `interval`.
  static var batch: Int { 8 }
  static var interval: TimeAmount { .milliseconds(1) }

  private var left = batch
  private var waiting: CircularBuffer<Waiting> = []
  /// The next `refill` is on its way.
  private(set) var isRunning = false

  /// True: it may begin now. False: it waits its turn. A refill must follow, unless one is on its way.
  mutating func admit(_ one: Waiting) -> Bool {
    isRunning = true
    guard left > 0, waiting.isEmpty else {
      waiting.append(one)
      return false
    }
    left -= 1
    return true
  }

  /// An interval later: those whose turn it is. As long as `isRunning`, another must follow.
  mutating func refill() -> [Waiting] {
    let next = Array(waiting.prefix(Self.batch))
    waiting.removeFirst(next.count)
    left = Self.batch - next.count
    isRunning = !next.isEmpty
    return next
  }
}

/// In front of the TLS of an accepted connection: keeps the client's hello until its turn comes, then passes everything.
final class HandshakePacer: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private enum State {
    case idle
    case waiting(ByteBuffer)
    case passing
  }

  private let host: ShardHost
  private var state = State.idle
  private var context: ChannelHandlerContext?

  init(_ host: ShardHost) { self.host = host }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    state = .passing
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch state {
    case .passing: context.fireChannelRead(data)
    case .waiting(var held):
      state = .idle
      var more = Self.unwrapInboundIn(data)
      held.writeBuffer(&more)
      // A hello is never as long: who sends on without an answer is not heard any more, and ends by his deadline.
      if held.readableBytes > 65_536 { held.clear() }
      state = .waiting(held)
    case .idle:
      state = .waiting(Self.unwrapInboundIn(data))
      if host.mayShakeHands(self) { begin() }
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if case .passing = state { context.fireChannelReadComplete() }
  }

  /// Its turn.
  func begin() {
    guard let context, case .waiting(let held) = state else { return }
    state = .passing
    context.fireChannelRead(Self.wrapInboundOut(held))
    context.fireChannelReadComplete()
  }
}

extension ShardHost {
  func mayShakeHands(_ pacer: HandshakePacer) -> Bool {
    let wasRunning = handshakes.isRunning
    let mayBegin = handshakes.admit(pacer)
    if !wasRunning { refillHandshakes() }
    return mayBegin
  }

  private func refillHandshakes() {
    let bound = NIOLoopBound(self, eventLoop: loop)
    loop.scheduleTask(in: HandshakePace<HandshakePacer>.interval) {
      let host = bound.value
      for pacer in host.handshakes.refill() { pacer.begin() }
      if host.handshakes.isRunning { host.refillHandshakes() }
    }
  }
}
