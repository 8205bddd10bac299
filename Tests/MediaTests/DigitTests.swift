import NetCore
import Testing

@testable import Media

@Suite struct DigitTests {
  let alice = CoreHarness.phone(4000)
  let bob = CoreHarness.phone(5000)

  private func bridged() -> (CoreHarness, MediaEndpointID, MediaEndpointID) {
    let h = CoreHarness()
    let a = h.leg(0, phone: alice)
    let b = h.leg(1, phone: bob)
    h.apply(.bridge(a, b, aToB: PayloadMap([0: 0, 101: 96]), bToA: .identity))
    return (h, a, b)
  }

  /// A digit of 100 ms with its three end packets.
  private func press(_ code: UInt8, sequence: UInt16, timestamp: UInt32, ends: Int = 3) -> [Packet] {
    var packets: [Packet] = []
    for n in 0..<5 {
      packets.append(
        .event(code, sequence: sequence &+ UInt16(n), timestamp: timestamp, duration: UInt16(160 * (n + 1))))
    }
    for n in 0..<ends {
      packets.append(
        .event(code, sequence: sequence &+ UInt16(5 + n), timestamp: timestamp, duration: 800, end: true))
    }
    return packets
  }

  @Test("RFC 4733 §2.2.1, §2.5.1.4: all packets of an event carry its start, on our side too")
  func coherent() throws {
    let (h, _, _) = bridged()
    let audio = try #require(h.receive(0, Packet(sequence: 1, timestamp: 160), from: alice)).packet
    var events: [Packet] = []
    for packet in press(5, sequence: 2, timestamp: 320) {
      h.advance(20)
      events.append(try #require(h.receive(0, packet, from: alice)).packet)
    }
    #expect(events.allSatisfy { $0.type == 96 && $0.timestamp == audio.timestamp &+ 160 })
    #expect(events.map { Int($0.sequence &- audio.sequence) } == Array(1...8))
    h.advance(20)
    let next = try #require(h.receive(0, Packet(sequence: 10, timestamp: 320 + 1440), from: alice)).packet
    #expect(next.timestamp == audio.timestamp &+ 1600 && next.sequence == audio.sequence &+ 9 && !next.marker)
  }

  @Test("RFC 4733 §2.5.1.4: three end packets are one digit, with its duration")
  func once() {
    let (h, a, _) = bridged()
    for packet in press(11, sequence: 1, timestamp: 8000) { h.receive(0, packet, from: alice) }
    let events = h.events()
    #expect(events.count == 1)
    guard case .dtmf(a, 11, let duration)? = events.first else {
      Issue.record("no digit")
      return
    }
    #expect(duration == 100)
  }

  @Test("the same digit twice is two digits; one whose end packets are all lost is told by what follows")
  func lostEnds() {
    let (h, _, _) = bridged()
    for packet in press(1, sequence: 1, timestamp: 1000, ends: 0) { h.receive(0, packet, from: alice) }
    #expect(h.events().isEmpty)
    for packet in press(1, sequence: 20, timestamp: 3000, ends: 0) { h.receive(0, packet, from: alice) }
    #expect(h.events().count == 1)
    h.advance(300)
    h.receive(0, Packet(sequence: 30, timestamp: 6000), from: alice)
    #expect(h.events().count == 1)
    h.advance(20)
    h.receive(0, Packet(sequence: 31, timestamp: 6160), from: alice)
    #expect(h.events().isEmpty)
  }

  @Test("an event that crosses a change of source keeps its timestamp, and one over a tone does not break the tone")
  func overTone() throws {
    let (h, _, b) = bridged()
    let audio = try #require(h.receive(0, Packet(sequence: 1, timestamp: 160), from: alice)).packet
    var keys = press(7, sequence: 2, timestamp: 320)
    h.advance(20)
    let first = try #require(h.receive(0, keys.removeFirst(), from: alice)).packet
    h.apply(.play(b, .silence, token: 1))
    var tone: [Packet] = []
    var events: [Packet] = []
    for key in keys {
      tone += h.poll().map(\.packet)
      events.append(try #require(h.receive(0, key, from: alice)).packet)
      h.advance(20)
    }
    #expect(events.allSatisfy { $0.timestamp == first.timestamp })
    let all = (tone + events + [first, audio]).map(\.sequence)
    #expect(Set(all).count == all.count)
    #expect(Int(all.map { Int($0 &- audio.sequence) }.max() ?? 0) == all.count - 1)
    #expect(zip(tone, tone.dropFirst()).allSatisfy { $1.timestamp == $0.timestamp &+ 160 })
    #expect(tone.map(\.marker) == [true] + Array(repeating: false, count: tone.count - 1))
    // Audio of the bridge waits while the tone is heard.
    #expect(h.receive(0, Packet(sequence: 10, timestamp: 1760), from: alice) == nil)
    h.apply(.stopPlaying(b))
    h.advance(20)
    let after = try #require(h.receive(0, Packet(sequence: 11, timestamp: 1920), from: alice)).packet
    #expect(after.marker && Int(after.sequence &- audio.sequence) == all.count)
    // A new event over a new tone is laid at the present of the stream.
    h.apply(.play(b, .silence, token: 2))
    let newTone = try #require(h.poll().first).packet
    h.advance(10)
    let late = try #require(
      h.receive(0, .event(3, sequence: 12, timestamp: 2080, duration: 160), from: alice)
    ).packet
    #expect(late.timestamp == newTone.timestamp &+ 80 && late.sequence == newTone.sequence &+ 1)
  }

  @Test("RFC 4733 §2.3: an event shorter than its payload format is relayed as it is and read as nothing")
  func short() {
    let (h, _, _) = bridged()
    h.receive(0, Packet(type: 101, sequence: 1, payload: [5, 0x80]), from: alice)
    #expect(h.events().isEmpty)
  }
}
