import NetCore
import SDP
import Testing

private let offer = """
  v=0
  o=alice 1 1 IN IP4 192.0.2.1
  s=x
  c=IN IP4 192.0.2.1
  b=AS:384
  t=0 0
  a=group:BUNDLE 1 2
  m=audio 4000 RTP/AVP 96 9 0 8 13 97 101
  a=rtpmap:96 OPUS/48000/2
  a=fmtp:96 useinbandfec=1
  a=rtpmap:97 telephone-event/48000
  a=rtpmap:101 telephone-event/8000
  a=fmtp:101 0-15
  a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x
  a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host
  a=remote-candidates:1 192.0.2.9 4000
  a=ice-ufrag:x
  a=rtcp-mux
  a=setup:actpass
  a=fingerprint:sha-1 00
  a=ptime:30
  a=maxptime:60
  a=sendonly
  m=video 4002/2 RTP/AVP 99
  a=rtpmap:99 H264/90000
  """

private func relayed(
  _ text: String = offer, codecs: [String]? = nil, first: Codec? = nil, direction: Direction? = nil,
  previous: SessionDescription? = nil
) throws -> String {
  let session = try sdp(text)
  return try lines(
    OfferAnswerSDP.relayedOffer(
      from: session, audio: OfferAnswerSDP.audio(in: session), address: ours, port: 20000, session: identity,
      codecs: codecs, first: first, direction: direction, previous: previous))
}

private func formats(_ description: String) throws -> String {
  names(try audio(description).formats)
}

@Suite struct RelayedOfferTests {
  @Test("RFC 3264 §5.1: byte for byte")
  func exact() throws {
    #expect(
      try relayed() == """
        v=0
        o=- 42 1 IN IP4 198.51.100.1
        s=-
        c=IN IP4 198.51.100.1
        t=0 0
        m=audio 20000 RTP/AVP 96 9 0 8 13 97 101
        a=rtpmap:96 opus/48000/2
        a=fmtp:96 useinbandfec=1
        a=rtpmap:9 G722/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:13 CN/8000
        a=rtpmap:97 telephone-event/48000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-15
        a=ptime:30
        a=maxptime:60
        a=sendonly
        m=video 0 RTP/AVP 99

        """)
    #expect(try relayed() == relayed())
  }

  @Test("Over IPv6 our address says so in o= and c=")
  func ipv6() throws {
    let session = try sdp(offer)
    let built = try OfferAnswerSDP.relayedOffer(
      from: session, audio: OfferAnswerSDP.audio(in: session), address: #require(IPAddress("2001:db8::5")),
      port: 20000, session: identity)
    #expect(try lines(built).contains("o=- 42 1 IN IP6 2001:db8::5\ns=-\nc=IN IP6 2001:db8::5\n"))
  }

  @Test("A codec filter keeps what it names in its own order; events and comfort noise follow the clocks that are left")
  func filter() throws {
    #expect(
      try formats(relayed(codecs: ["pcma", "PCMU"]))
        == "PCMA/8000=8 PCMU/8000=0 CN/8000=13 TELEPHONE-EVENT/8000=101")
    #expect(
      try formats(relayed(codecs: ["Opus/48000/2"])) == "OPUS/48000=96 TELEPHONE-EVENT/48000=97")
    #expect(throws: SDPError.noCommonCodec) { _ = try relayed(codecs: ["G729"]) }
    #expect(throws: SDPError.noCommonCodec) { _ = try relayed(codecs: ["opus/48000/1"]) }
    #expect(throws: SDPError.noCommonCodec) { _ = try relayed(codecs: ["opus/16000"]) }
    #expect(throws: SDPError.noCommonCodec) { _ = try relayed(codecs: []) }
    #expect(try names(audio(relayed(codecs: ["PCMU", "PCMU", "", "PCMU/8000"])).codecs) == "PCMU/8000=0")
  }

  @Test("The promised codec goes to the front; one that is not offered changes nothing")
  func first() throws {
    #expect(
      try names(audio(relayed(first: .pcma)).codecs) == "PCMA/8000=8 OPUS/48000=96 G722/8000=9 PCMU/8000=0")
    #expect(try relayed(first: Codec(payloadType: 18, name: "G729")) == relayed())
    #expect(try names(audio(relayed(codecs: ["PCMU"], first: .pcma)).codecs) == "PCMU/8000=0")
    // By what it is, not by its number.
    #expect(try names(audio(relayed(first: Codec(payloadType: 120, name: "pcmu"))).codecs).hasPrefix("PCMU/8000=0"))
  }

  @Test("The longest of everything finds room", arguments: [1, 50])
  func longest(sections: Int) throws {
    let name = String(repeating: "N", count: 32)
    let formats = (96...127).map { "a=rtpmap:\($0) \(name)/1000000/255\na=fmtp:\($0) \(name)\n" }.joined()
    let refused = (1..<min(sections, 32)).map { _ in "m=\(name) 65535 \(name) \(name) \(name)\n" }.joined()
    let session = try sdp(
      """
      c=IN IP6 2001:db8::9
      m=audio 65534 RTP/AVPF \((96...127).map(String.init).joined(separator: " "))
      \(formats)a=ptime:10000
      a=maxptime:10000
      \(refused)
      """)
    let stream = try OfferAnswerSDP.audio(in: session)
    let address = try #require(IPAddress("2001:db8:1111:2222:3333:4444:5555:6666"))
    let identity = SessionIdentity(id: 1 << 62 - 1, version: 1 << 62 - 1)
    for ours in [address, IPAddress(v4: 0xffff_fffe)] {
      let built = try OfferAnswerSDP.relayedOffer(
        from: session, audio: stream, address: ours, port: 65534, session: identity)
      #expect(try lines(built).count > 32 * 100)
      let answer = try OfferAnswerSDP.relayedAnswer(
        offer: session, offerAudio: stream, answer: stream, address: ours, port: 65534, session: identity)
      #expect(try names(audio(lines(answer)).formats) == names(stream.formats))
    }
  }

  @Test("The caller's old hold goes on as sendonly; a direction of our own replaces his")
  func hold() throws {
    let held = try relayed("c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0")
    #expect(held.contains("c=IN IP4 198.51.100.1\n") && held.contains("a=sendonly\n"))
    #expect(try relayed(direction: .inactive).contains("a=inactive\n"))
  }

  @Test("RFC 3264 §8: a later offer keeps the sections that the leg knows")
  func layout() throws {
    let known = try sdp(
      """
      v=0
      o=- 42 1 IN IP4 198.51.100.1
      c=IN IP4 198.51.100.1
      m=video 0 RTP/AVP 34
      m=audio 20000 RTP/AVP 0 101
      a=rtpmap:101 telephone-event/8000
      m=image 0 udptl t38
      """)
    let again = try sdp(relayed("c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 8", previous: known))
    #expect(again.media.map(\.kind) == [.video, .audio, .image])
    #expect(again.media.map(\.port) == [0, 20000, 0])
  }

  @Test("RFC 3264 §8.3.2: a number that the leg knows keeps its meaning for the whole session")
  func numbers() throws {
    let known = try sdp(
      """
      v=0
      c=IN IP4 198.51.100.1
      m=audio 20000 RTP/AVP 96 0 101
      a=rtpmap:96 iLBC/8000
      a=rtpmap:101 telephone-event/8000
      """)
    let again = try relayed(
      """
      c=IN IP4 192.0.2.1
      m=audio 4000 RTP/AVP 101 96 98 0 97
      a=rtpmap:101 iLBC/8000
      a=rtpmap:96 telephone-event/8000
      a=rtpmap:98 speex/8000
      a=rtpmap:97 CN/16000
      """, previous: known)
    #expect(
      try formats(again) == "ILBC/8000=96 SPEEX/8000=98 PCMU/8000=0 TELEPHONE-EVENT/8000=101")
    let clash = try relayed(
      "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 96 0\na=rtpmap:96 speex/16000", previous: known)
    #expect(try formats(clash) == "SPEEX/16000=97 PCMU/8000=0")
  }

  @Test("Without a free number a codec is left out, never put on a taken one")
  func exhausted() throws {
    let all = (96...127).map { "a=rtpmap:\($0) X\($0)/8000" }.joined(separator: "\n")
    let numbers = (96...127).map(String.init).joined(separator: " ")
    let known = try sdp("c=IN IP4 198.51.100.1\nm=audio 20000 RTP/AVP \(numbers)\n\(all)")
    let again = try relayed(
      "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 96 0\na=rtpmap:96 speex/16000", previous: known)
    #expect(try formats(again) == "PCMU/8000=0")
  }
}
