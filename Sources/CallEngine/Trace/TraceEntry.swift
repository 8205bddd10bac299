public import NetCore

/// One message on the wire, as a ladder shows it: credentials and keys are masked when it is made.
public struct TraceEntry: Hashable, Sendable {
  /// Whose phone is at the other end.
  public enum Side: Hashable, Sendable {
    case caller
    /// Counted from 1 in the order they were tried.
    case callee(Int)
    /// No call's: REGISTER, OPTIONS, or a request that was refused before there was one.
    case none
  }

  /// By the wall clock, milliseconds since 1970.
  public var wallMs: Int64
  /// The call's id; nil where the message belongs to none.
  public var call: String?
  public var side: Side
  /// True for what this server sent.
  public var sent: Bool
  public var transport: Transport
  public var peer: Endpoint
  /// Octets on the wire.
  public var size: Int
  public var summary: MessageSummary

  public init(
    bytes: ArraySlice<UInt8>, flow: Flow, sent: Bool, wallMs: Int64, call: String? = nil, side: Side = .none
  ) {
    self.wallMs = wallMs
    self.call = call
    self.side = side
    self.sent = sent
    transport = flow.transport
    peer = flow.remote
    size = bytes.count
    summary = MessageSummary(bytes)
  }

  /// For machines: what the ladder shows, and the whole message.
  public var json: JSONValue {
    .object([
      .init("time", .string(WallTime.text(wallMs))),
      .init("call", .optional(call)),
      .init("leg", .string(side.name)),
      .init("direction", .string(sent ? "out" : "in")),
      .init("transport", .string(transport.parameterName)),
      .init("peer", .string(peer.description)),
      .init("first_line", .string(summary.firstLine)),
      .init("call_id", .string(summary.callID)),
      .init("cseq", .string(summary.cseq)),
      .init("reason", .optional(summary.reason)),
      .init("sdp", .optional(summary.sdp)),
      .init("size", .integer(Int64(size))),
      .init("message", .string(summary.message)),
    ])
  }
}

extension TraceEntry.Side {
  public var name: String {
    switch self {
    case .caller: "caller"
    case .callee(let number): number <= 1 ? "callee" : "callee \(number)"
    case .none: ""
    }
  }
}
