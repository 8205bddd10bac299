import NetCore
import SDP
import Testing

@Suite struct ParsingTests {
  @Test("RFC 8866 §5: the RFC's own example")
  func example() throws {
    let session = try sdp(
      """
      v=0
      o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
      s=Call to John Smith
      i=SDP Offer #1
      u=http://www.jdoe.example.com/home.html
      e=Jane Doe <jane@jdoe.example.com>
      p=+1 617 555-6011
      c=IN IP4 198.51.100.1
      t=0 0
      m=audio 49170 RTP/AVP 0
      m=audio 49180 RTP/AVP 0
      m=video 51372 RTP/AVP 99
      c=IN IP6 2001:db8::2
      a=rtpmap:99 h263-1998/90000
      """)
    #expect(session.sessionName.map(text) == "Call to John Smith")
    #expect(session.origin.map { text($0.username) } == "jdoe")
    #expect(session.origin.map { text($0.sessionID) } == "3724394400")
    #expect(session.origin.map { text($0.version) } == "3724394405")
    #expect(session.media.map(\.port) == [49170, 49180, 51372])
    #expect(session.media[1].connection == .unicast(IPAddress(v4: 0xc633_6401)))
    #expect(session.media[2].connection?.ip?.description == "2001:db8::2")
    #expect(session.media[2].attributes.first("rtpmap").map { $0.map(text) } == "99 h263-1998/90000")
    #expect(try OfferAnswerSDP.audio(in: session).mediaIndex == 0)
  }

  @Test("RFC 4566 §5: a multicast session is not for a phone call")
  func multicast() throws {
    let error = failure {
      _ = try audio(
        """
        v=0
        o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5
        s=SDP Seminar
        c=IN IP4 224.2.17.12/127
        t=2873397496 2873404696
        a=recvonly
        m=audio 49170 RTP/AVP 0
        m=video 51372 RTP/AVP 99
        a=rtpmap:99 h263-1998/90000
        """)
    }
    #expect(error?.status == 488)
    #expect(error?.warning == 330)
  }

  @Test("Only what media depends on is needed: v=, o=, s=, t= may be missing, unknown lines and blanks are skipped")
  func liberal() throws {
    let stream = try audio(
      """

      z=unknown letter
      garbage without an equals sign
       c=  IN   IP4  192.0.2.1
      M=audio 4000  RTP/AVP   8\t0
      A=RTPMAP:8   pcma/8000
      a=PTIME: 30
      """)
    #expect(names(stream.codecs) == "PCMA/8000=8 PCMU/8000=0")
    #expect(stream.ptime == 30)
    #expect(stream.rtp.description == "192.0.2.1:4000")
  }

  @Test("RFC 8866 §5.7: c= of the section counts, the session's is the default; the first of several")
  func connections() throws {
    let stream = try audio(
      "c=IN IP4 192.0.2.1\nm=video 2 RTP/AVP 34\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.2\nc=IN IP4 192.0.2.3")
    #expect(stream.rtp.description == "192.0.2.2:4000")
    #expect(try audio("c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0").rtp.description == "192.0.2.1:4000")
    // An address type that contradicts its address.
    #expect(try audio("c=IN IP4 2001:db8::9\nm=audio 4000 RTP/AVP 0").rtp.description == "[2001:db8::9]:4000")
  }

  @Test("RFC 8866 §6.7: direction of the section, else of the session, else sendrecv; the first one said counts")
  func directions() throws {
    let head = "c=IN IP4 192.0.2.1\n"
    #expect(try audio(head + "m=audio 4000 RTP/AVP 0").direction == .sendrecv)
    #expect(try audio(head + "a=inactive\nm=audio 4000 RTP/AVP 0").direction == .inactive)
    #expect(try audio(head + "a=inactive\nm=audio 4000 RTP/AVP 0\na=recvonly").direction == .recvonly)
    #expect(try audio(head + "m=audio 4000 RTP/AVP 0\na=sendonly\na=sendrecv").direction == .sendonly)
    #expect(try audio(head + "m=audio 4000 RTP/AVP 0\nm=video 2 RTP/AVP 34\na=inactive").direction == .sendrecv)
  }

  @Test(
    "RFC 3264 §8.4: c=0.0.0.0 is a hold that still sends",
    arguments: [
      ("sendrecv", Direction.sendonly), ("sendonly", .sendonly), ("recvonly", .inactive), ("inactive", .inactive),
    ])
  func oldHold(said: String, means: Direction) throws {
    for address in ["IN IP4 0.0.0.0", "IN IP6 ::"] {
      let stream = try audio("c=\(address)\nm=audio 4000 RTP/AVP 0\na=\(said)")
      #expect(stream.direction == means)
      #expect(stream.destination == nil)
      #expect(stream.rtcp == nil)
    }
  }

  @Test("RFC 3605 §2.1: a=rtcp names the port, and perhaps the address, of RTCP")
  func rtcp() throws {
    func rtcp(_ line: String) throws -> String? {
      try audio("c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n\(line)").rtcp?.description
    }
    #expect(try rtcp("") == "192.0.2.1:4001")
    #expect(try rtcp("a=rtcp:53020") == "192.0.2.1:53020")
    #expect(try rtcp("a=rtcp:53020 IN IP4 126.16.64.4") == "126.16.64.4:53020")
    #expect(try rtcp("a=rtcp:53020 IN IP6 2001:db8::4") == "[2001:db8::4]:53020")
    #expect(try rtcp("a=rtcp:53020 IN IP4 host.example.com") == "192.0.2.1:53020")
    #expect(try rtcp("a=rtcp:0") == nil)
    #expect(try rtcp("a=rtcp:nonsense") == "192.0.2.1:4001")
    #expect(try audio("c=IN IP4 192.0.2.1\nm=audio 65535 RTP/AVP 0").rtcp == nil)
  }

  @Test("RFC 3551 §6: static payload types need no rtpmap; a dynamic one without it is left out")
  func payloadTypes() throws {
    let head = "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP "
    #expect(
      names(try audio(head + "3 4 9 18 8 0 96 127 200 x").codecs)
        == "GSM/8000=3 G723/8000=4 G722/8000=9 G729/8000=18 PCMA/8000=8 PCMU/8000=0")
    #expect(names(try audio(head + "0 0 8 0").codecs) == "PCMU/8000=0 PCMA/8000=8")
    #expect(try audio(head + "10").codecs[0].channels == 2)
    #expect(names(try audio(head + "9\na=rtpmap:9 G722/16000").codecs) == "G722/8000=9")
    #expect(names(try audio(head + "0\na=rtpmap:0 PCMU").codecs) == "PCMU/8000=0")
    // The first rtpmap of a number counts, and one that cannot be read is as if it were not there.
    #expect(names(try audio(head + "96\na=rtpmap:96 speex/8000\na=rtpmap:96 speex/16000").codecs) == "SPEEX/8000=96")
    #expect(names(try audio(head + "0 96\na=rtpmap:0 PCMU/zero\na=rtpmap:96 /8000").codecs) == "PCMU/8000=0")
  }

  @Test("fmtp bytes are kept as they came")
  func fmtp() throws {
    let stream = try audio(
      "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\na=fmtp:96  useinbandfec=1;  x = \"ü\" ")
    #expect(stream.codecs[0].fmtp.map(text) == "useinbandfec=1;  x = \"ü\"")
    #expect(stream.codecs[0].channels == 2)
  }

  @Test(
    "What cannot be used says why",
    arguments: [
      ("", 400, nil), ("hello", 400, nil), ("\r\n\r\n", 400, nil),
      ("v=1\nm=audio 4000 RTP/AVP 0", 488, 399),
      ("v=0\nm=audio", 400, nil), ("v=0\nm=audio x RTP/AVP 0", 400, nil), ("v=0\nm=audio 65536 RTP/AVP 0", 400, nil),
      ("v=0\nm=audio -1 RTP/AVP 0", 400, nil), ("v=0\nm=audio 4000 RTP/AVP \u{1}", 400, nil),
      ("v=0\ns=-", 488, 304),
      ("v=0\nc=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0", 488, 304),
      ("v=0\nc=IN IP4 192.0.2.1\nm=video 4000 RTP/AVP 34", 488, 304),
      ("v=0\nm=audio 4000 RTP/AVP 0", 400, nil),
      ("v=0\nc=IN IP4 phone.example.com\nm=audio 4000 RTP/AVP 0", 488, 301),
      ("v=0\nc=IN IP4 255.255.255.255\nm=audio 4000 RTP/AVP 0", 488, 330),
      ("v=0\nc=IN IP6 ff15::101/3\nm=audio 4000 RTP/AVP 0", 488, 330),
      ("v=0\nc=ATM NSAP 47.0091\nm=audio 4000 RTP/AVP 0", 488, 300),
      ("v=0\nc=\nm=audio 4000 RTP/AVP 0", 488, 300),
      ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/SAVP 0", 488, 302),
      ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/SAVPF 0\nm=audio 0 RTP/AVP 0", 488, 302),
      ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 TCP/RTP/AVP 0", 488, 302),
      ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP", 488, 305),
      ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 96 101\na=rtpmap:101 telephone-event/8000", 488, 305),
      ("v=0\nm=audio 4000 RTP/SAVP 0\nm=audio 4002 RTP/AVP 0\nc=IN IP4 a.example.com", 488, 301),
    ] as [(String, Int, Int?)])
  func refused(body: String, status: Int, warning: Int?) throws {
    let error = failure { _ = try audio(body) }
    #expect(error?.status == status)
    #expect(error?.warning == warning)
    let reason = try #require(error?.text)
    #expect(!reason.isEmpty && reason.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c })
  }

  @Test("A later section is taken where an earlier one cannot be used")
  func laterSection() throws {
    let stream = try audio(
      """
      v=0
      m=audio 0 RTP/AVP 0
      m=audio 4000 RTP/AVP 0
      c=IN IP4 a.example.com
      m=audio 4002 RTP/AVP 8
      c=IN IP4 192.0.2.1
      """)
    #expect(stream.mediaIndex == 2)
    #expect(stream.rtp.port == 4002)
  }

  @Test("RFC 8866 §5: no octet but CR and LF ends a line, wherever it stands")
  func lineEnds() throws {
    for octet in UInt8(1)...255 where octet != 0x0a && octet != 0x0d {
      for before in 0..<9 {
        let name = Array(repeating: UInt8(ascii: "x"), count: before) + [octet, 0x21]
        for end in ["\r\n", "\n", "\r"] {
          let body = Array("s=".utf8) + name + Array("\(end)a=inactive\(end)m=audio 4 RTP/AVP 0\(end)".utf8)
          let session = try SessionDescription(parsing: body[...])
          #expect(session.sessionName.map { Array($0) } == name)
          #expect(session.media.map(\.direction) == [.inactive])
        }
      }
    }
  }

  @Test("Sizes are bounded: octets, lines, attributes, sections, formats")
  func limits() throws {
    let head = "v=0\nc=IN IP4 192.0.2.1\n"
    func status(_ body: String) -> Int? { failure { _ = try sdp(body) }?.status }
    #expect(status(head + "s=" + String(repeating: "x", count: 32768)) == 413)
    #expect(status(head + String(repeating: "i=x\n", count: 2049)) == 413)
    #expect(status(head + String(repeating: "a=x\n", count: 1025)) == 413)
    #expect(status(head + String(repeating: "m=audio 0 RTP/AVP 0\n", count: 33)) == 413)
    #expect(status(head + "m=audio 0 RTP/AVP" + String(repeating: " 0", count: 129)) == 413)
    #expect(status(head + "m=audio 0 RTP/AVP" + String(repeating: " 0", count: 128)) == nil)
    #expect(status(head + "a=\u{0}") == 400)
    var limits = SDPLimits()
    limits.bytes = 10
    #expect(failure { _ = try SessionDescription(parsing: bytes(head)[...], limits: limits) }?.status == 413)
  }

  @Test("A slice of a larger message is read in its own bounds")
  func slice() throws {
    let body = bytes("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000")
    let head = bytes("INVITE sip:x SIP/2.0")
    let message = head + body + bytes("m=audio 1 RTP/AVP 9")
    let part = message[head.count..<(head.count + body.count)]
    #expect(Array(part) == body)
    let session = try SessionDescription(parsing: part)
    #expect(session.media.count == 1)
    #expect(session.bytes == body)
    #expect(try OfferAnswerSDP.audio(in: session).telephoneEvent == 101)
  }

  @Test("RFC 3261 §20.43: a Warning's agent cannot break out of its header")
  func warning() {
    #expect(SDPError.noCommonCodec.warningValue(agent: "a\r\nb \"c\",d") == "305 abcd \"Incompatible media format\"")
    #expect(SDPError.noAudio.warningValue(agent: "") == "304 - \"Media type not available\"")
    #expect(SDPError(status: 400, text: "x", section: "y").warningValue(agent: "z") == nil)
  }
}
