@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// RFC 3311 within an answered call, and what re-INVITEs of RFC 3261 §14 do in odd moments.
@Suite("Changes within a call")
struct UpdateTests {
  typealias Talk = ScenarioBridgeTests.Talk
  static let allow = ["Allow: INVITE, ACK, BYE, CANCEL, UPDATE"]

  private func talk(_ script: String = World.plain, bobAllows: Bool = true) -> Talk {
    let talk = Talk(script) { _ in }
    if let leg = talk.world.server.shards[0].calls.elements.first?.bridged { leg.allowsUpdate = bobAllows }
    return talk
  }

  private func audio(_ body: some Collection<UInt8>) throws -> AudioStream {
    try OfferAnswerSDP.audio(in: SessionDescription(parsing: Array(body)[...]))
  }

  @Test("RFC 3311 §5: an UPDATE is passed on, as UPDATE or, to who has none, as a re-INVITE", arguments: [true, false])
  func passed(bobAllows: Bool) throws {
    let talk = talk(bobAllows: bobAllows)
    talk.bob.sdp = PhoneSDP.audio(Endpoint(talk.bob.endpoint.ip, 40_002), direction: "recvonly", version: 2)
    talk.alice.send(.update, in: talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(1)
    #expect(talk.alice.otherStatuses == [200])
    #expect(talk.bob.requests.last?.method == (bobAllows ? .update : .invite))
    #expect(try audio(talk.other.bodies.last ?? []).direction == .sendonly)
    let ok = try #require(talk.alice.responses(to: .update).last)
    #expect(try audio(ok.body).direction == .recvonly && ok.has(.contact))
    talk.end()
  }

  @Test("RFC 3311 §5.2: a refused UPDATE leaves the session as it was", arguments: [488, 491, 504])
  func refused(status: Int) {
    let talk = talk()
    talk.bob.reinviteAnswer = status
    talk.alice.send(.update, in: talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(1)
    #expect(talk.alice.otherStatuses == [status])
    talk.bob.reinviteAnswer = 200
    talk.alice.send(.update, in: talk.call, body: talk.offer(talk.alice, version: 3))
    talk.world.run(1)
    #expect(talk.alice.otherStatuses == [status, 200])
    talk.end()
  }

  @Test("RFC 3311 §5.2: an UPDATE that the other phone says nothing to gets 504; the call goes on")
  func unanswered() {
    let talk = talk(bobAllows: false)
    talk.bob.reinviteAnswer = nil
    talk.alice.send(.update, in: talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(25)
    #expect(talk.alice.otherStatuses == [504] && talk.call.state == .answered && talk.other.state == .answered)
    talk.bob.reinviteAnswer = 200
    talk.world.run(5)
    talk.alice.send(.update, in: talk.call, body: talk.offer(talk.alice, version: 3))
    talk.world.run(2)
    #expect(talk.alice.otherStatuses == [504, 200])
    talk.end()
  }

  @Test("RFC 3311 §5.2: an UPDATE with an offer while ours is open: 491; a second one of theirs: 500 with Retry-After")
  func glare() throws {
    let talk = talk()
    talk.bob.reinviteAnswer = nil
    talk.alice.send(.update, in: talk.call, body: talk.offer(talk.alice))
    talk.world.run(0.5)
    talk.alice.send(.update, in: talk.call, body: talk.offer(talk.alice, version: 3))
    talk.world.run(0.5)
    let second = try #require(talk.alice.responses(to: .update).last)
    let seconds = try #require(second.first(.retryAfter).flatMap { Decimal.parse($0) })
    #expect(second.status == 500 && seconds <= 10)
    talk.bob.send(.update, in: talk.other, body: talk.offer(talk.bob))
    talk.world.run(0.5)
    #expect(talk.bob.otherStatuses == [491])
    talk.world.run(40)
    talk.alice.hangUp(talk.call)
    talk.world.run(120)
    #expect(talk.world.server.callCount == 0 && talk.world.server.media.leased.isEmpty)
  }

  @Test("RFC 3311 §5.1: an UPDATE without an offer is answered by us; it may say a new Contact")
  func noOffer() {
    let talk = talk()
    talk.alice.send(.update, in: talk.call)
    talk.world.run(1)
    #expect(talk.alice.otherStatuses == [200] && !talk.bob.requests.contains { $0.method == .update })
    talk.end()
  }

  @Test("RFC 3311 §5.2: UPDATE where there is no other leg is answered by us", arguments: ["sendonly", "inactive"])
  func alone(direction: String) throws {
    let world = World(World.invite("call:answer()\ncall:echo { duration = 30 }"))
    let alice = world.registered("1000")[0]
    let call = alice.call("600")
    world.run(1)
    alice.send(
      .update, in: call,
      body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 45_000), direction: direction, version: 2))
    alice.send(.update, in: call, headers: ["Content-Type: application/sdp"], body: Array("nonsense".utf8))
    world.run(1)
    #expect(alice.otherStatuses.sorted() == [200, 400])
    let ok = try #require(alice.responses(to: .update).first { $0.status == 200 })
    #expect(try audio(ok.body).direction == (direction == "sendonly" ? .recvonly : .inactive))
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  // MARK: re-INVITE in odd moments

  @Test("RFC 3261 §14: a re-INVITE that rings for ever is cancelled after 60 s, and who asked gets 504")
  func reinviteWithoutEnd() {
    let talk = talk()
    talk.bob.reinviteAnswer = nil
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(55)
    #expect(talk.call.reinviteStatus == nil)
    talk.world.run(10)
    #expect(talk.call.reinviteStatus == 504 && talk.call.state == .answered && talk.other.state == .answered)
    #expect(talk.bob.requests.contains { $0.method == .cancel })
    talk.bob.reinviteAnswer = 200
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, version: 3))
    talk.world.run(1)
    #expect(talk.call.reinviteStatus == 200)
    talk.end()
  }

  @Test("RFC 3261 §13.3.1.4: an ACK of an earlier INVITE does not acknowledge a later one")
  func lateACK() throws {
    let talk = talk()
    let first = try #require(
      talk.world.network.trace.last {
        Wire.summary($0.datagram.bytes) == "ACK" && $0.datagram.from == talk.alice.endpoint
      })
    // Our 200 with an offer is on its way to him when the copy comes.
    talk.world.network.filter = { Wire.summary($0.bytes) != "ACK" || $0.bytes == first.datagram.bytes }
    talk.alice.reinvite(talk.call, body: [])
    talk.world.run(0.5)
    let copier = RawPeer("192.0.2.250:5060", on: talk.world.network)
    copier.send(first.datagram.bytes)
    talk.world.run(1)
    talk.world.network.filter = nil
    talk.world.run(6)
    #expect(talk.call.state == .answered && talk.other.state == .answered)
    talk.end()
  }

  @Test(
    "RFC 3261 §13.3.1.4: the 200 of a re-INVITE is lost, or its ACK: it comes again, and nothing is asked twice",
    arguments: ["200", "ACK"])
  func lostAnswer(what: String) {
    let talk = talk()
    var lost = 0
    let alice = talk.alice.endpoint
    talk.world.network.filter = { datagram in
      guard Wire.summary(datagram.bytes) == what, datagram.from == alice || datagram.to == alice, lost < 3 else {
        return true
      }
      lost += 1
      return false
    }
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(10)
    #expect(lost == 3 && talk.call.reinviteStatus == 200 && talk.call.state == .answered)
    #expect(talk.bob.requests.filter { $0.method == .invite }.count == 2)
    talk.end()
  }

  @Test("RFC 3261 §13.3.1.4: no ACK to the 200 of a re-INVITE at all: the call is ended")
  func noACK() {
    let talk = talk()
    let alice = talk.alice.endpoint
    talk.world.network.filter = { Wire.summary($0.bytes) != "ACK" || $0.from != alice }
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(40)
    #expect(talk.call.bye != nil && talk.other.bye != nil)
    talk.world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §9: a CANCEL crosses the 200 of the other phone: that one is told that all is as it was")
  func cancelCrosses() throws {
    let talk = talk()
    talk.bob.reinviteAnswer = nil
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(1)
    let invite = try #require(talk.bob.requests.last { $0.method == .invite })
    talk.alice.cancelReinvite(talk.call)
    // Bob's 200 is under way when our CANCEL reaches him.
    talk.bob.answerNow(invite, 200)
    talk.bob.reinviteAnswer = 200
    talk.world.run(5)
    #expect(talk.call.reinviteStatus == 487 && talk.call.state == .answered && talk.other.state == .answered)
    #expect(try audio(talk.other.bodies.last ?? []).direction == .sendrecv)
    talk.end()
  }

  @Test("RFC 3261 §14.2: a re-INVITE while the other leg still rings is answered by us")
  func earlyOtherLeg() throws {
    let world = World(
      World.invite("call:answer()\nlocal r = call:dial('user/1001', { timeout = 20, ringback = 'tone' })"))
    let phones = world.registered("1000", "1001")
    phones[1].script = .answer(after: .seconds(5))
    let call = phones[0].call("1001")
    world.run(2)
    phones[0].reinvite(
      call, body: PhoneSDP.audio(Endpoint(phones[0].endpoint.ip, 46_000), direction: "sendonly", version: 2))
    world.run(1)
    #expect(call.reinviteStatus == 200)
    world.run(5)
    #expect(phones[1].calls[0].state == .answered && call.state == .answered)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §12.2.2: a re-INVITE that comes when the call is over: 481")
  func lateReinvite() {
    let talk = talk()
    talk.alice.hangUp(talk.call)
    talk.world.run(0.015)
    talk.bob.reinvite(talk.other, body: talk.offer(talk.bob))
    talk.world.run(1)
    #expect(talk.other.reinviteStatus == 481 && talk.other.bye != nil)
    talk.world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3264 §8.1, §8.3: a re-INVITE that adds a codec and a stream: the codec crosses, the stream has port 0")
  func moreMedia() throws {
    let talk = talk()
    var body = PhoneSDP.audio(
      Endpoint(talk.alice.endpoint.ip, 45_000),
      formats: [(9, "G722/8000"), (0, "PCMU/8000"), (8, "PCMA/8000"), (101, "telephone-event/8000")], version: 2)
    body += Array("m=video 45002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n".utf8)
    talk.bob.sdp = PhoneSDP.audio(
      Endpoint(talk.bob.endpoint.ip, 40_002), formats: [(9, "G722/8000"), (101, "telephone-event/8000")], version: 2)
    talk.alice.reinvite(talk.call, body: body)
    talk.world.run(1)
    #expect(talk.call.reinviteStatus == 200)
    #expect(try audio(talk.other.bodies.last ?? []).codecs.map(\.name).first == "G722")
    let answer = talk.call.bodies.last ?? []
    let sections = text(answer).split(separator: "\r\n").filter { $0.hasPrefix("m=") }
    #expect(sections.count == 2 && sections[1].hasPrefix("m=video 0 "))
    #expect(try audio(answer).codecs.map(\.name) == ["G722"])
    talk.end()
  }

  @Test("RFC 3261 §8.1.1.5: a CSeq of 2^31 in a dialog: 400, and the call goes on")
  func hugeCSeq() {
    let talk = talk()
    let info =
      "INFO sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP \(talk.alice.endpoint);branch=z9hG4bKhuge\r\nMax-Forwards: 70\r\n"
      + "From: \(text(talk.call.dialog!.localAddress))\r\nTo: \(text(talk.call.dialog!.remoteAddress))\r\n"
      + "Call-ID: \(text(talk.call.callID))\r\nCSeq: 2147483648 INFO\r\nContent-Length: 0\r\n\r\n"
    let peer = RawPeer("192.0.2.251:5060", on: talk.world.network)
    peer.send(Array(info.utf8))
    talk.world.run(1)
    #expect(!talk.bob.requests.contains { $0.method == .info })
    talk.alice.send(.info, in: talk.call)
    talk.world.run(1)
    #expect(talk.alice.otherStatuses == [200])
    talk.end()
  }

  @Test(
    "RFC 3264: changes of both sides where packets are lost: the call stays, and ends when it should", arguments: 1...30
  )
  func lossy(seed: Int) {
    let talk = talk()
    talk.world.network.conditions = .awful
    for turn in 0..<4 {
      let byAlice = (seed + turn) % 2 == 0
      let (phone, call) = byAlice ? (talk.alice, talk.call) : (talk.bob, talk.other)
      let offer = talk.offer(phone, direction: turn % 2 == 0 ? "sendonly" : "sendrecv", version: turn + 2)
      if (seed >> 1 + turn) % 2 == 0 {
        phone.reinvite(call, body: offer)
      } else {
        phone.send(.update, in: call, body: offer)
      }
      talk.world.run(Double(seed % 5))
    }
    talk.world.run(40)
    talk.world.network.conditions = .perfect
    if talk.call.state == .answered { talk.alice.hangUp(talk.call) }
    if talk.other.state == .answered { talk.world.run(2) }
    if talk.other.state == .answered { talk.bob.hangUp(talk.other) }
    talk.world.expectNothingLeft(after: 150, records: 1, "seed \(seed)")
  }
}
