import NetCore
import Testing

@testable import Media

/// A NAT that gives the phone another port in the middle of a call.
@Suite("RFC 7362 §4: a mapping that changes in mid-call")
struct RebindTests {
  let nat = CoreHarness.phone(61_000, host: 0xcb00_7105)
  let newPort = CoreHarness.phone(61_777, host: 0xcb00_7105)
  let stranger = CoreHarness.phone(61_777, host: 0xc633_6401)
  let bob = CoreHarness.phone(5000)

  private func bridged() -> (CoreHarness, MediaEndpointID) {
    let h = CoreHarness()
    let a = h.leg(0, phone: nat)
    let b = h.leg(1, phone: bob)
    h.apply(.bridge(a, b, aToB: .identity, bToA: .identity))
    for n in 0..<5 {
      h.receive(0, .talk(n), from: nat)
      h.advance(20)
    }
    return (h, a)
  }

  @Test("the same stream goes on from another port of the same host, once the old one is silent")
  func follows() throws {
    let (h, a) = bridged()
    h.advance(1_000)
    #expect(h.receive(0, .talk(55), from: newPort) == nil)
    #expect(h.receive(0, .talk(56), from: newPort) != nil)
    #expect(h.core.slots[0].latch.destination == SocketAddress(newPort))
    #expect(h.events().contains { if case .latched(a, newPort) = $0 { true } else { false } })
    // The old port is a stranger now.
    #expect(h.receive(0, .talk(57), from: nat) != nil || h.core.slots[0].latch.source == SocketAddress(newPort))
  }

  @Test("not while the old port is heard")
  func notWhileHeard() {
    let (h, _) = bridged()
    for n in 5..<200 {
      h.receive(0, .talk(n), from: nat)
      #expect(h.receive(0, .talk(n + 1), from: newPort) == nil)
      h.advance(20)
    }
    #expect(h.core.slots[0].latch.source == SocketAddress(nat))
  }

  @Test("not another host, another SSRC, or numbers that do not go on: none of them is known to be the phone")
  func notAStranger() {
    let (h, _) = bridged()
    h.advance(5_000)
    for n in 300..<340 {
      #expect(h.receive(0, .talk(n), from: stranger) == nil)
      #expect(h.receive(0, .talk(n, ssrc: 0x2222_2222), from: newPort) == nil)
      #expect(h.receive(0, .talk(n + 20_000), from: newPort) == nil)
      h.advance(20)
    }
    #expect(h.core.slots[0].latch.source == SocketAddress(nat))
    // And the phone itself goes on.
    #expect(h.receive(0, .talk(300), from: nat) != nil)
  }

  @Test("one packet is not enough")
  func twoPackets() {
    let (h, _) = bridged()
    h.advance(2_000)
    for n in stride(from: 100, to: 140, by: 2) {
      #expect(h.receive(0, .talk(n), from: newPort) == nil)
      h.advance(20)
    }
  }

  @Test("a leg that has fallen silent is sent to from a socket that hears everybody")
  func disconnects() {
    let (h, _) = bridged()
    h.core.slots[0].connection = .connected
    h.receive(1, .talk(0, ssrc: 9), from: bob)
    #expect(h.core.reconnect.isEmpty)
    h.advance(1_000)
    h.receive(1, .talk(50, ssrc: 9), from: bob)
    #expect(h.core.reconnect == [0])
  }
}
