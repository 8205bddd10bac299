public import NetCore

/// A description of ours: its octets, and the audio that they say.
public struct BuiltDescription: Sendable, Equatable {
  public let bytes: [UInt8]
  public let audio: AudioStream
}

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
  ) throws(SDPError) -> BuiltDescription {
    var formats = audio.formats
    if let codecs { try formats.filter(codecs) }
    if let first { formats.prefer(first) }
    formats.dropUnfitAuxiliary()
    var index = audio.mediaIndex
    if let previous {
      let known = try? OfferAnswerSDP.audio(in: previous)
      formats.renumber(keeping: known?.formats ?? FormatList())
      index = known?.mediaIndex ?? previous.sections.firstIndex { $0.kind == .audio } ?? index
    }
    let ours = AudioStream(
      mediaIndex: index, rtp: Endpoint(address, port), direction: direction ?? audio.direction, formats: formats,
      ptime: audio.ptime, maxptime: audio.maxptime)
    return BuiltDescription(bytes: SDPWriter.write(ours, identity, in: previous ?? session), audio: ours)
  }

  /// The answer for a leg that offered `offer`, from what the other leg answered: one section for each of the offer's,
  /// the formats in the answerer's order under the offer's own numbers, fmtp and ptime as the answerer said them.
  ///
  /// - Parameter direction: instead of the answerer's own; in either case no more than the offer allows (RFC 3264 §6.1).
  /// - Throws: 488 with Warning 305 where the answer has nothing that was offered.
  public static func relayedAnswer(
    offer: SessionDescription, offerAudio: AudioStream, answer: AudioStream, address: IPAddress, port: UInt16,
    session identity: SessionIdentity, direction: Direction? = nil
  ) throws(SDPError) -> BuiltDescription {
    var formats = answer.formats
    formats.renumber(as: offerAudio.formats)
    guard formats.first != nil else { throw .noCommonCodec }
    formats.dropUnfitAuxiliary()
    return built(
      offer, offerAudio, formats, direction ?? answer.direction, Endpoint(address, port), identity,
      ptime: answer.ptime, maxptime: answer.maxptime)
  }

  /// The server's own answer: tones, prompts, echo. `chosen` are entries of `audio.codecs`; see `common`.
  ///
  /// - Parameter direction: what the server wants; no more than the offer allows is said.
  public static func answer(
    to offer: SessionDescription, audio: AudioStream, codecs chosen: [Codec], telephoneEvent: UInt8? = nil,
    address: IPAddress, port: UInt16, session identity: SessionIdentity, direction: Direction = .sendrecv,
    ptime: UInt16? = 20
  ) -> BuiltDescription {
    precondition(!chosen.isEmpty, "an answer needs a codec; refuse the offer instead")
    let events = telephoneEvent.map { number in
      audio.auxiliary.first { $0.payloadType == number } ?? .telephoneEvent(number)
    }
    return built(
      offer, audio, FormatList(codecs: chosen, auxiliary: events), direction, Endpoint(address, port), identity,
      ptime: ptime, maxptime: nil)
  }

  /// The server's own offer, with one audio section.
  public static func offer(
    codecs: [Codec], telephoneEvent: UInt8? = 101, address: IPAddress, port: UInt16,
    session identity: SessionIdentity, direction: Direction = .sendrecv, ptime: UInt16? = 20
  ) -> BuiltDescription {
    precondition(!codecs.isEmpty, "an offer needs a codec")
    let ours = AudioStream(
      rtp: Endpoint(address, port), direction: direction,
      formats: FormatList(codecs: codecs, auxiliary: telephoneEvent.map { .telephoneEvent($0) }), ptime: ptime)
    return BuiltDescription(bytes: SDPWriter.write(ours, identity, in: nil), audio: ours)
  }

  /// The formats of an offer that the server itself can speak, in the offer's order and with its numbers (RFC 3264 §6.1).
  ///
  /// - Throws: 488 with Warning 305 where there is none.
  public static func common(_ offer: AudioStream, supported: [Codec]) throws(SDPError) -> [Codec] {
    let list = offer.codecs.filter { $0.match(in: supported[...]) != nil }
    guard !list.isEmpty else { throw .noCommonCodec }
    return list
  }

  /// How packets change their payload type on the way: from the numbers in `from`, a description that was *sent to*
  /// the leg they come from, to the numbers in `to`, what the leg they go to said (RFC 3264 §5.1: one is sent the
  /// numbers that one wrote). What has no entry has no counterpart.
  ///
  /// - Parameters:
  ///   - alias: what the sending leg itself said. Phones that answer with numbers of their own often send them too;
  ///     those are taken as well where they collide with none of `from`.
  ///   - entry: is called once for each number that may come.
  public static func payloadMap(
    from: FormatList, to: FormatList, alias: FormatList? = nil, entry: (_ from: UInt8, _ to: UInt8) -> Void
  ) {
    var known = PayloadSet()
    map(from, to, &known, entry)
    if let alias { map(alias, to, &known, entry) }
  }

  private static func map(
    _ from: FormatList, _ to: FormatList, _ known: inout PayloadSet, _ entry: (UInt8, UInt8) -> Void
  ) {
    let list = from.all.span
    for i in list.indices where !known.contains(list[i].payloadType) {
      guard let number = to.number(of: list[i]) else { continue }
      known.insert(list[i].payloadType)
      entry(list[i].payloadType, number)
    }
  }

  /// An answer: as many sections as the offer has, in its order, with its proto (RFC 3264 §6).
  private static func built(
    _ offer: SessionDescription, _ audio: AudioStream, _ formats: FormatList, _ wanted: Direction, _ rtp: Endpoint,
    _ identity: SessionIdentity, ptime: UInt16?, maxptime: UInt16?
  ) -> BuiltDescription {
    let ours = AudioStream(
      mediaIndex: audio.mediaIndex, rtp: rtp, direction: audio.direction.answer(wanting: wanted), formats: formats,
      ptime: ptime, maxptime: maxptime)
    return BuiltDescription(bytes: SDPWriter.write(ours, identity, in: offer, keepsProtocol: true), audio: ours)
  }
}
