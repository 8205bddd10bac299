import NetCore
import Testing

@testable import Media

/// Whatever arrives, nothing traps, and what leaves is RTP of ours.
@Suite struct FuzzTests {
  @Test("hostile datagrams and commands in any order", arguments: [1, 2, 3, 4] as [UInt64])
  func hostile(seed: UInt64) {
    var random = SplitMix(state: seed)
    func roll(_ n: Int) -> Int { Int(random.next() % UInt64(n)) }
    let h = CoreHarness(seed: seed)
    var legs = (0..<4).map { h.leg(UInt32($0), phone: CoreHarness.phone(UInt16(4000 + 2 * $0))) }
    let types: [UInt8] = [0, 8, 13, 101, 96, 72]
    for _ in 0..<30_000 {
      let slot = roll(4)
      let phone = CoreHarness.phone(UInt16(4000 + 2 * (roll(10) == 0 ? roll(5) : slot)))
      switch roll(40) {
      case 0: h.apply(.bridge(legs[slot], legs[roll(4)], aToB: .identity, bToA: PayloadMap([0: 8, 8: 0, 101: 97])))
      case 1: h.apply(.unbridge(legs[slot]))
      case 2: h.apply(.echo(legs[slot], roll(2) == 0))
      case 3:
        h.apply(
          .ringback(
            to: legs[slot], source: roll(2) == 0 ? .silence : .tone(.ringing, country: "gb"),
            from: [legs[roll(4)], legs[roll(4)]], promised: 0, map: .identity))
      case 4: h.apply(.play(legs[slot], .tone(.busy, country: "jp"), token: UInt32(roll(3))))
      case 5: h.apply(.stopPlaying(legs[slot]))
      case 6: h.apply(.watch(legs[slot], timeout: roll(3) == 0 ? nil : .milliseconds(Int64(roll(3000)))))
      case 7:
        h.apply(
          .remote(
            legs[slot], rtp: roll(4) == 0 ? nil : CoreHarness.phone(UInt16(roll(65_536))), rtcp: nil,
            codecs: roll(3) == 0 ? MediaCodecs(pcma: 8, clockRate: UInt32(roll(200_000))) : CoreHarness.codecs,
            sending: roll(3) > 0, receiving: roll(3) > 0, latch: roll(3) > 0))
      case 8:
        h.apply(.release(legs[slot]))
        legs[slot] = h.leg(UInt32(slot), phone: CoreHarness.phone(UInt16(4000 + 2 * slot)))
      case 9:
        h.apply(.play(legs[slot], .list(["a", "b"], loop: roll(2) == 0), token: 9))
        for load in h.core.loads {
          let clips = [AudioClip([Int16](repeating: 99, count: roll(500))), AudioClip([])]
          h.core.loaded(load.key, clips, failure: roll(3) == 0 ? "no" : nil, now: h.now)
        }
        h.core.loads.removeAll()
      case 10: h.advance(Int64(roll(30_000)))
      case 11: h.receiveControl(slot, (0..<roll(80)).map { _ in UInt8(roll(256)) }, from: phone)
      case 12...20: h.advance(Int64(roll(30)))
      default:
        var packet = Packet(
          type: types[roll(types.count)], marker: roll(9) == 0, sequence: UInt16(roll(roll(3) == 0 ? 65_536 : 40)),
          timestamp: UInt32(truncatingIfNeeded: random.next()), ssrc: UInt32(roll(2))
        ).bytes
        if roll(5) == 0 { packet[roll(16)] = UInt8(roll(256)) }
        if roll(9) == 0 { packet.removeLast(roll(packet.count + 1)) }
        if let sent = h.receive(slot, packet, from: phone) {
          #expect(sent.packet.ssrc == h.core.slots[sent.slot].sent.ssrc)
        }
      }
      for made in h.poll() { #expect(made.packet.ssrc == h.core.slots[made.slot].sent.ssrc && made.bytes.count == 172) }
    }
    for leg in legs { h.apply(.release(leg)) }
    #expect(h.core.leases == 0 && h.core.generators.isEmpty && h.core.watched.isEmpty)
  }
}
