@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// Inside an answered call: what one phone asks for is asked of the other.
@Suite("Scenario: within a call")
struct ScenarioBridgeTests {
  struct Talk {
    let world: World
    let alice: ScriptedPhone
    let bob: ScriptedPhone
    let call: PhoneCall
    var other: PhoneCall { bob.calls[0] }

    init(_ script: String = World.plain, shards: Int = 1, configure: (inout EngineSettings) -> Void = { _ in }) {
      world = World(script, shards: shards, configure: configure)
      let phones = world.registered("1000", "1001")
      (alice, bob) = (phones[0], phones[1])
      bob.script = .answer(after: .milliseconds(500))
      call = alice.call("1001")
      world.run(3)
      #expect(call.state == .answered && bob.calls.first?.isAcknowledged == true)
    }

    func end(records: Int = 1, _ note: String = "", sourceLocation: SourceLocation = #_sourceLocation) {
      alice.hangUp(call)
      world.expectNothingLeft(records: records, note, sourceLocation: sourceLocation)
    }

    func offer(_ phone: ScriptedPhone, direction: String = "sendrecv", version: Int = 2) -> [UInt8] {
      PhoneSDP.audio(Endpoint(phone.endpoint.ip, 45_000), direction: direction, version: version)
    }
  }

  private func audio(_ body: [UInt8]) throws -> AudioStream {
    try OfferAnswerSDP.audio(in: SessionDescription(parsing: body[...]))
  }

  @Test("RFC 3264 §8.4: hold is passed to the other phone, and resume", arguments: [true, false])
  func hold(byCaller: Bool) throws {
    let talk = Talk()
    let (world, from, to) = byCaller ? (talk.world, talk.alice, talk.bob) : (talk.world, talk.bob, talk.alice)
    let (asking, asked) = byCaller ? (talk.call, talk.other) : (talk.other, talk.call)
    world.server.media.forgetCommands()
    to.sdp = PhoneSDP.audio(Endpoint(to.endpoint.ip, 40_000), direction: "recvonly", version: 2)
    from.reinvite(asking, body: talk.offer(from, direction: "sendonly"))
    world.run(1)
    #expect(asking.reinviteStatus == 200)
    let offered = try audio(asked.bodies.last ?? [])
    #expect(offered.direction == .sendonly && offered.rtp.ip == IPAddress("198.51.100.2"))
    #expect(try audio(asking.bodies.last ?? []).direction == .recvonly)
    let remotes = world.server.media.commands.filter { $0.name == "remote" }
    #expect(
      remotes.contains { if case .remote(_, _, _, _, sending: false, receiving: true, _) = $0 { true } else { false } })
    to.sdp = PhoneSDP.audio(Endpoint(to.endpoint.ip, 40_000), version: 3)
    from.reinvite(asking, body: talk.offer(from, version: 3))
    world.run(1)
    #expect(asking.reinviteStatus == 200)
    #expect(try audio(asked.bodies.last ?? []).direction == .sendrecv)
    talk.end()
  }

  @Test("RFC 3264 §8: the version of our o= goes up with each offer, its number stays")
  func versions() throws {
    let talk = Talk()
    for version in 2...4 {
      talk.alice.reinvite(
        talk.call, body: talk.offer(talk.alice, direction: version % 2 == 0 ? "sendonly" : "sendrecv", version: version)
      )
      talk.world.run(1)
    }
    let origins = talk.other.bodies.map { body in
      text(body).split(separator: "\r\n").first { $0.hasPrefix("o=") }.map(String.init) ?? ""
    }
    let numbers = origins.map { $0.split(separator: " ").map(String.init) }
    #expect(Set(numbers.map { $0[1] }).count == 1)
    let versions = numbers.compactMap { UInt64($0[2]) }
    #expect(versions.count == 4 && zip(versions, versions.dropFirst()).allSatisfy { $0 + 1 == $1 })
    talk.end()
  }

  @Test("RFC 3261 §14.1: a refused re-INVITE leaves the session as it was", arguments: [488, 403, 500, 415])
  func refused(status: Int) {
    let talk = Talk()
    talk.bob.reinviteAnswer = status
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(1)
    #expect(talk.call.reinviteStatus == status)
    #expect(talk.call.state == .answered && talk.other.state == .answered)
    talk.bob.reinviteAnswer = 200
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, version: 3))
    talk.world.run(1)
    #expect(talk.call.reinviteStatus == 200)
    talk.end()
  }

  @Test("RFC 3261 §12.2.1.2: a re-INVITE that gets 481 or nothing ends the call", arguments: [481, nil])
  func gone(status: Int?) {
    let talk = Talk()
    talk.bob.reinviteAnswer = status
    if status == nil { talk.world.network.detach(talk.bob) }
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(40)
    #expect(talk.call.state == .ended && talk.call.bye != nil)
    if status == nil {
      talk.world.run(60)
      #expect(talk.world.server.callCount == 0 && talk.world.server.records.all.count == 1)
    } else {
      talk.world.expectNothingLeft(records: 1)
    }
  }

  @Test("RFC 3261 §14.2: both phones ask at once: each gets 491, and the call goes on")
  func glare() {
    let talk = Talk()
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.bob.reinvite(talk.other, body: talk.offer(talk.bob, direction: "sendonly"))
    talk.world.run(1)
    #expect([talk.call.reinviteStatus, talk.other.reinviteStatus].contains(491))
    #expect(talk.call.reinviteStatus != nil && talk.other.reinviteStatus != nil)
    talk.world.run(5)
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, version: 3))
    talk.world.run(1)
    #expect(talk.call.reinviteStatus == 200)
    talk.end()
  }

  @Test("RFC 3261 §14.2: a second INVITE while the first is pending gets 500 with Retry-After")
  func twice() throws {
    let talk = Talk()
    talk.bob.reinviteAnswer = nil
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, direction: "sendonly"))
    talk.world.run(1)
    talk.alice.reinvite(talk.call, body: talk.offer(talk.alice, version: 3))
    talk.world.run(1)
    let refusal = try #require(talk.alice.responses(to: .invite).last)
    #expect(refusal.status == 500 && refusal.has(.retryAfter))
    talk.end()
  }

  @Test("RFC 3261 §15.1.2: a BYE while a re-INVITE is pending: it gets 487", arguments: [true, false], [true, false])
  func pending(byCaller: Bool, askerLeaves: Bool) {
    let talk = Talk()
    let (from, to) = byCaller ? (talk.alice, talk.bob) : (talk.bob, talk.alice)
    let (asking, asked) = byCaller ? (talk.call, talk.other) : (talk.other, talk.call)
    to.reinviteAnswer = nil
    from.reinvite(asking, body: talk.offer(from, direction: "sendonly"))
    talk.world.run(1)
    if askerLeaves { from.hangUp(asking) } else { to.hangUp(asked) }
    talk.world.run(2)
    #expect(asking.reinviteStatus == 487)
    #expect(asking.state == .ended && asked.state == .ended)
    // The phone that was asked never answers: its own transaction is the test's, not the server's.
    talk.world.run(100)
    #expect(talk.world.server.callCount == 0 && talk.world.server.records.all.count == 1)
    #expect(talk.world.server.shards[0].legs.count == 0 && talk.world.server.media.leased.isEmpty)
  }

  @Test("RFC 3261 §14.1: a re-INVITE without an offer gets ours, and the ACK answers it", arguments: [true, false])
  func offerless(byCaller: Bool) throws {
    let talk = Talk()
    let (from, to) = byCaller ? (talk.alice, talk.bob) : (talk.bob, talk.alice)
    let (asking, asked) = byCaller ? (talk.call, talk.other) : (talk.other, talk.call)
    from.reinvite(asking, body: [])
    talk.world.run(2)
    #expect(asking.reinviteStatus == 200 && asking.state == .answered && asked.state == .answered)
    #expect(try audio(asking.bodies.last ?? []).codecs.isEmpty == false)
    _ = to
    talk.end()
  }

  @Test("RFC 3264 §5, RFC 6337 §2: a call whose INVITE made no offer: ours in the 200, his answer in the ACK")
  func delayedOffer() throws {
    let world = World(World.dialling("{ timeout = 20, ringback = \"tone\" }"))
    let phones = world.registered("1000", "1001")
    let call = phones[0].call("1001", body: [])
    world.run(3)
    #expect(call.statuses.filter { $0 >= 180 && $0 != 407 } == [180, 200])
    let offer = try audio(call.bodies.last ?? [])
    #expect(offer.codecs.contains { $0.name == "PCMU" } && offer.rtp.ip == IPAddress("198.51.100.2"))
    #expect(world.server.media.commands.contains { $0.name == "bridge" })
    let remote = world.server.media.commands.last { command in
      if case .remote(_, rtp: Endpoint(phones[0].endpoint.ip, 40_000), _, _, _, _, _) = command { true } else { false }
    }
    #expect(remote != nil, "the answer in the ACK has reached the media plane")
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 6086, RFC 3261 §12.2: INFO is passed with its body; the other phone's status comes back")
  func info() throws {
    let talk = Talk()
    talk.alice.send(
      .info, in: talk.call, headers: ["Content-Type: application/dtmf-relay", "Info-Package: dtmf"],
      body: Array("Signal=5\r\nDuration=160\r\n".utf8))
    talk.world.run(1)
    let info = try #require(talk.bob.requests.first { $0.method == .info })
    #expect(text(info.body) == "Signal=5\r\nDuration=160\r\n" && text(info.contentType) == "application/dtmf-relay")
    #expect(text(info.first(named: "Info-Package")) == "dtmf")
    #expect(talk.alice.otherStatuses == [200])
    talk.end()
  }

  @Test("RFC 3261 §11, §8.2.2.3: OPTIONS and MESSAGE within a call go to the other phone, a strange Require does not")
  func others() {
    let talk = Talk()
    talk.alice.send(.options, in: talk.call)
    talk.alice.send(.message, in: talk.call)
    talk.alice.send(.info, in: talk.call, headers: ["Require: frobnicate"])
    talk.world.run(1)
    #expect(talk.alice.otherStatuses.sorted() == [200, 200, 420])
    #expect(talk.bob.requests.map(\.method).filter { $0 != .register && $0 != .invite } == [.options, .message])
    talk.end()
  }

  @Test("`max_duration` ends the call on both sides")
  func maxDuration() {
    let talk = Talk(World.dialling("{ timeout = 20, max_duration = 30 }"))
    talk.world.run(20)
    #expect(talk.call.state == .answered)
    talk.world.run(15)
    #expect(talk.call.bye != nil && talk.other.bye != nil)
    talk.world.expectNothingLeft(records: 1)
    #expect(talk.world.record?.endedBy == .system && talk.world.record?.talkMs ?? 0 >= 30_000)
  }

  @Test("media that is dead ends the call; `rtp_timeout` says when")
  func mediaTimeout() throws {
    let talk = Talk(World.dialling("{ timeout = 20, rtp_timeout = 15 }"))
    let watched = talk.world.server.media.commands.compactMap { command -> (MediaEndpointID, Instant.Span?)? in
      if case .watch(let id, let limit) = command { (id, limit) } else { nil }
    }
    #expect(watched.count >= 2 && watched.suffix(2).allSatisfy { $0.1 == .seconds(15) })
    talk.world.server.media.emit(.timeout(try #require(watched.last).0))
    talk.world.run(1)
    #expect(talk.call.bye != nil && talk.other.bye != nil)
    talk.world.expectNothingLeft(records: 1)
    #expect(talk.world.record?.endedBy == .system)
    #expect(talk.world.server.services.counters[.mediaTimeouts] == 1)
  }

  @Test("a media plane that says nothing any more: the record waits ten seconds, not for ever")
  func noStatistics() {
    let talk = Talk()
    talk.world.server.media.answersStatistics = false
    talk.alice.hangUp(talk.call)
    talk.world.run(5)
    #expect(talk.world.server.records.all.isEmpty)
    talk.world.run(10)
    #expect(talk.world.server.records.all.count == 1)
    talk.world.expectNothingLeft(records: 1)
  }

  @Test("`after_bridge = continue`: the callee leaves, the script goes on with the caller")
  func afterBridge() {
    let talk = Talk(
      World.invite(
        """
        local r = call:dial("user/1001", { timeout = 20, after_bridge = "continue" })
        call.vars.ended_by = r.ended_by
        call.vars.ok = r.ok
        call:play "bye.wav"
        call:hangup { cause = "NORMAL_CLEARING" }
        """))
    talk.bob.hangUp(talk.other)
    talk.world.run(1)
    #expect(talk.call.state == .answered)
    let plays = talk.world.server.media.commands.compactMap { command -> (MediaEndpointID, UInt32)? in
      if case .play(let id, _, let token) = command { (id, token) } else { nil }
    }
    #expect(plays.count == 1)
    for (id, token) in plays { talk.world.server.media.emit(.played(id, token: token, ended: .finished)) }
    talk.world.run(1)
    #expect(talk.call.bye != nil)
    talk.world.expectNothingLeft(records: 1)
    #expect(talk.world.record?.vars.first { $0.name == "ended_by" }?.value == .string("callee"))
  }

  @Test("both hang up at once: each BYE gets an answer, one record")
  func bothAtOnce() {
    let talk = Talk()
    talk.alice.hangUp(talk.call)
    talk.bob.hangUp(talk.other)
    talk.world.run(2)
    #expect([200, 481].contains(talk.call.byeStatus) && [200, 481].contains(talk.other.byeStatus))
    talk.world.expectNothingLeft(records: 1)
  }
}
