import NetCore
import SIPMessage
import Testing

@Suite("RFC 3261 §8.2.6, §18.2: writing")
struct WriterTests {
  @Test("CR, LF and NUL cannot leave a value")
  func injection() throws {
    var w = MessageWriter()
    w.requestLine(.options, uri: bytes("sip:a@h\r\nX: y"))
    w.header(.via, "SIP/2.0/UDP h;branch=z9hG4bKx")
    w.header(.from, bytes("<sip:a@h>;tag=1\r\nEvil: 1"))
    w.header(.to, "\(String("<sip:b@h>"))")
    w.header(name: bytes("X:\r\nBad"), value: bytes("a\0b\nc"))
    w.header(.callID, "1")
    w.header(.cSeq, "1 OPTIONS")
    w.header(.maxForwards, number: 70)
    w.finish(body: bytes("hello"), contentType: "text/plain")
    let all = String(decoding: w.bytes, as: UTF8.self)
    #expect(all.hasPrefix("OPTIONS sip:a@hX:y SIP/2.0\r\n"))
    #expect(all.contains("From: <sip:a@h>;tag=1  Evil: 1\r\n") && all.contains("X---Bad: a b c\r\n"))
    #expect(all.hasSuffix("Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"))
  }

  @Test("numbers", arguments: [0, 9, 10, 99, 100, 65535, 4_294_967_295, .max, -5])
  func numbers(_ n: Int) {
    var w = MessageWriter()
    w.append(number: n)
    #expect(String(decoding: w.bytes, as: UTF8.self) == String(n))
  }

  @Test("RFC 3581 §4, RFC 3261 §18.2.1: received and rport say what was seen")
  func via() throws {
    let request = try Fixture.parse(
      Fixture.request(
        via:
          "SIP/2.0/UDP pc33.example.com:5066;received=9.9.9.9;rport;branch=z9hG4bKa;x=\"a;b\" , SIP/2.0/TCP two;branch=z9hG4bKb",
        headers: "Via: SIP/2.0/UDP three\r\nTimestamp: 54\r\n"))
    var w = MessageWriter.response(to: request, status: 100)
    w.finish()
    let lines = String(decoding: w.bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
    #expect(lines[0] == "SIP/2.0 100 Trying")
    #expect(
      lines[1]
        == "Via: SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bKa;x=\"a;b\";rport=40000;received=127.0.0.2, SIP/2.0/TCP two;branch=z9hG4bKb"
        || lines[1].hasPrefix(
          "Via: SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bKa;x=\"a;b\";rport=40000;received=127.0.0.2")
    )
    #expect(lines[1].hasSuffix(", SIP/2.0/TCP two;branch=z9hG4bKb"))
    #expect(lines[2] == "Via: SIP/2.0/UDP three")
    #expect(lines.contains("Timestamp: 54") && lines.contains("To: Bob <sip:bob@example.com>"))
    let back = try MessageParser.parse(w.bytes, flow: Fixture.flow)
    #expect(back.via.rport == 40000 && text(back.via.received) == "127.0.0.2" && back.values(.via).count == 3)
  }

  @Test("no received where the Via already names the source; a To-tag is added once")
  func plain() throws {
    let request = try Fixture.parse(Fixture.request())
    var w = MessageWriter.response(to: request, status: 404, reason: "No Such User", toTag: bytes("t1"))
    w.finish()
    let answer = try MessageParser.parse(w.bytes, flow: Fixture.flow)
    #expect(text(answer.via.bytes) == "SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK776asdhds")
    #expect(answer.status == 404 && text(answer.reasonPhrase) == "No Such User" && text(answer.toTag) == "t1")
    let tagged = try Fixture.parse(Fixture.request(to: "<sip:bob@example.com>;tag=old"))
    #expect(
      String(decoding: MessageWriter.response(to: tagged, status: 200, toTag: bytes("new")).bytes, as: UTF8.self)
        .contains("To: <sip:bob@example.com>;tag=old\r\n"))
  }

  @Test(
    "RFC 3261 §18.2.2, RFC 3581 §4: where a response goes",
    arguments: [
      ("SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKa", 5060), ("SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bKa", 5070),
      ("SIP/2.0/UDP h:5070;rport;branch=z9hG4bKa", 40000), ("SIP/2.0/UDP h:5070;maddr=10.0.0.1", 5070),
      ("SIP/2.0/UDP h:0", 5060),
    ])
  func flow(_ via: String, _ port: Int) throws {
    let flow = try Fixture.parse(Fixture.request(via: via)).responseFlow
    #expect(flow.remote == Endpoint(IPAddress(v4: 0x7f00_0002), UInt16(port)))
  }

  @Test("RFC 3261 §18.2.2: on a stream back on its connection")
  func streamFlow() throws {
    var flow = Fixture.flow
    flow.transport = .tcp
    flow.connection = 7
    #expect(try Fixture.parse(Fixture.request(via: "SIP/2.0/TCP h:5070"), flow: flow).responseFlow == flow)
  }

  @Test(
    "every header line, written back, makes the same message", .enabled(if: TortureCorpus.folder != nil),
    arguments: TortureCorpus.cases.filter { !$0.isMalformed })
  func roundTrip(_ c: TortureCorpus.Case) throws {
    let m = try MessageParser.parse(c.bytes, flow: Fixture.flow)
    var w = MessageWriter()
    if m.isRequest {
      w.requestLine(name: m.methodName, uri: m.requestURI.bytes)
    } else {
      w.append("SIP/2.0 ")
      w.append(number: m.status)
      w.append(" ")
      w.append(m.reasonPhrase)
      w.endLine()
    }
    for line in m.headers where line.name != .contentLength { w.copy(line) }
    w.finish(body: m.body)
    let again = try MessageParser.parse(w.bytes, flow: Fixture.flow)
    #expect(again.methodName == m.methodName && again.status == m.status && again.body == m.body)
    let lines = m.headers.filter { $0.name != .contentLength }.map { $0.line }
    #expect(again.headers.filter { $0.name != .contentLength }.map { $0.line } == lines)
    #expect(again.callID == m.callID && again.fromTag == m.fromTag && again.reasonPhrase == m.reasonPhrase)
    if m.isRequest {
      var response = MessageWriter.response(to: m, status: 200, toTag: bytes("x"))
      response.finish()
      let answer = try MessageParser.parse(response.bytes, flow: Fixture.flow)
      #expect(answer.values(.via).count == m.values(.via).count && answer.from.bytes == m.from.bytes)
    }
  }
}
