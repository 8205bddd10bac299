import NetCore

/// The one stream that a phone gets from us, whatever it is made of: one SSRC, sequence numbers and timestamps without a
/// break, and the marker bit where the source changes (RFC 3550 §5.1, RFC 3551 §4.1).
///
/// A relayed packet keeps its distance to its neighbours: within one source an offset is added, so that loss and
/// reordering on the way to us stay visible. At a change the next packet continues the numbering, and its timestamp
/// advances by the time that has passed.
struct SendStream {
  private(set) var ssrc: UInt32
  private(set) var packets: UInt64 = 0
  private(set) var bytes: UInt64 = 0
  /// Payload only, for the sender report.
  private(set) var octets: UInt32 = 0

  /// Who is heard in the stream now; zero is nobody, so that the next one is a change.
  private var source: UInt64 = 0
  private var sequenceOffset: UInt16 = 0
  private var timestampOffset: UInt32 = 0
  /// The highest that was sent.
  private var sequence: UInt16
  /// The first of the present source: what is older was overtaken by the change and is dropped.
  private var firstSequence: UInt16 = 0
  private var sinceChange: UInt16 = 0

  /// The newest audio timestamp and when it was sent: the line that everything else is placed on.
  private var anchor: UInt32
  private var anchorAt = Instant.zero
  /// Samples that the newest audio packet lasts.
  private var step: UInt32 = 160

  /// The telephone-event in progress: all its packets carry the timestamp of its start (RFC 4733 §2.2.1), also across a
  /// change of the source.
  private var eventSource: UInt64 = 0
  private var eventIn: UInt32 = 0
  private var eventOut: UInt32 = 0

  init(ssrc: UInt32, sequence: UInt16, timestamp: UInt32) {
    self.ssrc = ssrc
    self.sequence = sequence
    anchor = timestamp
  }

  /// The next packet starts a talkspurt of its own: after a hold, or when the source has renumbered.
  mutating func detach() { source = 0 }

  var isStarted: Bool { packets > 0 }

  /// Where the media clock is at `now`; the timestamp of a sender report (RFC 3550 §6.4.1).
  func timestamp(at now: Instant, clockRate: UInt32) -> UInt32 {
    anchor &+ RTPClock.units(max(now - anchorAt, .zero), clockRate: clockRate)
  }

  /// Rewrites a relayed packet of `key`. False: it is older than the change of source, and must not be sent.
  @inline(__always)
  mutating func relay(
    _ packet: RTPPacket, key: UInt64, payloadType: UInt8, now: Instant, clockRate: UInt32
  ) -> Bool {
    var marker = packet.marker
    let timestamp = packet.timestamp
    if key != source {
      change(to: key, sequence: packet.sequence, timestamp: timestamp, now: now, clockRate: clockRate)
      marker = true
    }
    let out = packet.sequence &+ sequenceOffset
    if sinceChange < 128 {
      if Int16(bitPattern: out &- firstSequence) < 0 { return false }
      sinceChange += 1
    }
    let outTimestamp = timestamp &+ timestampOffset
    let ahead = out &- sequence
    if Int16(bitPattern: ahead) > 0 {
      sequence = out
      let advance = outTimestamp &- anchor
      if ahead == 1, advance > 0, advance < clockRate { step = advance }
      anchor = outTimestamp
      anchorAt = now
    }
    packet.rewrite(marker: marker, payloadType: payloadType, sequence: out, timestamp: outTimestamp, ssrc: ssrc)
    count(packet)
    return true
  }

  /// The same for a telephone-event. While something else is played to the phone the event is laid over it: the source
  /// does not change, and the event is placed at the present of the stream.
  mutating func relayEvent(
    _ packet: RTPPacket, key: UInt64, payloadType: UInt8, now: Instant, clockRate: UInt32, overlaid: Bool
  ) -> Bool {
    let timestamp = packet.timestamp
    let goesOn = eventSource == key && eventIn == timestamp
    var marker = packet.marker
    if key != source, !overlaid {
      change(to: key, sequence: packet.sequence, timestamp: timestamp, now: now, clockRate: clockRate)
      marker = marker || !goesOn
    }
    var out: UInt16
    if key == source {
      out = packet.sequence &+ sequenceOffset
      if sinceChange < 128 {
        if Int16(bitPattern: out &- firstSequence) < 0 { return false }
        sinceChange += 1
      }
    } else {
      out = sequence &+ 1
      sequenceOffset &+= 1
    }
    if !goesOn {
      eventSource = key
      eventIn = timestamp
      eventOut = key == source ? timestamp &+ timestampOffset : self.timestamp(at: now, clockRate: clockRate)
    }
    if Int16(bitPattern: out &- sequence) > 0 { sequence = out }
    packet.rewrite(marker: marker, payloadType: payloadType, sequence: out, timestamp: eventOut, ssrc: ssrc)
    count(packet)
    return true
  }

  /// Numbers a packet of our own. `skipped` frames were left out before it; `due` is when it belongs on the wire.
  mutating func generate(
    _ packet: RTPPacket, key: UInt64, payloadType: UInt8, samples: UInt32, skipped: UInt32, due: Instant
  ) {
    let marker = key != source
    sequence &+= 1
    if marker {
      if isStarted {
        anchor &+= max(RTPClock.units(max(due - anchorAt, .zero), clockRate: 8000), step)
      }
      source = key
      sinceChange = .max
    } else {
      anchor &+= samples &* (skipped &+ 1)
    }
    anchorAt = due
    step = samples
    packet.rewrite(marker: marker, payloadType: payloadType, sequence: sequence, timestamp: anchor, ssrc: ssrc)
    count(packet)
  }

  private mutating func change(to key: UInt64, sequence: UInt16, timestamp: UInt32, now: Instant, clockRate: UInt32) {
    source = key
    firstSequence = self.sequence &+ 1
    sequenceOffset = firstSequence &- sequence
    sinceChange = 0
    var start = anchor
    if isStarted { start &+= max(RTPClock.units(max(now - anchorAt, .zero), clockRate: clockRate), step) }
    timestampOffset = start &- timestamp
  }

  @inline(__always) private mutating func count(_ packet: RTPPacket) {
    packets &+= 1
    bytes &+= UInt64(packet.count)
    octets &+= UInt32(truncatingIfNeeded: packet.payloadCount)
  }
}
