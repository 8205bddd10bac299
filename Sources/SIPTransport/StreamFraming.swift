internal import NetCore
internal import SIPMessage

/// How a connection's octets become messages: by Content-Length on TCP and TLS, by frames in a WebSocket.
struct StreamFraming {
  enum Frame {
    case message([UInt8])
    /// To be answered with CRLF.
    case keepAlive
    /// Of life, without an answer.
    case sign
    /// The WebSocket is there, once this is sent.
    case opened([UInt8])
    /// To be sent as it is.
    case control([UInt8])
    /// An HTTP error: to be sent before the end.
    case refused([UInt8])
    /// The peer broke a rule.
    case broken(farewell: [UInt8], reason: String)
    case ended(farewell: [UInt8])
  }

  private var framer: StreamFramer
  private var webSocket: WebSocketStream?

  init(_ transport: Transport, _ configuration: ShardGroupConfiguration) {
    framer = StreamFramer(limits: configuration.parserLimits)
    guard transport.isWebSocket else { return }
    webSocket = WebSocketStream(
      maxMessage: configuration.parserLimits.maxMessage, origins: configuration.streams.webSocketOrigins)
  }

  mutating func append(_ bytes: some Collection<UInt8>) {
    if webSocket == nil { framer.append(bytes) } else { webSocket?.append(bytes) }
  }

  mutating func next() -> Frame? { webSocket == nil ? nextOfStream() : nextOfWebSocket() }

  private mutating func nextOfStream() -> Frame? {
    do throws(SIPError) {
      switch try framer.next() {
      case .message(let bytes): return .message(bytes)
      case .keepAlive: return .keepAlive
      case .pong: return .sign
      case nil: return nil
      }
    } catch {
      return .broken(farewell: [], reason: error.reason)
    }
  }

  private mutating func nextOfWebSocket() -> Frame? {
    switch webSocket?.next() {
    case .message(let bytes): .message(bytes)
    case .keepAlive: .keepAlive
    case .sign: .sign
    case .opened(let response): .opened(response)
    case .reply(let bytes): .control(bytes)
    case .refused(let response): .refused(response)
    case .failed(let farewell): .broken(farewell: farewell, reason: "a WebSocket's rule is broken")
    case .closed(let farewell): .ended(farewell: farewell)
    case nil: nil
    }
  }

  /// A keep-alive of ours is on its way.
  mutating func expectsPong() { framer.awaitsPong = true }

  /// The peer owes the rest of something.
  var isPartial: Bool { webSocket?.isPartial ?? (framer.pending > 0) }
}
