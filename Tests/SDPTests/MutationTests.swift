import NetCore
import SDP
import Testing

/// SplitMix64: the same bodies on every machine.
private struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

@Suite struct MutationTests {
  private static let fragments: [[UInt8]] = [
    "m=audio 1 RTP/AVP 0\r\n", "a=rtpmap:", "a=fmtp:0 ", "c=IN IP4 ", "c=IN IP6 ::\r\n", "\r\n", "=", "/", ":",
    "99999999999999999999", "-1", "a=rtcp:", "a=ptime:0\r\n", "127", "128", "\u{0}", "m=", "a=sendonly\r\n", "  ",
    "a=rtpmap:96 telephone-event/8000\r\n", "96", "0.0.0.0", "o=", "v=0\r\n", "RTP/SAVP",
  ].map { Array($0.utf8) }

  private func mutate(_ seed: [UInt8], with dice: inout Dice) -> [UInt8] {
    var body = seed
    for _ in 0..<Int.random(in: 1...8, using: &dice) {
      let at = Int.random(in: 0...body.count, using: &dice)
      switch Int.random(in: 0..<6, using: &dice) {
      case 0: if at < body.count { body[at] = UInt8.random(in: 0...255, using: &dice) }
      case 1: if at < body.count { body.remove(at: at) }
      case 2: body.insert(UInt8.random(in: 0...255, using: &dice), at: at)
      case 3: body.removeSubrange(at..<min(body.count, at + Int.random(in: 0...40, using: &dice)))
      case 4: body.insert(contentsOf: MutationTests.fragments.randomElement(using: &dice) ?? [], at: at)
      default:
        let end = min(body.count, at + Int.random(in: 0...80, using: &dice))
        body.insert(contentsOf: body[at..<end], at: Int.random(in: 0...body.count, using: &dice))
      }
    }
    return body
  }

  @Test("No mutation of a real description traps, and what is built from one is always readable", arguments: 0..<8)
  func mutations(seed: UInt64) throws {
    var dice = Dice(state: seed)
    let seeds = (phones.map(\.body) + [webRTC, plainWebRTC, t38Offer]).map { bytes($0) }
    let other = try audio(phones[0].body)
    var built = 0
    for round in 0..<1000 {
      let body = mutate(seeds[round % seeds.count], with: &dice)
      guard let session = try? SessionDescription(parsing: body[...]),
        let stream = try? OfferAnswerSDP.audio(in: session)
      else { continue }
      let offer = try OfferAnswerSDP.relayedOffer(
        from: session, audio: stream, address: ours, port: 20000, session: identity)
      let again = try SessionDescription(parsing: offer.bytes[...])
      let relayed = try OfferAnswerSDP.audio(in: again)
      #expect(again.media.count == session.media.count)
      #expect(relayed == offer.audio)
      #expect(relayed.codecs == stream.codecs)
      #expect(relayed.mediaIndex == stream.mediaIndex)
      _ = try? OfferAnswerSDP.relayedOffer(
        from: session, audio: stream, address: ours, port: 20000, session: identity, codecs: ["PCMU", "opus"],
        first: .pcmu, previous: again)
      _ = payloadMap(from: stream, to: other, alias: relayed)
      if let answer = try? OfferAnswerSDP.relayedAnswer(
        offer: session, offerAudio: stream, answer: other, address: ours, port: 20002, session: identity)
      {
        let read = try SessionDescription(parsing: answer.bytes[...])
        #expect(read.media.count == session.media.count)
        #expect(try OfferAnswerSDP.audio(in: read) == answer.audio)
      }
      built += 1
    }
    #expect(built > 100)
  }

  @Test("Noise never traps", arguments: 0..<4)
  func noise(seed: UInt64) {
    var dice = Dice(state: seed &+ 100)
    for _ in 0..<1000 {
      let count = Int.random(in: 0...300, using: &dice)
      let body = (0..<count).map { _ in UInt8.random(in: 0...255, using: &dice) }
      if let session = try? SessionDescription(parsing: body[...]) { _ = try? OfferAnswerSDP.audio(in: session) }
      _ = try? SDPBody.find(in: body[...], contentType: Array("multipart/mixed;boundary=a".utf8)[...])
    }
  }
}
