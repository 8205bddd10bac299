/// Frames as a server sends them: whole and unmasked (RFC 6455 §5.1).
enum WebSocketFrame {
  enum Opcode: UInt8 { case continuation = 0, text, binary, close = 8, ping, pong }

  /// Why a WebSocket is closed (RFC 6455 §7.4.1).
  enum CloseCode: UInt16 {
    case normal = 1000, goingAway, protocolError, unsupportedData
    case invalidPayload = 1007, policyViolation, tooBig
  }

  /// The octets in front of a payload of that length.
  static func head(_ opcode: Opcode, _ length: Int) -> [UInt8] {
    let first = 0x80 | opcode.rawValue
    switch length {
    case ..<126: return [first, UInt8(length)]
    case ..<65_536: return [first, 126, UInt8(length >> 8), UInt8(length & 0xff)]
    default: return [first, 127] + (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
    }
  }

  /// One SIP message is one WebSocket message, of text where it is UTF-8 and else binary (RFC 7118 §5.1).
  static func head(ofMessage bytes: [UInt8]) -> [UInt8] {
    head(isText(bytes) ? .text : .binary, bytes.count)
  }

  static func isText(_ bytes: [UInt8]) -> Bool { (try? UTF8Span(validating: bytes.span)) != nil }

  static func close(_ code: CloseCode) -> [UInt8] {
    head(.close, 2) + [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xff)]
  }
}
