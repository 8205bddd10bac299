/// The server's side of one WebSocket, from the HTTP request that opens it to its close: octets in, events out (RFC 6455
/// §4 to §7, RFC 7118 §4 and §5). It does no I/O and has no timer; octets may come in any pieces.
///
/// Memory is bounded: by the head of the request, then by one message, however it is fragmented. Left out: extensions
/// (none is negotiated, so reserved bits are an error) and frames of a server.
struct WebSocketStream {
  enum Event: Equatable {
    /// The request is good: send this; from here on messages may be sent.
    case opened([UInt8])
    /// One SIP message, in whatever kind of frames it came.
    case message([UInt8])
    /// CRLF CRLF: answer it with a message of CRLF (RFC 5626 §3.5.1).
    case keepAlive
    /// Something that needs no answer: a pong, a single CRLF.
    case sign
    /// A control frame to send: a pong.
    case reply([UInt8])
    /// The request is no good: send this and close.
    case refused([UInt8])
    /// The peer has broken a rule: send this and close.
    case failed([UInt8])
    /// The peer closes: send this and close.
    case closed([UInt8])
  }

  private enum State {
    case upgrade
    /// Between messages.
    case open
    /// A message has begun in a frame that was not its last.
    case fragmented(isText: Bool, message: [UInt8])
    case ended
  }

  private var state = State.upgrade
  private var buffer: [UInt8] = []
  private var start = 0
  private var searched = 0
  private let maxMessage: Int
  private let origins: [String]

  init(maxMessage: Int, origins: [String]) {
    self.maxMessage = maxMessage
    self.origins = origins
  }

  mutating func append(_ bytes: some Collection<UInt8>) {
    if case .ended = state { return }
    buffer.append(contentsOf: bytes)
  }

  /// The peer has begun something that he owes the rest of.
  var isPartial: Bool {
    if case .fragmented = state { return true }
    return start < buffer.count
  }

  /// The next event; nil until more octets come, and for ever once it is refused, failed or closed.
  mutating func next() -> Event? {
    switch state {
    case .ended: return nil
    case .upgrade: return upgrade()
    case .open, .fragmented: break
    }
    while let frame = frame() {
      switch frame {
      case .failure(let code): return end(code)
      case .frame(let frame):
        if let event = take(frame) { return event }
      }
    }
    return nil
  }

  private mutating func end(_ code: WebSocketFrame.CloseCode) -> Event {
    state = .ended
    buffer = []
    start = 0
    return .failed(WebSocketFrame.close(code))
  }

  private mutating func upgrade() -> Event? {
    var end: Int?
    var i = max(0, searched - 3)
    while end == nil, i + 4 <= buffer.count {
      if buffer[i..<(i + 4)].elementsEqual([13, 10, 13, 10]) { end = i + 4 }
      i += 1
    }
    searched = buffer.count
    let answer: WebSocketUpgrade.Answer
    if let end, end <= WebSocketUpgrade.maxHead {
      answer = WebSocketUpgrade.answer(buffer[..<end], origins: origins)
      start = end
    } else if buffer.count > WebSocketUpgrade.maxHead {
      answer = WebSocketUpgrade.refuse(431, "Request Header Fields Too Large", "the request is too long")
    } else if let first = buffer.first, !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) {
      answer = WebSocketUpgrade.refuse(400, "Bad Request", "not an HTTP request")
    } else {
      return nil
    }
    switch answer {
    case .accepted(let response):
      state = .open
      compact()
      return .opened(response)
    case .refused(let response):
      state = .ended
      buffer = []
      start = 0
      return .refused(response)
    }
  }

  // MARK: Frames

  private struct Frame {
    var isFinal: Bool
    var opcode: WebSocketFrame.Opcode
    var payload: [UInt8]
  }
  private enum Parsed {
    case frame(Frame)
    case failure(WebSocketFrame.CloseCode)
  }

  /// RFC 6455 §5.2.
  private mutating func frame() -> Parsed? {
    let waiting = buffer.count - start
    guard waiting >= 2 else { return nil }
    let first = buffer[start]
    guard first & 0x70 == 0, let opcode = WebSocketFrame.Opcode(rawValue: first & 0x0f) else {
      return .failure(.protocolError)
    }
    // §5.1: a client masks everything.
    guard buffer[start + 1] & 0x80 != 0 else { return .failure(.protocolError) }
    var length = UInt64(buffer[start + 1] & 0x7f)
    var head = 2
    // §5.5: a control frame is short and whole.
    if opcode.rawValue >= 8, length > 125 || first & 0x80 == 0 { return .failure(.protocolError) }
    if length >= 126 {
      let octets = length == 126 ? 2 : 8
      guard waiting >= 2 + octets else { return nil }
      length = buffer[(start + 2)..<(start + 2 + octets)].reduce(0) { $0 << 8 | UInt64($1) }
      head += octets
      // §5.2: in as few octets as it takes.
      guard length >= (octets == 2 ? 126 : 65_536) else { return .failure(.protocolError) }
    }
    guard length <= UInt64(maxMessage - gathered) else { return .failure(.tooBig) }
    guard waiting >= head + 4 + Int(length) else { return nil }
    let mask = (0..<4).map { buffer[start + head + $0] }
    let from = start + head + 4
    var payload = Array(buffer[from..<(from + Int(length))])
    for i in payload.indices { payload[i] ^= mask[i & 3] }
    start = from + Int(length)
    compact()
    return .frame(Frame(isFinal: first & 0x80 != 0, opcode: opcode, payload: payload))
  }

  private var gathered: Int {
    if case .fragmented(_, let message) = state { return message.count }
    return 0
  }

  /// Nil where nothing has come of it yet.
  private mutating func take(_ frame: Frame) -> Event? {
    switch frame.opcode {
    case .ping: return .reply(WebSocketFrame.head(.pong, frame.payload.count) + frame.payload)
    case .pong: return .sign
    case .close: return closed(frame.payload)
    case .text, .binary:
      guard case .open = state else { return end(.protocolError) }
      guard frame.isFinal else {
        state = .fragmented(isText: frame.opcode == .text, message: frame.payload)
        return nil
      }
      return message(frame.payload, isText: frame.opcode == .text)
    case .continuation:
      guard case .fragmented(let isText, var message) = state else { return end(.protocolError) }
      state = .open
      message += frame.payload
      guard frame.isFinal else {
        state = .fragmented(isText: isText, message: message)
        return nil
      }
      return self.message(message, isText: isText)
    }
  }

  private mutating func message(_ bytes: [UInt8], isText: Bool) -> Event {
    // §8.1: text is UTF-8, or the connection has failed.
    if isText, !WebSocketFrame.isText(bytes) { return end(.invalidPayload) }
    if bytes.elementsEqual([13, 10, 13, 10]) { return .keepAlive }
    return bytes.count <= 8 ? .sign : .message(bytes)
  }

  /// §5.5.1: a close is answered with the same code, unless that may not be sent.
  private mutating func closed(_ payload: [UInt8]) -> Event {
    guard payload.count != 1 else { return end(.protocolError) }
    state = .ended
    buffer = []
    start = 0
    guard payload.count >= 2 else { return .closed(WebSocketFrame.head(.close, 0)) }
    let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
    let isAllowed = (1000...1003).contains(code) || (1007...1014).contains(code) || (3000...4999).contains(code)
    guard isAllowed else { return .closed(WebSocketFrame.close(.protocolError)) }
    return .closed(WebSocketFrame.head(.close, 2) + payload.prefix(2))
  }

  private mutating func compact() {
    if start == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 65_536)
      start = 0
    } else if start > 16_384 {
      buffer.removeSubrange(..<start)
      start = 0
    }
  }
}
