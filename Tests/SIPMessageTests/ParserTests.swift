import NetCore
import SIPMessage
import Testing

@Suite("RFC 3261 §7, §20: the parser")
struct ParserTests {
  @Test("RFC 3261 §7.1: a plain request")
  func plain() throws {
    let m = try Fixture.parse(
      Fixture.request(
        "INVITE", headers: "Content-Type: application/sdp\r\nSupported: 100rel, timer\r\n", body: "v=0\r\n"))
    #expect(m.isRequest && m.method == .invite && m.status == 0 && m.cseq == 1 && m.maxForwards == 70)
    #expect(text(m.requestURI.bytes) == "sip:bob@example.com")
    #expect(text(m.fromTag) == "1928301774" && m.toTag == nil)
    #expect(m.from.displayName == "Alice" && text(m.to.uri.user) == "bob")
    #expect(text(m.body) == "v=0\r\n" && text(m.contentType) == "application/sdp")
    #expect(m.hasToken("100REL", in: .supported) && !m.hasToken("100", in: .supported))
    #expect(m.via.isRFC3261 && text(m.via.sentBy) == "127.0.0.2" && m.via.transport == .udp)
    #expect(m.headers.map { text($0.nameBytes) }.first == "Via")
    #expect(m.flow == Fixture.flow)
  }

  @Test("RFC 3261 §7.2: a response takes its method from CSeq")
  func response() throws {
    let m = try Fixture.parse(
      "SIP/2.0 486 Busy Here\r\nv: SIP/2.0/TCP h:5070;branch=z9hG4bKa\r\nf: <sip:a@h>;tag=1\r\nt: <sip:b@h>;tag=2\r\n"
        + "i: x\r\nCSeq: 7 INVITE\r\nl: 0\r\n\r\n")
    #expect(!m.isRequest && m.status == 486 && m.method == .invite && text(m.methodName) == "INVITE")
    #expect(text(m.reasonPhrase) == "Busy Here" && m.requestURI.bytes.isEmpty && m.via.port == 5070)
  }

  struct Bad: Sendable, CustomTestStringConvertible {
    var message: String
    var status = 400
    var reason: String
    init(_ message: String, _ reason: String, status: Int = 400) {
      self.message = message
      self.reason = reason
      self.status = status
    }
    var testDescription: String { reason }
  }

  static let bad: [Bad] = [
    .init(Fixture.request(uri: "bob@example.com"), "Request-URI: URI has no scheme"),
    .init(Fixture.request(uri: "sip:"), "Request-URI: URI is empty after its scheme"),
    .init(Fixture.request(uri: "sip:@h"), "Request-URI: URI has '@' but no user"),
    .init(Fixture.request(uri: "sip:a@b@c"), "Request-URI: URI has a second '@'"),
    .init(Fixture.request(uri: "sip:a@h:99999"), "Request-URI: URI has a bad port"),
    .init(Fixture.request(uri: "sip:a@h:"), "Request-URI: URI has a bad port"),
    .init(Fixture.request(uri: "sip:a@[::1"), "Request-URI: bad IPv6 reference"),
    .init(Fixture.request(uri: "sip:a@"), "Request-URI: no host name"),
    .init(Fixture.request(uri: "sip:a%4@h"), "Request-URI: '%' in a URI without two hex digits"),
    .init(Fixture.request(uri: "sip:a@h;;lr"), "Request-URI: URI parameter without a name"),
    .init(Fixture.request(uri: "sip:a@h?x=y"), "Request-URI: headers are not allowed there"),
    .init(Fixture.request(uri: "sip:a@h x"), "white space in or after the Request-URI"),
    .init(Fixture.request(cseq: "1 INVITE"), "CSeq names another method than the request line"),
    .init(Fixture.request(cseq: "2147483648 OPTIONS"), "CSeq is not a number below 2^31"),
    .init(Fixture.request(cseq: "-1 OPTIONS"), "CSeq is not a number below 2^31"),
    .init(Fixture.request(cseq: "1"), "CSeq has no method"),
    .init(Fixture.request("FOO", cseq: "1 BAR"), "Method Not Implemented, and CSeq names another", status: 501),
    .init(Fixture.request(callID: "a b"), "Call-ID is empty or has white space"),
    .init(Fixture.request(callID: ""), "Call-ID is empty or has white space"),
    .init(Fixture.request(via: "SIP/2.0/UDP"), "Via: no white space after the transport"),
    .init(Fixture.request(via: "SIP/2.0/UDP h:x"), "Via: bad port"),
    .init(Fixture.request(via: "SIP/3.0/UDP h"), "Via: protocol version is not 2.0"),
    .init(Fixture.request(via: "HTTP/2.0/UDP h"), "Via: protocol is not SIP"),
    .init(Fixture.request(via: "SIP/2.0/UDP h;branch=z9hG4bK"), "Via: branch is the magic cookie and nothing more"),
    .init(Fixture.request(via: "SIP/2.0/UDP h;branch"), "Via: branch without a value"),
    .init(Fixture.request(via: "SIP/2.0/UDP h;rport=99999"), "Via: bad rport"),
    .init(Fixture.request(via: "SIP/2.0/UDP h;ttl=256"), "Via: bad ttl"),
    .init(Fixture.request(from: "<sip:a@h;tag=1"), "From: '<' is not closed"),
    .init(Fixture.request(from: "\"A\" sip:a@h;tag=1"), "From: no '<' after the display name"),
    .init(Fixture.request(from: "<sip:a@h>;tag="), "From: parameter with '=' but no value"),
    .init(Fixture.request(from: "<sip:a@h>;tag"), "From: tag without a value"),
    .init(Fixture.request(from: "<sip:a@h> x"), "From: unexpected text where a parameter may start"),
    .init(Fixture.request(to: "<sip:a@h>, <sip:b@h>"), "To: more than one address"),
    .init(Fixture.request(headers: "Max-Forwards: 1\r\n"), "Max-Forwards is there more than once"),
    .init(Fixture.request(headers: "i: 1\r\n"), "Call-ID is there more than once"),
    .init(Fixture.request(headers: "Contact: <sip:a@h>,\r\n"), "Contact: empty"),
    .init(
      Fixture.request(headers: "Contact: *\r\n"),
      "Contact: neither a URI nor a display name with a URI; a comma in a name needs quotes"),
    .init(Fixture.request(headers: "No colon\r\n"), "header line without a name and a colon"),
    .init(Fixture.request(headers: ": x\r\n"), "header line without a name and a colon"),
    .init(Fixture.request(headers: "X: a\rb\r\n"), "CR or LF alone in a header"),
    .init(Fixture.request(headers: "X: a\nVia: b\r\n"), "CR or LF alone in a header"),
    .init(
      Fixture.request().replacing("Max-Forwards: 70", with: "Max-Forwards: 256"),
      "Max-Forwards is not a number from 0 to 255"),
    .init(Fixture.request().replacing(" SIP/2.0\r\n", with: " SIP/2.1\r\n"), "SIP Version Not Supported", status: 505),
    .init(
      Fixture.request().replacing("Content-Length: 0", with: "Content-Length: 1"),
      "Content-Length is more than the body has"),
    .init(
      Fixture.request().replacing("Content-Length: 0", with: "Content-Length: 99999999999999999999"),
      "Content-Length is not a number"),
  ]

  @Test("RFC 3261 §21.4.1: what is refused, and how the answer names it", arguments: bad)
  func refused(_ c: Bad) throws {
    let failure = try #require(Fixture.failure(c.message))
    #expect(failure.error.reason == c.reason && failure.error.status == c.status)
    let reply = try #require(text(failure.reply))
    #expect(reply.hasPrefix("SIP/2.0 \(c.status) \(c.reason)\r\n"))
    if !c.message.contains("X: a\nVia") {
      let parsed = try? MessageParser.parse(Array(reply.utf8), flow: Fixture.flow)
      // The headers of a reply are those of the request, so it parses where the fault is not in one of them.
      if c.reason.hasPrefix("Request-URI") { #expect(parsed?.toTag?.count == 16) }
    }
  }

  @Test("RFC 3261 §8.2.7: the same refusal has the same To-tag")
  func statelessTag() {
    let one = Fixture.failure(Fixture.request(uri: "x"))?.reply
    #expect(one != nil && one == Fixture.failure(Fixture.request(uri: "x"))?.reply)
    #expect(one != Fixture.failure(Fixture.request(uri: "x", via: "SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKother"))?.reply)
  }

  @Test(
    "no answer to an ACK, to a response, to what has no Via or no Call-ID and CSeq",
    arguments: [
      Fixture.request("ACK", uri: "nonsense"), "SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 200\r\n\r\n", "\r\n\r\n", "",
      "\0\0\0\0",
      "OPTIONS x SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n", "OPTIONS x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "OPTIONS sip:h SIP/2.0",
    ])
  func silent(_ message: String) throws {
    let failure = try #require(Fixture.failure(message))
    #expect(failure.reply == nil && failure.replyFlow == nil)
  }

  @Test("RFC 3261 §7.5: CRLF before the start line is ignored")
  func leading() throws {
    let message = try Fixture.parse("\r\n\r\n" + Fixture.request())
    #expect(message.method == .options)
  }

  @Test("RFC 3261 §18.3: a datagram's body")
  func bodies() throws {
    let without = Fixture.request(body: "abc").replacing("Content-Length: 3\r\n", with: "")
    #expect(try text(Fixture.parse(without).body) == "abc")
    #expect(try text(Fixture.parse(Fixture.request(body: "abc") + "trailing").body) == "abc")
  }

  @Test("limits: too large, too many lines, too long a header section")
  func limits() throws {
    var limits = ParserLimits()
    limits.maxHeaderLines = 8
    limits.maxHeaderBytes = 600
    limits.maxMessage = 1000
    func status(_ text: String) -> Int? {
      do throws(ParseFailure) {
        _ = try MessageParser.parse(Array(text.utf8), flow: Fixture.flow, limits: limits)
        return nil
      } catch {
        return error.error.status
      }
    }
    #expect(status(Fixture.request()) == nil)
    #expect(status(Fixture.request(headers: "X: 1\r\n")) == nil)
    #expect(status(Fixture.request(headers: "X: 1\r\nX: 2\r\n")) == 513)
    #expect(status(Fixture.request(headers: "X: \(String(repeating: "x", count: 600))\r\n")) == 513)
    #expect(status(Fixture.request(body: String(repeating: "x", count: 1000))) == 513)
    limits = ParserLimits()
    limits.maxHeaderBytes = .max
    limits.maxMessage = .max
    #expect(status(Fixture.request(headers: "X: \(String(repeating: "x", count: 70000))\r\n")) == 513)
    #expect(status(Fixture.request(body: String(repeating: "x", count: 200_000))) == nil)
  }

  @Test("RFC 3261 §7.3.1, §7.3.3: names in any case and compact, lists over several lines")
  func names() throws {
    let m = try Fixture.parse(
      Fixture.request(
        headers: "K: a, b\r\nSUPPORTED: c\r\nx-Foo: 1\r\nX-FOO:2\r\nWarning: 399 h \"a, b\", 399 h \"c\"\r\n"))
    #expect(m.values(.supported).map { text($0) } == ["a", "b", "c"])
    #expect(m.all(.supported).count == 2 && text(m.first(named: "k")) == "a, b")
    #expect(m.all(named: "X-Foo").map { text($0) } == ["1", "2"] && text(m.first(named: "x-foo")) == "1")
    #expect(m.values(.warning).count == 2 && m.first(named: "nothing") == nil && m.first(.route) == nil)
    #expect(m.hasToken("C", in: .supported) && m.has(.warning) && !m.has(.route))
  }

  @Test("every name is found by its long form, in any case", arguments: HeaderName.allCases.filter { $0 != .other })
  func headerName(_ name: HeaderName) {
    #expect(HeaderName(bytes("\(name.text)")) == name)
    #expect(HeaderName(bytes("\(name.text)".uppercased())) == name)
    #expect(HeaderName(bytes("\(name.text)x")) == .other)
  }

  @Test("RFC 3261 §7.1: methods are case-sensitive", arguments: Method.allCases.filter { $0 != .unknown })
  func method(_ method: Method) {
    #expect(Method(bytes("\(method.name)")) == method)
    #expect(Method(bytes("\(method.name)".lowercased())) == .unknown)
    #expect(Method(bytes("\(method.name)S")) == .unknown)
  }
}
