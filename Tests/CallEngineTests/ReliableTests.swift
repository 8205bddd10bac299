@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// RFC 3262 towards the caller.
@Suite("100rel towards the caller")
struct ReliableTests {
  private static let tone = "{ timeout = 40, ringback = \"tone\" }"

  /// A call that is made: 100rel as `header` says.
  private func calling(
    _ options: String = "{ timeout = 40, ringback = \"180\" }", header: String? = "Supported: 100rel",
    answerAfter: Instant.Span = .seconds(2), acknowledges: Bool = true
  ) -> (World, ScriptedPhone, ScriptedPhone, PhoneCall) {
    let world = World(World.dialling(options))
    let phones = world.registered("1000", "1001")
    phones[0].acknowledgesReliable = acknowledges
    phones[1].script = .answer(after: answerAfter)
    return (world, phones[0], phones[1], phones[0].call("1001", headers: header.map { [$0] } ?? []))
  }

  private func provisional(_ world: World, _ phone: ScriptedPhone) -> [Message] {
    world.sent(to: phone).filter { (101..<200).contains($0.status) && $0.method == .invite }
  }

  @Test(
    "RFC 3262 §3: reliable where the caller supports or requires it, with RSeq and Require; else not",
    arguments: ["Supported: timer, 100rel", "Require: 100rel", nil])
  func asked(header: String?) throws {
    let (world, alice, _, call) = calling(header: header)
    world.run(4)
    let ringing = try #require(provisional(world, alice).first)
    #expect(ringing.status == 180 && ringing.has(.rSeq) == (header != nil))
    #expect(ringing.hasToken("100rel", in: .require) == (header != nil))
    #expect(call.prackStatuses == (header == nil ? [] : [200]))
    #expect(provisional(world, alice).count == 1 && call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3262 §3: without a PRACK it is sent again after T1, 2·T1, 4·T1 …, and after 64·T1 the INVITE gets 504")
  func noPrack() throws {
    let (world, alice, bob, call) = calling(answerAfter: .seconds(100), acknowledges: false)
    world.run(60)
    let times = world.network.trace.filter {
      $0.datagram.to == alice.endpoint && Wire.summary($0.datagram.bytes) == "180"
    }.map { ($0.sent - .zero).seconds }
    let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
    #expect(times.count == 7)
    for (gap, wanted) in zip(gaps, [0.5, 1, 2, 4, 8, 16]) { #expect(abs(gap - wanted) < 0.02) }
    #expect(call.status == 504 && bob.calls.first?.wasCancelled == true)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3262 §3: no second reliable response before the first is acknowledged, then in order")
  func queue() throws {
    let world = World(
      World.invite(
        "call:ring()\ncall:ring { status = 182 }\ncall:ring { status = 181 }\nsleep(5)\ncall:reject { status = 486 }"))
    let alice = world.registered("1000")[0]
    alice.acknowledgesReliable = false
    let call = alice.call("1001", headers: ["Require: 100rel"])
    world.run(1)
    #expect(Set(provisional(world, alice).map(\.status)) == [180])
    alice.acknowledgesReliable = true
    world.run(10)
    let seen = provisional(world, alice)
    let numbers = seen.compactMap { $0.first(.rSeq).flatMap { Decimal.parse($0) } }
    var order: [Int] = []
    for message in seen where order.last != message.status { order.append(message.status) }
    #expect(order == [180, 182, 181])
    #expect(numbers.count == seen.count && Set(numbers).count == 3 && numbers == numbers.sorted())
    #expect(call.prackStatuses == [200, 200, 200] && call.status == 486)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3262 §3: the 200 waits for the PRACK of an answer that went before, and does not repeat it")
  func delayed() throws {
    let (world, alice, _, call) = calling(Self.tone, answerAfter: .seconds(1), acknowledges: false)
    world.run(3)
    let early = try #require(provisional(world, alice).first)
    #expect(early.status == 183 && !early.body.isEmpty && call.state == .ringing)
    #expect(!call.statuses.contains(200))
    alice.acknowledgesReliable = true
    world.run(4)
    #expect(call.state == .answered && call.message?.body.isEmpty == true)
    #expect(call.prackStatuses == [200])
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3262 §3: a 180 without a description holds no 200; its PRACK is right after it, too")
  func overtaken() throws {
    let (world, alice, _, call) = calling(answerAfter: .seconds(1), acknowledges: false)
    world.run(3)
    #expect(call.state == .answered && call.message?.body.isEmpty == false)
    let rseq = try #require(text(provisional(world, alice)[0].first(.rSeq)))
    alice.send(.prack, in: call, headers: ["RAck: \(rseq) 2 INVITE"])
    world.run(1)
    alice.send(.prack, in: call, headers: ["RAck: \(rseq) 2 INVITE"])
    world.run(1)
    #expect(alice.otherStatuses == [200, 481])
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 3262 §3: a PRACK that matches no response: 481",
    arguments: ["RAck: 1 2 INVITE", "RAck: RSEQ 1 INVITE", "RAck: RSEQ 2 BYE", "RAck: nonsense", "X-No: rack"])
  func stray(header: String) throws {
    let (world, alice, _, call) = calling(answerAfter: .seconds(5), acknowledges: false)
    world.run(1)
    let rseq = try #require(text(provisional(world, alice)[0].first(.rSeq)))
    alice.send(.prack, in: call, headers: [header.replacing("RSEQ", with: rseq)])
    world.run(1)
    #expect(alice.otherStatuses == [481])
    alice.acknowledgesReliable = true
    world.run(10)
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3262 §5: an offer in the PRACK of an answer is answered in its 2xx")
  func offerInPrack() throws {
    let (world, alice, _, call) = calling(Self.tone, answerAfter: .seconds(3))
    alice.prackBody = PhoneSDP.audio(Endpoint(alice.endpoint.ip, 47_000), version: 2)
    world.run(2)
    #expect(call.prackStatuses == [200])
    let answer = try OfferAnswerSDP.audio(in: SessionDescription(parsing: (call.bodies.last ?? [])[...]))
    #expect(answer.rtp.ip == IPAddress("198.51.100.2") && answer.codecs.first?.name == "PCMU")
    #expect(
      world.server.media.commands.contains {
        if case .remote(_, rtp: Endpoint(alice.endpoint.ip, 47_000), _, _, _, _, _) = $0 { true } else { false }
      })
    world.run(3)
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3264 §4: an offer in the PRACK of a response without an answer is refused; the call goes on")
  func earlyOffer() {
    let (world, alice, _, call) = calling(answerAfter: .seconds(3))
    alice.prackBody = alice.sdp
    world.run(6)
    #expect(call.prackStatuses == [400] && call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 3261 §13.2.1: an INVITE without an offer: the first reliable response has ours, the PRACK the answer",
    arguments: ["tone", "180"])
  func delayedOffer(policy: String) throws {
    let world = World(World.dialling("{ timeout = 20, ringback = \"\(policy)\" }"))
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    bob.script = .answer(after: .seconds(2))
    let call = alice.call("1001", headers: ["Require: 100rel"], body: [])
    world.run(1)
    let early = try #require(provisional(world, alice).first)
    #expect(early.status == (policy == "tone" ? 183 : 180) && early.has(.rSeq) && !early.body.isEmpty)
    #expect(call.prackStatuses == [200])
    #expect(world.server.media.commands.contains { $0.name == "ringback" } == (policy == "tone"))
    world.run(3)
    #expect(call.state == .answered && call.message?.body.isEmpty == true)
    let remote = world.server.media.commands.last { command in
      if case .remote(_, rtp: Endpoint(alice.endpoint.ip, 40_000), _, _, _, _, _) = command { true } else { false }
    }
    #expect(remote != nil && world.server.media.commands.contains { $0.name == "bridge" })
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 3264 §8: he took one codec of our early offer, the callee has another: the caller is asked again after the 200"
  )
  func otherCodec() throws {
    let world = World(World.dialling(Self.tone))
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    bob.script = .answer(
      after: .seconds(2), body: PhoneSDP.audio(Endpoint(bob.endpoint.ip, 41_000), formats: [(8, "PCMA/8000")]))
    alice.prackBody = PhoneSDP.audio(Endpoint(alice.endpoint.ip, 40_000), formats: [(0, "PCMU/8000")])
    let call = alice.call("1001", headers: ["Require: 100rel"], body: [])
    world.run(5)
    let again = try #require(alice.requests.last { $0.method == .invite })
    let offered = try OfferAnswerSDP.audio(in: SessionDescription(parsing: again.body))
    #expect(offered.codecs.map(\.name) == ["PCMA"])
    #expect(call.state == .answered && bob.calls[0].state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3262 §5: no answer in the PRACK of our offer ends the call")
  func noAnswer() {
    let world = World(World.dialling(Self.tone))
    let phones = world.registered("1000", "1001")
    phones[1].script = .answer(after: .seconds(2))
    phones[0].prackBody = []
    let call = phones[0].call("1001", headers: ["Require: 100rel"], body: [])
    world.run(4)
    #expect(call.prackStatuses == [400] && call.status == 488 && phones[1].calls[0].wasCancelled)
    world.expectNothingLeft(records: 1)
  }

  @Test("`call:ring { reliable = … }`: true fails where he cannot, false is only for who insists")
  func script() {
    let world = World(
      World.invite(
        """
        local ok, err = call:ring { reliable = true }
        call.vars.ok = ok and true or err.kind
        call:ring { status = 182, reliable = false }
        sleep(1)
        call:reject { status = 486 }
        """))
    let alice = world.registered("1000")[0]
    for (header, ok, reliable) in [
      ("Supported: x", "state", []), ("Supported: 100rel", "true", [180]), ("Require: 100rel", "true", [180, 182]),
    ] {
      let before = provisional(world, alice).count
      alice.call("1001", headers: [header])
      world.run(5)
      let sent = provisional(world, alice).dropFirst(before)
      #expect(sent.filter { $0.has(.rSeq) }.map(\.status) == reliable, "\(header)")
      let value = world.record?.vars.first { $0.name == "ok" }?.value
      #expect(value == (ok == "true" ? .bool(true) : .string(ok)), "\(header)")
    }
    world.expectNothingLeft(records: 3)
  }

  @Test("`call:answer` waits for the PRACK of early media; what follows finds the call answered")
  func answerVerb() {
    let world = World(
      World.invite("call:progress { tone = \"ringing\" }\ncall:answer()\ncall.vars.echo = call:echo { duration = 1 }"))
    let alice = world.registered("1000")[0]
    let call = alice.call("1001", headers: ["Supported: 100rel"])
    world.run(5)
    #expect(call.bye != nil && call.prackStatuses == [200])
    #expect(world.server.media.commands.contains { $0.name == "echo" })
    world.expectNothingLeft(records: 1)
    #expect(world.record?.vars.first { $0.name == "echo" }?.value == .string("finished"))
  }

  @Test("RFC 3262 §3: where packets are lost, doubled and overtake each other, the call is made", arguments: 1...40)
  func lossy(seed: Int) {
    let world = World(World.dialling(Self.tone), seed: UInt64(seed))
    let phones = world.registered("1000", "1001")
    phones[1].script = PhoneScript([.respond(180), .respond(200, after: .seconds(1))])
    world.network.conditions = .awful
    let call = phones[0].call(
      "1001", headers: ["Require: 100rel"], body: seed % 2 == 0 ? [] : nil)
    world.network.run(until: .seconds(60)) { call.state == .answered || call.state == .ended }
    world.run(5)
    phones[0].hangUp(call)
    world.run(200)
    if call.state == .answered { phones[0].hangUp(call) }
    for other in phones[1].calls where other.state == .answered { phones[1].hangUp(other) }
    #expect(call.prackStatuses.allSatisfy { [200, 481, 408].contains($0) }, "\(call.prackStatuses)")
    world.expectNothingLeft(records: world.server.records.all.count)
    #expect(world.server.records.all.count <= 1)
  }
}
