import NetCore
import SIPMessage
import Testing

@Suite("RFC 4475 and RFC 5118: torture messages, at the parser")
struct TortureTests {
  static let available: Comment = "no torture corpus: set NIGHTJAR_TORTURE or keep it in ../shared/torture"

  @Test("the corpus is complete", .enabled(if: TortureCorpus.folder != nil, available))
  func complete() {
    #expect(TortureCorpus.cases.count == 63)
  }

  @Test(
    "each is parsed or refused as INDEX.tsv says", .enabled(if: TortureCorpus.folder != nil, available),
    arguments: TortureCorpus.cases)
  func verdict(_ c: TortureCorpus.Case) throws {
    do throws(ParseFailure) {
      let message = try MessageParser.parse(c.bytes, flow: Fixture.flow)
      #expect(!c.isMalformed, "\(c.file) was accepted")
      // A registrar refuses unksm2, and nobody else.
      #expect(c.preferred != ["400"] || c.file == "unksm2.dat")
      #expect(message.isRequest == (c.method != "RESPONSE"))
      if message.isRequest { #expect(text(message.methodName) == c.method) }
    } catch {
      let expected = try #require(TortureCorpus.malformed[c.file], "\(c.file) was refused: \(error.error)")
      #expect(error.error.status == expected, "\(error.error)")
      #expect(error.error.section.hasPrefix("RFC "))
      // And INDEX.tsv agrees: the status is one that it names, or it wants no answer.
      let wanted = c.preferred + c.tolerated
      #expect(wanted.contains("\(expected)") || (error.reply == nil && wanted.contains("none")))
      #expect((error.reply == nil) == TortureCorpus.unanswered.contains(c.file))
      #expect((error.replyFlow == nil) == (error.reply == nil))
    }
  }

  @Test(
    "a refusal is a complete response with the reason in its phrase",
    .enabled(if: TortureCorpus.folder != nil, available), arguments: TortureCorpus.malformed.keys.sorted())
  func reply(_ file: String) throws {
    let bytes = try #require(TortureCorpus.named(file))
    do throws(ParseFailure) {
      _ = try MessageParser.parse(bytes, flow: Fixture.flow)
    } catch {
      guard let reply = error.reply else { return }
      let lines = String(decoding: reply, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
      #expect(lines.first == "SIP/2.0 \(error.error.status) \(error.error.reason)")
      #expect(lines.contains { $0.hasPrefix("Via: SIP/") })
      #expect(lines.contains("Content-Length: 0"))
      #expect(lines.suffix(2) == ["", ""])
      #expect(error.replyFlow?.remote.ip == Fixture.flow.remote.ip)
    }
  }

  @Test(
    "RFC 4475 §3.1.2.6: the reply goes to the port of the Via", .enabled(if: TortureCorpus.folder != nil, available))
  func viaPort() throws {
    let bytes = try #require(TortureCorpus.named("quotbal.dat"))
    let failure = #expect(throws: ParseFailure.self) { try MessageParser.parse(bytes, flow: Fixture.flow) }
    #expect(failure?.replyFlow?.remote.port == 5050)
    #expect(failure?.error.reason == "To: quoted string is not closed")
  }

  private func message(_ file: String) throws -> Message {
    try MessageParser.parse(try #require(TortureCorpus.named(file)), flow: Fixture.flow)
  }

  @Test("RFC 4475 §3.1.1.1: wsinv, a short tortuous INVITE", .enabled(if: TortureCorpus.folder != nil, available))
  func wsinv() throws {
    let m = try message("wsinv.dat")
    #expect(m.method == .invite && m.cseq == 9 && m.maxForwards == 68)
    #expect(text(m.callID) == "wsinv.ndaksdj@192.0.2.1")
    #expect(text(m.toTag) == "1918181833n")
    #expect(text(m.fromTag) == "98asjd8")
    #expect(m.from.displayName == #"J Rosenberg \""#)
    #expect(text(m.from.uri.user) == "jdrosen")
    #expect(text(m.via.transportName) == "UDP" && text(m.via.host) == "192.0.2.2")
    #expect(text(m.via.branch) == "390skdjuw" && !m.via.isRFC3261)
    #expect(m.values(.via).count == 3)
    #expect(
      try m.values(.via).map { text(try Via(parsing: $0).branch) } == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"])
    #expect(text(m.first(.subject)) == "")
    #expect(text(m.first(named: "NEWfangledheader")) == "newfangled value\r\n continued newfangled value")
    #expect(text(m.first(named: "UnknownHeaderWithUnusualValue")) == ";;,,;;,;")
    #expect(
      m.headers.first { $0.value.contains(0x0d) && $0.name == .other }.flatMap { text($0.unfolded) }
        == "newfangled value continued newfangled value")
    let contact = try #require(try m.addresses(.contact).first)
    #expect(contact.displayName == #"Quoted string """#)
    #expect(contact.qValue == 330 && contact.parameter("secondparam") == .some(nil))
    #expect(text(contact.parameter("newparam") ?? nil) == "newvalue")
    let route = try #require(try m.addresses(.route).first)
    #expect(route.uri.parameter("lr") == .some(nil))
    #expect(m.body.count == 150)
  }

  @Test("RFC 4475 §3.1.1.3: escapes are decoded once", .enabled(if: TortureCorpus.folder != nil, available))
  func escapes() throws {
    let m = try message("esc01.dat")
    #expect(text(m.requestURI.decodedUser) == "sips:user@example.com")
    #expect(text(m.requestURI.host) == "example.net")
    #expect(text(m.to.uri.decodedUser) == "user")
    #expect(text(m.from.uri.decodedUser) == "I have spaces")
    let contact = try #require(try m.addresses(.contact).first)
    #expect(text(contact.uri.decodedUser) == "caller")
    #expect(contact.uri.parameter("lr") == .some(nil))
    #expect(text(contact.uri.parameter("name") ?? nil) == "v%61lue%25%34%31")
  }

  @Test("RFC 4475 §3.1.1.4: an escaped NUL ends nothing", .enabled(if: TortureCorpus.folder != nil, available))
  func escapedNull() throws {
    let m = try message("escnull.dat")
    let contacts = try m.addresses(.contact)
    #expect(contacts.count == 2)
    #expect(!contacts[0].uri.isEquivalent(to: contacts[1].uri))
    #expect(m.to.uri.decodedUser?.contains(0) == true)
  }

  @Test("RFC 4475 §3.1.1.5: RE%47IST%45R is not REGISTER", .enabled(if: TortureCorpus.folder != nil, available))
  func escapedMethod() throws {
    let m = try message("esc02.dat")
    #expect(m.method == .unknown)
    #expect(try m.addresses(.contact).count == 2)
  }

  @Test("RFC 4475 §3.1.1.7, §3.1.1.8, §3.1.1.9, §3.1.1.11", .enabled(if: TortureCorpus.folder != nil, available))
  func various() throws {
    let long = try message("longreq.dat")
    #expect(long.values(.via).count == 34 && (long.fromTag?.count ?? 0) > 100)
    let double = try message("dblreq.dat")
    #expect(double.method == .register && double.body.isEmpty)
    let semicolon = try message("semiuri.dat")
    #expect(text(semicolon.requestURI.decodedUser) == "user;par=u@example.net")
    let multipart = try message("mpart01.dat")
    #expect(multipart.method == .message && multipart.body.contains(0))
    #expect(text(multipart.contentType)?.hasPrefix("multipart/mixed") == true)
    let legacy = try message("inv2543.dat")
    #expect(legacy.via.branch == nil && legacy.fromTag == nil && legacy.maxForwards == nil && !legacy.body.isEmpty)
  }

  @Test("RFC 4475 §3.1.1.12, §3.1.1.13: reason phrases", .enabled(if: TortureCorpus.folder != nil, available))
  func reasons() throws {
    let unicode = try message("unreason.dat")
    #expect(unicode.status == 200 && text(unicode.reasonPhrase)?.contains("= 2**3") == true)
    let none = try message("noreason.dat")
    #expect(none.status == 100 && none.reasonPhrase.isEmpty && none.method == .invite)
  }

  @Test("RFC 4475 §3.3.12, §3.3.13: whose parameter", .enabled(if: TortureCorpus.folder != nil, available))
  func parameterOwner() throws {
    let header = try #require(try message("cparam01.dat").addresses(.contact).first)
    #expect(header.uri.parameters.isEmpty && header.parameter("unknownparam") == .some(nil))
    let inside = try #require(try message("cparam02.dat").addresses(.contact).first)
    #expect(inside.uri.parameter("unknownparam") == .some(nil) && inside.parameters.isEmpty)
    let route = try #require(try message("regescrt.dat").addresses(.contact).first)
    #expect(text(route.uri.headersPart) == "Route=%3Csip:sip.example.com%3E")
  }

  @Test("RFC 5118 §4: IPv6 references", .enabled(if: TortureCorpus.folder != nil, available))
  func ipv6() throws {
    let ambiguous = try message("rfc5118-wire/port-ambiguous")
    #expect(text(ambiguous.requestURI.host) == "[2001:db8::10:5070]" && ambiguous.requestURI.port == nil)
    let clear = try message("rfc5118-wire/port-unambiguous")
    #expect(text(clear.requestURI.host) == "[2001:db8::10]" && clear.requestURI.port == 5070)
    #expect(text(try message("rfc5118-wire/via-received-param-with-delim").via.received) == "[2001:db8::9:255]")
    #expect(text(try message("rfc5118-wire/via-received-param-no-delim").via.received) == "2001:db8::9:255")
    #expect(try message("rfc5118-wire/mult-ip-in-header").values(.via).count == 3)
    #expect(text(try message("rfc5118-wire/ipv6-bug-abnf-3-colons").from.uri.host) != nil)
  }
}
