import NetCore
import SDP
import Testing

private func relay(offer: String, answer: String, direction: Direction? = nil) throws -> String {
  let session = try sdp(offer)
  return try lines(
    OfferAnswerSDP.relayedAnswer(
      offer: session, offerAudio: OfferAnswerSDP.audio(in: session), answer: audio(answer), address: ours, port: 20004,
      session: identity, direction: direction))
}

private let caller = """
  v=0
  o=alice 1 1 IN IP4 192.0.2.1
  c=IN IP4 192.0.2.1
  m=video 5000 RTP/AVP 99
  m=audio 4000 RTP/AVPF 96 9 0 8 13 101
  a=rtpmap:96 opus/48000/2
  a=fmtp:96 useinbandfec=1
  a=rtpmap:101 telephone-event/8000
  a=fmtp:101 0-15
  m=image 0 udptl
  """

@Suite struct RelayedAnswerTests {
  @Test("RFC 3264 §6: the offer's sections and proto, the caller's numbers, the callee's order and parameters")
  func exact() throws {
    let built = try relay(
      offer: caller,
      answer: """
        c=IN IP4 203.0.113.5
        m=audio 6000 RTP/AVP 8 111 13 100
        a=rtpmap:111 OPUS/48000/2
        a=fmtp:111 maxplaybackrate=16000
        a=rtpmap:100 telephone-event/8000
        a=fmtp:100 0-11
        a=ptime:40
        """)
    #expect(
      built == """
        v=0
        o=- 42 1 IN IP4 198.51.100.1
        s=-
        c=IN IP4 198.51.100.1
        t=0 0
        m=video 0 RTP/AVP 99
        m=audio 20004 RTP/AVPF 8 96 13 101
        a=rtpmap:8 PCMA/8000
        a=rtpmap:96 opus/48000/2
        a=fmtp:96 maxplaybackrate=16000
        a=rtpmap:13 CN/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-11
        a=ptime:40
        a=sendrecv
        m=image 0 udptl 0

        """)
  }

  @Test("What was not offered is not answered; nothing in common is 488 with Warning 305")
  func common() throws {
    let built = try relay(
      offer: caller, answer: "c=IN IP4 203.0.113.5\nm=audio 6000 RTP/AVP 18 0 96\na=rtpmap:96 speex/8000")
    #expect(names(try audio(built).formats) == "PCMU/8000=0")
    #expect(throws: SDPError.noCommonCodec) {
      _ = try relay(offer: caller, answer: "c=IN IP4 203.0.113.5\nm=audio 6000 RTP/AVP 18")
    }
  }

  @Test("Comfort noise and events are there only where both have them")
  func auxiliary() throws {
    let answer = "c=IN IP4 203.0.113.5\nm=audio 6000 RTP/AVP 0 13 101\na=rtpmap:101 telephone-event/8000"
    let plain = "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0"
    #expect(names(try audio(relay(offer: plain, answer: answer)).formats) == "PCMU/8000=0")
    #expect(
      names(try audio(relay(offer: caller, answer: answer)).formats)
        == "PCMU/8000=0 CN/8000=13 TELEPHONE-EVENT/8000=101")
    #expect(
      names(try audio(relay(offer: caller, answer: "c=IN IP4 203.0.113.5\nm=audio 6000 RTP/AVP 0")).formats)
        == "PCMU/8000=0")
  }

  @Test(
    "RFC 3264 §6.1: the direction fits the offer, whatever the callee says",
    arguments: [
      ("sendrecv", "sendrecv", "sendrecv"), ("sendrecv", "sendonly", "sendonly"), ("sendrecv", "inactive", "inactive"),
      ("sendrecv", "recvonly", "recvonly"), ("sendonly", "recvonly", "recvonly"), ("sendonly", "sendrecv", "recvonly"),
      ("sendonly", "sendonly", "inactive"), ("recvonly", "sendrecv", "sendonly"), ("recvonly", "recvonly", "inactive"),
      ("inactive", "sendrecv", "inactive"),
    ])
  func direction(offered: String, answered: String, said: String) throws {
    let built = try relay(
      offer: "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\na=\(offered)",
      answer: "c=IN IP4 203.0.113.5\nm=audio 6000 RTP/AVP 0\na=\(answered)")
    #expect(built.hasSuffix("a=\(said)\n"))
  }

  @Test("Of two formats that differ in their bit stream the right one is answered (RFC 5577 §4.2.1, RFC 4867 §8.1)")
  func bitstream() throws {
    let polycom = """
      c=IN IP4 192.0.2.1
      m=audio 4000 RTP/AVP 102 103 104 105
      a=rtpmap:102 G7221/16000
      a=fmtp:102 bitrate=32000
      a=rtpmap:103 G7221/16000
      a=fmtp:103 bitrate=24000
      a=rtpmap:104 AMR/8000
      a=fmtp:104 octet-align=1
      a=rtpmap:105 AMR/8000
      """
    func answered(_ map: String, _ fmtp: String) throws -> String {
      names(
        try audio(
          relay(
            offer: polycom,
            answer: "c=IN IP4 203.0.113.5\nm=audio 6000 RTP/AVP 96\na=rtpmap:96 \(map)\na=fmtp:96 \(fmtp)")
        ).codecs)
    }
    #expect(try answered("G7221/16000", "bitrate=24000") == "G7221/16000=103")
    #expect(try answered("G7221/16000", "bitrate=32000") == "G7221/16000=102")
    #expect(try answered("AMR/8000", "octet-align=0; mode-set=7") == "AMR/8000=105")
    #expect(try answered("AMR/8000", "mode-set=7;octet-align=1") == "AMR/8000=104")
    #expect(throws: SDPError.noCommonCodec) { _ = try answered("G7221/16000", "bitrate=48000") }
  }

  @Test("RFC 3264 §6.1: the server's own answer has the offer's order and numbers, and only what it can speak")
  func own() throws {
    let session = try sdp(caller)
    let stream = try OfferAnswerSDP.audio(in: session)
    let chosen = try OfferAnswerSDP.common(stream, supported: [.pcma, .pcmu])
    #expect(names(chosen) == "PCMU/8000=0 PCMA/8000=8")
    let built = OfferAnswerSDP.answer(
      to: session, audio: stream, codecs: [chosen[0]], telephoneEvent: stream.telephoneEvent, address: ours,
      port: 20004, session: identity)
    #expect(
      try lines(built) == """
        v=0
        o=- 42 1 IN IP4 198.51.100.1
        s=-
        c=IN IP4 198.51.100.1
        t=0 0
        m=video 0 RTP/AVP 99
        m=audio 20004 RTP/AVPF 0 101
        a=rtpmap:0 PCMU/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-15
        a=ptime:20
        a=sendrecv
        m=image 0 udptl 0

        """)
    #expect(throws: SDPError.noCommonCodec) {
      _ = try OfferAnswerSDP.common(audio("c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 18"), supported: [.pcmu])
    }
  }

  @Test("The server's own offer")
  func ownOffer() throws {
    let built = OfferAnswerSDP.offer(
      codecs: [.pcmu, .pcma], address: ours, port: 20006, session: identity, direction: .sendonly)
    #expect(
      try lines(built) == """
        v=0
        o=- 42 1 IN IP4 198.51.100.1
        s=-
        c=IN IP4 198.51.100.1
        t=0 0
        m=audio 20006 RTP/AVP 0 8 101
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-16
        a=ptime:20
        a=sendonly

        """)
  }

  @Test("What a codec brings along cannot start a line of its own")
  func injection() {
    let codec = Codec(payloadType: 0, name: "PCMU", fmtp: Array("x\r\nm=audio 1 RTP/AVP 0".utf8))
    let built = OfferAnswerSDP.offer(codecs: [codec], address: ours, port: 20006, session: identity)
    #expect(lines(built.bytes).contains("a=fmtp:0 x  m=audio 1 RTP/AVP 0\n"))
  }
}
