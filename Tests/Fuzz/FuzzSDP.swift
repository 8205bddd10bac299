import NetCore
import SDP

/// A session description. What is built from one that could be read can be read, and has the same audio in it.
func fuzzSDP(_ input: [UInt8]) {
  _ = try? SDPBody.find(in: input[...], contentType: Array("multipart/mixed;boundary=a".utf8)[...])
  guard let session = try? SessionDescription(parsing: input[...]) else { return }
  for media in session.media {
    _ = (media.formats, media.direction, media.connection?.ip)
    for attribute in media.attributes { _ = (attribute.name, attribute.value) }
  }
  guard let audio = try? OfferAnswerSDP.audio(in: session) else { return }
  _ = (audio.telephoneEvent, audio.comfortNoise, audio.g711, audio.destination, audio.rtcp)
  let ours = IPAddress(v4: 0xc000_0201)
  let identity = SessionIdentity(id: 1)
  guard
    let offer = try? OfferAnswerSDP.relayedOffer(
      from: session, audio: audio, address: ours, port: 20000, session: identity),
    let read = try? SessionDescription(parsing: offer.bytes[...]),
    let relayed = try? OfferAnswerSDP.audio(in: read)
  else { fatalError("an offer that was read cannot be passed on") }
  require(read.media.count == session.media.count, "as many m= lines")
  require(relayed == offer.audio, "the audio that was built is the audio that is read")
  require(relayed.codecs == audio.codecs, "the codecs of the offer")
  guard
    let answer = try? OfferAnswerSDP.relayedAnswer(
      offer: session, offerAudio: audio, answer: relayed, address: ours, port: 20002, session: identity)
  else { return }
  guard let answered = try? SessionDescription(parsing: answer.bytes[...]) else { fatalError("an answer is readable") }
  require(answered.media.count == session.media.count, "as many m= lines in the answer")
  require((try? OfferAnswerSDP.audio(in: answered)) == answer.audio, "the audio of the answer")
  OfferAnswerSDP.payloadMap(from: audio.formats, to: relayed.formats) { _, _ in }
}
