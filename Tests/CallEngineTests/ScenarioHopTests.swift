@testable import CallEngine
import NetCore
import NextHop
import SIPMessage
import TestSupport
import Testing

/// RFC 3263 in calls: names in targets, servers that fail, and what happens while DNS is asked.
@Suite("Scenario: next hops")
struct ScenarioHopTests {
  /// Alice calls whatever `target` is; it comes back to her with its own status.
  static func world(_ target: String, _ options: String = "{ timeout = 100 }", trunks: [Trunk] = []) -> World {
    World(
      World.invite(
        "local r = call:dial(\(target), \(options))\ncall.vars.status = r.status\n"
          + "if not r.ok then call:reject { from = r } end"),
      trunks: trunks)
  }

  @Test("RFC 3263 §4.2: a name without SRV, its A record and port 5060; the second call asks nobody")
  func name() {
    let world = ScenarioHopTests.world("'sip:bob@pbx.example.com'")
    let alice = world.registered("1000")[0]
    let bob = world.phone("bob")
    bob.script = .answer(after: .seconds(1))
    world.server.dns.set("pbx.example.com", address: World.addresses[1])
    for calls in 1...2 {
      let call = alice.call("1001")
      world.run(3)
      #expect(call.state == .answered && bob.calls.count == calls)
      alice.hangUp(call)
      world.run(1)
      #expect(world.server.dns.asked.map(\.kind) == [.naptr, .srv, .a])
    }
    #expect(text(bob.calls[0].message?.requestURI.bytes ?? []) == "sip:bob@pbx.example.com")
    world.expectNothingLeft(records: 2)
    #expect(world.record?.attempts.map(\.ip) == ["\(World.addresses[1]):5060"])
  }
}
