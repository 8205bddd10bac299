@testable import CallEngine
import NetCore
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// Two things that happen at the same time: every order of them, a millisecond apart, leaves both phones with the same
/// idea of what came of it.
@Suite("Scenario: races")
struct ScenarioRaceTests {
  /// After the first push of the button: a user whose phone was answered all the same hangs up again.
  private func finish(_ world: World, _ call: PhoneCall, _ phone: ScriptedPhone) {
    world.run(2)
    if call.state == .answered { phone.hangUp(call) }
    world.run(2)
  }

  @Test("RFC 3261 §9.1, §15: CANCEL and 200 cross, in every order and on either leg", arguments: [1, 4])
  func cancelAndAnswer(shards: Int) {
    var outcomes: Set<String> = []
    for offset: Int64 in 940...1_060 {
      let world = World(shards: shards)
      let phones = world.registered("1000", "1001")
      let (alice, bob) = (phones[0], phones[1])
      bob.script = .answer(after: .milliseconds(1_000))
      let call = alice.call("1001")
      world.network.run(until: .seconds(5)) { !bob.calls.isEmpty }
      world.network.run(for: .milliseconds(offset))
      alice.hangUp(call)
      finish(world, call, alice)
      let note = "cancelled \(offset) ms after the INVITE rang"
      let finals = call.statuses.filter { $0 >= 200 && $0 != 407 }
      #expect(finals == [200] || finals == [487], "\(note): \(finals)")
      let other = bob.calls[0]
      #expect(other.state == .ended, "\(note)")
      switch other.statuses.last {
      case 487: outcomes.insert("\(finals[0]), callee cancelled")
      case 200:
        // RFC 3261 §9.1: the answer crossed the CANCEL: acknowledged, then ended.
        #expect(other.isAcknowledged && other.bye != nil, "\(note)")
        outcomes.insert("\(finals[0]), callee answered")
      default: Issue.record("\(note): the callee said \(other.statuses)")
      }
      if finals == [487] {
        #expect(world.server.records.all.last?.answerMs == nil, "\(note)")
      }
      world.expectNothingLeft(after: 100, records: 1, note)
      #expect(world.record?.endedBy == .caller && world.record?.status == finals[0], "\(note)")
    }
    #expect(outcomes == ["487, callee cancelled", "487, callee answered", "200, callee answered"])
  }

  @Test("the answer and the end of the ring time cross, in every order")
  func answerAndRingTimeout() {
    var outcomes: Set<String> = []
    for offset: Int64 in 4_960...5_040 {
      let world = World(World.dialling("{ timeout = 5, ringback = \"180\" }"))
      let phones = world.registered("1000", "1001")
      let (alice, bob) = (phones[0], phones[1])
      bob.script = .answer(after: .milliseconds(offset))
      let call = alice.call("1001")
      world.run(7)
      let note = "answered after \(offset) ms"
      let finals = call.statuses.filter { $0 >= 200 && $0 != 407 }
      #expect(finals == [200] || finals == [480], "\(note): \(finals)")
      if finals == [480], bob.calls[0].statuses.last == 200 {
        #expect(bob.calls[0].isAcknowledged && bob.calls[0].bye != nil, "\(note)")
      }
      outcomes.insert("\(finals.first ?? 0) \(bob.calls[0].statuses.last ?? 0)")
      finish(world, call, alice)
      world.expectNothingLeft(after: 100, records: 1, note)
    }
    #expect(outcomes == ["200 200", "480 200", "480 487"])
  }

  @Test(
    "RFC 3261 §13.2.2.4: of a fork that is answered twice one call stands; the other 200 gets ACK and BYE",
    arguments: [1, 4])
  func fork(shards: Int) {
    var late = 0
    for offset: Int64 in stride(from: -40, through: 40, by: 2) {
      let world = World(shards: shards)
      let phones = world.registered("1000", "1001", "1001")
      let (alice, bob, carol) = (phones[0], phones[1], phones[2])
      bob.script = .answer(after: .milliseconds(1_000))
      carol.script = .answer(after: .milliseconds(1_000 + offset))
      let call = alice.call("1001")
      world.run(4)
      let note = "\(offset) ms apart"
      #expect(call.state == .answered, "\(note)")
      let both = [bob.calls[0], carol.calls[0]]
      #expect(both.count { $0.state == .answered } == 1, "\(note): one talks")
      for loser in both where loser.state != .answered {
        if loser.statuses.last == 200 {
          late += 1
          #expect(loser.isAcknowledged, "\(note)")
          #expect(text(loser.bye?.first(.reason))?.hasPrefix("SIP;cause=200") == true, "\(note)")
        } else {
          #expect(loser.statuses.last == 487 && loser.wasCancelled, "\(note)")
        }
      }
      finish(world, call, alice)
      world.expectNothingLeft(after: 100, records: 1, note)
      #expect(world.record?.attempts.count == 2 && world.record?.attempts.count { $0.status == 200 } == 1, "\(note)")
    }
    #expect(late > 0)
  }

  @Test("RFC 3326: who loses a fork is told that the call was completed elsewhere")
  func elsewhere() throws {
    let world = World()
    let phones = world.registered("1000", "1001", "1001")
    phones[1].script = .answer(after: .seconds(1))
    phones[2].script = .ringOnly
    let call = phones[0].call("1001")
    world.run(4)
    let cancel = try #require(phones[2].requests.first { $0.method == .cancel })
    #expect(text(cancel.first(.reason)) == "SIP;cause=200;text=\"Call completed elsewhere\"")
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §16.7: a 6xx ends the other branches and wins; of others the best is passed on")
  func sixHundred() {
    let world = World()
    let phones = world.registered("1000", "1001", "1001")
    phones[1].script = .ringOnly
    phones[2].script = PhoneScript([.respond(180), .respond(603, after: .seconds(1))])
    let declined = phones[0].call("1001")
    world.run(4)
    #expect(declined.statuses.last == 603 && phones[1].calls[0].wasCancelled)
    phones[1].script = .reject(503)
    phones[2].script = PhoneScript([.respond(180), .respond(486, after: .seconds(1))])
    let busy = phones[0].call("1001")
    world.run(4)
    #expect(busy.statuses.last == 486)
    world.expectNothingLeft(records: 2)
  }

  @Test("RFC 3326: the caller's own Reason goes on in the CANCEL to the callee")
  func reasonOfCancel() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .ringOnly
    let call = phones[0].call("1001")
    world.run(2)
    // The phone's CANCEL has no Reason, so one that has is written here, from its INVITE.
    let invite = try #require(
      world.network.trace.filter { $0.datagram.from == phones[0].endpoint }.compactMap { Wire.parse($0.datagram) }
        .last { $0.method == .invite && $0.isRequest })
    var cancel = MessageWriter()
    cancel.requestLine(.cancel, uri: invite.requestURI.bytes)
    for line in invite.headers where [.via, .from, .to, .callID, .maxForwards].contains(line.name) { cancel.copy(line) }
    cancel.append("CSeq: \(invite.cseq) CANCEL\r\nReason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n")
    cancel.finish()
    world.server.receive(
      cancel.bytes, from: phones[0].endpoint, to: ServerNode.address, at: world.network.clock.now)
    world.run(2)
    #expect(call.statuses.last == 487)
    let passed = try #require(phones[1].requests.first { $0.method == .cancel })
    #expect(text(passed.first(.reason)) == "SIP;cause=200;text=\"Call completed elsewhere\"")
    world.expectNothingLeft(records: 1)
    #expect(world.record?.endedBy == .caller && world.record?.status == 487)
  }

  @Test("RFC 3261 §15: BYE before the ACK; the ACK never comes", arguments: [false, true])
  func byeBeforeACK(calleeToo: Bool) {
    let world = World()
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    world.network.filter = { !($0.from == alice.endpoint && Wire.summary($0.bytes) == "ACK") }
    bob.script = .answer(after: .seconds(1))
    let call = alice.call("1001")
    world.network.run(until: .seconds(5)) { call.state == .answered }
    if calleeToo { bob.hangUp(bob.calls[0]) }
    alice.hangUp(call)
    world.run(5)
    #expect(call.byeStatus == 200 && bob.calls[0].state == .ended)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §13.3.1.4: no ACK for 64*T1: the 200 is repeated, then both legs get BYE")
  func noACK() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    world.network.filter = { !($0.from == alice.endpoint && Wire.summary($0.bytes) == "ACK") }
    bob.script = .answer(after: .seconds(1))
    let call = alice.call("1001")
    world.run(32)
    #expect(call.state == .answered && world.sent(to: alice).count { $0.status == 200 && $0.method == .invite } > 5)
    world.run(3)
    #expect(call.state == .ended && call.bye != nil && bob.calls[0].bye != nil)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.endedBy == .system && world.record?.cause.value == 102)
  }

  @Test("RFC 3261 §15: no ACK, and the callee hangs up meanwhile: the caller's BYE waits for the ACK, not for ever")
  func calleeLeavesWithoutACK() {
    let world = World()
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    world.network.filter = { !($0.from == alice.endpoint && Wire.summary($0.bytes) == "ACK") }
    bob.script = PhoneScript([.respond(180), .respond(200, after: .seconds(1)), .hangUp(after: .seconds(2))])
    let call = alice.call("1001")
    world.run(10)
    #expect(bob.calls[0].byeStatus == 200 && call.bye == nil)
    world.run(30)
    #expect(call.bye != nil && call.state == .ended)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.endedBy == .callee)
  }

  @Test("RFC 3261 §13.2.2.4: a copy of the callee's 200 that comes after the call is over is acknowledged again")
  func late200() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    bob.script = .answer(after: .seconds(1))
    let call = alice.call("1001")
    world.run(3)
    alice.hangUp(call)
    world.run(3)
    #expect(world.server.callCount == 0)
    let answer = try #require(
      world.network.trace.map(\.datagram).last { $0.from == bob.endpoint && Wire.parse($0)?.method == .invite })
    let acks = world.sent(to: bob).count { $0.method == .ack }
    world.server.receive(answer.bytes, from: bob.endpoint, to: ServerNode.address, at: world.network.clock.now)
    world.run(1)
    #expect(world.sent(to: bob).count { $0.method == .ack } == acks + 1)
    // RFC 3261 §13.2.2.4: another dialog of the same INVITE, from a proxy that forked, is acknowledged and ended.
    let forked = text(answer.bytes).replacing(text(bob.calls[0].dialog!.localTag), with: "another-tag")
    world.server.receive(Array(forked.utf8), from: bob.endpoint, to: ServerNode.address, at: world.network.clock.now)
    world.run(1)
    #expect(world.sent(to: bob).count { $0.method == .ack && text($0.toTag) == "another-tag" } == 1)
    #expect(world.sent(to: bob).count { $0.method == .bye && text($0.toTag) == "another-tag" } >= 1)
    world.expectNothingLeft(records: 1)
  }
}
