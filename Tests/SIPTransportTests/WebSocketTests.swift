import Testing

@testable import SIPTransport

@Suite struct WebSocketTests {
  static let request = """
    GET /sip HTTP/1.1\r
    Host: sip.example.com\r
    Upgrade: websocket\r
    Connection: keep-alive, Upgrade\r
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
    Origin: https://phone.example.com\r
    Sec-WebSocket-Protocol: xmpp, sip\r
    Sec-WebSocket-Version: 13\r
    \r\n
    """

  /// A client's frame, masked.
  static func frame(_ first: UInt8, _ payload: [UInt8], length: [UInt8]? = nil, mask: [UInt8] = [1, 2, 3, 4]) -> [UInt8]
  {
    var head = [first]
    if let length {
      head += length
    } else if payload.count < 126 {
      head.append(0x80 | UInt8(payload.count))
    } else {
      head += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
    }
    return head + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
  }

  static func text(_ text: String) -> [UInt8] { frame(0x81, Array(text.utf8)) }

  private func opened(maxMessage: Int = 1000) -> WebSocketStream {
    var stream = WebSocketStream(maxMessage: maxMessage, origins: [])
    stream.append(Self.request.utf8)
    guard case .opened? = stream.next() else { preconditionFailure("the upgrade was refused") }
    return stream
  }

  private func events(_ octets: [UInt8], maxMessage: Int = 1000) -> [WebSocketStream.Event] {
    var stream = opened(maxMessage: maxMessage)
    stream.append(octets)
    var events: [WebSocketStream.Event] = []
    while let event = stream.next() { events.append(event) }
    return events
  }

  private static func closing(_ code: Int) -> WebSocketStream.Event {
    .failed([0x88, 2, UInt8(code >> 8), UInt8(code & 0xff)])
  }

  @Test("RFC 6455 §1.3, RFC 7118 §4: the request is answered with its proof and the subprotocol sip")
  func upgrade() {
    var stream = WebSocketStream(maxMessage: 1000, origins: [])
    for octet in Self.request.utf8.dropLast() {
      stream.append([octet])
      #expect(stream.next() == nil && stream.isPartial)
    }
    stream.append([0x0a])
    guard case .opened(let bytes) = stream.next() else { return #expect(Bool(false), "not opened") }
    let response = String(decoding: bytes, as: UTF8.self)
    #expect(response.hasPrefix("HTTP/1.1 101 "))
    #expect(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
    #expect(response.contains("\r\nSec-WebSocket-Protocol: sip\r\n") && response.hasSuffix("\r\n\r\n"))
    #expect(!stream.isPartial)
  }

  @Test(
    "RFC 6455 §4.2.1: a bad request gets an HTTP error that says what is wrong",
    arguments: [
      ("GET /sip", "POST /sip", "405 "), ("HTTP/1.1", "HTTP/1.0", "505 "), ("GET /sip HTTP/1.1", "GET /sip", "400 "),
      ("Host: sip.example.com\r\n", "", "400 "), ("Upgrade: websocket\r\n", "", "426 "),
      ("Upgrade: websocket", "Upgrade: h2c", "426 "), ("keep-alive, Upgrade", "close", "426 "),
      ("Version: 13", "Version: 8", "426 "), ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400 "),
      ("xmpp, sip", "xmpp", "400 "), ("Sec-WebSocket-Protocol: xmpp, sip\r\n", "", "400 "),
      ("Host:", "Content-Length: 5\r\nHost:", "400 "), ("Host:", "Host: other\r\nHost:", "400 "),
      ("Host:", "Bad Name: x\r\nHost:", "400 "), ("Origin:", "Origin\u{0}:", "400 "),
      ("https://phone.example.com", "https://evil.example.com", "403 "),
    ])
  func badUpgrade(_ part: String, _ other: String, _ status: String) {
    let request = Self.request.replacing(part, with: other)
    #expect(request != Self.request)
    var stream = WebSocketStream(maxMessage: 1000, origins: ["https://phone.example.com"])
    stream.append(request.utf8)
    guard case .refused(let bytes) = stream.next() else { return #expect(Bool(false), "not refused") }
    let response = String(decoding: bytes, as: UTF8.self)
    #expect(response.hasPrefix("HTTP/1.1 " + status))
    #expect(response.contains("\r\nConnection: close\r\n"))
    stream.append(Self.text("more"))
    #expect(stream.next() == nil)
  }

  @Test("What is not HTTP, or has no end, is refused before it is long")
  func boundedUpgrade() {
    var stream = WebSocketStream(maxMessage: 1000, origins: [])
    stream.append([0x16, 3, 1])
    if case .refused? = stream.next() {} else { #expect(Bool(false), "a TLS hello is no HTTP") }
    stream = WebSocketStream(maxMessage: 1000, origins: [])
    stream.append("GET /".utf8)
    var total = 0
    while total < 100_000 {
      stream.append([UInt8](repeating: 0x61, count: 100))
      total += 100
      if let event = stream.next() {
        if case .refused(let bytes) = event { #expect(String(decoding: bytes, as: UTF8.self).contains(" 431 ")) }
        break
      }
    }
    #expect(total <= WebSocketUpgrade.maxHead + 100)
  }

  @Test("RFC 6455 §10.2: where no origins are configured every page may connect, and what is no browser always may")
  func origins() {
    var stream = WebSocketStream(maxMessage: 1000, origins: [])
    stream.append(Self.request.replacing("phone.example", with: "any.example").utf8)
    if case .opened? = stream.next() {} else { #expect(Bool(false)) }
    stream = WebSocketStream(maxMessage: 1000, origins: ["https://phone.example.com"])
    stream.append(Self.request.replacing("Origin: https://phone.example.com\r\n", with: "").utf8)
    if case .opened? = stream.next() {} else { #expect(Bool(false)) }
  }

  @Test("RFC 7118 §5.1: one message a frame, of text or binary, wherever the octets are cut")
  func messages() {
    let long = String(repeating: "long message ", count: 60)
    let octets =
      Self.text("first message") + Self.frame(0x82, [0xff, 0xfe] + Array("binary...".utf8)) + Self.text(long)
    let wanted: [WebSocketStream.Event] = [
      .message(Array("first message".utf8)), .message([0xff, 0xfe] + Array("binary...".utf8)),
      .message(Array(long.utf8)),
    ]
    #expect(events(octets) == wanted)
    for cut in 1..<octets.count {
      var stream = opened()
      var found: [WebSocketStream.Event] = []
      for part in [octets[..<cut], octets[cut...]] {
        stream.append(part)
        while let event = stream.next() { found.append(event) }
      }
      #expect(found == wanted, "cut at \(cut)")
      #expect(!stream.isPartial)
    }
  }

  @Test("RFC 6455 §5.4: a message in fragments is one message, with pings in between answered at once")
  func fragments() {
    let octets =
      Self.frame(0x01, Array("first ".utf8)) + Self.frame(0x89, [7, 8]) + Self.frame(0x00, Array("second ".utf8))
      + Self.frame(0x80, Array("third".utf8))
    #expect(events(octets) == [.reply([0x8a, 2, 7, 8]), .message(Array("first second third".utf8))])
    var stream = opened()
    stream.append(Self.frame(0x01, Array("begun".utf8)))
    #expect(stream.next() == nil && stream.isPartial, "the rest is owed")
  }

  @Test("RFC 5626 §3.5.1, RFC 7118 §6: CRLF CRLF is a keep-alive in a WebSocket too; pongs need no answer")
  func keepAlive() {
    #expect(events(Self.text("\r\n\r\n")) == [.keepAlive])
    #expect(events(Self.text("\r\n")) == [.sign])
    #expect(events(Self.frame(0x8a, [1])) == [.sign])
  }

  @Test(
    "RFC 6455 §5, §7.4.1: a broken rule closes with its code",
    arguments: [
      ([0x81, 0x05, 1, 2, 3, 4, 5], 1002),  // not masked (§5.1)
      (frame(0xc1, [1]), 1002),  // a reserved bit (§5.2)
      (frame(0x83, [1]), 1002),  // a reserved opcode
      (frame(0x09, [1]), 1002),  // a ping in fragments (§5.5)
      ([0x89, 0x80 | 126, 0, 126, 0, 0, 0, 0], 1002),  // a long ping
      (frame(0x80, [1]), 1002),  // the rest of nothing (§5.4)
      (frame(0x01, [0x61]) + frame(0x81, [0x61]), 1002),  // a message within a message
      (frame(0x81, [1], length: [0x80 | 126, 0, 1]), 1002),  // a length that could be shorter
      (frame(0x81, [], length: [0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 1009),
      (frame(0x81, [], length: [0x80 | 126, 0x03, 0xe9]), 1009),  // 1001 octets, announced
      (frame(0x02, [UInt8](repeating: 1, count: 900)) + frame(0x80, [UInt8](repeating: 1, count: 101)), 1009),
      (frame(0x81, [0xff, 0xfe, 0x41]), 1007),  // text that is not UTF-8 (§8.1)
      (frame(0x88, [3]), 1002),  // half a code (§5.5.1)
    ] as [([UInt8], Int)])
  func brokenRules(_ octets: [UInt8], _ code: Int) {
    let found = events(octets + Self.text("never delivered"))
    #expect(found == [Self.closing(code)])
  }

  @Test("RFC 6455 §5.5.1: a close is answered with its code, and nothing after it counts")
  func close() {
    #expect(events(Self.frame(0x88, [3, 0xe8, 0x62]) + Self.text("late message")) == [.closed([0x88, 2, 3, 0xe8])])
    #expect(events(Self.frame(0x88, [])) == [.closed([0x88, 0])])
    #expect(events(Self.frame(0x88, [3, 0xed])) == [.closed([0x88, 2, 3, 0xea])], "1005 is never sent")
  }

  @Test("RFC 6455 §5.2: heads of our own frames; what is not UTF-8 goes in a binary one (RFC 7118 §5.1)")
  func heads() {
    #expect(WebSocketFrame.head(ofMessage: Array("abc".utf8)) == [0x81, 3])
    #expect(WebSocketFrame.head(ofMessage: [0xff]) == [0x82, 1])
    #expect(WebSocketFrame.head(.text, 126) == [0x81, 126, 0, 126])
    #expect(WebSocketFrame.head(.text, 70_000) == [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70])
  }

  @Test("Octets at random neither trap nor keep the stream busy for ever")
  func noise() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var stream = opened()
      for _ in 0..<20 {
        stream.append((0..<Int.random(in: 1...40)).map { _ in UInt8.random(in: 0...255, using: &random) })
        var count = 0
        while stream.next() != nil { count += 1 }
        #expect(count <= 40)
      }
    }
  }
}
