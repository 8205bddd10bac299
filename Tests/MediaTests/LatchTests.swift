import CNet
import NetCore
import Testing

@testable import Media

@Suite struct LatchTests {
  let phone = CoreHarness.phone(4000, host: 0x0a00_0001)
  let nat = CoreHarness.phone(61_000, host: 0xcb00_7105)
  let stranger = CoreHarness.phone(7000, host: 0xc633_6401)

  private func latch(_ endpoint: Endpoint?, follows: Bool = true) -> Latch {
    var latch = Latch()
    latch.rearm(signalled: SocketAddress(endpoint), follows: follows)
    return latch
  }

  private func hear(_ latch: inout Latch, _ from: Endpoint, _ sequence: UInt16, ssrc: UInt32 = 1) -> Latch.Verdict {
    latch.accept(SocketAddress(from), ssrc: ssrc, sequence: sequence)
  }

  private func accept(_ control: inout ControlLatch, _ from: Endpoint) -> Bool {
    control.accept(SocketAddress(from), rtp: SocketAddress(nat), follows: true)
  }

  @Test("RFC 4961: the signalled address is heard and sent to at once")
  func signalled() {
    var latch = latch(phone)
    #expect(latch.destination == SocketAddress(phone))
    #expect(hear(&latch, phone, 1) == .accepted)
    #expect(latch.isLocked && !latch.isElsewhere)
  }

  @Test("RFC 7362 §4: behind a NAT the first packets in sequence decide, and ours go where they come from")
  func follows() {
    var latch = latch(phone)
    #expect(hear(&latch, nat, 10) == .rejected)
    #expect(hear(&latch, nat, 11) == .moved)
    #expect(latch.destination == SocketAddress(nat) && latch.isElsewhere)
    #expect(hear(&latch, nat, 12) == .accepted)
  }

  @Test("a stranger cannot take over a stream that flows")
  func attack() {
    var latch = latch(phone)
    #expect(hear(&latch, phone, 1) == .accepted)
    for sequence in 0..<100 as Range<UInt16> { #expect(hear(&latch, stranger, sequence) == .rejected) }
    #expect(latch.destination == SocketAddress(phone))
  }

  @Test("a stranger cannot take over a latched stream either, nor can a second NAT mapping")
  func attackOnLatched() {
    var latch = latch(phone)
    _ = hear(&latch, nat, 1)
    _ = hear(&latch, nat, 2)
    for sequence in 3..<50 as Range<UInt16> { #expect(hear(&latch, stranger, sequence) == .rejected) }
    #expect(latch.destination == SocketAddress(nat))
  }

  @Test("one spoofed packet, and packets out of sequence or of several sources, latch nothing")
  func probation() {
    var latch = latch(phone)
    #expect(hear(&latch, stranger, 5) == .rejected)
    #expect(hear(&latch, stranger, 5) == .rejected)
    #expect(hear(&latch, stranger, 900) == .rejected)
    #expect(hear(&latch, stranger, 901, ssrc: 2) == .rejected)
    #expect(!latch.isLocked && latch.destination == SocketAddress(phone))
  }

  @Test("a stranger who was first loses the stream to the signalled address, for good")
  func signalledWins() {
    var latch = latch(phone)
    _ = hear(&latch, stranger, 1)
    #expect(hear(&latch, stranger, 2) == .moved)
    #expect(hear(&latch, phone, 77) == .moved)
    #expect(latch.destination == SocketAddress(phone))
    for sequence in 3..<50 as Range<UInt16> { #expect(hear(&latch, stranger, sequence) == .rejected) }
  }

  @Test("a re-INVITE with the same address: who was heard goes on, and a new mapping is found if he does not")
  func rearm() {
    var latch = latch(phone)
    _ = hear(&latch, nat, 1)
    _ = hear(&latch, nat, 2)
    latch.rearm(signalled: SocketAddress(phone), follows: true)
    #expect(latch.destination == SocketAddress(nat))
    #expect(hear(&latch, nat, 3) == .accepted && latch.isLocked)
    latch.rearm(signalled: SocketAddress(phone), follows: true)
    let newMapping = CoreHarness.phone(61_001, host: 0xcb00_7105)
    #expect(hear(&latch, newMapping, 3) == .rejected)
    #expect(hear(&latch, newMapping, 4) == .moved)
    #expect(latch.destination == SocketAddress(newMapping))
  }

  @Test("a re-INVITE with a new address: the old source's last packets pass, but are not latched on")
  func moves() {
    var latch = latch(phone)
    _ = hear(&latch, phone, 1)
    let other = CoreHarness.phone(5000, host: 0x0a00_0002)
    latch.rearm(signalled: SocketAddress(other), follows: true)
    #expect(latch.destination == SocketAddress(other))
    for sequence in 2..<6 as Range<UInt16> { #expect(hear(&latch, phone, sequence) == .accepted) }
    #expect(!latch.isLocked && latch.destination == SocketAddress(other))
    #expect(hear(&latch, nat, 1) == .rejected)
    #expect(hear(&latch, nat, 2) == .moved)
    #expect(hear(&latch, phone, 7) == .rejected)
  }

  @Test("RFC 3264 §8.4: after a hold with c=0.0.0.0 the NAT mapping of before is taken up again")
  func holdWithZeroAddress() {
    var latch = latch(phone)
    _ = hear(&latch, nat, 1)
    _ = hear(&latch, nat, 2)
    latch.rearm(signalled: SocketAddress(Optional(Endpoint(IPAddress(v4: 0), 4000))), follows: true)
    #expect(latch.destination.isNone)
    latch.rearm(signalled: SocketAddress(phone), follows: true)
    #expect(latch.destination == SocketAddress(nat))
    #expect(hear(&latch, nat, 500) == .accepted && latch.isLocked)
  }

  @Test("without latching the destination stays the signalled one")
  func fixed() {
    var latch = latch(phone, follows: false)
    _ = hear(&latch, nat, 1)
    #expect(hear(&latch, nat, 2) == .accepted)
    #expect(latch.destination == SocketAddress(phone))
    #expect(hear(&latch, stranger, 3) == .rejected)
  }

  @Test("RFC 3550 §11: RTCP goes one port above RTP, or where a=rtcp says, and follows the host that RTP comes from")
  func control() {
    var control = ControlLatch()
    control.rearm(signalled: .none, rtp: SocketAddress(phone))
    #expect(control.destination.port == 4001)
    control.follow(SocketAddress(nat))
    #expect(control.destination == SocketAddress(CoreHarness.phone(61_001, host: 0xcb00_7105)))
    #expect(!accept(&control, stranger))
    let port = CoreHarness.phone(61_777, host: 0xcb00_7105)
    #expect(accept(&control, port))
    #expect(control.destination == SocketAddress(port))
    let second = CoreHarness.phone(61_778, host: 0xcb00_7105)
    #expect(!accept(&control, second))
    var named = ControlLatch()
    named.rearm(signalled: SocketAddress(stranger), rtp: SocketAddress(phone))
    #expect(named.destination == SocketAddress(stranger))
  }
}
