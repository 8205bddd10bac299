import CNet
import NetCore
import Testing

@testable import Media

@Suite struct ReceiveStreamTests {
  private func feed(
    _ stream: inout ReceiveStream, _ sequence: UInt16, timestamp: UInt32 = 0, at now: Instant = .zero,
    ssrc: UInt32 = 5, timed: Bool = true
  ) -> ReceiveStream.Verdict {
    var bytes = Packet(sequence: sequence, timestamp: timestamp, ssrc: ssrc).bytes
    return bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress, let packet = RTPPacket(base, raw.count) else { return .suspicious }
      return stream.update(packet, now: now, clockRate: 8000, timed: timed)
    }
  }

  @Test("RFC 3550 §A.3: loss is what was expected less what came, over the wrap of the sequence number")
  func loss() {
    var stream = ReceiveStream()
    for n in 0..<1000 where n % 10 != 3 { _ = feed(&stream, UInt16(truncatingIfNeeded: 65_000 + n)) }
    #expect(stream.lost == 100)
    #expect(stream.packets == 900)
    let report = stream.report(now: .zero)
    #expect(report.fractionLost == 25 && report.lost == 100)
    #expect(report.highest == 65_000 + 999)
    // The next interval has no loss.
    for n in 1000..<1100 { _ = feed(&stream, UInt16(truncatingIfNeeded: 65_000 + n)) }
    let next = stream.report(now: .zero)
    #expect(next.fractionLost == 0)
  }

  @Test("RFC 3550 §A.3: duplicates make the loss negative; late packets are not lost")
  func duplicates() {
    var stream = ReceiveStream()
    for sequence in [1, 2, 4, 3, 5, 5, 5] as [UInt16] { _ = feed(&stream, sequence) }
    #expect(stream.lost == -2)
    let next = stream.report(now: .zero)
    #expect(next.fractionLost == 0)
  }

  @Test("RFC 3550 §A.1: a jump has to be confirmed by the packet after it")
  func jump() {
    var stream = ReceiveStream()
    #expect(feed(&stream, 1) == .restarted)
    #expect(feed(&stream, 2) == .inSequence)
    #expect(feed(&stream, 20_000) == .suspicious)
    #expect(feed(&stream, 3) == .inSequence)
    #expect(feed(&stream, 20_000) == .suspicious)
    #expect(feed(&stream, 20_001) == .restarted)
    #expect(feed(&stream, 20_002) == .inSequence)
    #expect(stream.lost == 0)
  }

  @Test("RFC 3550 §8.2: a new SSRC starts anew, and the loss of the old one is kept")
  func newSource() {
    var stream = ReceiveStream()
    for sequence in [1, 2, 5] as [UInt16] { _ = feed(&stream, sequence) }
    #expect(feed(&stream, 900, ssrc: 6) == .restarted)
    #expect(feed(&stream, 901, ssrc: 6) == .inSequence)
    #expect(stream.lost == 2 && stream.ssrc == 6)
  }

  @Test("RFC 3550 §A.8: jitter is the smoothed difference of transit times")
  func jitter() {
    var stream = ReceiveStream()
    // Every other packet is 10 ms late: |D| is 80 units each time, and J tends to it.
    for n in 0..<400 {
      let at = Instant(nanoseconds: Int64(n) * 20_000_000 + (n % 2 == 0 ? 0 : 10_000_000))
      _ = feed(&stream, UInt16(n), timestamp: UInt32(160 * n), at: at)
    }
    #expect((78...81).contains(stream.jitter))
    var steady = ReceiveStream()
    for n in 0..<400 {
      _ = feed(&steady, UInt16(n), timestamp: UInt32(160 * n), at: Instant(nanoseconds: Int64(n) * 20_000_000))
    }
    #expect(steady.jitter == 0)
  }

  @Test("RFC 4733 §2.3: an event's timestamp stands still and says nothing about jitter")
  func eventJitter() {
    var stream = ReceiveStream()
    for n in 0..<100 {
      let isEvent = n > 50
      _ = feed(
        &stream, UInt16(n), timestamp: UInt32(160 * (isEvent ? 51 : n)),
        at: Instant(nanoseconds: Int64(n) * 20_000_000),
        timed: !isEvent)
    }
    #expect(stream.jitter == 0)
  }

  @Test("RFC 3550 §6.4.1: LSR and DLSR say when the peer's report came")
  func lastReport() {
    var stream = ReceiveStream()
    _ = feed(&stream, 1)
    let first = stream.report(now: .zero)
    #expect(first.lastReport == 0)
    stream.heardReport(ntpMiddle: 0x1234_5678, at: .zero + .seconds(10))
    let report = stream.report(now: .zero + .seconds(Int64(12)) + .milliseconds(500))
    #expect(report.lastReport == 0x1234_5678 && report.delay == 65536 * 5 / 2)
  }
}
