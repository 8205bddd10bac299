import NetCore
import SDP
import Testing

@Suite struct PhoneTests {
  @Test("Offers of real phones are read", arguments: phones)
  func read(phone: PhoneSDP) throws {
    let session = try sdp(phone.body)
    #expect(session.media.count == phone.sections)
    let audio = try OfferAnswerSDP.audio(in: session)
    #expect(audio.mediaIndex == phone.index)
    #expect(names(audio.codecs) == phone.codecs)
    #expect(audio.telephoneEvent == phone.event)
    #expect(audio.comfortNoise == phone.noise)
    #expect(audio.rtp.description == phone.rtp)
    #expect(audio.rtcp?.description == phone.rtcp)
    #expect(String(describing: audio.direction) == phone.direction)
    #expect(audio.ptime == phone.ptime)
  }

  @Test("RFC 8866 §5: CRLF, LF and CR end a line alike", arguments: phones)
  func lineEnds(phone: PhoneSDP) throws {
    let expected = try OfferAnswerSDP.audio(in: sdp(phone.body))
    for end in ["\n", "\r", "\r\n\r\n"] {
      let body = phone.body.replacing("\n", with: end)
      #expect(try OfferAnswerSDP.audio(in: SessionDescription(parsing: Array(body.utf8)[...])) == expected)
    }
  }

  @Test("RFC 3264 §5: a relayed offer has the same sections, our address, and what the codecs mean", arguments: phones)
  func relay(phone: PhoneSDP) throws {
    let session = try sdp(phone.body)
    let offered = try OfferAnswerSDP.audio(in: session)
    let built = try OfferAnswerSDP.relayedOffer(
      from: session, audio: offered, address: ours, port: 20000, session: identity)
    let again = try SessionDescription(parsing: built.bytes[...])
    #expect(again.media.map(\.kind) == session.media.map(\.kind))
    for (i, media) in again.media.enumerated() { #expect(media.port == (i == offered.mediaIndex ? 20000 : 0)) }
    let relayed = try OfferAnswerSDP.audio(in: again)
    #expect(relayed.codecs == offered.codecs)
    #expect(relayed.direction == offered.direction)
    #expect(relayed.ptime == offered.ptime)
    #expect(relayed.rtp == Endpoint(ours, 20000))
    for entry in relayed.auxiliary { #expect(offered.auxiliary.contains(entry)) }
    let kept: Set = ["rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive"]
    for media in again.media {
      for attribute in media.attributes { #expect(kept.contains(text(attribute.name))) }
    }
    #expect(Array(again.attributes).isEmpty)
    #expect(try !lines(built).contains(offered.rtp.ip.description))
  }

  @Test("RFC 3264 §6: an answer has the offer's sections, proto and numbers", arguments: phones)
  func answer(phone: PhoneSDP) throws {
    let session = try sdp(phone.body)
    let offered = try OfferAnswerSDP.audio(in: session)
    let built = OfferAnswerSDP.answer(
      to: session, audio: offered, codecs: [offered.codecs[0]], telephoneEvent: offered.telephoneEvent, address: ours,
      port: 20002, session: identity)
    let again = try SessionDescription(parsing: built.bytes[...])
    #expect(again.media.map { text($0.protocolName) } == session.media.map { text($0.protocolName) })
    let answered = try OfferAnswerSDP.audio(in: again)
    #expect(answered.codecs == [offered.codecs[0]])
    #expect(answered.telephoneEvent == offered.telephoneEvent)
    #expect(answered.direction == offered.direction.answer())
  }

  @Test("RFC 3261 §20.43, 302: audio that is only secured is refused with a Warning")
  func secured() throws {
    let error = failure { _ = try audio(webRTC) }
    #expect(error?.status == 488)
    #expect(error?.warningValue(agent: "nightjar.local") == "302 nightjar.local \"Incompatible transport protocol\"")
  }

  @Test("ICE, BUNDLE, red, ssrc, msid, extmap and rtcp-mux do not reach the other leg")
  func browserBehindGateway() throws {
    let session = try sdp(plainWebRTC)
    let offered = try OfferAnswerSDP.audio(in: session)
    #expect(offered.rtcp == nil)
    let built = try OfferAnswerSDP.relayedOffer(
      from: session, audio: offered, address: ours, port: 20000, session: identity)
    #expect(
      try lines(built) == """
        v=0
        o=- 42 1 IN IP4 198.51.100.1
        s=-
        c=IN IP4 198.51.100.1
        t=0 0
        m=audio 20000 RTP/AVP 111 9 0 8 13 110 126
        a=rtpmap:111 opus/48000/2
        a=fmtp:111 minptime=10;useinbandfec=1
        a=rtpmap:9 G722/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:13 CN/8000
        a=rtpmap:110 telephone-event/48000
        a=rtpmap:126 telephone-event/8000
        a=sendrecv
        m=application 0 UDP/DTLS/SCTP webrtc-datachannel

        """)
  }

  @Test("RFC 3261 §20.43, 304: T.38 alone is no audio")
  func fax() throws {
    let error = failure { _ = try audio(t38Offer) }
    #expect(error == .noAudio)
    #expect(error?.status == 488)
    #expect(error?.warning == 304)
  }
}
