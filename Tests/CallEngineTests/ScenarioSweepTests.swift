@testable import CallEngine
import Media
import NetCore
import SIPMessage
import TestSupport
import Testing

/// One long call through most verbs, broken off at every tenth of a second of its life, by everybody who can.
@Suite("Scenario: the end at any time")
struct ScenarioSweepTests {
  enum Who: CaseIterable { case caller, callee, operatorEnds, media, reload, bothPhones }

  private static let script = World.invite(
    """
    call:on_hangup(function(info) call.vars.side = info.side; sleep(0.1) end)
    spawn(function() for i = 1, 100 do if not sleep(0.3) then return end end end)
    call:ring()
    sleep(0.5)
    call:progress { tone = "ringing" }
    sleep(0.5)
    local r = call:dial({ "user/1001", { "user/1002", delay = 1 } }, { timeout = 2, ringback = "tone_until_media" })
    r = call:dial(seq { { "user/1002", timeout = 1 }, "user/1001" }, { timeout = 6, after_bridge = "continue" })
    call:play { "a.wav", "b.wav" }
    call:tone("busy", { duration = 1 })
    call:echo { duration = 1 }
    r = call:dial("user/1001", { timeout = 5, max_duration = 2 })
    call:hangup { cause = "USER_BUSY" }
    """)

  private func play(_ who: Who, at time: Double, shards: Int) {
    let world = World(ScenarioSweepTests.script, shards: shards)
    let phones = world.registered("1000", "1001", "1002")
    let (alice, bob, carol) = (phones[0], phones[1], phones[2])
    carol.script = .ringOnly
    bob.script = PhoneScript([.respond(180), .respond(200, after: .milliseconds(2_200)), .hangUp(after: .seconds(1))])
    let call = alice.call("1001")
    world.run(time)
    let note = "\(who) after \(time) s"
    switch who {
    case .caller: alice.hangUp(call)
    case .callee:
      for other in bob.calls + carol.calls where other.state != .ended {
        bob.calls.contains { $0 === other } ? bob.hangUp(other) : carol.hangUp(other)
      }
    case .operatorEnds: world.server.handle(.hangUpAll)
    case .media: for lease in world.server.media.leased { world.server.media.emit(.timeout(lease.port.id)) }
    case .reload: world.server.reload(World.invite("call:reject { status = 404 }"))
    case .bothPhones:
      alice.hangUp(call)
      for other in bob.calls where other.state != .ended { bob.hangUp(other) }
    }
    // The fake plane plays nothing: it says that each file has ended.
    for _ in 0..<12 {
      world.run(2)
      for case .play(let id, _, let token) in world.server.media.commands {
        world.server.media.emit(.played(id, token: token, ended: .finished))
      }
    }
    if call.state == .answered { alice.hangUp(call) }
    world.expectNothingLeft(after: 110, records: 1, note)
    #expect(call.statuses.filter { $0 >= 200 && $0 != 407 }.count == 1, "\(note)")
    #expect(world.record?.scriptError == nil, "\(note)")
    #expect(world.record?.vars.contains { $0.name == "side" } == true, "\(note): the hook ran")
    if who == .caller, call.statuses.last == 487 { #expect(world.record?.endedBy == .caller, "\(note)") }
  }

  @Test("broken off at each tenth of a second", arguments: Who.allCases)
  func everywhere(who: Who) {
    // From the first packet that the server has seen of the authenticated INVITE.
    for tenth in 1..<170 { play(who, at: Double(tenth) / 10, shards: tenth % 3 == 0 ? 4 : 1) }
  }
}
