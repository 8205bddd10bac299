import NetCore
import SIPDialog
import Testing

@Suite("RFC 3264, RFC 6337: offer and answer")
struct OfferAnswerTests {
  @Test("RFC 6337 §2.2 pattern 1: offer in the INVITE, answer in the 2xx; its copy says nothing new")
  func inviteAnd2xx() {
    var ours = OfferAnswer()
    var theirs = OfferAnswer()
    #expect(ours.sendOffer() == .send && theirs.receiveOffer() == .accept)
    #expect(ours.phase == .localOffer && theirs.phase == .remoteOffer && !ours.isEstablished)
    #expect(theirs.sendAnswer() == .send && ours.receiveAnswer(reliable: true) == .accept)
    #expect(ours.phase == .idle && theirs.phase == .idle && ours.isEstablished && theirs.isEstablished)
    #expect(ours.receiveAnswer(reliable: true) == .ignore && theirs.sendAnswer() == .nothingToAnswer)
  }

  @Test("RFC 6337 §2.2 pattern 2: an INVITE without offer: offer in the 2xx, answer in the ACK")
  func delayedOffer() {
    var uas = OfferAnswer()
    #expect(uas.sendOffer() == .send && uas.receiveAnswer(reliable: true) == .accept)
    var uac = OfferAnswer()
    #expect(uac.receiveOffer() == .accept && uac.sendAnswer() == .send)
  }

  @Test("RFC 6337 §3.1.1: SDP in an unreliable provisional response is a preview; the answer is that of the 2xx")
  func preview() {
    var machine = OfferAnswer()
    _ = machine.sendOffer()
    #expect(machine.receiveAnswer(reliable: false) == .preview && machine.receiveAnswer(reliable: false) == .preview)
    #expect(machine.phase == .localOffer)
    #expect(machine.receiveAnswer(reliable: true) == .accept)
  }

  @Test("RFC 3262 §5: an answer in a reliable provisional response is final: the SDP of the 2xx is ignored")
  func reliableProvisional() {
    var machine = OfferAnswer()
    _ = machine.sendOffer()
    #expect(machine.receiveAnswer(reliable: true) == .accept && machine.receiveAnswer(reliable: true) == .ignore)
  }

  @Test(
    "RFC 3261 §14.2, RFC 3311 §5.2: an offer while ours is open is glare (491), while theirs is open comes too soon (500)"
  )
  func glare() {
    var machine = OfferAnswer()
    _ = machine.sendOffer()
    #expect(machine.receiveOffer() == .requestPending && machine.sendOffer() == .wait && machine.phase == .localOffer)
    var other = OfferAnswer()
    _ = other.receiveOffer()
    #expect(other.receiveOffer() == .retryLater && other.sendOffer() == .wait && other.phase == .remoteOffer)
    #expect(other.receiveAnswer(reliable: true) == .ignore && other.phase == .remoteOffer)
    #expect(machine.sendAnswer() == .nothingToAnswer && machine.phase == .localOffer)
  }

  @Test("RFC 3261 §14.1: an offer that fails leaves the session as it was", arguments: [false, true])
  func failure(established: Bool) {
    var machine = OfferAnswer()
    if established {
      _ = machine.sendOffer()
      _ = machine.receiveAnswer(reliable: true)
    }
    _ = machine.sendOffer()
    machine.offerFailed()
    #expect(machine.phase == .idle && machine.isEstablished == established)
    _ = machine.receiveOffer()
    machine.offerFailed()
    machine.offerFailed()
    #expect(machine.phase == .idle && machine.isEstablished == established)
  }
}

@Suite("RFC 3261 §14: glare")
struct GlareTests {
  @Test("§14.1: after a 491 the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms")
  func retry() {
    for random: UInt64 in [0, 1, 190, 191, 200, 201, 12_345, .max] {
      let owner = Glare.retryDelay(ownsCallID: true, random: random)
      let other = Glare.retryDelay(ownsCallID: false, random: random)
      #expect(owner >= .milliseconds(2_100) && owner <= .milliseconds(4_000) && owner.milliseconds % 10 == 0)
      #expect(other >= .zero && other <= .milliseconds(2_000) && other.milliseconds % 10 == 0)
      #expect((0...10).contains(Glare.retryAfter(random: random)))
    }
  }
}
