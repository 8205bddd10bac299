import NetCore
import Testing

@testable import Media

/// Two phones through the relay, on virtual time.
@Suite struct RelayTests {
  let alice = CoreHarness.phone(4000)
  let bob = CoreHarness.phone(5000)

  private func bridged(
    aToB: PayloadMap = .identity, bToA: PayloadMap = .identity
  ) -> (CoreHarness, MediaEndpointID, MediaEndpointID) {
    let h = CoreHarness()
    let a = h.leg(0, phone: alice)
    let b = h.leg(1, phone: bob)
    h.apply(.bridge(a, b, aToB: aToB, bToA: bToA))
    return (h, a, b)
  }

  @Test("RFC 3550 §5.1: towards a phone there is one SSRC of ours, and gaps and order stay as they came")
  func rewriting() throws {
    let (h, _, _) = bridged()
    var out: [Packet] = []
    for n in [0, 1, 2, 4, 3, 8, 9] {
      let sent = try #require(h.receive(0, .talk(n), from: alice))
      #expect(sent.slot == 1)
      out.append(sent.packet)
      h.advance(20)
    }
    #expect(Set(out.map(\.ssrc)).count == 1 && out[0].ssrc != 0x1111_1111)
    #expect(out.map { Int($0.sequence &- out[0].sequence) } == [0, 1, 2, 4, 3, 8, 9])
    #expect(out.map { Int($0.timestamp &- out[0].timestamp) } == [0, 160, 320, 640, 480, 1280, 1440])
    #expect(out.map(\.marker) == [true, false, false, false, false, false, false])
    #expect(out.allSatisfy { $0.payload == Packet.loud })
  }

  @Test("RFC 3550 §5.1: a new SSRC behind us is a change of source: numbers go on, with the marker bit")
  func newSource() throws {
    let (h, _, _) = bridged()
    var out: [Packet] = []
    for n in 0..<3 {
      out.append(try #require(h.receive(0, .talk(n), from: alice)).packet)
      h.advance(20)
    }
    h.advance(80)
    for n in 0..<3 {
      let packet = Packet(sequence: UInt16(100 + n), timestamp: UInt32(9_000_000 + 160 * n), ssrc: 0x2222_2222)
      out.append(try #require(h.receive(0, packet, from: alice)).packet)
      h.advance(20)
    }
    #expect(out.map { Int($0.sequence &- out[0].sequence) } == [0, 1, 2, 3, 4, 5])
    // 100 ms passed between the last of one and the first of the other.
    #expect(out.map { Int($0.timestamp &- out[0].timestamp) } == [0, 160, 320, 1120, 1280, 1440])
    #expect(out.map(\.marker) == [true, false, false, true, false, false])
    #expect(Set(out.map(\.ssrc)).count == 1)
  }

  @Test("a phone that renumbers under its old SSRC is a change of source too")
  func renumbering() throws {
    let (h, _, _) = bridged()
    let first = try #require(h.receive(0, Packet(sequence: 10, timestamp: 1600), from: alice)).packet
    h.advance(20)
    #expect(h.receive(0, Packet(sequence: 30_000, timestamp: 77), from: alice) == nil)
    h.advance(20)
    let second = try #require(h.receive(0, Packet(sequence: 30_001, timestamp: 237), from: alice)).packet
    #expect(second.sequence == first.sequence &+ 1 && second.marker)
    #expect(second.timestamp == first.timestamp &+ 320)
  }

  @Test("a packet of the source before that comes late is dropped, so that no number is used twice")
  func overtaken() throws {
    let (h, _, _) = bridged()
    let first = try #require(h.receive(0, Packet(sequence: 10, ssrc: 1), from: alice)).packet
    _ = h.receive(0, Packet(sequence: 500, ssrc: 2), from: alice)
    #expect(h.receive(0, Packet(sequence: 499, ssrc: 2), from: alice) == nil)
    let next = try #require(h.receive(0, Packet(sequence: 501, ssrc: 2), from: alice)).packet
    #expect(next.sequence == first.sequence &+ 2)
  }

  @Test("RFC 3264 §5.1: payload types are mapped a direction; what has none is dropped and counted")
  func maps() throws {
    let (h, a, b) = bridged(aToB: PayloadMap([0: 0, 101: 97, 13: 13]), bToA: PayloadMap([8: 8, 97: 101]))
    #expect(try #require(h.receive(0, .talk(0, type: 101), from: alice)).packet.type == 97)
    #expect(try #require(h.receive(0, .talk(1, type: 13, payload: [60]), from: alice)).packet.type == 13)
    #expect(h.receive(0, .talk(2, type: 8), from: alice) == nil)
    #expect(try #require(h.receive(1, .talk(0, type: 97, payload: [1, 0, 0, 160]), from: bob)).packet.type == 101)
    #expect(h.receive(1, .talk(1, type: 0), from: bob) == nil)
    #expect(h.statistics(a)?.unmapped == 1 && h.statistics(b)?.unmapped == 1)
    #expect(h.statistics(a)?.packetsIn == 3 && h.statistics(b)?.packetsOut == 2)
  }

  @Test("RFC 3264 §8.4: on hold nothing is sent, and nothing is taken; the resumed stream starts with the marker")
  func hold() throws {
    let (h, a, b) = bridged()
    let before = try #require(h.receive(0, .talk(0), from: alice)).packet
    h.apply(.remote(b, rtp: bob, rtcp: nil, codecs: CoreHarness.codecs, sending: false, receiving: true, latch: true))
    for n in 1..<51 {
      h.advance(20)
      #expect(h.receive(0, .talk(n), from: alice) == nil)
    }
    #expect(h.receive(1, .talk(0), from: bob)?.slot == 0)
    h.apply(.remote(b, rtp: bob, rtcp: nil, codecs: CoreHarness.codecs, sending: true, receiving: false, latch: true))
    h.advance(20)
    let after = try #require(h.receive(0, .talk(51), from: alice)).packet
    #expect(after.sequence == before.sequence &+ 1 && after.marker && after.ssrc == before.ssrc)
    #expect(after.timestamp == before.timestamp &+ 51 * 160)
    #expect(h.receive(1, .talk(1), from: bob) == nil)
    #expect(h.statistics(b)?.held == 51)
    _ = a
  }

  @Test("a stranger's packets are neither relayed nor counted as the phone's")
  func stranger() {
    let (h, a, _) = bridged()
    _ = h.receive(0, .talk(0), from: alice)
    for n in 0..<5 { #expect(h.receive(0, .talk(n, ssrc: 9), from: CoreHarness.phone(6666)) == nil) }
    #expect(h.statistics(a)?.strangers == 5 && h.statistics(a)?.packetsIn == 1)
    #expect(h.core.slots[0].latch.destination == SocketAddress(alice))
  }

  @Test("latching is told, and the other direction goes to the new address")
  func latched() throws {
    let (h, a, _) = bridged()
    let nat = CoreHarness.phone(61_000, host: 0xcb00_7105)
    #expect(h.receive(0, .talk(0), from: nat) == nil)
    #expect(h.receive(0, .talk(1), from: nat) != nil)
    guard case .latched(let id, let address)? = h.events().first else {
      Issue.record("no event")
      return
    }
    #expect(id == a && address == nat)
    #expect(h.receive(1, .talk(0), from: bob)?.slot == 0)
    #expect(h.core.slots[0].latch.destination == SocketAddress(nat))
  }

  @Test("echo sends back what came, as a stream of ours")
  func echo() throws {
    let h = CoreHarness()
    let a = h.leg(4, phone: alice)
    h.apply(.echo(a, true))
    let sent = try #require(h.receive(4, .talk(3), from: alice))
    #expect(sent.slot == 4 && sent.packet.payload == Packet.loud && sent.packet.ssrc != 0x1111_1111)
    h.apply(.echo(a, false))
    #expect(h.receive(4, .talk(4), from: alice) == nil)
  }

  @Test("unbridge stops both ways, and a bridge with another leg takes the first one's partner off")
  func rebridging() {
    let (h, a, b) = bridged()
    let c = h.leg(2, phone: CoreHarness.phone(6000))
    h.apply(.bridge(a, c, aToB: .identity, bToA: .identity))
    #expect(h.receive(0, .talk(0), from: alice)?.slot == 2)
    #expect(h.receive(1, .talk(0), from: bob) == nil)
    #expect(h.receive(2, .talk(0), from: CoreHarness.phone(6000))?.slot == 0)
    h.apply(.unbridge(c))
    #expect(h.receive(0, .talk(1), from: alice) == nil)
    _ = b
  }

  @Test("a released endpoint is out of everything: no packet, no event but its counters, no command of its old lease")
  func release() {
    let (h, a, b) = bridged()
    h.apply(.play(a, .tone(.busy, country: "us"), token: 5))
    h.apply(.statistics(a, token: 1))
    h.apply(.release(a))
    // Asked for before the release, for the call's record.
    let events = h.events()
    #expect(events.count == 1)
    guard case .statistics(a, token: 1, _)? = events.first else { return _ = Issue.record("\(events)") }
    #expect(h.core.released == [0])
    #expect(h.receive(0, .talk(0), from: alice) == nil)
    #expect(h.receive(1, .talk(0), from: bob) == nil)
    #expect(h.poll().isEmpty && h.core.deadline == .distantFuture)
    let again = h.leg(0, phone: alice)
    #expect(again.generation != a.generation)
    h.apply(.echo(a, true))
    h.apply(.play(a, .silence, token: 1))
    #expect(h.receive(0, .talk(0), from: alice) == nil)
    #expect(h.poll().isEmpty && h.events().isEmpty)
    _ = b
  }

  @Test("what no call owns is dropped and counted")
  func stray() {
    let h = CoreHarness()
    #expect(h.receive(3, .talk(0), from: alice) == nil)
    #expect(h.core.strays == 1)
    let a = h.leg(0, phone: alice)
    h.receive(0, [1, 2, 3], from: alice)
    h.receive(0, [UInt8](repeating: 0xff, count: 200), from: alice)
    #expect(h.statistics(a)?.malformed == 2)
  }

  @Test("a socket is connected once its source has been steady, and free again when the signalling speaks")
  func connecting() {
    let (h, a, _) = bridged()
    for n in 0..<31 { _ = h.receive(0, .talk(n), from: alice) }
    #expect(h.core.slots[0].connection == .none)
    _ = h.receive(0, .talk(31), from: alice)
    #expect(h.core.slots[0].connection == .wanted)
    h.core.slots[0].connection = .connected
    h.apply(.remote(a, rtp: alice, rtcp: nil, codecs: CoreHarness.codecs, sending: true, receiving: true, latch: true))
    #expect(h.core.slots[0].connection == .none && h.core.reconnect == [0])
  }

  @Test("statistics count packets, bytes, loss and jitter of a leg")
  func statistics() throws {
    let (h, a, b) = bridged()
    for n in 0..<50 where n != 7 {
      _ = h.receive(0, .talk(n), from: alice)
      h.advance(n % 2 == 0 ? 30 : 10)
    }
    let counted = try #require(h.statistics(a))
    #expect(counted.packetsIn == 49 && counted.bytesIn == 49 * 172 && counted.lost == 1)
    #expect(counted.jitterMs > 5 && counted.jitterMs < 15)
    #expect(counted.source == alice && counted.ssrcIn == 0x1111_1111)
    #expect(h.statistics(b)?.packetsOut == 49)
  }

  @Test("a media time-out comes once, after silence, and never while packets come")
  func watch() {
    let (h, a, _) = bridged()
    h.apply(.watch(a, timeout: .seconds(2)))
    for n in 0..<200 {
      _ = h.receive(0, .talk(n), from: alice)
      _ = h.run(20)
    }
    #expect(h.events().isEmpty)
    _ = h.run(1900)
    #expect(h.events().isEmpty)
    _ = h.run(200)
    guard case .timeout(a)? = h.events().first else {
      Issue.record("no time-out")
      return
    }
    _ = h.run(10_000)
    #expect(h.events().isEmpty && h.core.deadline == .distantFuture)
    h.apply(.watch(a, timeout: .seconds(2)))
    h.apply(.watch(a, timeout: nil))
    #expect(h.core.deadline == .distantFuture)
  }
}
