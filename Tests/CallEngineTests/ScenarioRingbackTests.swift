@testable import CallEngine
import Media
import NetCore
import SDP
import SIPMessage
import TestSupport
import Testing

/// What the caller is sent and what the media plane is told while the callee rings, for each policy.
@Suite("Scenario: ringback")
struct ScenarioRingbackTests {
  /// A callee that says 180, 183 with SDP, 180 again, and answers.
  private func play(_ options: String, shards: Int = 1, callees: Int = 1) -> (World, [ScriptedPhone], PhoneCall) {
    let world = World(World.dialling("{ timeout = 20, \(options) }"), shards: shards)
    let phones = callees == 1 ? world.registered("1000", "1001") : world.registered("1000", "1001", "1001")
    for phone in phones.dropFirst() {
      let early = PhoneSDP.audio(Endpoint(phone.endpoint.ip, 40_002))
      phone.script = PhoneScript([
        .respond(180), .respond(183, after: .seconds(1), body: early), .respond(180, after: .seconds(1)),
        .respond(200, after: .seconds(1), body: early),
      ])
    }
    let call = phones[0].call("1001")
    world.run(6)
    return (world, phones, call)
  }

  private func responses(_ world: World, _ phone: ScriptedPhone) -> [Message] {
    world.sent(to: phone).filter { !$0.isRequest && $0.method == .invite && (101..<300).contains($0.status) }
  }

  private static let policies = [
    "ringback = '180'", "ringback = 'passthrough'", "ringback = 'tone'", "ringback = 'tone_until_media'",
    "ringback = { play = 'summer.wav', loop = true, until_media = true }", "ringback = { play = 'summer.wav' }",
  ]

  @Test(
    "RFC 3264 §6, RFC 6337 §3.1.1: one To-tag in every 18x and 2xx; the SDP of 183 and 200 is the same bytes",
    arguments: policies, [1, 2])
  func sameBytes(policy: String, callees: Int) {
    let (world, phones, call) = play(policy, callees: callees)
    let sent = responses(world, phones[0])
    #expect(sent.last?.status == 200, "\(policy)")
    #expect(Set(sent.map { text($0.toTag) ?? "" }).count == 1, "\(policy)")
    #expect(Set(sent.filter { !$0.body.isEmpty }.map { text($0.body) }).count == 1, "\(policy)")
    #expect(sent.last?.body.isEmpty == false)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1, policy)
  }

  @Test(
    "the statuses that reach the caller",
    arguments: zip(policies, [[180, 200], [180, 183, 180, 200], [183, 200], [183, 200], [183, 200], [183, 200]]))
  func statuses(policy: String, expected: [Int]) {
    let (world, phones, call) = play(policy)
    #expect(call.statuses.filter { $0 > 100 && $0 != 407 } == expected, "\(policy)")
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1, policy)
  }

  private func ringbacks(_ world: World) -> [(source: AudioSource, from: [MediaEndpointID])] {
    world.server.media.commands.compactMap { command in
      if case .ringback(_, let source, let from, _, _) = command { (source, from) } else { nil }
    }
  }

  @Test("`180` and `passthrough` generate nothing; `passthrough` bridges before the answer")
  func noTone() {
    let (ringing, a, first) = play("ringback = '180'")
    #expect(ringbacks(ringing).isEmpty && ringing.server.media.commands.count { $0.name == "bridge" } == 1)
    a[0].hangUp(first)
    ringing.expectNothingLeft(records: 1)
    let (passed, b, second) = play("ringback = 'passthrough'")
    #expect(ringbacks(passed).isEmpty && passed.server.media.commands.count { $0.name == "bridge" } == 2)
    b[0].hangUp(second)
    passed.expectNothingLeft(records: 1)
  }

  @Test("`tone`: the country's ringing, which never gives way; `tone_until_media`: the callee's endpoint may take over")
  func tones() throws {
    let (world, phones, call) = play("ringback = 'tone', tone = 'de'")
    let tone = try #require(ringbacks(world).first)
    #expect(tone.source == .tone(.ringing, country: "de") && tone.from.isEmpty)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
    let (until, others, second) = play("ringback = 'tone_until_media'")
    let first = try #require(ringbacks(until).first)
    #expect(first.source == .tone(.ringing, country: "us") && first.from.count == 1)
    let offered = try OfferAnswerSDP.audio(in: SessionDescription(parsing: others[1].calls[0].bodies[0][...]))
    #expect(until.server.media.lease(rtpPort: offered.rtp.port)?.port.id == first.from.first)
    others[0].hangUp(second)
    until.expectNothingLeft(records: 1)
  }

  @Test("colour ring-back: the file, looped or not")
  func colour() throws {
    let (world, phones, call) = play("ringback = { play = 'summer.wav', loop = true, until_media = true }")
    let first = try #require(ringbacks(world).first)
    guard case .file(let path, loop: true) = first.source else {
      Issue.record("\(first.source)")
      return
    }
    #expect(path.hasSuffix("summer.wav") && first.from.count == 1)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("several legs ring: nobody's early media is taken, unless the first one's is asked for")
  func several() {
    let (world, phones, call) = play("ringback = 'tone_until_media'", callees: 2)
    // The last that was said while both rang.
    #expect(ringbacks(world).contains { $0.from.isEmpty })
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
    let (passed, others, second) = play("ringback = 'passthrough'", callees: 2)
    #expect(!second.statuses.contains(183))
    others[0].hangUp(second)
    passed.expectNothingLeft(records: 1)
    let (first, them, third) = play("ringback = 'passthrough', early_media = 'first'", callees: 2)
    #expect(third.statuses.contains(183))
    them[0].hangUp(third)
    first.expectNothingLeft(records: 1)
  }

  @Test("a tone policy without a codec that can be generated, or without an offer: 180")
  func fallback() {
    let world = World(World.dialling("{ timeout = 20, ringback = 'tone' }"))
    let phones = world.registered("1000", "1001")
    let g729 = PhoneSDP.audio(Endpoint(phones[0].endpoint.ip, 40_000), formats: [(18, "G729/8000")])
    phones[1].sdp = PhoneSDP.audio(Endpoint(phones[1].endpoint.ip, 40_002), formats: [(18, "G729/8000")])
    let call = phones[0].call("1001", body: g729)
    world.run(4)
    #expect(call.statuses.filter { $0 > 100 && $0 != 407 } == [180, 200])
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("the callee takes another codec than the tone promised: 200 as promised, then a re-INVITE")
  func otherCodec() {
    let world = World(World.dialling("{ timeout = 20, ringback = 'tone' }"))
    let phones = world.registered("1000", "1001")
    phones[1].sdp = PhoneSDP.audio(
      Endpoint(phones[1].endpoint.ip, 40_002), formats: [(8, "PCMA/8000"), (101, "telephone-event/8000")])
    phones[0].sdp = PhoneSDP.audio(
      Endpoint(phones[0].endpoint.ip, 40_000), formats: [(0, "PCMU/8000"), (8, "PCMA/8000")])
    let call = phones[0].call("1001")
    world.run(4)
    let sent = responses(world, phones[0]).filter { !$0.body.isEmpty }
    #expect(Set(sent.map { text($0.body) }).count == 1)
    let invites = phones[0].requests.filter { $0.method == .invite }
    #expect(invites.count == 1 && text(invites[0].body).contains("PCMA"))
    #expect(call.state == .answered)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("`no_progress_after`: 180 when nobody says anything")
  func noProgress() {
    let world = World(World.dialling("{ timeout = 20, ringback = '180', no_progress_after = 4 }"))
    let phones = world.registered("1000", "1001")
    phones[1].script = .silent
    let call = phones[0].call("1001")
    world.run(3)
    #expect(!call.statuses.contains(180))
    world.run(2)
    #expect(call.statuses.contains(180))
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("after `answer` no 18x is sent; the caller hears the tone")
  func answered() {
    let world = World(
      World.invite("call:answer()\nlocal r = call:dial('user/1001', { timeout = 20, ringback = '180' })"))
    let phones = world.registered("1000", "1001")
    let call = phones[0].call("1001")
    world.run(4)
    #expect(call.statuses.filter { $0 > 100 && $0 != 407 } == [200])
    #expect(ringbacks(world).count >= 1 && world.server.media.commands.contains { $0.name == "bridge" })
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }
}
