import Logging
import NIOCore

/// How much of the server one client of the control socket may take.
public struct ControlLimits: Sendable {
  /// Octets of a request.
  public var maxLine = 64 << 10
  /// Requests that wait while one is answered.
  public var maxWaiting = 16
  public var maxConnections = 32
  /// A connection that asks nothing for so long is closed.
  public var idleSeconds = 60.0
  /// A client that does not read is cut off when a line could not be written for so long.
  public var writeSeconds = 10.0
  public init() {}

  var idle: TimeAmount { .milliseconds(Int64(idleSeconds * 1000)) }
  var write: TimeAmount { .milliseconds(Int64(writeSeconds * 1000)) }
}

/// One client: reads requests, answers them one after the other, and follows a trace until the client has gone. What is
/// asked runs in a task of its own, off the loop; a trace is cancelled with the connection.
final class ControlConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let target: any ControlTarget
  private let logger: Logger
  private let limits: ControlLimits
  private var lines: ControlLines
  private var waiting: [[UInt8]] = []
  private var work: Task<Void, Never>?
  private var idle: Scheduled<Void>?

  init(target: any ControlTarget, logger: Logger, limits: ControlLimits) {
    self.target = target
    self.logger = logger
    self.limits = limits
    lines = ControlLines(maxLine: limits.maxLine)
  }

  func channelActive(context: ChannelHandlerContext) {
    awaitRequest(context.channel)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    idle?.cancel()
    work?.cancel()
    waiting = []
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do {
      waiting += try lines.append(unwrapInboundIn(data).readableBytesView)
    } catch {
      return cutOff(context, "a request is longer than \(limits.maxLine) octets")
    }
    guard waiting.count <= limits.maxWaiting else { return cutOff(context, "too many requests at once") }
    answerNext(context.channel)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    logger.debug("control connection failed", metadata: ["error": "\(error)"])
    context.close(promise: nil)
  }

  private func cutOff(_ context: ChannelHandlerContext, _ reason: String) {
    logger.warning("control connection cut off", metadata: ["reason": "\(reason)"])
    waiting = []
    let line = ControlJSON.line(ControlReply.failed(reason)) + [UInt8(ascii: "\n")]
    // Not waited for: a client that does not read would hold the connection.
    context.writeAndFlush(NIOAny(context.channel.allocator.buffer(bytes: line)), promise: nil)
    context.close(promise: nil)
  }

  private func awaitRequest(_ channel: any Channel) {
    idle?.cancel()
    idle = channel.eventLoop.scheduleTask(in: limits.idle) { channel.close(promise: nil) }
  }

  private func answerNext(_ channel: any Channel) {
    guard work == nil, channel.isActive else { return }
    guard !waiting.isEmpty else { return awaitRequest(channel) }
    let line = waiting.removeFirst()
    idle?.cancel()
    let connection = NIOLoopBound(self, eventLoop: channel.eventLoop)
    let answerer = ControlAnswerer(target: target, logger: logger, channel: channel, writeTimeout: limits.write)
    work = Task {
      await answerer.answer(line)
      channel.eventLoop.execute {
        connection.value.work = nil
        connection.value.answerNext(channel)
      }
    }
  }
}

/// Does what one request asks.
private struct ControlAnswerer: Sendable {
  let target: any ControlTarget
  let logger: Logger
  let channel: any Channel
  let writeTimeout: TimeAmount

  func answer(_ line: [UInt8]) async {
    do {
      let request = try ControlJSON.decode(ControlRequest.self, line)
      switch try request.meaning() {
      case .command(let command): try await send(reply(to: command))
      case .trace(let callID): try await follow(callID)
      }
    } catch let unfit as ControlRequest.Unfit {
      try? await send(ControlReply.failed(unfit.message))
    } catch is DecodingError {
      try? await send(ControlReply.failed("a request is one JSON object a line, such as {\"command\":\"status\"}"))
    } catch {
      channel.close(promise: nil)
    }
  }

  private func reply(to command: ControlCommand) async -> ControlReply {
    do {
      // What was asked is done in full, also when the client does not wait for the answer.
      return try await Task { try await target.perform(command) }.value
    } catch let error as ConfigurationError {
      return .failed(error.summary, faults: error.faults.map(\.description))
    } catch {
      return .failed("\(error)")
    }
  }

  private func follow(_ callID: String?) async throws {
    try await send(ControlReply())
    for await line in target.trace(callID: callID) {
      try await send(ControlTraceLine(trace: line))
    }
    channel.close(promise: nil)
  }

  private func send(_ value: some Encodable) async throws {
    let bytes = ControlJSON.line(value) + [UInt8(ascii: "\n")]
    let channel = channel
    let deadline = channel.eventLoop.scheduleTask(in: writeTimeout) { [logger] in
      logger.warning("control connection cut off", metadata: ["reason": "the client does not read"])
      channel.close(promise: nil)
    }
    defer { deadline.cancel() }
    try await channel.writeAndFlush(channel.allocator.buffer(bytes: bytes)).get()
  }
}
