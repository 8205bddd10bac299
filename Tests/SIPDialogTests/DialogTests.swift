import NetCore
import SIPDialog
import SIPMessage
import Testing

let peer = Endpoint(IPAddress(v4: 0xc000_0201), 5062)
let local = Endpoint(IPAddress(v4: 0xc000_0202), 5060)
let udp = Flow(transport: .udp, listener: 0, remote: peer, local: local)
let tls = Flow(transport: .tls, listener: 0, connection: 4, remote: peer, local: local)
let token = Token(shard: 1, slot: 2, generation: 3, random: 4)

func bytes(_ text: String) -> Bytes { Array(text.utf8)[...] }
func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

func parse(_ text: String, flow: Flow = udp) -> Message {
  do {
    return try MessageParser.parse(Array(text.utf8), flow: flow)
  } catch {
    fatalError("\(error.error): \(text)")
  }
}

func request(
  _ method: String, uri: String = "sip:bob@192.0.2.2", cseq: UInt32 = 7,
  from: String = "\"Alice\" <sip:alice@example.com>;tag=them",
  to: String = "<sip:bob@example.com>", callID: String = "c1@host",
  extra: String = "Contact: <sip:alice@192.0.2.1:5062;ob>\r\n",
  flow: Flow = udp
) -> Message {
  parse(
    "\(method) \(uri) SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: \(from)\r\nTo: \(to)\r\nCall-ID: \(callID)\r\nCSeq: \(cseq) \(method)\r\n\(extra)Content-Length: 0\r\n\r\n",
    flow: flow)
}

func response(
  _ status: Int, to: String = "Bob <sip:bob@example.com>;tag=them",
  extra: String = "Contact: \"B, ob\" <sip:bob@192.0.2.9>;expires=60\r\n"
) -> Message {
  parse(
    "SIP/2.0 \(status) X\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKb\r\nFrom: <sip:alice@example.com>;tag=us\r\nTo: \(to)\r\nCall-ID: c2\r\nCSeq: 41 INVITE\r\n\(extra)Content-Length: 0\r\n\r\n"
  )
}

let invitation = Dialog.Invitation(
  callID: bytes("c2"), from: bytes("<sip:alice@example.com>;tag=us"), localTag: bytes("us"), cseq: 41,
  requestURI: bytes("sip:bob@example.com"), flow: udp)

func finished(_ writer: MessageWriter) -> Message {
  var writer = writer
  writer.finish()
  return parse(text(writer.bytes))
}

func routes(_ message: Message) -> [String] { message.values(.route).map { text($0) } }

extension Dialog {
  mutating func make(_ method: SIPMessage.Method, contact: String = "") -> Message {
    finished(
      request(method, branch: token, viaSentBy: bytes("192.0.2.2:5060"), transport: .udp, contact: bytes(contact)))
  }
}

@Suite("RFC 3261 §12.1: making a dialog")
struct DialogCreationTests {
  @Test("§12.1.1: a UAS takes tags, Call-ID, CSeq, Contact and Record-Route of the INVITE in order")
  func uas() throws {
    let invite = request(
      "INVITE",
      extra:
        "Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\nContact: <sip:alice@192.0.2.1:5062;ob>\r\nRecord-Route: \"x\" <sip:p0;lr;a=b>;c=d\r\n"
    )
    let dialog = try Dialog(uas: invite, localTag: bytes("us"))
    #expect(text(dialog.callID) == "c1@host" && text(dialog.localTag) == "us" && text(dialog.remoteTag) == "them")
    #expect(
      dialog.remoteCSeq == 7 && dialog.localCSeq == 0 && dialog.role == .uas && !dialog.isConfirmed && !dialog.isSecure)
    #expect(dialog.routeSet.map { text($0) } == ["<sip:p2;lr>", "<sip:p1;lr>", "\"x\" <sip:p0;lr;a=b>;c=d"])
    #expect(text(dialog.remoteTarget) == "sip:alice@192.0.2.1:5062;ob" && text(dialog.nextHop) == "sip:p2;lr")
    #expect(text(dialog.localAddress) == "<sip:bob@example.com>;tag=us")
    #expect(text(dialog.remoteAddress) == "\"Alice\" <sip:alice@example.com>;tag=them")
  }

  @Test(
    "§12.1.1: secure is sips and TLS together",
    arguments: [(udp, "sip", false), (tls, "sip", false), (tls, "sips", true), (udp, "sips", false)])
  func secure(flow: Flow, scheme: String, expected: Bool) throws {
    let dialog = try Dialog(uas: request("INVITE", uri: "\(scheme):bob@192.0.2.2", flow: flow), localTag: bytes("us"))
    #expect(dialog.isSecure == expected)
  }

  @Test(
    "§8.1.1.8: an INVITE without one SIP Contact is refused with 400; one with a To tag with 481",
    arguments: [
      ("", 400), ("Contact: <sip:a@b>, <sip:c@d>\r\n", 400), ("Contact: <tel:+1>\r\n", 400),

    ])
  func refused(extra: String, status: Int) {
    #expect { try Dialog(uas: request("INVITE", extra: extra), localTag: bytes("us")) } throws: {
      ($0 as? SIPError)?.status == status
    }
    #expect { try Dialog(uas: request("INVITE", to: "<sip:b@c>;tag=x"), localTag: bytes("us")) } throws: {
      ($0 as? SIPError)?.status == 481
    }
  }

  @Test("§12.1.1: a From without tag, of RFC 2543, is a dialog with an empty remote tag")
  func nullTag() throws {
    var dialog = try Dialog(uas: request("INVITE", from: "<sip:alice@example.com>"), localTag: bytes("us"))
    #expect(dialog.remoteTag.isEmpty)
    #expect(
      dialog.receive(request("BYE", cseq: 8, from: "<sip:alice@example.com>", to: "<sip:bob@example.com>;tag=us"))
        == .ok)
    #expect(text(dialog.make(.bye).to.bytes) == "<sip:alice@example.com>")
  }

  @Test("§12.1.2: a UAC takes Record-Route in reverse, the To tag and the Contact of the response")
  func uac() throws {
    let early = response(
      180, extra: "Record-Route: <sip:p2;lr>,<sip:p1;lr>\r\nContact: \"B, ob\" <sip:bob@192.0.2.9>;expires=60\r\n")
    var dialog = try #require(Dialog(uac: invitation, response: early))
    #expect(!dialog.isConfirmed && dialog.role == .uac && dialog.localCSeq == 41 && dialog.remoteCSeq == nil)
    #expect(dialog.routeSet.map { text($0) } == ["<sip:p1;lr>", "<sip:p2;lr>"])
    #expect(
      text(dialog.remoteTarget) == "sip:bob@192.0.2.9" && text(dialog.remoteTag) == "them"
        && text(dialog.localTag) == "us")
    let bye = dialog.make(.bye)
    #expect(
      text(bye.from.bytes) == "<sip:alice@example.com>;tag=us"
        && text(bye.to.bytes) == "Bob <sip:bob@example.com>;tag=them")
    #expect(bye.cseq == 42 && text(bye.callID) == "c2")
  }

  @Test("§12.1.2: what makes no dialog: 100, a failure, a provisional response without tag")
  func none() {
    #expect(Dialog(uac: invitation, response: response(100)) == nil)
    #expect(Dialog(uac: invitation, response: response(486)) == nil)
    #expect(Dialog(uac: invitation, response: response(183, to: "<sip:b@c>")) == nil)
    #expect(Dialog(uac: invitation, response: response(200, to: "<sip:b@c>"))?.remoteTag.isEmpty == true)
    #expect(Dialog(uac: invitation, response: response(200, extra: "Contact: <sip:a@b>,<sip:c@d>\r\n")) == nil)
  }

  @Test("a 2xx whose Contact was forgotten still has a target: the URI that was called")
  func noContact() throws {
    let dialog = try #require(Dialog(uac: invitation, response: response(200, extra: "")))
    #expect(text(dialog.remoteTarget) == "sip:bob@example.com")
  }

  @Test("§13.2.2.4: with the 2xx the route set and the target are taken anew")
  func confirm() throws {
    let early = response(180, extra: "Record-Route: <sip:p1;lr>\r\nContact: <sip:early@x>\r\n")
    var dialog = try #require(Dialog(uac: invitation, response: early))
    dialog.confirm(response(200, extra: "Record-Route: <sip:p9;lr>,<sip:p8;lr>\r\nContact: <sip:late@x>\r\n"))
    #expect(dialog.isConfirmed)
    let bye = dialog.make(.bye)
    #expect(routes(bye) == ["<sip:p8;lr>", "<sip:p9;lr>"] && text(bye.requestURI.bytes) == "sip:late@x")
    dialog.confirm(response(200, extra: "Contact: <sip:later@x>\r\n"))
    #expect(routes(dialog.make(.bye)) == [] && text(dialog.make(.bye).requestURI.bytes) == "sip:later@x")
  }

  @Test("a dialog keeps copies: it does not hold the message that made it")
  func copies() throws {
    let dialog = try Dialog(
      uas: request("INVITE", extra: "Contact: <sip:a@b>\r\nRecord-Route: <sip:p;lr>\r\n"), localTag: bytes("us"))
    #expect(dialog.remoteTarget.startIndex == 0 && dialog.routeSet.allSatisfy { $0.startIndex == 0 })
  }
}

@Suite("RFC 3261 §12.2: requests in a dialog")
struct DialogRequestTests {
  private func dialog(_ recordRoute: String = "") throws -> Dialog {
    let extra =
      "Contact: <sip:alice@192.0.2.1:5062;ob>\r\n" + (recordRoute.isEmpty ? "" : "Record-Route: \(recordRoute)\r\n")
    return try Dialog(uas: request("INVITE", extra: extra), localTag: bytes("us"))
  }

  @Test("§12.2.1.1: without a route set the target is the Request-URI; Via, tags, Call-ID, CSeq, Max-Forwards, Contact")
  func plain() throws {
    var dialog = try dialog()
    let invite = dialog.make(.invite, contact: "<sip:us@192.0.2.2>")
    #expect(text(invite.requestURI.bytes) == "sip:alice@192.0.2.1:5062;ob" && routes(invite) == [])
    #expect(text(invite.via.bytes) == "SIP/2.0/UDP 192.0.2.2:5060;rport;branch=z9hG4bK" + text(token.hex))
    #expect(text(invite.from.bytes) == "<sip:bob@example.com>;tag=us")
    #expect(text(invite.to.bytes) == "\"Alice\" <sip:alice@example.com>;tag=them")
    #expect(
      invite.maxForwards == 70 && invite.cseq == 1 && invite.method == .invite && text(invite.callID) == "c1@host")
    #expect(text(invite.first(.contact) ?? []) == "<sip:us@192.0.2.2>")
    let bye = dialog.make(.bye)
    #expect(bye.cseq == 2 && bye.first(.contact) == nil)
  }

  @Test("§12.2.1.1: with a loose router in front the target stays in the Request-URI and the whole route set in Route")
  func loose() throws {
    var dialog = try dialog("<sip:p1.example.com;lr>, <sip:p2.example.com>")
    let bye = dialog.make(.bye)
    #expect(text(bye.requestURI.bytes) == "sip:alice@192.0.2.1:5062;ob")
    #expect(routes(bye) == ["<sip:p1.example.com;lr>", "<sip:p2.example.com>"])
    #expect(text(dialog.nextHop) == "sip:p1.example.com;lr")
  }

  @Test(
    "§12.2.1.1: a strict router in front goes into the Request-URI, without method and headers, the target to the end of Route"
  )
  func strict() throws {
    var dialog = try dialog(
      "<sip:p1.example.com:5070;transport=udp;Method=INVITE;x=y?Subject=z>, <sip:p2.example.com;lr>")
    let bye = dialog.make(.bye)
    #expect(text(bye.requestURI.bytes) == "sip:p1.example.com:5070;transport=udp;x=y")
    #expect(routes(bye) == ["<sip:p2.example.com;lr>", "<sip:alice@192.0.2.1:5062;ob>"])
    dialog.refreshTarget(request("UPDATE", extra: "Contact: <sip:new@192.0.2.3>\r\n"))
    #expect(routes(dialog.make(.bye)) == ["<sip:p2.example.com;lr>", "<sip:new@192.0.2.3>"])
  }

  @Test("§12.2.1.1: one strict router alone")
  func strictAlone() throws {
    var dialog = try dialog("<sip:p1.example.com>")
    let bye = dialog.make(.bye)
    #expect(text(bye.requestURI.bytes) == "sip:p1.example.com" && routes(bye) == ["<sip:alice@192.0.2.1:5062;ob>"])
  }

  @Test("§18.1.1: the Via names the transport, rport is for UDP only (RFC 3581)", arguments: Transport.allCases)
  func via(transport: Transport) throws {
    var dialog = try dialog()
    let bye = finished(dialog.request(.bye, branch: token, viaSentBy: bytes("[::1]:5061"), transport: transport))
    #expect(bye.via.transport == transport && bye.via.hasRport == (transport == .udp) && text(bye.via.host) == "[::1]")
  }

  @Test("a method of another name, with the next CSeq")
  func otherMethod() throws {
    var dialog = try dialog()
    let request = finished(dialog.request(name: bytes("FOO"), branch: token, viaSentBy: bytes("h"), transport: .tcp))
    #expect(text(request.methodName) == "FOO" && request.cseq == 1)
  }

  @Test("§13.2.2.4: the ACK of a 2xx has the number of its INVITE, and takes none")
  func ack() throws {
    var dialog = try #require(
      Dialog(uac: invitation, response: response(200, extra: "Contact: <sip:b@c>\r\nRecord-Route: <sip:p;lr>\r\n")))
    let ack = finished(dialog.ack(cseq: 41, branch: token, viaSentBy: bytes("h:1"), transport: .udp))
    #expect(
      ack.method == .ack && ack.cseq == 41 && routes(ack) == ["<sip:p;lr>"] && text(ack.requestURI.bytes) == "sip:b@c")
    #expect(text(ack.toTag ?? []) == "them" && text(ack.fromTag ?? []) == "us" && dialog.make(.bye).cseq == 42)
  }

  @Test("§12.2.2: a CSeq below the last one is out of order; equal or above is not; an ACK has that of its INVITE")
  func order() throws {
    var dialog = try dialog()
    func from(_ method: String, _ cseq: UInt32) -> Message {
      request(method, cseq: cseq, to: "<sip:bob@example.com>;tag=us")
    }
    #expect(dialog.receive(from("INFO", 6)) == .outOfOrder && dialog.remoteCSeq == 7)
    #expect(dialog.receive(from("INFO", 9)) == .ok && dialog.remoteCSeq == 9)
    #expect(dialog.receive(from("INFO", 9)) == .ok)
    #expect(dialog.receive(from("INVITE", 8)) == .outOfOrder)
    #expect(dialog.receive(from("ACK", 7)) == .ok && dialog.remoteCSeq == 9)
    #expect(dialog.receive(from("BYE", 2_147_483_647)) == .ok)
  }

  @Test("§12.2.2: the peer's first request in a dialog of ours may have any CSeq")
  func firstCSeq() throws {
    var dialog = try #require(Dialog(uac: invitation, response: response(200)))
    let bye = request("BYE", cseq: 1, from: "<sip:bob@x>;tag=them", to: "<sip:a@b>;tag=us", callID: "c2")
    #expect(dialog.receive(bye) == .ok && dialog.remoteCSeq == 1)
  }

  @Test("§12: another Call-ID or tag is not of this dialog; the URIs are not compared")
  func identity() throws {
    var dialog = try dialog()
    let to = "<sip:bob@example.com>;tag=us"
    #expect(dialog.receive(request("BYE", to: to, callID: "other")) == .notOfThisDialog)
    #expect(dialog.receive(request("BYE", from: "<sip:a@b>;tag=x", to: to)) == .notOfThisDialog)
    #expect(dialog.receive(request("BYE", from: "<sip:a@b>", to: to)) == .notOfThisDialog)
    #expect(dialog.receive(request("BYE", to: "<sip:bob@example.com>;tag=x")) == .notOfThisDialog)
    #expect(dialog.receive(request("BYE")) == .notOfThisDialog)
    #expect(dialog.receive(request("BYE", from: "<sip:renamed@b>;tag=them", to: "<sip:z@z>;tag=us")) == .ok)
  }

  @Test(
    "§12.2.2: re-INVITE and UPDATE refresh the target and nothing else; INFO does not; what is malformed changes nothing",
    arguments: [
      ("INVITE", true), ("UPDATE", true), ("SUBSCRIBE", true), ("NOTIFY", true), ("REFER", true), ("INFO", false),
      ("BYE", false), ("MESSAGE", false),
    ])
  func refresh(method: String, refreshes: Bool) throws {
    var dialog = try dialog("<sip:p;lr>")
    let to = "<sip:bob@example.com>;tag=us"
    let new = request(method, cseq: 8, to: to, extra: "Contact: <sip:new@x>\r\nRecord-Route: <sip:evil;lr>\r\n")
    #expect(dialog.receive(new) == .ok)
    #expect(text(dialog.remoteTarget) == (refreshes ? "sip:new@x" : "sip:alice@192.0.2.1:5062;ob"))
    #expect(routes(dialog.make(.bye)) == ["<sip:p;lr>"])
    let before = dialog.remoteTarget
    #expect(dialog.receive(request(method, cseq: 9, to: to, extra: "Contact: <sip:a@b>, <sip:c@d>\r\n")) == .ok)
    #expect(dialog.receive(request(method, cseq: 10, to: to, extra: "")) == .ok && dialog.remoteTarget == before)
  }

  @Test("a folded Record-Route, display name or tag puts no line of its own into our requests")
  func folding() throws {
    let invite = request(
      "INVITE", from: "\"A\r\n B\"\r\n <sip:alice@example.com>\r\n ;x=y;tag=them",
      extra: "Contact:\r\n <sip:alice@192.0.2.1>\r\nRecord-Route: <sip:p1;lr>\r\n ;a=b ,\r\n <sip:p2;lr>\r\n")
    var dialog = try Dialog(uas: invite, localTag: bytes("us"))
    let bye = dialog.make(.bye)
    #expect(text(bye.bytes).firstRange(of: "\r\n ") == nil)
    #expect(routes(bye).count == 2 && text(bye.toTag ?? []) == "them" && text(dialog.remoteTag) == "them")
    #expect(dialog.receive(request("BYE", cseq: 8, from: "<sip:a@b>;tag=them", to: "<sip:b@c>;tag=us")) == .ok)
  }

  @Test("§8.1.1.5: the CSeq stays below 2^31")
  func wrap() throws {
    var dialog = try Dialog(uas: request("INVITE"), localTag: bytes("us"), localCSeq: 0x7fff_fffe)
    #expect(dialog.make(.bye).cseq == 0x7fff_ffff && dialog.make(.bye).cseq == 1)
  }
}
