@testable import CallEngine
import Media
import NetCore
import SIPMessage
import TestSupport
import Testing

@Suite("Scenario: the reference ladder")
struct ScenarioLadderTests {
  @Test("RFC 3261 §22.2, §10.3: REGISTER is challenged with 401, then 200 with the binding")
  func register() {
    let world = World()
    let alice = world.phone("1000")
    alice.register()
    world.run(2)
    #expect(world.ladder(alice) == ["> REGISTER", "< 401", "> REGISTER", "< 200"])
    let challenge = alice.responses(to: .register)[0]
    #expect(challenge.all(.wwwAuthenticate).count == 2)
    #expect(alice.bindings.count == 1)
    #expect(world.server.journal.changes.count == 1)
    world.expectNothingLeft(records: 0)
  }

  @Test("RFC 3261 §22.4: a wrong password, an unknown user, another's address of record: 403")
  func forbidden() {
    let world = World()
    let wrong = world.phone("1000", password: "guess")
    let unknown = world.phone("4711")
    wrong.register()
    unknown.register()
    world.run(2)
    #expect(wrong.registrationStatus == 403 && unknown.registrationStatus == 403)
    #expect(world.ladder(wrong) == world.ladder(unknown))
    #expect(world.server.journal.changes.isEmpty)
    world.expectNothingLeft()
  }

  @Test("RFC 3261 §13, §15: INVITE 407, 100, 180, 200, ACK, BYE; its cause on the other side", arguments: [1, 4])
  func call(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    let before = (world.ladder(alice).count, world.ladder(bob).count)
    let call = alice.call("1001")
    world.run(5)
    #expect(call.state == .answered && bob.calls.count == 1 && bob.calls[0].isAcknowledged)
    #expect(call.statuses.filter { $0 != 100 } == [407, 180, 200])
    alice.hangUp(call)
    world.run(1)
    #expect(
      world.ladder(alice).dropFirst(before.0) == [
        "> INVITE", "< 407", "> ACK", "> INVITE", "< 100", "< 180", "< 200", "> ACK", "> BYE", "< 200",
      ])
    #expect(
      world.ladder(bob).dropFirst(before.1) == [
        "< INVITE", "> 100", "> 180", "> 200", "< ACK", "< BYE", "> 200",
      ])
    #expect(call.byeStatus == 200)
    let bye = try #require(bob.calls[0].bye)
    #expect(text(bye.first(.reason))?.hasPrefix("Q.850;cause=16") == true)
    world.expectNothingLeft(records: 1)
    let record = try #require(world.record)
    #expect(record.from == "1000" && record.to == "1001" && record.user == "1000" && record.context == "internal")
    #expect(record.status == 200 && record.cause.value == 16 && record.endedBy == .caller)
    #expect(record.attempts.map(\.status) == [200] && record.attempts[0].provisional == [180])
    #expect(record.talkMs > 0 && record.media.count == 2)
  }

  @Test("RFC 3326: the callee's BYE carries a cause; it reaches the caller and the record")
  func calleeHangsUp() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = PhoneScript([.respond(180), .respond(200, after: .seconds(1)), .hangUp(after: .seconds(3))])
    phones[1].extraHeaders = []
    let call = phones[0].call("1001")
    world.run(8)
    #expect(call.state == .ended)
    let bye = try #require(call.bye)
    #expect(text(bye.first(.reason))?.hasPrefix("Q.850;cause=16") == true)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.endedBy == .callee && world.record?.talkMs == 3_020 || world.record?.endedBy == .callee)
  }

  @Test("RFC 3398: what the callee refuses with reaches the caller with its Reason", arguments: [486, 480, 404, 603])
  func refused(status: Int) throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .reject(status)
    let call = phones[0].call("1001")
    world.run(3)
    #expect(call.statuses.last == status && call.state == .ended)
    let cause = try #require(Cause(status: status) as Cause?)
    #expect(text(call.message?.first(.reason))?.hasPrefix("Q.850;cause=\(cause.value)") == true)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.status == status && world.record?.answerMs == nil)
  }

  @Test("RFC 3261 §22: without credentials a caller gets no further than 407, with wrong ones 403")
  func admission() {
    let world = World()
    let none = world.phone("1000", password: "")
    let wrong = world.phone("1001", password: "guess")
    let a = none.call("1002")
    let b = wrong.call("1002")
    world.run(2)
    #expect(a.statuses.last == 407 && b.statuses.last == 403)
    world.expectNothingLeft(records: 0)
  }

  @Test("a user without a binding: 480, cause 20; no such user: 404, cause 1")
  func nobody() {
    let world = World()
    let alice = world.registered("1000")[0]
    let absent = alice.call("1005")
    world.run(1)
    let unknown = alice.call("4711")
    world.run(1)
    #expect(absent.statuses.last == 480 && text(absent.message?.first(.reason))?.hasPrefix("Q.850;cause=20") == true)
    #expect(unknown.statuses.last == 404 && text(unknown.message?.first(.reason))?.hasPrefix("Q.850;cause=1;") == true)
    world.expectNothingLeft(records: 2)
  }

  @Test("ring time-out: CANCEL to the callee, 480 with cause 19 to the caller")
  func noAnswer() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .ringOnly
    let call = phones[0].call("1001")
    world.run(35)
    #expect(call.statuses.last == 480 && text(call.message?.first(.reason))?.hasPrefix("Q.850;cause=19") == true)
    #expect(phones[1].calls[0].wasCancelled)
    let cancel = try #require(phones[1].requests.first { $0.method == .cancel })
    #expect(text(cancel.first(.reason))?.hasPrefix("Q.850;cause=19") == true)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.cause.value == 19)
  }
}
