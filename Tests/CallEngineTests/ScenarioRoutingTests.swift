@testable import CallEngine
import NetCore
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// Where a call goes next, and what one side may learn of the other.
@Suite("Scenario: routing")
struct ScenarioRoutingTests {
  private static func trunk(_ name: String, _ address: String) -> Trunk {
    Trunk(
      name: name, destination: Endpoint("\(address):5060")!, host: address, transport: .udp, context: "trunk",
      sources: [])
  }

  /// Alice is the caller; the first and the second carrier are phones that are not registered.
  private func carriers(_ options: String) -> (World, ScriptedPhone, ScriptedPhone, ScriptedPhone) {
    let world = World(
      World.invite(
        """
        local r = call:dial(seq { "trunk/alpha/" .. call.ruri.user, "trunk/beta/" .. call.ruri.user }, \(options))
        call.vars.status = r.status
        if not r.ok then call:reject { from = r } end
        """),
      trunks: [
        ScenarioRoutingTests.trunk("alpha", World.addresses[1]), ScenarioRoutingTests.trunk("beta", World.addresses[2]),
      ])
    let alice = world.registered("1000")[0]
    return (world, alice, world.phone("alpha"), world.phone("beta"))
  }

  private static let listed = "{ timeout = 100, failover_on = { 408, 500, 502, 503, 'timeout', 'unreachable' } }"

  @Test(
    "seq: the next after a listed status, no other after one that is not",
    arguments: [(503, true), (500, true), (486, false), (404, false), (603, false)])
  func failover(status: Int, goesOn: Bool) {
    let (world, alice, alpha, beta) = carriers(ScenarioRoutingTests.listed)
    alpha.script = .reject(status)
    beta.script = .answer(after: .seconds(1))
    let call = alice.call("4930")
    world.run(5)
    #expect(call.statuses.last == (goesOn ? 200 : status) && beta.calls.count == (goesOn ? 1 : 0))
    #expect(text(alpha.calls[0].message?.requestURI.user ?? []) == "4930")
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == (goesOn ? [status, 200] : [status]))
  }

  @Test("seq: a target that does not answer in its own time, and one that is not there at all")
  func timeoutAndUnreachable() {
    let (world, alice, alpha, beta) = carriers(ScenarioRoutingTests.listed)
    world.network.detach(alpha)
    let call = alice.call("4930")
    world.run(45)
    #expect(call.statuses.last == 200 && beta.calls.count == 1)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [408, 200] || world.record?.attempts.map(\.status) == [503, 200])

    let second = World(
      World.invite(
        "local r = call:dial(seq { { 'user/1001', timeout = 3 }, { 'user/1002', timeout = 3 } }, { timeout = 20 })\n"
          + "call.vars.by = r.by\nif not r.ok then call:reject { from = r } end"))
    let phones = second.registered("1000", "1001", "1002")
    for phone in phones { phone.script = .ringOnly }
    let nobody = phones[0].call("1001")
    second.run(8)
    #expect(nobody.statuses.last == 480 && phones[1].calls[0].wasCancelled && phones[2].calls[0].wasCancelled)
    second.expectNothingLeft(records: 1)
    #expect(second.record?.vars.first?.value == .string("timeout") && second.record?.cause.value == 19)
  }

  @Test("both carriers fail: the best failure reaches the caller")
  func allFail() {
    let (world, alice, alpha, beta) = carriers(ScenarioRoutingTests.listed)
    alpha.script = .reject(503)
    beta.script = .reject(500)
    let call = alice.call("4930")
    world.run(5)
    #expect([500, 503].contains(call.statuses.last ?? 0))
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [503, 500])
  }

  @Test("`delay` in a list: the second rings later, and not at all when the first has answered", arguments: [1, 5])
  func delay(answer: Int64) {
    let world = World(
      World.invite("call:dial({ 'user/1001', { 'user/1002', delay = 3 } }, { timeout = 20, ringback = '180' })"))
    let phones = world.registered("1000", "1001", "1002")
    phones[1].script = .answer(after: .seconds(answer))
    phones[2].script = .ringOnly
    let call = phones[0].call("1001")
    world.run(8)
    #expect(call.state == .answered && phones[2].calls.count == (answer > 3 ? 1 : 0))
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "topology is hidden: nothing of one phone's addresses, tags, Call-ID or software reaches the other",
    arguments: [1, 4])
  func topology(shards: Int) throws {
    let world = World(World.dialling("{ timeout = 20, ringback = 'passthrough' }"), shards: shards)
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    alice.extraHeaders = [
      "User-Agent: AlicePhone/1", "Supported: timer, alice-ext", "P-Alice: secret", "Organization: AliceOrg",
      "X-Passed: from-alice", "Subject: passes",
    ]
    bob.extraHeaders = ["Server: BobPhone/1", "P-Bob: secret-bob", "Supported: bob-ext"]
    let early = PhoneSDP.audio(Endpoint(bob.endpoint.ip, 40_002))
    bob.script = PhoneScript([
      .respond(180), .respond(183, body: early), .respond(200, after: .seconds(1), body: early),
    ])
    let call = alice.call("1001")
    world.run(4)
    #expect(call.state == .answered)
    alice.reinvite(call, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 40_000), direction: "sendonly", version: 2))
    world.run(1)
    bob.reinvite(bob.calls[0], body: PhoneSDP.audio(Endpoint(bob.endpoint.ip, 40_002), version: 2))
    world.run(1)
    alice.send(.info, in: call, headers: ["Content-Type: text/plain"], body: Array("digits".utf8))
    world.run(1)
    bob.hangUp(bob.calls[0])
    world.run(1)
    bob.script = .ringOnly
    let second = alice.call("1001")
    world.run(1)
    alice.hangUp(second)
    world.expectNothingLeft(records: 2)

    func secrets(_ phone: ScriptedPhone, _ calls: [PhoneCall], _ words: [String]) -> [String] {
      var list = [phone.endpoint.ip.description] + words
      for call in calls {
        list.append(text(call.callID))
        if let tag = call.dialog?.localTag { list.append(text(tag)) }
      }
      for item in world.network.trace where item.datagram.from == phone.endpoint {
        if let message = Wire.parse(item.datagram), message.isRequest, let branch = message.via.branch {
          list.append(text(branch))
        }
      }
      return Array(Set(list))
    }
    let ofAlice = secrets(alice, [call, second], ["AlicePhone", "alice-ext", "P-Alice", "AliceOrg"])
    // Bob's Call-IDs and Alice's tags at the server are the server's own tokens; they are looked at below.
    let ofBob =
      secrets(bob, [], ["BobPhone", "P-Bob", "bob-ext"]) + bob.calls.compactMap { $0.dialog.map { text($0.localTag) } }
    func leaks(_ secrets: [String], to phone: ScriptedPhone) -> [String] {
      let start = world.network.trace.firstIndex { Wire.summary($0.datagram.bytes) == "INVITE" } ?? 0
      return world.network.trace[start...].filter { $0.datagram.to == phone.endpoint }.flatMap { item in
        let bytes = text(item.datagram.bytes)
        return secrets.filter { bytes.contains($0) }.map { "\($0) in \(Wire.summary(item.datagram.bytes))" }
      }
    }
    #expect(leaks(ofAlice, to: bob) == [])
    #expect(leaks(ofBob, to: alice) == [])
    let bobs = Set(world.sent(to: bob).filter { $0.method == .invite }.map { text($0.callID) })
    #expect(bobs.isDisjoint(with: world.sent(to: alice).map { text($0.callID) }))
    let invite = try #require(bob.requests.first { $0.method == .invite })
    #expect(text(invite.first(named: "X-Passed")) == "from-alice" && text(invite.first(.subject)) == "passes")
  }
}
