public import NetCore

/// One leg's RTP and RTCP port pair while it is leased. The generation tells one lease of a pair from the next.
public struct MediaEndpointID: Hashable, Sendable {
  public var worker: UInt16
  public var slot: UInt32
  /// Never zero for a leased endpoint.
  public var generation: UInt32

  public init(worker: UInt16, slot: UInt32, generation: UInt32) {
    self.worker = worker
    self.slot = slot
    self.generation = generation
  }
}

/// What a lease gives: an endpoint, and the address to put into the SDP.
public struct MediaPort: Sendable {
  public var id: MediaEndpointID
  public var address: IPAddress
  /// Even; RTCP is the port above it (RFC 3550 §11).
  public var rtpPort: UInt16

  public init(id: MediaEndpointID, address: IPAddress, rtpPort: UInt16) {
    self.id = id
    self.address = address
    self.rtpPort = rtpPort
  }
}

/// G.711's two laws: what the server itself can generate.
public enum G711Law: UInt8, Sendable, Hashable { case pcmu, pcma }

/// The payload types that the answer has settled for one leg: what we send with, and by symmetry what we are sent.
public struct MediaCodecs: Sendable, Hashable {
  public var pcmu: UInt8?
  public var pcma: UInt8?
  public var telephoneEvent: UInt8?
  /// What the peer sends telephone-event with, where that is another number (RFC 3264 §5.1).
  public var telephoneEventIn: UInt8?
  public var comfortNoise: UInt8?
  /// Which of the two is generated where both are there.
  public var preferred: G711Law
  /// RTP clock of the leg's audio codec, in Hz: the unit of its timestamps and its jitter.
  public var clockRate: UInt32

  public init(
    pcmu: UInt8? = nil, pcma: UInt8? = nil, telephoneEvent: UInt8? = nil, comfortNoise: UInt8? = nil,
    preferred: G711Law = .pcmu, clockRate: UInt32 = 8000, telephoneEventIn: UInt8? = nil
  ) {
    self.pcmu = pcmu
    self.pcma = pcma
    self.telephoneEvent = telephoneEvent
    self.comfortNoise = comfortNoise
    self.preferred = preferred
    self.clockRate = clockRate
    self.telephoneEventIn = telephoneEventIn
  }
}

public enum ToneKind: UInt8, Sendable, Hashable, CaseIterable { case ringing, busy, congestion, dial }

/// Something to hear that does not come from a peer.
public enum AudioSource: Sendable, Hashable {
  /// `country` is ISO 3166, lower case; one that is not in `Tone.countries` sounds as `us`.
  case tone(ToneKind, country: String)
  /// Any format and rate that libsndfile reads; 20 minutes at most.
  case file(path: String, loop: Bool)
  case list([String], loop: Bool)
  /// Packets of silence, which keep a NAT binding open.
  case silence
}

/// What a shard tells the media plane. Commands are idempotent, and one that names a released endpoint does nothing.
/// Their order is kept for each worker.
public enum MediaCommand: Sendable {
  /// What the peer's SDP says. Each `remote` re-arms latching: without `latch` the destination stays the signalled one.
  /// `sending` and `receiving` are ours: a leg on hold by `a=sendonly` of the peer has `sending: false`.
  case remote(
    MediaEndpointID, rtp: Endpoint?, rtcp: Endpoint?, codecs: MediaCodecs, sending: Bool, receiving: Bool, latch: Bool)
  /// Relays both ways and ends a `ringback` of either. Both endpoints must be of one worker.
  case bridge(MediaEndpointID, MediaEndpointID, aToB: PayloadMap, bToA: PayloadMap)
  case unbridge(MediaEndpointID)
  /// Ring-back: `source` until one of `from` sends real audio of the promised payload type (as `from` numbers it), which
  /// then is relayed through `map`; back to `source` after 6 s without packets. With no `from` it never gives way.
  case ringback(
    to: MediaEndpointID, source: AudioSource, from: [MediaEndpointID], promised: UInt8, map: PayloadMap)
  /// In place of what is relayed; `played` with `token` says how it ended.
  case play(MediaEndpointID, AudioSource, token: UInt32)
  /// Ends `play` and `ringback`.
  case stopPlaying(MediaEndpointID)
  /// Sends back what is received, in place of a bridge.
  case echo(MediaEndpointID, Bool)
  /// One `timeout` event when no RTP was heard for so long; nil is off.
  case watch(MediaEndpointID, timeout: Instant.Span?)
  /// Answered by one `statistics` event, also where the `release` follows at once.
  case statistics(MediaEndpointID, token: UInt32)
  /// After it no event of the endpoint is delivered, save statistics that were asked for before; its ports go to
  /// quarantine.
  case release(MediaEndpointID)
}
