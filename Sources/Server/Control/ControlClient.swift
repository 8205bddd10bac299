import Glibc
import NIOCore
import NIOPosix

/// Talks to a running daemon over its control socket; one connection a request.
public struct ControlClient: Sendable {
  public let path: String
  /// For an answer; a reload compiles and runs the script before it answers.
  public var timeoutSeconds = 60.0

  public init(path: String) { self.path = path }

  public enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
    case notRunning(path: String)
    case notAllowed(path: String)
    case noAnswer(path: String, reason: String)

    public var description: String {
      switch self {
      case .notRunning(let path): "nightjar is not running: nobody answers at \(path)"
      case .notAllowed(let path):
        "\(path): permission denied; only the user that runs nightjar may use its control socket"
      case .noAnswer(let path, let reason): "\(path): \(reason)"
      }
    }
  }

  /// True where a daemon answers.
  public var isRunning: Bool { (try? UnixSocket.probe(path: path)) == .answers }

  /// - Throws: `Failure`; a refusal by the server is a reply with `ok` false.
  public func send(_ command: ControlCommand) async throws(Failure) -> ControlReply {
    var reply: ControlReply?
    try await exchange(ControlRequest(command), timeout: timeoutSeconds) { line in
      reply = try ControlJSON.decode(ControlReply.self, line)
      return false
    }
    guard let reply else { throw Failure.noAnswer(path: path, reason: "the connection was closed without an answer") }
    return reply
  }

  /// Ladder lines until the daemon ends or the task is cancelled.
  /// - Returns: the reply that refused the trace, else nil.
  public func trace(
    callID: String?, line: @Sendable (String) -> Void
  ) async throws(Failure) -> ControlReply? {
    var refusal: ControlReply?
    var started = false
    try await exchange(ControlRequest(command: "trace", id: callID), timeout: nil) { bytes in
      if started {
        line(try ControlJSON.decode(ControlTraceLine.self, bytes).trace)
        return true
      }
      started = true
      let reply = try ControlJSON.decode(ControlReply.self, bytes)
      if !reply.ok { refusal = reply }
      return reply.ok
    }
    return refusal
  }

  /// Sends `request` and gives each line that comes back to `receive` until it returns false or the stream ends.
  private func exchange(
    _ request: ControlRequest, timeout: Double?, receive: ([UInt8]) throws -> Bool
  ) async throws(Failure) {
    do {
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(unixDomainSocketPath: path) { channel in
          channel.eventLoop.makeCompletedFuture {
            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
          }
        }
      let deadline = timeout.map { seconds in
        channel.channel.eventLoop.scheduleTask(in: .milliseconds(Int64(seconds * 1000))) {
          [channel = channel.channel] in
          channel.close(promise: nil)
        }
      }
      defer { deadline?.cancel() }
      try await channel.executeThenClose { inbound, outbound in
        try await outbound.write(ByteBuffer(bytes: ControlJSON.line(request) + [UInt8(ascii: "\n")]))
        var lines = ControlLines(maxLine: 256 << 20)
        for try await buffer in inbound {
          for line in try lines.append(buffer.readableBytesView) where try !receive(line) { return }
        }
      }
    } catch let error as IOError {
      switch error.errnoCode {
      case ENOENT, ECONNREFUSED: throw .notRunning(path: path)
      case EACCES, EPERM: throw .notAllowed(path: path)
      default: throw .noAnswer(path: path, reason: UnixSocket.text(of: error.errnoCode))
      }
    } catch {
      throw .noAnswer(path: path, reason: "the answer could not be read: \(error)")
    }
  }
}
