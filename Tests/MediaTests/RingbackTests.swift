import NetCore
import Testing

@testable import Media

/// `tone_until_media` on virtual time: a caller on slot 0, callees on 1 and 2.
@Suite struct RingbackTests {
  let caller = CoreHarness.phone(4000)
  let callee = CoreHarness.phone(5000)

  private func ringing(
    takeover: Bool = true
  ) -> (CoreHarness, MediaEndpointID, MediaEndpointID) {
    let h = CoreHarness()
    let a = h.leg(0, phone: caller)
    let b = h.leg(1, phone: callee)
    h.apply(
      .ringback(
        to: a, source: .tone(.ringing, country: "us"), from: takeover ? [b] : [], promised: 0,
        map: PayloadMap([0: 0, 13: 13, 101: 101])))
    return (h, a, b)
  }

  private func isTone(_ packet: Packet) -> Bool { Goertzel.power(packet.payload, 440) > 0.1 }

  @Test("the caller hears 440 and 480 Hz at once, every 20 ms")
  func tone() {
    let (h, _, _) = ringing()
    let sent = h.run(1000)
    #expect(sent.count == 50 && sent.allSatisfy { $0.slot == 0 && isTone($0.packet) })
    #expect(zip(sent, sent.dropFirst()).allSatisfy { $1.at - $0.at == .milliseconds(20) })
  }

  @Test("three real packets of the promised type take over: same SSRC, numbers go on, marker at the switch")
  func takesOver() throws {
    let (h, a, _) = ringing()
    let tone = h.run(200).map(\.packet)
    for n in 0..<2 {
      #expect(h.receive(1, .talk(n), from: callee) == nil)
      #expect(h.run(20).count == 1)
    }
    let last = tone.count + 2
    let first = try #require(h.receive(1, .talk(2), from: callee))
    #expect(first.slot == 0 && first.packet.marker && first.packet.ssrc == tone[0].ssrc)
    #expect(Int(first.packet.sequence &- tone[0].sequence) == last)
    guard case .takeover(a, true)? = h.events().first else {
      Issue.record("no event")
      return
    }
    #expect(h.run(20).isEmpty)
    let second = try #require(h.receive(1, .talk(3), from: callee)).packet
    #expect(!second.marker && second.sequence == first.packet.sequence &+ 1)
    #expect(second.timestamp == first.packet.timestamp &+ 160)
    // Silence of the callee is his own.
    h.advance(20)
    #expect(h.receive(1, .talk(4, payload: Packet.quiet), from: callee)?.packet.payload == Packet.quiet)
  }

  @Test(
    "silence, comfort noise, telephone-event and other codecs do not take over, and break the run of three",
    arguments: [
      Packet.talk(2, payload: Packet.quiet), Packet.talk(2, type: 13, payload: [60]),
      Packet.event(1, sequence: 65_532, timestamp: 320, duration: 160), Packet.talk(2, type: 8),
    ])
  func notReal(packet: Packet) {
    let (h, _, _) = ringing()
    _ = h.run(20)
    for n in 0..<2 { #expect(h.receive(1, .talk(n), from: callee) == nil) }
    #expect(h.receive(1, packet, from: callee) == nil)
    for n in 3..<5 { #expect(h.receive(1, .talk(n), from: callee) == nil) }
    #expect(h.receive(1, .talk(5), from: callee) != nil)
  }

  @Test("the tone comes back after 6 s without packets, at the start of its cadence, and may be taken over again")
  func fallsBack() throws {
    let (h, a, _) = ringing()
    _ = h.run(2600)  // the tone is in its pause
    var media: [Packet] = []
    for n in 0..<10 {
      if let sent = h.receive(1, .talk(n), from: callee) { media.append(sent.packet) }
      _ = h.run(20)
    }
    _ = h.events()
    #expect(h.run(5900).isEmpty && h.events().isEmpty)
    let back = h.run(1000).map(\.packet)
    guard case .takeover(a, false)? = h.events().first else {
      Issue.record("no event")
      return
    }
    let first = try #require(back.first)
    let last = try #require(media.last)
    #expect(first.marker && first.ssrc == last.ssrc && first.sequence == last.sequence &+ 1)
    #expect(back.allSatisfy(isTone))
    #expect(abs(Int32(bitPattern: first.timestamp &- last.timestamp) - 6 * 8000) <= 320)
    for n in 400..<403 { h.receive(1, .talk(n), from: callee) }
    guard case .takeover(a, true)? = h.events().first else {
      Issue.record("not again")
      return
    }
  }

  @Test("a policy without takeover lets nothing through, and one leg's media keeps another's out")
  func gates() {
    let (closed, _, _) = ringing(takeover: false)
    for n in 0..<20 { #expect(closed.receive(1, .talk(n), from: callee) == nil) }
    let h = CoreHarness()
    let a = h.leg(0, phone: caller)
    let legs = [h.leg(1, phone: callee), h.leg(2, phone: CoreHarness.phone(6000))]
    h.apply(.ringback(to: a, source: .tone(.ringing, country: "de"), from: legs, promised: 0, map: .identity))
    for n in 0..<4 { h.receive(1, .talk(n), from: callee) }
    for n in 0..<10 { #expect(h.receive(2, .talk(n), from: CoreHarness.phone(6000)) == nil) }
    #expect(h.receive(1, .talk(4), from: callee) != nil)
    // The one that was heard is gone: the tone is back with the next tick, and the other may speak.
    h.apply(.release(legs[0]))
    #expect(h.run(40).count == 2)
    for n in 10..<13 { h.receive(2, .talk(n), from: CoreHarness.phone(6000)) }
    #expect(h.receive(2, .talk(13), from: CoreHarness.phone(6000)) != nil)
  }

  @Test("the bridge ends the ring-back, and the stream to the caller goes on with the marker")
  func answered() throws {
    let (h, a, b) = ringing()
    let tone = h.run(100).map(\.packet)
    h.apply(.bridge(a, b, aToB: .identity, bToA: .identity))
    #expect(h.core.deadline == .distantFuture)
    #expect(h.run(1000).isEmpty)
    let first = try #require(h.receive(1, .talk(0, payload: Packet.quiet), from: callee)).packet
    #expect(first.marker && first.ssrc == tone[0].ssrc && first.sequence == tone[4].sequence &+ 1)
    #expect(first.timestamp == tone[4].timestamp &+ 1020 * 8)
    #expect(h.receive(0, .talk(0), from: caller)?.slot == 1)
    #expect(h.events().isEmpty)
  }

  @Test("said again with another callee, the cadence goes on")
  func again() {
    let (h, a, b) = ringing()
    _ = h.run(1500)
    let c = h.leg(2, phone: CoreHarness.phone(6000))
    h.apply(
      .ringback(
        to: a, source: .tone(.ringing, country: "us"), from: [b, c], promised: 0, map: .identity))
    let sent = h.run(1000).map(\.packet)
    #expect(sent.prefix(25).allSatisfy(isTone) && !sent.suffix(20).contains(where: isTone))
    #expect(sent.allSatisfy { !$0.marker })
    for n in 0..<3 { h.receive(2, .talk(n), from: CoreHarness.phone(6000)) }
    #expect(h.events().count == 1)
  }

  @Test("A-law is measured as A-law")
  func pcma() {
    let h = CoreHarness()
    let codecs = MediaCodecs(pcma: 8)
    let a = h.leg(0, phone: caller, codecs: codecs)
    let b = h.leg(1, phone: callee, codecs: codecs)
    h.apply(.ringback(to: a, source: .tone(.ringing, country: "fr"), from: [b], promised: 8, map: PayloadMap([8: 8])))
    #expect(h.poll().first?.packet.type == 8)
    let silence = [UInt8](repeating: 0xd5, count: 160)
    for n in 0..<10 { #expect(h.receive(1, .talk(n, type: 8, payload: silence), from: callee) == nil) }
    let speech = (0..<160).map { G711.encodeA(Int16($0 % 16 * 500)) }
    for n in 10..<13 { h.receive(1, .talk(n, type: 8, payload: speech), from: callee) }
    #expect(h.events().count == 1)
  }
}
