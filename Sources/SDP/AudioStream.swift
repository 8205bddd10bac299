public import NetCore

/// The first usable audio stream of an offer or an answer: what a relay has to know of it.
public struct AudioStream: Sendable, Equatable {
  /// Index into `SessionDescription.media`.
  public var mediaIndex: Int
  /// Where the writer wants RTP. The address is unspecified where he holds the old way; see `destination`.
  public var rtp: Endpoint
  /// Where he wants RTCP: `a=rtcp` (RFC 3605), else the port above; nil where there is none.
  public var rtcp: Endpoint?
  /// As the writer says it; `c=0.0.0.0` counts as not receiving (RFC 3264 §8.4).
  public var direction: Direction
  public var formats: FormatList
  /// Milliseconds of audio he wants in a packet (RFC 8866 §6.4).
  public var ptime: UInt16?
  public var maxptime: UInt16?

  /// RTCP goes to the port above.
  public init(
    mediaIndex: Int = 0, rtp: Endpoint, direction: Direction = .sendrecv, formats: FormatList, ptime: UInt16? = nil,
    maxptime: UInt16? = nil
  ) {
    self.mediaIndex = mediaIndex
    self.rtp = rtp
    rtcp = AudioStream.above(rtp)
    self.direction = direction
    self.formats = formats
    self.ptime = ptime
    self.maxptime = maxptime
  }

  private static func above(_ rtp: Endpoint) -> Endpoint? {
    rtp.port < 65535 ? Endpoint(rtp.ip, rtp.port + 1) : nil
  }

  /// Audio formats in his order of preference, without the auxiliary ones.
  public var codecs: ArraySlice<Codec> { formats.codecs }
  /// Telephone-event and comfort noise entries, one a clock rate, in their order.
  public var auxiliary: ArraySlice<Codec> { formats.auxiliary }

  /// The number of RFC 4733 events: of the entry with a clock of 8000, else of the first.
  public var telephoneEvent: UInt8? {
    auxiliary(.telephoneEvent, clock: 8000) ?? auxiliary(.telephoneEvent, clock: nil)
  }

  /// The number of RFC 3389 comfort noise at 8000 Hz: 13, or an old phone's own.
  public var comfortNoise: UInt8? { auxiliary(.comfortNoise, clock: 8000) }

  private func auxiliary(_ encoding: Encoding, clock: UInt32?) -> UInt8? {
    formats.first(from: formats.codecCount) { $0.encoding == encoding && (clock == nil || $0.clockRate == clock) }
  }

  /// The number of the first codec with that encoding.
  public func number(of encoding: Encoding) -> UInt8? {
    formats.first(from: 0) { $0.encoding == encoding }
  }

  /// `pcmu` or `pcma`, whichever comes first.
  public var g711: Encoding? {
    let list = formats.codecs.span
    for i in list.indices where list[i].encoding == .pcmu || list[i].encoding == .pcma { return list[i].encoding }
    return nil
  }

  /// Where RTP can be sent: nil while the address is unspecified.
  public var destination: Endpoint? { rtp.ip.isUnspecified ? nil : rtp }
}

extension OfferAnswerSDP {
  /// The first audio stream that this server can relay: RTP/AVP or RTP/AVPF, port not 0, a unicast address, a codec
  /// with a known encoding.
  ///
  /// - Throws: where there is none, what keeps the nearest one from being used: Warning 304 no audio or all refused,
  ///   302 secured only, 300, 301 or 330 by its address, 305 no codec, each with 488; 400 without any `c=`.
  public static func audio(in session: SessionDescription) throws(SDPError) -> AudioStream {
    var failure: SDPError?
    for index in session.sections.indices {
      guard session.sections[index].kind == .audio, session.sections[index].port != 0 else { continue }
      do throws(SDPError) {
        return try AudioStream(session.sections[index], index: index, of: session.bytes)
      } catch {
        // What is wrong with a plain stream says more than that another one is secured.
        if failure == nil || failure == .incompatibleTransport { failure = error }
      }
    }
    throw failure ?? .noAudio
  }
}

extension AudioStream {
  init(_ section: MediaSection, index: Int, of bytes: [UInt8]) throws(SDPError) {
    guard section.profile == .rtp else { throw .incompatibleTransport }
    guard let connection = section.connection else { throw .malformed("No c= line for the audio", "RFC 8866 §5.7") }
    guard let ip = connection.ip else { throw connection.error }

    let attributes = AudioAttributes(section.body, of: bytes)
    formats = attributes.formats(section.formatList, of: bytes)
    guard formats.first != nil else { throw .noCommonCodec }
    mediaIndex = index
    rtp = Endpoint(ip, section.port)
    ptime = attributes.ptime
    maxptime = attributes.maxptime
    let said = section.direction ?? .sendrecv
    guard !ip.isUnspecified else {
      direction = Direction(sends: said.sends, receives: false)
      rtcp = nil
      return
    }
    direction = said
    if let stated = attributes.rtcp {
      let address = stated.ip ?? ip
      rtcp = stated.port == 0 || address.isUnspecified ? nil : Endpoint(address, stated.port)
    } else {
      rtcp = AudioStream.above(rtp)
    }
  }
}
