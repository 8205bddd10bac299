import NetCore
import SIPMessage
import Testing

@Suite("RFC 3261 §18.3, RFC 5626 §3.5.1: streams")
struct FramerTests {
  private func frames(_ pieces: [some Collection<UInt8>]) throws(SIPError) -> [StreamFramer.Frame] {
    var framer = StreamFramer()
    var out: [StreamFramer.Frame] = []
    for piece in pieces {
      framer.append(piece)
      while let frame = try framer.next() { out.append(frame) }
    }
    return out
  }

  @Test("two messages and keep-alives, split at every octet")
  func everySplit() throws {
    let a = Array(Fixture.request("MESSAGE", body: "hello\r\n\r\nSIP/2.0").utf8)
    let b = Array(Fixture.request("OPTIONS", headers: "X: a\r\n b\r\n").utf8)
    let stream = a + Array("\r\n\r\n".utf8) + b + Array("\r\n".utf8) + a
    let expected: [StreamFramer.Frame] = [.message(a), .keepAlive, .message(b), .pong, .message(a)]
    for i in 0...stream.count { #expect(try frames([stream[..<i], stream[i...]]) == expected) }
    #expect(try frames(stream.map { [$0] }) == expected)
    #expect(try frames([stream]) == expected)
  }

  @Test("the whole corpus, octet by octet", .enabled(if: TortureCorpus.folder != nil), arguments: TortureCorpus.cases)
  func corpus(_ c: TortureCorpus.Case) throws {
    var whole = StreamFramer()
    whole.append(c.bytes)
    let expected = drain(&whole)
    var framer = StreamFramer()
    var out: [StreamFramer.Frame] = []
    var failed = false
    for octet in c.bytes {
      framer.append([octet])
      let (frames, error) = drain(&framer)
      out += frames
      failed = failed || error
    }
    #expect(out == expected.0 && failed == expected.1)
    if c.kind == "valid", c.file != "dblreq.dat" {
      guard case .message(let bytes)? = out.first else {
        Issue.record("no message")
        return
      }
      #expect((try? MessageParser.parse(bytes, flow: Fixture.flow)) != nil)
    }
  }

  private func drain(_ framer: inout StreamFramer) -> ([StreamFramer.Frame], Bool) {
    var out: [StreamFramer.Frame] = []
    do {
      while let frame = try framer.next() { out.append(frame) }
      return (out, false)
    } catch {
      return (out, true)
    }
  }

  @Test(
    "RFC 4475 §3.1.2.3, §3.3.9: a head whose length cannot be believed is delivered, then the stream ends",
    arguments: ["Content-Length: -1\r\n", "Content-Length: 1\r\nl: 2\r\n", "Content-Length: 99999999\r\n", "l:\r\n"])
  func badLength(_ header: String) throws {
    var framer = StreamFramer()
    framer.append(Fixture.request().replacing("Content-Length: 0\r\n", with: header).utf8)
    guard case .message(let bytes)? = try framer.next() else {
      Issue.record("no message")
      return
    }
    #expect(throws: ParseFailure.self) { try MessageParser.parse(bytes, flow: Fixture.flow) }
    #expect(throws: SIPError.self) { try framer.next() }
    framer.append(Fixture.request().utf8)
    #expect(throws: SIPError.self) { try framer.next() }
  }

  @Test(
    "another fault of a head does not end the stream",
    arguments: ["No colon\r\n", "X: a\rb\r\n", "Max-Forwards: 1\r\n"])
  func otherFault(_ header: String) throws {
    var framer = StreamFramer()
    framer.append(Fixture.request(headers: header, body: "abc").utf8)
    framer.append(Fixture.request().utf8)
    guard case .message(let bad)? = try framer.next() else {
      Issue.record("no message")
      return
    }
    #expect(throws: ParseFailure.self) { try MessageParser.parse(bad, flow: Fixture.flow) }
    #expect(try framer.next() == .message(Array(Fixture.request().utf8)))
  }

  @Test("a missing Content-Length is no body; what follows must be SIP")
  func noLength() throws {
    var framer = StreamFramer()
    framer.append((Fixture.request(body: "v=0\r\n").replacing("Content-Length: 5\r\n", with: "")).utf8)
    #expect(try framer.next() != nil)
    #expect(throws: SIPError.self) { try framer.next() }
  }

  @Test(
    "what is no SIP ends the stream at its first line",
    arguments: ["GET / HTTP/1.1\r\n", "v=0\r\n", "\u{16}\u{3}\u{1}", "\rX"])
  func notSIP(_ text: String) {
    var framer = StreamFramer()
    framer.append(text.utf8)
    #expect(throws: SIPError.self) { try framer.next() }
  }

  @Test("an endless header section ends the stream")
  func endless() throws {
    var framer = StreamFramer()
    framer.append("OPTIONS sip:h SIP/2.0\r\n".utf8)
    #expect(throws: SIPError.self) {
      for _ in 0..<4000 {
        framer.append("X: 0123456789\r\n".utf8)
        _ = try framer.next()
      }
    }
    #expect(framer.pending == 0)
  }

  @Test("RFC 5626 §4.4.1: a pong is told at once where one is awaited")
  func pong() throws {
    var framer = StreamFramer()
    framer.append("\r\n".utf8)
    #expect(try framer.next() == nil && framer.pending == 2)
    framer.awaitsPong = true
    #expect(try framer.next() == .pong && framer.pending == 0 && !framer.awaitsPong)
  }
}
