import CNet
import NetCore
import Testing

@testable import Media

@Suite struct ControlTests {
  let alice = CoreHarness.phone(4000)
  let bob = CoreHarness.phone(5000)

  private func u32(_ bytes: [UInt8], _ at: Int) -> UInt32 { bytes[at..<(at + 4)].reduce(0) { $0 << 8 | UInt32($1) } }

  /// Talks both ways for some seconds; the answer is all RTCP that was sent.
  private func talk(_ h: CoreHarness, seconds: Int, bothWays: Bool = true) -> [CoreHarness.Sent] {
    var reports: [CoreHarness.Sent] = []
    for n in 0..<(seconds * 50) {
      h.receive(0, .talk(n), from: alice)
      if bothWays { h.receive(1, .talk(n, ssrc: 0x2222_2222), from: bob) }
      reports += h.poll(control: true)
      h.advance(20)
    }
    return reports
  }

  private func bridged() -> (CoreHarness, MediaEndpointID, MediaEndpointID) {
    let h = CoreHarness()
    let a = h.leg(0, phone: alice)
    let b = h.leg(1, phone: bob)
    h.apply(.bridge(a, b, aToB: .identity, bToA: .identity))
    return (h, a, b)
  }

  @Test("RFC 3550 §6.1, §6.4.1, §6.5.1: each leg gets SR with a block on its stream, and SDES CNAME, from our SSRC")
  func senderReport() throws {
    let (h, _, _) = bridged()
    let reports = talk(h, seconds: 30)
    for slot in 0...1 {
      let mine = reports.filter { $0.slot == slot }
      // 5 s times 0.5…1.5, divided by 1.21828.
      #expect((4...16).contains(mine.count), "\(mine.count)")
      let report = try #require(mine.last).bytes
      #expect(report[0] == 0x81 && report[1] == 200 && report[3] == 12)
      #expect(u32(report, 4) == h.core.slots[slot].sent.ssrc)
      #expect(u32(report, 28) == (slot == 0 ? 0x1111_1111 : 0x2222_2222))
      #expect(u32(report, 24) % 160 == 0 && u32(report, 24) / 160 == u32(report, 20))
      #expect(report[52] == 0x81 && report[53] == 202 && report[60] == 1 && report[61] == 16)
      #expect(report.count % 4 == 0 && report.last == 0)
      #expect(ControlPacket.read(report, report.count, ourSSRC: 1)?.sender == h.core.slots[slot].sent.ssrc)
    }
  }

  @Test("RFC 3550 §6.4.1: NTP and RTP timestamps of a sender report name the same moment")
  func clocks() throws {
    let (h, _, _) = bridged()
    let reports = talk(h, seconds: 40).filter { $0.slot == 1 }
    let first = try #require(reports.first)
    let last = try #require(reports.last)
    let ntp = { (report: CoreHarness.Sent) in
      Double(self.u32(report.bytes, 8)) + Double(self.u32(report.bytes, 12)) / 4_294_967_296
    }
    #expect(abs(ntp(last) - ntp(first) - (last.at - first.at).seconds) < 0.001)
    #expect(u32(last.bytes, 16) &- u32(first.bytes, 16) == UInt32((last.at - first.at).milliseconds * 8))
    // Unix time 1.7·10⁹ and some, since 1900.
    #expect(u32(first.bytes, 8) > 1_700_000_000 + 2_208_988_800 - 1_000_000_000)
  }

  @Test("RFC 3550 §6.4.2: a leg that we send nothing to gets RR")
  func receiverReport() throws {
    let (h, _, _) = bridged()
    let report = try #require(talk(h, seconds: 10, bothWays: false).first { $0.slot == 0 })
    #expect(report.bytes[1] == 201 && report.bytes[0] == 0x81 && report.bytes[3] == 7)
    #expect(u32(report.bytes, 8) == 0x1111_1111)
  }

  @Test("RFC 3550 §6.2: no report in a short call, and none of a silent leg")
  func short() {
    let (h, _, _) = bridged()
    #expect(talk(h, seconds: 1).isEmpty)
    h.advance(60_000)
    #expect(h.poll().isEmpty && h.core.deadline == .distantFuture)
  }

  @Test("RFC 3550 §6.4.1: a peer's block gives our loss on his side, his jitter and the round trip")
  func peerReport() throws {
    let (h, _, b) = bridged()
    let ours = try #require(talk(h, seconds: 8).last { $0.slot == 1 })
    let lsr = u32(ours.bytes, 8) << 16 | u32(ours.bytes, 12) >> 16
    var bytes = [UInt8](repeating: 0, count: 200)
    h.now = ours.at + .milliseconds(300)
    let count = bytes.withUnsafeMutableBytes { raw in
      ControlPacket.write(
        into: raw.baseAddress!, ssrc: 0x2222_2222, sender: nil,
        block: ReportBlock(
          ssrc: h.core.slots[1].sent.ssrc, fractionLost: 3, lost: -5, highest: 1, jitter: 80, lastReport: lsr,
          delay: 65536 / 5), cname: Array("bob".utf8))
    }
    h.receiveControl(1, Array(bytes.prefix(count)), from: CoreHarness.phone(5001))
    let statistics = try #require(h.statistics(b))
    #expect(statistics.remoteLost == -5 && statistics.remoteJitterMs == 10)
    let trip = try #require(statistics.roundTripMs)
    #expect(abs(trip - 100) < 1)
  }

  @Test("RFC 3550 §6.4.1: LSR and DLSR of our block answer the peer's sender report")
  func echoesReport() throws {
    let (h, _, _) = bridged()
    _ = talk(h, seconds: 1)
    var bytes = [UInt8](repeating: 0, count: 200)
    let count = bytes.withUnsafeMutableBytes { raw in
      ControlPacket.write(
        into: raw.baseAddress!, ssrc: 0x1111_1111,
        sender: ControlPacket.SenderInfo(ntp: 0xaaaa_1234_5678_bbbb, timestamp: 0, packets: 0, octets: 0), block: nil,
        cname: [])
    }
    let heard = h.now
    h.receiveControl(0, Array(bytes.prefix(count)), from: CoreHarness.phone(4001))
    let report = try #require(talk(h, seconds: 10).first { $0.slot == 0 })
    #expect(u32(report.bytes, 44) == 0x1234_5678)
    #expect(abs(Double(u32(report.bytes, 48)) / 65536 - (report.at - heard).seconds) < 0.001)
  }

  @Test("RTCP of a stranger changes nothing, and what is no RTCP is counted")
  func stranger() {
    let (h, a, _) = bridged()
    _ = talk(h, seconds: 1)
    h.receiveControl(0, [0x80, 201, 0, 1, 0, 0, 0, 1], from: CoreHarness.phone(9, host: 0x0102_0304))
    h.receiveControl(0, [0x80, 201, 0, 9, 0, 0, 0, 1], from: alice)
    #expect(h.statistics(a)?.strangers == 1 && h.statistics(a)?.malformed == 1)
    #expect(h.core.slots[0].control.destination.port == 4001)
  }

  @Test(
    "RFC 3550 §A.2: what is no compound packet is refused",
    arguments: [
      [], [0x80], [0x40, 200, 0, 0], [0x80, 202, 0, 0], [0x80, 200, 0, 1, 0, 0, 0, 0], [0x80, 201, 0, 2, 0, 0, 0, 0],
      [0x80, 201, 0, 1, 0, 0, 0, 1, 0x80], [0x80, 201, 0xff, 0xff],
    ] as [[UInt8]])
  func refused(bytes: [UInt8]) {
    #expect(ControlPacket.read(bytes, bytes.count, ourSSRC: 1) == nil)
  }

  @Test("RFC 3550 §6.3.1: the interval is random within its bounds")
  func interval() {
    #expect(abs(ControlPacket.interval(first: false, random: 0).seconds - 2.052) < 0.001)
    #expect(abs(ControlPacket.interval(first: false, random: .max).seconds - 6.156) < 0.001)
    #expect(abs(ControlPacket.interval(first: true, random: .max).seconds - 3.078) < 0.001)
  }
}
