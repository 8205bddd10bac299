public import NetCore

/// How playing ended.
public enum PlaybackEnd: Sendable, Hashable {
  case finished
  /// By `stopPlaying`, by another source, or by a bridge.
  case stopped
  /// The file cannot be read, or the leg has no codec that we generate.
  case failed(String)
}

/// What the media plane tells the shard that owns the endpoint.
public enum MediaEvent: Sendable {
  /// Nothing was heard for the watched time. Comes once; a new `watch` arms it again.
  case timeout(MediaEndpointID)
  /// RTP comes from, and now goes to, another address than the signalled one.
  case latched(MediaEndpointID, Endpoint)
  case played(MediaEndpointID, token: UInt32, ended: PlaybackEnd)
  case statistics(MediaEndpointID, token: UInt32, MediaStatistics)
  /// True: the callee's early media has replaced the ring-back of this endpoint; false: the ring-back is back.
  case takeover(MediaEndpointID, Bool)
  /// An RFC 4733 event, once, at its end: 0–9, 10 `*`, 11 `#`, 12–15 A–D, 16 flash.
  case dtmf(MediaEndpointID, UInt8, durationMs: Int)

  public var endpoint: MediaEndpointID {
    switch self {
    case .timeout(let id), .latched(let id, _), .played(let id, _, _), .statistics(let id, _, _), .takeover(let id, _),
      .dtmf(let id, _, _):
      id
    }
  }
}

extension MediaEvent {
  /// An answer that was asked for before the release; everything else dies with the lease.
  var outlivesRelease: Bool {
    if case .statistics = self { true } else { false }
  }
}

/// Counters of one leg since its lease.
public struct MediaStatistics: Sendable, Hashable {
  /// RTP packets accepted from the peer, and sent to it. Bytes are whole RTP packets without UDP and IP.
  public var packetsIn: UInt64 = 0
  public var packetsOut: UInt64 = 0
  public var bytesIn: UInt64 = 0
  public var bytesOut: UInt64 = 0
  /// RFC 3550 §A.3: expected less received; negative where packets were duplicated.
  public var lost: Int64 = 0
  /// RFC 3550 §A.8.
  public var jitterMs: Double = 0
  /// Dropped on reception: not from the peer's address.
  public var strangers: UInt64 = 0
  /// Dropped on reception: no RTP, or far out of sequence.
  public var malformed: UInt64 = 0
  /// Dropped: a payload type that the other leg did not agree to.
  public var unmapped: UInt64 = 0
  /// Dropped: the leg is on hold.
  public var held: UInt64 = 0
  /// What the peer reports by RTCP on our stream to it.
  public var remoteLost: Int64?
  public var remoteJitterMs: Double?
  public var roundTripMs: Double?
  /// Where the peer's RTP comes from.
  public var source: Endpoint?
  public var ssrcOut: UInt32 = 0
  public var ssrcIn: UInt32?

  public init() {}
}
