import NetCore

/// What is known of the stream that a peer sends: RFC 3550 §A.1 (validity of sequence numbers), §A.3 (loss) and §A.8
/// (jitter). Left out: the probation of a new source, which the latch has done.
struct ReceiveStream {
  private(set) var ssrc: UInt32 = 0
  private(set) var isStarted = false
  private(set) var packets: UInt64 = 0
  private(set) var bytes: UInt64 = 0

  private var baseSequence: UInt32 = 0
  private var maxSequence: UInt16 = 0
  private var cycles: UInt32 = 0
  /// The sequence number that would confirm a jump; beyond 16 bits when there is none.
  private var badSequence: UInt32 = .max
  private var received: UInt32 = 0
  private var expectedPrior: UInt32 = 0
  private var receivedPrior: UInt32 = 0
  /// Of sources that were before this one.
  private var lostBefore: Int64 = 0

  private var transit: Int32 = 0
  private var hasTransit = false
  /// In timestamp units, times 16.
  private var jitterScaled: UInt32 = 0

  /// The middle 32 bits of the NTP timestamp of the last sender report, and when it came (§6.4.1).
  private var lastReport: UInt32 = 0
  private var lastReportAt = Instant.zero

  private static let maxDropout: UInt16 = 3000
  private static let maxMisorder: UInt16 = 100

  enum Verdict {
    case inSequence
    /// The source, or its numbering, is new: what is sent on has to be based anew.
    case restarted
    /// A jump that the next packet has to confirm. Not to be relayed.
    case suspicious
  }

  /// Counts a packet. `timed` is false for telephone-event, whose timestamp stands still (RFC 4733 §2.3).
  @inline(__always)
  mutating func update(_ packet: RTPPacket, now: Instant, clockRate: UInt32, timed: Bool) -> Verdict {
    var verdict = Verdict.inSequence
    let sequence = packet.sequence
    if !isStarted || packet.ssrc != ssrc {
      start(packet)
      verdict = .restarted
    } else {
      let delta = sequence &- maxSequence
      if delta < Self.maxDropout {
        if sequence < maxSequence { cycles &+= 1 << 16 }
        maxSequence = sequence
        badSequence = .max
      } else if delta <= 0 &- Self.maxMisorder {
        guard UInt32(sequence) == badSequence else {
          badSequence = UInt32(sequence &+ 1)
          return .suspicious
        }
        start(packet)
        verdict = .restarted
      }
    }
    received &+= 1
    packets &+= 1
    bytes &+= UInt64(packet.count)
    if timed { updateJitter(packet.timestamp, now: now, clockRate: clockRate) }
    return verdict
  }

  /// The packet is of this source, and not far behind its last one.
  func isContinued(by packet: RTPPacket) -> Bool {
    let delta = packet.sequence &- maxSequence
    return isStarted && packet.ssrc == ssrc && delta > 0 && delta < Self.maxDropout
  }

  private mutating func start(_ packet: RTPPacket) {
    if isStarted { lostBefore += lostHere }
    isStarted = true
    ssrc = packet.ssrc
    baseSequence = UInt32(packet.sequence)
    maxSequence = packet.sequence
    cycles = 0
    badSequence = .max
    received = 0
    expectedPrior = 0
    receivedPrior = 0
    hasTransit = false
    jitterScaled = 0
    lastReport = 0
  }

  /// RFC 3550 §A.8, in integers as there.
  @inline(__always)
  private mutating func updateJitter(_ timestamp: UInt32, now: Instant, clockRate: UInt32) {
    let arrival = RTPClock.units(now, clockRate: clockRate)
    let transit = Int32(bitPattern: arrival &- timestamp)
    if hasTransit {
      let difference = min((transit &- self.transit).magnitude, 1 << 24)
      jitterScaled &+= difference &- ((jitterScaled &+ 8) >> 4)
    }
    self.transit = transit
    hasTransit = true
  }

  private var extendedMax: UInt32 { cycles &+ UInt32(maxSequence) }
  private var expected: UInt32 { extendedMax &- baseSequence &+ 1 }
  private var lostHere: Int64 { isStarted ? Int64(Int32(bitPattern: expected &- received)) : 0 }

  /// RFC 3550 §A.3, over all sources.
  var lost: Int64 { lostBefore + lostHere }

  /// In timestamp units.
  var jitter: UInt32 { jitterScaled >> 4 }

  mutating func heardReport(ntpMiddle: UInt32, at now: Instant) {
    lastReport = ntpMiddle
    lastReportAt = now
  }

  /// One reception report block (RFC 3550 §6.4.1), and the start of the next interval.
  mutating func report(now: Instant) -> ReportBlock {
    let expectedInterval = expected &- expectedPrior
    let receivedInterval = received &- receivedPrior
    expectedPrior = expected
    receivedPrior = received
    let lostInterval = Int64(expectedInterval) - Int64(receivedInterval)
    var fraction: UInt8 = 0
    if expectedInterval != 0, lostInterval > 0 {
      fraction = UInt8(clamping: (lostInterval << 8) / Int64(expectedInterval))
    }
    var delay: UInt32 = 0
    if lastReport != 0 {
      delay = UInt32(truncatingIfNeeded: (now - lastReportAt).nanoseconds / 1000 * 65536 / 1_000_000)
    }
    return ReportBlock(
      ssrc: ssrc, fractionLost: fraction, lost: Int32(clamping: max(-0x80_0000, min(0x7f_ffff, lostHere))),
      highest: extendedMax, jitter: jitter, lastReport: lastReport, delay: delay)
  }
}

enum RTPClock {
  /// A point in time in units of a media clock, modulo 2³².
  @inline(__always) static func units(_ time: Instant, clockRate: UInt32) -> UInt32 {
    let seconds = time.nanoseconds / 1_000_000_000
    let rest = time.nanoseconds - seconds &* 1_000_000_000
    return UInt32(truncatingIfNeeded: seconds &* Int64(clockRate) &+ rest &* Int64(clockRate) / 1_000_000_000)
  }

  @inline(__always) static func units(_ span: Instant.Span, clockRate: UInt32) -> UInt32 {
    units(Instant(nanoseconds: span.nanoseconds), clockRate: clockRate)
  }
}

/// RFC 3550 §6.4.1.
struct ReportBlock: Equatable {
  var ssrc: UInt32
  /// In 1/256.
  var fractionLost: UInt8
  /// 24 bits, signed.
  var lost: Int32
  var highest: UInt32
  var jitter: UInt32
  var lastReport: UInt32
  /// In 1/65536 s.
  var delay: UInt32
}
