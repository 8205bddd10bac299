import CallEngine
import NetCore
import SIPMessage
import Testing

private let alice = CallerIdentity(user: "1000", displayName: "Alice", number: "+15550100")

private func invite(from: String, _ headers: String...) throws -> Message {
  let extra = headers.map { $0 + "\r\n" }.joined()
  let text =
    "INVITE sip:1001@nightjar.local SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    + "From: \(from);tag=1\r\nTo: <sip:1001@nightjar.local>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\(extra)"
    + "Content-Length: 0\r\n\r\n"
  let here = Endpoint(IPAddress(v4: 0x7f00_0001), 5060)
  return try MessageParser.parse(
    Array(text.utf8), flow: Flow(transport: .udp, listener: 0, remote: here, local: here))
}

private struct Shown: Equatable {
  var from: String
  var asserted: [String]
  var privacy: String?
}

private func shown(
  _ message: Message, _ identity: CallerIdentity? = alice, trusted: Bool = false, from: String? = nil,
  pai: String? = nil, privacy: String? = nil, calleeIsTrusted: Bool = false, domain: String = "nightjar.local"
) -> Shown {
  let outgoing = CallerIdentity.outgoing(
    invite: message, identity: identity, trusted: trusted, domain: domain, override: from.map { Array($0.utf8) },
    asserted: pai.map { Array($0.utf8) }, privacy: privacy.map { Array($0.utf8) }, calleeIsTrusted: calleeIsTrusted)
  return Shown(
    from: String(decoding: outgoing.from, as: UTF8.self),
    asserted: outgoing.assertedIdentities.map { String(decoding: $0, as: UTF8.self) },
    privacy: outgoing.privacy.map { String(decoding: $0, as: UTF8.self) })
}

@Suite struct IdentityTests {
  static let asserted = #""Alice" <sip:+15550100@nightjar.local>"#

  @Test("A From number that is the caller's own stays, with what he calls himself; he is asserted")
  func own() throws {
    #expect(
      shown(try invite(from: #""Alice at work" <sip:1000@192.0.2.1:5070;transport=udp>"#))
        == Shown(from: #""Alice at work" <sip:1000@nightjar.local>"#, asserted: [IdentityTests.asserted]))
    #expect(
      shown(try invite(from: "<sip:+15550100@x>")).from == #""Alice" <sip:+15550100@nightjar.local>"#)
    #expect(shown(try invite(from: "<sip:%31000@x>")).from == #""Alice" <sip:1000@nightjar.local>"#)
  }

  @Test("A From number that is not his own is replaced by his caller_id, display name included")
  func spoofed() throws {
    for from in [#""The Bank" <sip:18005551234@x>"#, "sip:1001@x", "<sip:x>", "<tel:+4930123>", "<sip:1000%00@x>"] {
      #expect(shown(try invite(from: from)).from == IdentityTests.asserted, "\(from)")
    }
    let plain = CallerIdentity(user: "1000")
    #expect(
      shown(try invite(from: "<sip:1001@x>"), plain)
        == Shown(from: "<sip:1000@nightjar.local>", asserted: ["<sip:1000@nightjar.local>"]))
  }

  @Test("RFC 3325 §8: an authenticated caller's own P-Asserted-Identity and P-Preferred-Identity count for nothing")
  func forged() throws {
    let message = try invite(
      from: "<sip:1000@x>", "P-Asserted-Identity: <sip:911@x>", "P-Preferred-Identity: <sip:911@x>")
    #expect(shown(message).asserted == [IdentityTests.asserted])
    #expect(shown(message, nil).asserted == [])
  }

  @Test("RFC 3325 §5: a trusted peer's From and identity go on, with our host")
  func trunk() throws {
    let message = try invite(
      from: #""Bob" <sip:+4930123@carrier.example:5080;user=phone>"#,
      #"P-Asserted-Identity: "Bob B" <sip:+4930123@carrier.example>, <tel:+49-30-123>"#,
      "P-Asserted-Identity: <sip:second@carrier.example>", "P-Asserted-Identity: <mailto:x@y>")
    #expect(
      shown(message, nil, trusted: true)
        == Shown(
          from: #""Bob" <sip:+4930123@nightjar.local>"#,
          asserted: [#""Bob B" <sip:+4930123@nightjar.local>"#, "<tel:+4930123>"]))
    #expect(
      shown(try invite(from: "<tel:+49(30)123-4>"), nil, trusted: true).from == "<sip:+49301234@nightjar.local>")
    #expect(shown(try invite(from: "<sip:pbx.example>"), nil, trusted: true).from == "<sip:nightjar.local>")
  }

  @Test("RFC 3323 §4.1.1.3: an anonymous From stays anonymous, and nobody learns who it was")
  func anonymous() throws {
    let hidden = #""Anonymous" <sip:anonymous@anonymous.invalid>"#
    for from in ["<sip:anonymous@anonymous.invalid>", #""x" <sip:Anonymous@host>"#] {
      #expect(shown(try invite(from: from)) == Shown(from: hidden, asserted: []))
      #expect(
        shown(try invite(from: from), calleeIsTrusted: true)
          == Shown(from: hidden, asserted: [IdentityTests.asserted], privacy: "id"))
    }
  }

  @Test("RFC 3325 §9.3: Privacy: id hides the caller and goes on untouched", arguments: ["id", "ID;critical", "user"])
  func privacy(value: String) throws {
    let message = try invite(from: #""Alice" <sip:1000@x>"#, "Privacy: \(value)")
    #expect(
      shown(message)
        == Shown(
          from: #""Anonymous" <sip:anonymous@anonymous.invalid>"#, asserted: [], privacy: value.lowercased()))
    #expect(shown(message, calleeIsTrusted: true).asserted == [IdentityTests.asserted])
  }

  @Test("RFC 3323 §4.2: none, header and session hide nothing here")
  func noPrivacy() throws {
    for value in ["none", "header", "session", "none;id"] {
      let result = shown(try invite(from: "<sip:1000@x>", "Privacy: \(value)"))
      #expect(result.from == #""Alice" <sip:1000@nightjar.local>"#)
      #expect(result.asserted == [IdentityTests.asserted])
      #expect(result.privacy == value)
    }
  }

  @Test(
    "A script's from: a number, a URI, a name and either",
    arguments: [
      ("5000", "<sip:5000@nightjar.local>"), ("sip:5000@host.example", "<sip:5000@host.example>"),
      (#""Front Desk" <sip:5000@host.example;x=y>"#, #""Front Desk" <sip:5000@host.example>"#),
      (#""Front \"Desk\"" <5000>"#, #""Front \"Desk\"" <sip:5000@nightjar.local>"#),
      ("Desk <5000>", #""Desk" <sip:5000@nightjar.local>"#), ("tel:+1-555", "<sip:+1555@nightjar.local>"),
      ("  5000 ", "<sip:5000@nightjar.local>"), ("a b<c", "<sip:a%20b%3Cc@nightjar.local>"),
      ("x\r\nEvil: 1", "<sip:x%0D%0AEvil:%201@nightjar.local>".replacing(":%20", with: "%3A%20")),
      ("\"a\r\nb\" <5>", #""a  b" <sip:5@nightjar.local>"#), ("", #""Alice" <sip:1000@nightjar.local>"#),
      ("\"n\" <sip:a b@h.example>", #""n" <sip:a%20b@h.example>"#), ("sip:ü@h>\r\nX: y", "<sip:%C3%BC@hXy>"),
      ("\"n\" <>", #""n" <sip:nightjar.local>"#),
    ])
  func script(from: String, expected: String) throws {
    let result = shown(try invite(from: "<sip:1000@x>"), from: from)
    #expect(result.from == expected)
    #expect(result.asserted == [IdentityTests.asserted])
  }

  @Test("A script's pai and privacy win too; its from also over an anonymous caller")
  func scriptIdentity() throws {
    let message = try invite(from: "<sip:anonymous@anonymous.invalid>")
    #expect(shown(message, from: "5000").from == "<sip:5000@nightjar.local>")
    #expect(shown(message, privacy: "none").from == IdentityTests.asserted)
    #expect(shown(try invite(from: "<sip:1000@x>"), pai: "7000").asserted == ["<sip:7000@nightjar.local>"])
    #expect(
      shown(try invite(from: "<sip:1000@x>", "Privacy: none"), from: "5000", privacy: "id")
        == Shown(from: #""Anonymous" <sip:anonymous@anonymous.invalid>"#, asserted: [], privacy: "id"))
  }

  @Test("Nothing that a display name or a user holds can leave its header")
  func injection() throws {
    let message = try invite(from: #""a\"b\\c" <sip:1000@x>"#)
    #expect(shown(message).from == #""a\"b\\c" <sip:1000@nightjar.local>"#)
    let evil = CallerIdentity(user: "10\r\n00>;x", displayName: "E\u{0}v\"i\\l\r\nX: y", number: nil)
    #expect(
      shown(try invite(from: "<sip:9@x>"), evil).from == #""E v\"i\\l  X: y" <sip:10%0D%0A00%3E;x@nightjar.local>"#)
    let long = CallerIdentity(user: "1", displayName: String(repeating: "ü", count: 1000))
    #expect(shown(try invite(from: "<sip:9@x>"), long).from.utf8.count < 300)
  }

  @Test("The host may be an address; IPv6 gets its brackets")
  func hosts() throws {
    let message = try invite(from: "<sip:1000@x>")
    #expect(shown(message, domain: "2001:db8::1").from.hasSuffix("@[2001:db8::1]>"))
    #expect(shown(message, domain: "[2001:db8::1]").from.hasSuffix("@[2001:db8::1]>"))
    #expect(shown(message, domain: "192.0.2.9").from.hasSuffix("@192.0.2.9>"))
    #expect(shown(message, domain: "a.b>\r\nX: y").from.hasSuffix("@a.bXy>"))
  }

  @Test("RFC 3261 §25.1: every value is an address again")
  func readable() throws {
    for from in ["<sip:1000@x>", "<sip:*98#@x>", "<sip:a%20b%22@x>", "<sip:anonymous@x>", #""ü" <sip:1@x>"#] {
      let message = try invite(from: from)
      let outgoing = CallerIdentity.outgoing(
        invite: message, identity: nil, trusted: true, domain: "nightjar.local")
      let address = try NameAddress(parsing: outgoing.from[...])
      if !from.contains("anonymous") { #expect(address.uri.decodedUser == message.from.uri.decodedUser) }
    }
  }
}
