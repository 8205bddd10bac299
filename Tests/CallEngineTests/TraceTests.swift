@testable import CallEngine
import NetCore
import Testing

private func endpoint(_ text: String) -> Endpoint {
  Endpoint(text) ?? Endpoint(IPAddress(v4: 0), 0)
}

private func entry(
  _ text: String, sent: Bool, _ side: TraceEntry.Side, call: String? = "0100002a", at ms: Int64 = 0,
  peer: String = "192.0.2.7:5060", transport: Transport = .udp
) -> TraceEntry {
  let flow = Flow(
    transport: transport, listener: 0, remote: endpoint(peer), local: endpoint("127.0.0.1:5060"))
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
  return TraceEntry(
    bytes: Array((lines + "\r\n\r\n").utf8)[...], flow: flow, sent: sent, wallMs: 43_201_000 + ms, call: call,
    side: side)
}

private let invite = """
  INVITE sip:1001@nightjar.local SIP/2.0
  Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1
  From: <sip:1000@nightjar.local>;tag=a
  To: <sip:1001@nightjar.local>
  Call-ID: one@192.0.2.7
  CSeq: 1 INVITE
  Proxy-Authorization: Digest username="1000", realm="nightjar.local", nonce="n0nce", uri="sip:1001@nightjar.local",
   response="5ecret", algorithm=MD5, cnonce="c", qop=auth, nc=00000001, opaque="x,y"
  Content-Type: application/sdp

  v=0
  o=- 1 1 IN IP4 192.0.2.7
  c=IN IP4 192.0.2.7
  m=audio 4000 RTP/AVP 0 96 101
  a=rtpmap:96 opus/48000/2
  a=rtpmap:101 telephone-event/8000
  a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecretkey
  a=sendonly
  m=video 0 RTP/AVP 31
  """

private func response(_ status: String, _ callID: String = "one@192.0.2.7", method: String = "INVITE", tag: String = "")
  -> String
{
  "SIP/2.0 \(status)\nFrom: <sip:1000@x>;tag=a\nTo: <sip:1001@x>\(tag)\nCall-ID: \(callID)\nCSeq: 1 \(method)"
}

@Suite struct TraceTests {
  @Test("Both legs of a call as a ladder")
  func ladder() {
    var ladder = Ladder()
    let bye = "BYE sip:1000@x SIP/2.0\nCall-ID: two\nCSeq: 2 BYE\nReason: Q.850;cause=16;text=\"Normal call clearing\""
    let entries = [
      entry(invite, sent: false, .caller),
      entry(response("100 Trying"), sent: true, .caller, at: 1),
      entry(invite.replacing("one@", with: "two@"), sent: true, .callee(1), at: 3, peer: "192.0.2.8:5060"),
      entry(response("180 Ringing"), sent: false, .callee(1), at: 20, peer: "192.0.2.8:5060"),
      entry(response("180 Ringing"), sent: true, .caller, at: 21),
      entry(response("180 Ringing"), sent: false, .callee(2), at: 22, peer: "[2001:db8::8]:5060", transport: .tcp),
      entry(bye, sent: false, .callee(1), at: 2000, peer: "192.0.2.8:5060"),
      entry(response("200 OK", method: "BYE"), sent: true, .callee(1), at: 2001, peer: "192.0.2.8:5060"),
      entry(response("200 OK", method: "REGISTER"), sent: true, .none, call: nil, at: 3000),
    ]
    let drawn = entries.flatMap { ladder.lines($0) }.joined(separator: "\n")
    #expect(
      drawn == """
        ── call 0100002a ─────────────────────────────────────────────────────────────────────────
                    caller                              nightjar                              callee
        12:00:01.000   │─ INVITE 1001 [sendonly PCMU ..] ──▶│                                    │ 192.0.2.7:5060
        12:00:01.001   │◀────────────────────── 100 Trying ─│                                    │ 192.0.2.7:5060
        12:00:01.003   │                                    │─ INVITE 1001 [sendonly PCMU ..] ──▶│ 192.0.2.8:5060
        12:00:01.020   │                                    │◀───────────────────── 180 Ringing ─│ 192.0.2.8:5060
        12:00:01.021   │◀───────────────────── 180 Ringing ─│                                    │ 192.0.2.7:5060
        12:00:01.022   │                                    │◀───────────────────── 180 Ringing ─│ callee 2 [2001:db8::8]:5060/tcp
        12:00:03.000   │                                    │◀───────────────────────────── BYE ─│ 192.0.2.8:5060  \
        Q.850;cause=16;text="Normal call clearing"
        12:00:03.001   │                                    │─ 200 OK (BYE) ────────────────────▶│ 192.0.2.8:5060
        ── no call ───────────────────────────────────────────────────────────────────────────────
                     peer                               nightjar
        12:00:04.000   │◀─────────────── 200 OK (REGISTER) ─│ 192.0.2.7:5060
        """)
  }

  @Test("Credentials, passwords and keys are masked; everything else stays byte for byte")
  func masking() {
    func masked(_ text: String) -> String {
      String(decoding: CredentialMask.mask(Array(text.utf8)[...]), as: UTF8.self)
    }
    let shown = entry(invite, sent: false, .caller).summary.message
    #expect(!shown.contains("5ecret") && !shown.contains("n0nce") && !shown.contains("5ecretkey"))
    #expect(
      shown.contains(
        "Proxy-Authorization: Digest username=\"1000\", realm=\"nightjar.local\", nonce=***, "
          + "uri=\"sip:1001@nightjar.local\",\r\n response=***, algorithm=MD5, cnonce=***, qop=auth, nc=00000001, "
          + "opaque=***\r\nContent-Type"))
    #expect(shown.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 ***\r\na=sendonly"))
    let plain = "OPTIONS sip:x SIP/2.0\r\nX-Foo:  a,b ; c=\"d\"\r\n folded\r\nVia: x\r\n\r\nbody\r\n\r\nm=1\n"
    #expect(masked(plain) == plain)
    #expect(masked("") == "")
    for (line, expected) in [
      ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
      ("AUTHORIZATION : Basic YTpi", "AUTHORIZATION : Basic ***"),
      ("Authorization: token", "Authorization: token"),
      (
        "WWW-Authenticate: Digest realm=\"a,b\",nonce=\"x\",qop=\"auth\"",
        "WWW-Authenticate: Digest realm=\"a,b\",nonce=***,qop=\"auth\""
      ),
      (
        "Authentication-Info: nextnonce=\"x\", rspauth=\"y\", nc=1",
        "Authentication-Info: nextnonce=***, rspauth=***, nc=1"
      ),
      ("From: <sip:a:5ecret@h>;tag=1", "From: <sip:a:***@h>;tag=1"),
      ("Contact: <SIPS:a:b:c@h:5061>, sip:d:e@h", "Contact: <SIPS:a:***@h:5061>, sip:d:***@h"),
      ("Contact: <sip:a@h:5061>", "Contact: <sip:a@h:5061>"),
      ("Authorization: Digest username=\"sip:a:b@c\", response", "Authorization: Digest username=\"sip:a:***@c\",***"),
    ] {
      #expect(masked("BYE sip:x SIP/2.0\r\n\(line)\r\n\r\n") == "BYE sip:x SIP/2.0\r\n\(expected)\r\n\r\n")
    }
    #expect(masked("INVITE sip:a:b@c SIP/2.0") == "INVITE sip:a:***@c SIP/2.0")
    #expect(
      masked("X sip:a SIP/2.0\n\nk=clear:x\na=ice-pwd:y\na=crypto:1\na=KEY-MGMT:mikey z\n")
        == "X sip:a SIP/2.0\n\nk=***\na=ice-pwd:***\na=crypto:1\na=KEY-MGMT:***\n")
  }

  @Test("The JSON form has the names of the ladder and the masked message")
  func json() {
    let entry = entry("BYE sip:1000@x SIP/2.0\nCall-ID: two\nCSeq: 2 BYE", sent: true, .callee(2), transport: .tls)
    #expect(
      entry.json.text == """
        {"time":"1970-01-01T12:00:01.000Z","call":"0100002a","leg":"callee 2","direction":"out","transport":"tls",\
        "peer":"192.0.2.7:5060","first_line":"BYE sip:1000@x SIP/2.0","call_id":"two","cseq":"2 BYE","reason":null,\
        "sdp":null,"size":53,"message":"BYE sip:1000@x SIP/2.0\\r\\nCall-ID: two\\r\\nCSeq: 2 BYE\\r\\n\\r\\n"}
        """)
  }

  @Test("A summary takes what it finds, also of what the parser would refuse")
  func summary() {
    let found = entry(invite, sent: false, .caller).summary
    #expect(found.callID == "one@192.0.2.7")
    #expect(found.fromTag == Array("a".utf8))
    #expect(found.toTag == nil)
    #expect(found.method == "INVITE")
    #expect(found.sdp == "sendonly PCMU opus")
    #expect(
      entry("SIP/2.0 200 OK\nt: <sip:x>;x=y; TAG = q;tag=z\ni: c", sent: true, .none).summary.toTag == Array("z".utf8))
    for text in ["", "\n\n\n", "SIP/2.0", "INVITE", ":", "a\u{0}b\u{1b}[31m", "SIP/2.0 \nCSeq: ", "X y z\n\nm=audio"] {
      var ladder = Ladder()
      for line in ladder.lines(entry(text, sent: true, .caller)) { #expect(!line.utf8.contains { $0 < 0x20 }) }
    }
  }

  @Test("A caller's first INVITE is shown with the call that its 100 Trying names; what comes after the leg too")
  func resolving() async {
    let hub = TraceHub()
    #expect(!hub.isOn)
    let stream = hub.entries(callID: nil)
    #expect(hub.isOn)
    hub.publish(entry(invite, sent: false, .none, call: nil, at: 0))
    hub.publish(entry(response("200 OK", "other", method: "OPTIONS"), sent: true, .none, call: nil, at: 1))
    hub.publish(entry(response("100 Trying"), sent: true, .caller, at: 2))
    hub.publish(entry(response("200 OK", method: "BYE", tag: ";tag=x"), sent: true, .none, call: nil, at: 3))
    hub.publish(entry(invite.replacing("one@", with: "refused@"), sent: false, .none, call: nil, at: 4))
    hub.publish(entry(response("407 No", "refused@192.0.2.7"), sent: true, .none, call: nil, at: 5))
    var seen: [String] = []
    for await entry in stream {
      seen.append("\(entry.wallMs - 43_201_000) \(entry.summary.label) \(entry.call ?? "-") \(entry.side.name)")
      if seen.count == 6 { break }
    }
    #expect(
      seen == [
        "1 200 OK (OPTIONS) - ", "0 INVITE 1001 0100002a caller", "2 100 Trying 0100002a caller",
        "3 200 OK (BYE) 0100002a caller", "4 INVITE 1001 - ", "5 407 No - ",
      ])
  }

  @Test("One call's lines only: by its id, by the start of it, or by a leg's Call-ID")
  func filter() {
    let long = "0100002aff00"
    let entries = [
      entry(invite, sent: false, .caller, call: long),
      entry(invite.replacing("one@", with: "two@"), sent: true, .callee(1), call: long),
      entry(response("200 OK", "other", method: "OPTIONS"), sent: true, .none, call: nil),
      entry(response("200 OK", "three"), sent: true, .caller, call: "0200002aff00"),
    ]
    for (wanted, expected) in [
      (nil, 4), (long, 2), ("0100002a", 2), ("0100002", 0), ("one@192.0.2.7", 2), ("other", 1), ("nobody", 0),
    ] as [(String?, Int)] {
      var filter = TraceFilter(wanted)
      #expect(entries.filter { filter.passes($0) }.count == expected, "\(wanted ?? "all")")
    }
  }

  @Test("Any number of calls and Call-IDs keep a bounded memory, and none traps")
  func bounded() {
    let hub = TraceHub()
    let stream = hub.lines(callID: nil)
    for i in 0..<5000 {
      let callID = "c\(i)"
      hub.publish(entry("INVITE sip:1@x SIP/2.0\nCall-ID: \(callID)\nCSeq: 1 INVITE", sent: false, .none, call: nil))
      hub.publish(entry(response("100 Trying", "d\(i)"), sent: true, .caller, call: "call\(i)"))
    }
    #expect(hub.isOn)
    withExtendedLifetime(stream) {}
  }
}
