@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// A reload between any two inputs of a call.
@Suite("Scenario: reload")
struct ScenarioReloadTests {
  private static func script(_ version: Int) -> String {
    World.invite(
      """
      call.vars.before = \(version)
      local r = call:dial("user/1001", { timeout = 20, ringback = "180" })
      call.vars.after = \(version)
      call.vars.generation = call.generation
      if not r.ok then call:reject { from = r } end
      """)
  }

  @Test(
    "a call keeps the generation that it began with, the next one gets the new; the old VM is handed out",
    arguments: [1, 4])
  func everywhere(shards: Int) {
    var generations: Set<Int> = []
    for step in 0..<26 {
      let world = World(ScenarioReloadTests.script(1), shards: shards)
      let phones = world.registered("1000", "1001")
      phones[1].script = PhoneScript([.respond(180), .respond(200, after: .seconds(1)), .hangUp(after: .seconds(2))])
      let start = world.network.trace.count
      let call = phones[0].call("1001")
      world.network.run(until: .seconds(20)) { world.network.trace.count >= start + step }
      world.server.reload(ScenarioReloadTests.script(2))
      world.run(10)
      let note = "after \(step) packets"
      #expect(call.statuses.last == 200 && call.state == .ended, "\(note)")
      let next = phones[0].call("1001")
      world.run(10)
      #expect(next.statuses.last == 200, "\(note)")
      world.expectNothingLeft(records: 2, note)
      let records = world.server.records.all
      guard records.count == 2 else { continue }
      let vars = records.map { record in record.vars.map(\.value) }
      for (values, record) in zip(vars, records) {
        let expected = JSONValue.integer(Int64(record.generation))
        #expect(values == [expected, expected, expected], "\(note)")
      }
      #expect(records[1].generation == 2, "\(note)")
      generations.insert(records[0].generation)
      #expect(world.server.retired.count == shards, "\(note)")
    }
    #expect(generations == [1, 2])
  }

  @Test("several generations live at once, each for its own calls")
  func several() {
    let world = World(World.invite("call:answer()\ncall:wait()\ncall.vars.v = 1"))
    let phones = world.registered("1000")
    var calls: [PhoneCall] = []
    for version in 2...5 {
      calls.append(phones[0].call("1001"))
      world.run(1)
      world.server.reload(World.invite("call:answer()\ncall:wait()\ncall.vars.v = \(version)"))
    }
    #expect(world.server.snapshots[0].generations.map(\.number) == [1, 2, 3, 4, 5])
    for call in calls.reversed() {
      phones[0].hangUp(call)
      world.run(1)
    }
    world.expectNothingLeft(records: 4)
    #expect(world.server.records.all.map(\.generation) == [4, 3, 2, 1])
    #expect(world.server.retired.count == 4)
  }

  @Test("settings change with the generation: the domain's contexts, the ring time, the ringback")
  func settings() {
    let world = World(World.dialling("{}"), configure: { $0.ringback = .ringing })
    let phones = world.registered("1000", "1001")
    phones[1].script = .ringOnly
    let first = phones[0].call("1001")
    world.run(2)
    world.server.reload(World.dialling("{}")) { settings in
      settings.ringback = .tone
      settings.ringTimeout = .seconds(5)
    }
    let second = phones[0].call("1001")
    world.run(8)
    #expect(second.statuses.contains(183) && second.statuses.last == 480)
    #expect(!first.statuses.contains(183) && first.state == .ringing)
    phones[0].hangUp(first)
    world.expectNothingLeft(records: 2)
  }
}
