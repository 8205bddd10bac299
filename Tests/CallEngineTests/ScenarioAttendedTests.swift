@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// Replaces: attended transfer and pick-up, within a shard and between two.
@Suite("Scenario: attended transfer")
struct ScenarioAttendedTests {
  /// Bob talks with Alice and with Carol, and transfers one to the other.
  struct Consultation {
    let exchange: Exchange
    let alice: PhoneCall
    let first: PhoneCall
    let second: PhoneCall
    var carol: PhoneCall { exchange.carol.calls[0] }

    init(
      _ script: String = World.plain, shards: Int, seed: UInt64 = 1, conditions: SimulatedNetwork.Conditions = .perfect
    ) {
      exchange = Exchange(script, shards: shards, seed: seed, conditions: conditions)
      (alice, first) = exchange.talk(exchange.alice, exchange.bob)
      (second, _) = exchange.talk(exchange.bob, exchange.carol)
    }

    func refer(_ replaces: String? = nil) {
      exchange.bob.send(.refer, in: first, headers: [Exchange.referTo("1002", replaces ?? Exchange.replaces(second))])
    }
  }

  /// Call-IDs differ with the seed, and so do the shards that the two calls are in.
  static let places: [(Int, UInt64)] = [(1, 1), (4, 1), (4, 2), (4, 3), (4, 4), (4, 5)]

  @Test("RFC 5589 §7, RFC 3891: the two others talk, both legs of who transferred end with BYE", arguments: places)
  func attended(shards: Int, seed: UInt64) throws {
    let talk = Consultation(shards: shards, seed: seed)
    let (world, bob) = (talk.exchange.world, talk.exchange.bob)
    talk.refer()
    world.run(2)
    #expect(bob.otherStatuses == [202] && Exchange.told(bob) == [100, 200])
    #expect(talk.first.bye != nil && talk.second.bye != nil)
    #expect(talk.alice.state == .answered && talk.carol.state == .answered)
    #expect(talk.exchange.bridged() == ["1000", "1002"])
    if seed % 2 == 0 { talk.exchange.alice.hangUp(talk.alice) } else { talk.exchange.carol.hangUp(talk.carol) }
    world.run(1)
    #expect(talk.alice.state == .ended && talk.carol.state == .ended)
    world.expectNothingLeft(records: 2)
    let one = try #require(talk.exchange.records().first { $0.to == "1001" })
    let other = try #require(talk.exchange.records().first { $0.to == "1002" })
    #expect(one.from == "1000" && one.transferredBy == "1001" && one.transferTarget == "1002" && one.status == 200)
    #expect(other.from == "1001" && other.transferredBy == "1001" && other.transferTarget == "1000")
    #expect(one.cause == .normalClearing && other.cause == .normalClearing)
  }

  @Test("Calls of two shards are among those that are tested")
  func apart() {
    let apart = Self.places.filter { shards, seed in
      let talk = Consultation(shards: shards, seed: seed)
      return talk.exchange.world.server.shards.count { $0.callCount > 0 } > 1
    }
    #expect(apart.count >= 2)
  }

  @Test("What the phones ask within their calls crosses: hold, resume, INFO, and glare", arguments: places)
  func within(shards: Int, seed: UInt64) throws {
    let talk = Consultation(shards: shards, seed: seed)
    let (world, alice, carol) = (talk.exchange.world, talk.exchange.alice, talk.exchange.carol)
    talk.refer()
    world.run(2)
    carol.sdp = PhoneSDP.audio(Endpoint(carol.endpoint.ip, 40_004), direction: "recvonly", version: 5)
    alice.reinvite(
      talk.alice, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 45_000), direction: "sendonly", version: 5))
    world.run(1)
    #expect(talk.alice.reinviteStatus == 200)
    #expect(
      try audio(talk.carol.bodies.last).direction == .sendonly && audio(talk.alice.bodies.last).direction == .recvonly)
    carol.sdp = PhoneSDP.audio(Endpoint(carol.endpoint.ip, 40_004), version: 6)
    alice.reinvite(talk.alice, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 45_000), version: 6))
    world.run(1)
    #expect(try audio(talk.alice.bodies.last).direction == .sendrecv)
    carol.send(
      .info, in: talk.carol, headers: ["Content-Type: application/dtmf-relay"], body: Array("Signal=5\r\n".utf8))
    world.run(1)
    #expect(text(try #require(alice.requests.last { $0.method == .info }).body) == "Signal=5\r\n")
    #expect(carol.otherStatuses == [200])
    alice.reinvite(
      talk.alice, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 45_000), direction: "sendonly", version: 7))
    carol.reinvite(
      talk.carol, body: PhoneSDP.audio(Endpoint(carol.endpoint.ip, 40_004), direction: "sendonly", version: 7))
    world.run(1)
    #expect([talk.alice.reinviteStatus, talk.carol.reinviteStatus].contains(491))
    carol.reinviteAnswer = 488
    world.run(5)
    alice.reinvite(talk.alice, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 45_000), version: 8))
    world.run(1)
    #expect(talk.alice.reinviteStatus == 488 && talk.alice.state == .answered && talk.carol.state == .answered)
    alice.hangUp(talk.alice)
    world.expectNothingLeft(records: 2)
  }

  private func audio(_ body: [UInt8]?) throws -> AudioStream {
    try OfferAnswerSDP.audio(in: SessionDescription(parsing: (body ?? [])[...]))
  }

  @Test("RFC 3264 §8.4: both were put on hold for the transfer, and both are asked to talk again", arguments: places)
  func held(shards: Int, seed: UInt64) throws {
    let talk = Consultation(shards: shards, seed: seed)
    let (world, alice, bob, carol) = (talk.exchange.world, talk.exchange.alice, talk.exchange.bob, talk.exchange.carol)
    for (phone, call, port) in [(alice, talk.first, UInt16(40_000)), (carol, talk.second, 40_004)] {
      phone.sdp = PhoneSDP.audio(Endpoint(phone.endpoint.ip, port), direction: "recvonly", version: 2)
      bob.reinvite(call, body: PhoneSDP.audio(Endpoint(bob.endpoint.ip, 40_002), direction: "sendonly", version: 2))
      world.run(1)
      phone.sdp = PhoneSDP.audio(Endpoint(phone.endpoint.ip, port), version: 3)
    }
    talk.refer()
    world.run(3)
    #expect(
      try audio(talk.alice.bodies.last).direction == .sendrecv && audio(talk.carol.bodies.last).direction == .sendrecv)
    let flowing = world.server.media.commands.suffix(20).count {
      if case .remote(_, _, _, _, sending: true, receiving: true, _) = $0 { true } else { false }
    }
    #expect(flowing >= 2 && talk.exchange.bridged() == ["1000", "1002"])
    alice.hangUp(talk.alice)
    world.expectNothingLeft(records: 2)
  }

  @Test(
    "RFC 3264 §8: two sides that speak different codecs come to one, or are hung up with cause 88", arguments: places,
    [true, false])
  func codecs(place: (Int, UInt64), common: Bool) throws {
    let exchange = Exchange(shards: place.0, seed: place.1)
    let (world, alice, bob, carol) = (exchange.world, exchange.alice, exchange.bob, exchange.carol)
    alice.sdp = PhoneSDP.audio(
      Endpoint(alice.endpoint.ip, 40_000), formats: common ? [(0, "PCMU/8000"), (8, "PCMA/8000")] : [(0, "PCMU/8000")])
    let (theirs, first) = exchange.talk(alice, bob)
    carol.sdp = PhoneSDP.audio(Endpoint(carol.endpoint.ip, 40_004), formats: [(8, "PCMA/8000")])
    if !common { carol.reinviteAnswer = 488 }
    let (second, hers) = exchange.talk(bob, carol)
    if common {
      alice.sdp = PhoneSDP.audio(Endpoint(alice.endpoint.ip, 40_000), formats: [(8, "PCMA/8000")], version: 2)
    }
    if !common { alice.reinviteAnswer = 488 }
    bob.send(.refer, in: first, headers: [Exchange.referTo("1002", Exchange.replaces(second))])
    world.run(5)
    if common {
      #expect(theirs.state == .answered && hers.state == .answered && exchange.bridged() == ["1000", "1002"])
      #expect(try audio(theirs.bodies.last).codecs.map(\.name) == ["PCMA"])
      alice.hangUp(theirs)
    } else {
      #expect(text(theirs.bye?.first(.reason))?.contains("cause=88") == true)
    }
    world.expectNothingLeft(records: 2)
  }

  @Test(
    "RFC 3891 §3: tags the other way round are taken; strange ones, a confirmed dialog with early-only, are told",
    arguments: [1, 4])
  func matching(shards: Int) {
    let talk = Consultation(shards: shards, seed: 3)
    let (world, bob) = (talk.exchange.world, talk.exchange.bob)
    guard let dialog = talk.second.dialog else { return }
    let (id, ours, theirs) = (text(dialog.callID), text(dialog.remoteTag), text(dialog.localTag))
    var expected: [Int] = []
    for (value, status) in [
      ("\(id)x;to-tag=\(ours);from-tag=\(theirs)", 481), ("\(id);to-tag=\(ours);from-tag=\(theirs)x", 481),
      ("\(id);to-tag=\(ours.dropLast())\(ours.hasSuffix("0") ? 1 : 0);from-tag=\(theirs)", 481),
      ("\(id);to-tag=abc;from-tag=def", 481),
      (Exchange.replaces(talk.second, extra: ";early-only"), 486), (Exchange.replaces(talk.first), 491),
    ] {
      talk.refer(value)
      world.run(1)
      expected += [100, status]
      #expect(Exchange.told(bob) == expected, "\(value)")
      #expect(talk.alice.state == .answered && talk.carol.state == .answered)
    }
    talk.refer("\(id);from-tag=\(ours);to-tag=\(theirs)")
    world.run(2)
    #expect(Exchange.told(bob).last == 200 && talk.exchange.bridged() == ["1000", "1002"])
    talk.exchange.carol.hangUp(talk.carol)
    world.expectNothingLeft(records: 2)
  }

  @Test("Somebody else's call: who knows its tags but is of another context is refused", arguments: [1, 4])
  func foreign(shards: Int) {
    let users = [
      ServerNode.User("1000"), .init("1001"), .init("1002", context: "other"), .init("1003", context: "other"),
    ]
    let exchange = Exchange(shards: shards, users: users)
    let (theirs, _) = exchange.talk(exchange.alice, exchange.bob)
    let (mine, _) = exchange.talk(exchange.carol, exchange.dave)
    exchange.carol.send(.refer, in: mine, headers: [Exchange.referTo("1000", Exchange.replaces(theirs))])
    exchange.world.run(2)
    #expect(Exchange.told(exchange.carol) == [100, 403] && theirs.state == .answered && mine.state == .answered)
    exchange.alice.hangUp(theirs)
    exchange.carol.hangUp(mine)
    exchange.world.expectNothingLeft(records: 2)
  }

  @Test(
    "The second call still rings: it is handed over, and its answer is the transfer's", arguments: places,
    [200, 486, 0])
  func semi(place: (Int, UInt64), outcome: Int) throws {
    let exchange = Exchange(shards: place.0, seed: place.1)
    let (world, alice, bob, carol) = (exchange.world, exchange.alice, exchange.bob, exchange.carol)
    let (theirs, first) = exchange.talk(alice, bob)
    carol.script = PhoneScript([.respond(180), .respond(outcome == 0 ? 180 : outcome, after: .seconds(3))])
    let second = bob.call("1002")
    world.run(1)
    let ringing = try #require(bob.responses(to: .invite).last { $0.status == 180 })
    let replaces =
      "\(text(ringing.callID));to-tag=\(text(ringing.toTag) ?? "");from-tag=\(text(ringing.fromTag) ?? "");early-only"
    bob.send(.refer, in: first, headers: [Exchange.referTo("1002", replaces)])
    world.run(0.5)
    #expect(Exchange.told(bob) == [100, 180] && second.status == 487 && second.state == .ended)
    if outcome == 0 {
      // Both give up: who rings must not ring on.
      bob.hangUp(first)
      world.run(0.5)
      #expect(theirs.state == .answered)
      alice.hangUp(theirs)
      world.run(1)
      #expect(carol.calls[0].wasCancelled)
    } else {
      world.run(4)
      #expect(Exchange.told(bob).last == outcome)
      #expect(exchange.bridged() == (outcome == 200 ? ["1000", "1002"] : ["1000", "1001"]))
      #expect((first.bye != nil) == (outcome == 200) && theirs.state == .answered)
      alice.hangUp(theirs)
    }
    world.expectNothingLeft(records: 2)
  }

  @Test(
    "A call that was transferred is transferred again, blind and attended, by who is in the other half",
    arguments: places, [true, false])
  func again(place: (Int, UInt64), attended: Bool) throws {
    let talk = Consultation(shards: place.0, seed: place.1)
    let (exchange, world) = (talk.exchange, talk.exchange.world)
    talk.refer()
    world.run(2)
    var replaces: String?
    if attended {
      let (third, _) = exchange.talk(exchange.carol, exchange.dave)
      replaces = Exchange.replaces(third)
    }
    exchange.carol.send(.refer, in: talk.carol, headers: [Exchange.referTo("1003", replaces)])
    world.run(3)
    #expect(Exchange.told(exchange.carol).last == 200 && talk.carol.state == .ended)
    #expect(exchange.bridged() == ["1000", "1003"])
    #expect(talk.alice.state == .answered && exchange.dave.calls.last?.state == .answered)
    exchange.alice.hangUp(talk.alice)
    world.expectNothingLeft(records: 3)
  }

  @Test("A blind transfer out of the other half that fails: both talk on", arguments: places)
  func againRefused(shards: Int, seed: UInt64) {
    let talk = Consultation(shards: shards, seed: seed)
    let (exchange, world) = (talk.exchange, talk.exchange.world)
    talk.refer()
    world.run(2)
    exchange.dave.script = .reject(486)
    exchange.carol.send(.refer, in: talk.carol, headers: [Exchange.referTo("1003")])
    world.run(2)
    #expect(Exchange.told(exchange.carol) == [100, 486] && exchange.bridged() == ["1000", "1002"])
    exchange.carol.hangUp(talk.carol)
    world.run(1)
    #expect(talk.alice.state == .ended)
    world.expectNothingLeft(records: 3)
  }

  @Test("Hang-ups that cross the join: whoever is left is hung up, nothing stays", arguments: places, 0..<6)
  func races(place: (Int, UInt64), who: Int) {
    let talk = Consultation(shards: place.0, seed: place.1)
    let (exchange, world) = (talk.exchange, talk.exchange.world)
    talk.refer()
    switch who {
    case 0: exchange.alice.hangUp(talk.alice)
    case 1: exchange.carol.hangUp(talk.carol)
    case 2: exchange.bob.hangUp(talk.first)
    case 3: exchange.bob.hangUp(talk.second)
    case 4:
      exchange.bob.hangUp(talk.first)
      exchange.bob.hangUp(talk.second)
    default:
      world.run(0.03)
      exchange.alice.hangUp(talk.alice)
      exchange.carol.hangUp(talk.carol)
    }
    world.run(5)
    if talk.alice.state == .answered { exchange.alice.hangUp(talk.alice) }
    world.run(5)
    if talk.carol.state == .answered { exchange.carol.hangUp(talk.carol) }
    world.expectNothingLeft(records: 2, "\(who)")
  }

  @Test("A full mailbox delays the join; one that stays full ends it, and both talk on", arguments: [true, false])
  func full(stays: Bool) {
    let talk = Consultation(shards: 4, seed: 2)
    let world = talk.exchange.world
    world.server.mailboxesAreFull = true
    talk.refer()
    world.run(stays ? 15 : 2)
    #expect(talk.alice.state == .answered && talk.carol.state == .answered)
    world.server.mailboxesAreFull = false
    world.run(2)
    #expect(Exchange.told(talk.exchange.bob).last == (stays ? 503 : 200))
    talk.exchange.alice.hangUp(talk.alice)
    world.run(1)
    if stays { talk.exchange.bob.hangUp(talk.second) }
    world.expectNothingLeft(records: 2)
  }

  @Test("The same over a network that loses, doubles and reorders", arguments: 1...12)
  func lossy(seed: Int) {
    let talk = Consultation(shards: seed % 3 == 0 ? 1 : 4, seed: UInt64(seed), conditions: .mobile)
    talk.refer()
    talk.exchange.world.run(20)
    #expect(talk.exchange.bridged() == ["1000", "1002"])
    #expect(talk.first.state == .ended && talk.second.state == .ended)
    talk.exchange.carol.hangUp(talk.carol)
    talk.exchange.world.expectNothingLeft(after: 200, records: 2)
  }
}
