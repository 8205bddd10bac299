public import NetCore

/// Hard limits of the parser; beyond them a message is refused with 513.
public struct ParserLimits: Sendable {
  /// Octets of a whole message.
  public var maxMessage = 65535
  /// Header fields, folded ones counted once.
  public var maxHeaderLines = 256
  /// Octets of start line and headers; at most 65,527, as offsets are 16 bits.
  public var maxHeaderBytes = 32768

  public init() {}
}

/// Octets to messages (RFC 3261 §7, §18.3, §25): one pass finds the header fields, a second step lays out and checks
/// those that every message must have. All others are checked where they are used.
public enum MessageParser {
  /// Parses one datagram, or one message that a `StreamFramer` has cut out.
  ///
  /// Refused, with the clause in the error: a malformed start line, an unknown version, a missing or malformed Via,
  /// From, To, Call-ID, CSeq, Max-Forwards or Content-Length, one of those twice, a malformed Contact of a request,
  /// headers in the Request-URI, and what exceeds `limits`. An unknown method or URI scheme is not an error here.
  public static func parse(
    _ bytes: [UInt8], flow: Flow, limits: ParserLimits = .init()
  ) throws(ParseFailure) -> Message {
    guard bytes.count <= min(limits.maxMessage, Int(Int32.max)) else {
      throw ParseFailure(error: SIPError(513, "Message Too Large", "RFC 3261 §21.5.14"))
    }
    let index = HeaderIndex(bytes.span, limits: limits)
    let head: MessageHead
    do {
      head = try MessageHead(bytes.span, index)
    } catch {
      throw StatelessReply.failure(error, bytes, index, flow)
    }
    return Message(bytes: bytes, flow: flow, entries: index.entries, present: index.present, head: head)
  }
}
