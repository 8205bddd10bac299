public import NetCore

/// RFC 3264 for a server between two legs: reads the one audio stream that it relays, and writes each leg's
/// description as its own. Everything here is a function of its arguments; the same ones give the same bytes.
public enum OfferAnswerSDP {
  /// The offer for a b-leg: `session`'s sections in their number and order, its audio on our `port`, the others with
  /// port 0. What belongs to the caller's own path or keys (ICE, crypto, DTLS, BUNDLE, rtcp-mux, ssrc, msid, extmap) is
  /// left out, so is every attribute that this server does not understand; rtpmap, fmtp, ptime and direction stay.
  ///
  /// - Parameters:
  ///   - codecs: names that may go on, the preferred first: `PCMA`, `opus`, `L16/16000`, `opus/48000/2`, in any case.
  ///     Nil lets all go on in the caller's order. Events and comfort noise are not subject to it.
  ///   - first: this format goes to the front where it goes on at all.
  ///   - direction: what to say instead of the caller's own direction.
  ///   - previous: what this server last sent on that leg. Its sections and payload numbers are kept (RFC 3264 §8 and
  ///     §8.3.2): for a re-INVITE between legs whose first offers were not each other's.
  /// - Throws: 488 with Warning 305 where no codec is left.
  public static func relayedOffer(
    from session: SessionDescription, audio: AudioStream, address: IPAddress, port: UInt16,
    session identity: SessionIdentity, codecs: [String]? = nil, first: Codec? = nil, direction: Direction? = nil,
    previous: SessionDescription? = nil
  ) throws(SDPError) -> [UInt8] {
    var list = try CodecFilter.apply(codecs, to: audio.codecs)
    if let first, let chosen = first.match(in: list), let at = list.firstIndex(of: chosen) {
      list.remove(at: at)
      list.insert(chosen, at: 0)
    }
    var formats = list + auxiliary(audio.auxiliary, for: list)
    let layout = previous ?? session
    var index = audio.mediaIndex
    if let previous {
      let known = try? OfferAnswerSDP.audio(in: previous)
      formats = Renumbering.keep(known?.formats ?? [], for: formats)
      index = known?.mediaIndex ?? previous.media.firstIndex { $0.kind == .audio } ?? index
    }
    var writer = SDPWriter(session: identity, address: address)
    for (i, media) in layout.media.enumerated() {
      if i == index {
        writer.audio(
          port: port, formats: formats, ptime: audio.ptime, maxptime: audio.maxptime,
          direction: direction ?? audio.direction)
      } else {
        writer.refused(media)
      }
    }
    return writer.bytes
  }

  /// The answer for a leg that offered `offer`, from what the other leg answered: one section for each of the offer's,
  /// the formats in the answerer's order under the offer's own numbers, fmtp and ptime as the answerer said them.
  ///
  /// - Parameter direction: instead of the answerer's own; in either case no more than the offer allows (RFC 3264 §6.1).
  /// - Throws: 488 with Warning 305 where the answer has nothing that was offered.
  public static func relayedAnswer(
    offer: SessionDescription, offerAudio: AudioStream, answer: AudioStream, address: IPAddress, port: UInt16,
    session identity: SessionIdentity, direction: Direction? = nil
  ) throws(SDPError) -> [UInt8] {
    let codecs = renumbered(answer.codecs, as: offerAudio.codecs)
    guard !codecs.isEmpty else { throw .noCommonCodec }
    let extra = auxiliary(renumbered(answer.auxiliary, as: offerAudio.auxiliary), for: codecs)
    return write(
      offer: offer, audio: offerAudio, formats: codecs + extra, ptime: answer.ptime, maxptime: answer.maxptime,
      direction: offerAudio.direction.answer(wanting: direction ?? answer.direction), address: address, port: port,
      session: identity)
  }

  /// The server's own answer: tones, prompts, echo. `chosen` are entries of `audio.codecs`; see `common`.
  ///
  /// - Parameter direction: what the server wants; no more than the offer allows is said.
  public static func answer(
    to offer: SessionDescription, audio: AudioStream, codecs chosen: [Codec], telephoneEvent: UInt8? = nil,
    address: IPAddress, port: UInt16, session identity: SessionIdentity, direction: Direction = .sendrecv,
    ptime: Int? = 20
  ) -> [UInt8] {
    precondition(!chosen.isEmpty, "an answer needs a codec; refuse the offer instead")
    var formats = chosen
    if let telephoneEvent {
      formats.append(
        audio.auxiliary.first { $0.payloadType == telephoneEvent } ?? .telephoneEvent(telephoneEvent))
    }
    return write(
      offer: offer, audio: audio, formats: formats, ptime: ptime, maxptime: nil,
      direction: audio.direction.answer(wanting: direction), address: address, port: port, session: identity)
  }

  /// The server's own offer, with one audio section.
  public static func offer(
    codecs: [Codec], telephoneEvent: UInt8? = 101, address: IPAddress, port: UInt16,
    session identity: SessionIdentity, direction: Direction = .sendrecv, ptime: Int? = 20
  ) -> [UInt8] {
    precondition(!codecs.isEmpty, "an offer needs a codec")
    var writer = SDPWriter(session: identity, address: address)
    let events = telephoneEvent.map { [Codec.telephoneEvent($0)] } ?? []
    writer.audio(port: port, formats: codecs + events, ptime: ptime, direction: direction)
    return writer.bytes
  }

  /// The formats of an offer that the server itself can speak, in the offer's order and with its numbers (RFC 3264 §6.1).
  ///
  /// - Throws: 488 with Warning 305 where there is none.
  public static func common(_ offer: AudioStream, supported: [Codec]) throws(SDPError) -> [Codec] {
    let list = offer.codecs.filter { $0.match(in: supported) != nil }
    guard !list.isEmpty else { throw .noCommonCodec }
    return list
  }

  /// An answer: as many sections as the offer has, in its order, with its proto (RFC 3264 §6).
  private static func write(
    offer: SessionDescription, audio: AudioStream, formats: [Codec], ptime: Int?, maxptime: Int?,
    direction: Direction, address: IPAddress, port: UInt16, session identity: SessionIdentity
  ) -> [UInt8] {
    var writer = SDPWriter(session: identity, address: address)
    for (i, media) in offer.media.enumerated() {
      if i == audio.mediaIndex {
        writer.audio(
          port: port, protocolName: media.protocolName, formats: formats, ptime: ptime, maxptime: maxptime,
          direction: direction)
      } else {
        writer.refused(media)
      }
    }
    return writer.bytes
  }
}
