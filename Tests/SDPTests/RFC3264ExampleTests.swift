import NetCore
import SDP
import Testing

/// RFC 3264 §10 with literal addresses for its host names.
@Suite struct RFC3264ExampleTests {
  static let alice = """
    v=0
    o=alice 2890844526 2890844526 IN IP4 192.0.2.1
    s=
    c=IN IP4 192.0.2.1
    t=0 0
    m=audio 49170 RTP/AVP 0
    a=rtpmap:0 PCMU/8000
    m=video 51372 RTP/AVP 31
    a=rtpmap:31 H261/90000
    m=video 53000 RTP/AVP 32
    a=rtpmap:32 MPV/90000
    """
  static let bob = """
    v=0
    o=bob 2890844730 2890844730 IN IP4 203.0.113.2
    s=
    c=IN IP4 203.0.113.2
    t=0 0
    m=audio 49920 RTP/AVP 0
    a=rtpmap:0 PCMU/8000
    m=video 0 RTP/AVP 31
    m=video 53000 RTP/AVP 32
    a=rtpmap:32 MPV/90000
    """

  @Test("RFC 3264 §10.1: basic exchange; this server relays the audio and refuses both videos")
  func basic() throws {
    let offer = try sdp(RFC3264ExampleTests.alice)
    let offered = try OfferAnswerSDP.audio(in: offer)
    let toBob = try sdp(
      lines(
        OfferAnswerSDP.relayedOffer(from: offer, audio: offered, address: ours, port: 20000, session: identity)))
    #expect(toBob.media.map(\.port) == [20000, 0, 0])
    let toAlice = try sdp(
      lines(
        OfferAnswerSDP.relayedAnswer(
          offer: offer, offerAudio: offered, answer: audio(RFC3264ExampleTests.bob), address: ours, port: 20002,
          session: identity)))
    #expect(toAlice.media.map(\.port) == [20002, 0, 0])
    #expect(toAlice.media.map { $0.formats.map(text) } == [["0"], ["31"], ["32"]])
  }

  @Test("RFC 3264 §10.1: the RFC's host names are not resolved, and say so")
  func hostNames() {
    let error = failure {
      _ = try audio(RFC3264ExampleTests.alice.replacing("c=IN IP4 192.0.2.1", with: "c=IN IP4 host.anywhere.com"))
    }
    #expect(error?.status == 488)
    #expect(error?.text == "Incompatible network address formats: host name in c=")
  }

  @Test("RFC 3264 §10.2: one of N codecs; inactive stays inactive, then one is active")
  func oneOfN() throws {
    let first = try sdp(
      """
      v=0
      o=alice 2890844526 2890844526 IN IP4 192.0.2.1
      s=
      c=IN IP4 192.0.2.1
      t=0 0
      m=audio 62986 RTP/AVP 0 4 18
      a=rtpmap:0 PCMU/8000
      a=rtpmap:4 G723/8000
      a=rtpmap:18 G729/8000
      a=inactive
      """)
    let offered = try OfferAnswerSDP.audio(in: first)
    let answer = try audio(
      """
      v=0
      o=bob 2890844730 2890844731 IN IP4 203.0.113.2
      s=
      c=IN IP4 203.0.113.2
      t=0 0
      m=audio 54344 RTP/AVP 0 4
      a=rtpmap:0 PCMU/8000
      a=rtpmap:4 G723/8000
      a=inactive
      """)
    var toAlice = LocalDescription(id: 7)
    let built = toAlice.update(
      try OfferAnswerSDP.relayedAnswer(
        offer: first, offerAudio: offered, answer: answer, address: ours, port: 20002, session: toAlice.identity))
    #expect(lines(built).contains("o=- 7 1 ") && lines(built).contains("m=audio 20002 RTP/AVP 0 4\n"))
    #expect(lines(built).hasSuffix("a=inactive\n"))

    let second = try sdp(
      """
      v=0
      o=alice 2890844526 2890844527 IN IP4 192.0.2.1
      s=
      c=IN IP4 192.0.2.1
      t=0 0
      m=audio 62986 RTP/AVP 4
      a=rtpmap:4 G723/8000
      a=sendrecv
      """)
    let secondAudio = try OfferAnswerSDP.audio(in: second)
    let again = toAlice.update(
      try OfferAnswerSDP.relayedAnswer(
        offer: second, offerAudio: secondAudio,
        answer: audio("v=0\nc=IN IP4 203.0.113.2\nm=audio 54344 RTP/AVP 4\na=rtpmap:4 G723/8000\na=sendrecv"),
        address: ours, port: 20002, session: toAlice.identity))
    #expect(lines(again).contains("o=- 7 2 ") && lines(again).contains("m=audio 20002 RTP/AVP 4\n"))
    #expect(lines(again).hasSuffix("a=sendrecv\n"))
  }

  @Test("RFC 6337 §5.3: hold and resume, seen from the leg that is held")
  func hold() throws {
    var toBob = LocalDescription(id: 9)
    func offer(_ direction: String) throws -> String {
      let session = try sdp(RFC3264ExampleTests.alice + "\na=x")
      var audio = try OfferAnswerSDP.audio(in: session)
      audio.direction = try #require(Direction.allCases.first { String(describing: $0) == direction })
      return try lines(
        toBob.update(
          OfferAnswerSDP.relayedOffer(
            from: session, audio: audio, address: ours, port: 20000, session: toBob.identity)))
    }
    let talking = try offer("sendrecv")
    let held = try offer("sendonly")
    let resumed = try offer("sendrecv")
    #expect(talking.contains("o=- 9 1 ") && held.contains("o=- 9 2 ") && resumed.contains("o=- 9 3 "))
    #expect(talking.replacing("o=- 9 1 ", with: "o=- 9 3 ") == resumed)
  }
}
