public import NetCore

/// The first usable audio stream of an offer or an answer: what a relay has to know of it.
public struct AudioStream: Sendable, Hashable {
  /// Index into `SessionDescription.media`.
  public var mediaIndex: Int
  /// Where the writer wants RTP. The address is unspecified where he holds the old way; see `destination`.
  public var rtp: Endpoint
  /// Where he wants RTCP: `a=rtcp` (RFC 3605), else the port above; nil where there is none.
  public var rtcp: Endpoint?
  /// As the writer says it; `c=0.0.0.0` counts as not receiving (RFC 3264 §8.4).
  public var direction: Direction
  /// Audio formats in his order of preference, without the auxiliary ones.
  public var codecs: [Codec]
  /// Telephone-event and comfort noise entries, one a clock rate, in their order.
  public var auxiliary: [Codec]
  /// Milliseconds of audio he wants in a packet (RFC 8866 §6.4).
  public var ptime: Int?
  public var maxptime: Int?

  /// `telephoneEvent` and `comfortNoise` become auxiliary entries with a clock of 8000.
  public init(
    mediaIndex: Int = 0, rtp: Endpoint, rtcp: Endpoint? = nil, direction: Direction = .sendrecv, codecs: [Codec],
    telephoneEvent: UInt8? = nil, comfortNoise: UInt8? = nil, ptime: Int? = nil
  ) {
    self.mediaIndex = mediaIndex
    self.rtp = rtp
    self.rtcp = rtcp
    self.direction = direction
    self.codecs = codecs
    self.ptime = ptime
    auxiliary = []
    if let comfortNoise { auxiliary.append(Codec(payloadType: comfortNoise, name: "CN")) }
    if let telephoneEvent { auxiliary.append(.telephoneEvent(telephoneEvent)) }
  }

  /// The number of RFC 4733 events: of the entry with a clock of 8000, else of the first.
  public var telephoneEvent: UInt8? {
    let events = auxiliary.filter(\.isTelephoneEvent)
    return (events.first { $0.clockRate == 8000 } ?? events.first)?.payloadType
  }

  /// The number of RFC 3389 comfort noise at 8000 Hz: 13, or an old phone's own.
  public var comfortNoise: UInt8? {
    auxiliary.first { $0.isComfortNoise && $0.clockRate == 8000 }?.payloadType
  }

  /// Where RTP can be sent: nil while the address is unspecified.
  public var destination: Endpoint? { rtp.ip.isUnspecified ? nil : rtp }

  /// Every format with a number of its own.
  public var formats: [Codec] { codecs + auxiliary }
}

extension OfferAnswerSDP {
  /// The first audio stream that this server can relay: RTP/AVP or RTP/AVPF, port not 0, a unicast address, a codec
  /// with a known encoding.
  ///
  /// - Throws: where there is none, what keeps the nearest one from being used: Warning 304 no audio or all refused,
  ///   302 secured only, 300, 301 or 330 by its address, 305 no codec, each with 488; 400 without any `c=`.
  public static func audio(in session: SessionDescription) throws(SDPError) -> AudioStream {
    var failure: SDPError?
    for (index, media) in session.media.enumerated() where media.kind == .audio && media.port != 0 {
      do throws(SDPError) {
        return try AudioStream(media, index: index)
      } catch {
        // What is wrong with a plain stream says more than that another one is secured.
        if failure == nil || failure == .incompatibleTransport { failure = error }
      }
    }
    throw failure ?? .noAudio
  }
}

extension AudioStream {
  init(_ media: MediaDescription, index: Int) throws(SDPError) {
    guard media.profile == .rtp else { throw .incompatibleTransport }
    guard let connection = media.connection else { throw .malformed("No c= line for the audio", "RFC 8866 §5.7") }
    if let error = connection.error { throw error }
    guard let ip = connection.ip else { throw .incompatibleAddress("no literal address in c=") }

    mediaIndex = index
    rtp = Endpoint(ip, media.port)
    rtcp = media.port < 65535 ? Endpoint(ip, media.port + 1) : nil
    direction = media.direction
    let table = PayloadTable(media)
    ptime = table.ptime
    maxptime = table.maxptime
    codecs = []
    auxiliary = []
    for codec in table.formats() {
      if codec.isTelephoneEvent || codec.isComfortNoise {
        auxiliary.append(codec)
      } else if !codec.isWrapper {
        codecs.append(codec)
      }
    }
    guard !codecs.isEmpty else { throw .noCommonCodec }
    if let stated = table.rtcp {
      rtcp = stated.port == 0 ? nil : Endpoint(stated.ip ?? ip, stated.port)
    }
    if ip.isUnspecified {
      direction = Direction(sends: direction.sends, receives: false)
      rtcp = nil
    } else if rtcp?.ip.isUnspecified == true {
      rtcp = nil
    }
  }
}
