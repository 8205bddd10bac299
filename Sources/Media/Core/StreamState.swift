import NetCore

/// All that the packet path knows of one leg. No references: it lies in memory that only its worker touches, and takes
/// about 800 bytes.
struct StreamState {
  /// Zero while the pair is not leased.
  var generation: UInt32 = 0
  var owner: UInt32 = 0

  // What the signalling said.
  var codecs = MediaCodecs()
  var clockRate: UInt32 = 8000
  /// Of `codecs`; `PayloadMap.unmapped` for none.
  var eventType = PayloadMap.unmapped
  var sending = false
  var receiving = false
  var follows = true

  // Addresses.
  var latch = Latch()
  var control = ControlLatch()
  var connection = Connection.none
  /// Packets in a row from the present source, up to where the socket is connected to it.
  var steady: UInt16 = 0

  // Where what is received goes.
  var route = Route.none
  var peer: UInt32 = 0
  var peerGeneration: UInt32 = 0
  /// By received payload type.
  var map = InlineArray<128, UInt8>(repeating: PayloadMap.unmapped)
  /// The leg whose ring-back this one's early media may replace.
  var gate: Gate = .none

  // Streams.
  var received = ReceiveStream()
  var sent: SendStream
  /// Index into the core's generators; negative for none.
  var generator: Int32 = -1
  /// Whether the generator is what the phone hears: then relayed audio is held back.
  var isGenerating = false
  var digit = DigitState()

  // Time.
  var lastHeard = Instant.zero
  var watch: Instant.Span = .zero
  /// Index into the core's watched slots; negative for none.
  var watchIndex: Int32 = -1
  /// When the next RTCP report is due; it leaves with the next packet, so that a silent leg costs no timer.
  var reportAt = Instant.distantFuture
  var reportInterval = Instant.Span.zero
  var isReportQueued = false

  // Counters besides those of the streams.
  var strangers: UInt64 = 0
  var malformed: UInt64 = 0
  var unmapped: UInt64 = 0
  var held: UInt64 = 0
  var remoteReport: ReportBlock?
  var roundTripMs: Double = -1

  init(sent: SendStream) { self.sent = sent }

  enum Route: UInt8 { case none, bridge, echo }

  /// A connected socket spares the kernel a route look-up for each packet, and refuses strangers there.
  enum Connection: UInt8 {
    case none
    /// The source has been steady: connect before the next packet is sent.
    case wanted
    case connected
    /// The kernel refused it; not to be tried again.
    case refused
  }

  struct Gate {
    var slot: UInt32
    var generation: UInt32
    /// Real packets in a row.
    var run: UInt8 = 0
    static let none = Gate(slot: 0, generation: 0)
    @inline(__always) var isNone: Bool { generation == 0 }
  }

  /// Which law the server generates for this leg, and under which payload type.
  var generated: (law: G711Law, type: UInt8)? {
    let first = codecs.preferred == .pcmu ? codecs.pcmu : codecs.pcma
    if let first { return (codecs.preferred, first) }
    if let type = codecs.pcmu { return (.pcmu, type) }
    if let type = codecs.pcma { return (.pcma, type) }
    return nil
  }

  func statistics() -> MediaStatistics {
    var s = MediaStatistics()
    s.packetsIn = received.packets
    s.bytesIn = received.bytes
    s.packetsOut = sent.packets
    s.bytesOut = sent.bytes
    s.lost = received.lost
    s.jitterMs = Double(received.jitter) * 1000 / Double(clockRate)
    s.strangers = strangers
    s.malformed = malformed
    s.unmapped = unmapped
    s.held = held
    if let remoteReport {
      s.remoteLost = Int64(remoteReport.lost)
      s.remoteJitterMs = Double(remoteReport.jitter) * 1000 / Double(clockRate)
    }
    if roundTripMs >= 0 { s.roundTripMs = roundTripMs }
    s.source = latch.source.endpoint
    s.ssrcOut = sent.ssrc
    s.ssrcIn = received.isStarted ? received.ssrc : nil
    return s
  }
}

/// Reads digits out of the telephone-events that pass (RFC 4733 §2.3): one a timestamp, reported at its end.
struct DigitState {
  private(set) var isOpen = false
  private var timestamp: UInt32 = 0
  private var event: UInt8 = 0
  private var duration: UInt32 = 0
  private var isDone = false
  private var heard = Instant.zero

  typealias Digit = (event: UInt8, durationMs: Int)

  /// The event clock runs at 8000 Hz. The three end packets of one event are one digit.
  mutating func update(_ packet: RTPPacket, now: Instant) -> Digit? {
    guard packet.payloadCount >= 4 else { return nil }
    let code = packet.payload.load(as: UInt8.self)
    let end = packet.payload.load(fromByteOffset: 1, as: UInt8.self) & 0x80 != 0
    let units = UInt32(packet.payload.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian)
    var finished: Digit?
    if packet.timestamp != timestamp || code != event || !(isOpen || isDone) {
      // All end packets of the one before were lost.
      if isOpen { finished = (event, Int(duration / 8)) }
      timestamp = packet.timestamp
      event = code
      duration = 0
      isDone = false
      isOpen = true
    }
    heard = now
    duration = max(duration, units)
    if end, !isDone {
      isDone = true
      isOpen = false
      // When two end at once the first one's report is lost to the one that just ended: it cannot happen, as an event
      // that begins with its end packet has a timestamp of its own and the one before is then long silent.
      return finished ?? (code, Int(duration / 8))
    }
    return finished
  }

  /// Audio again, and the end was never seen.
  mutating func expire(now: Instant) -> Digit? {
    guard isOpen, now - heard > .milliseconds(200) else { return nil }
    isOpen = false
    isDone = true
    return (event, Int(duration / 8))
  }
}
