@testable import CallEngine
import Logging
import NetCore
import SIPMessage
import TestSupport
import Testing

/// Whether a trunk is there, how much it may carry, and who of several is asked first.
@Suite("Scenario: state and limits of trunks")
struct ScenarioTrunkStateTests {
  private static func carriers(
    _ names: [String], _ script: String, shards: Int = 1, open: [String] = [],
    plan: (inout TrunkPlan) -> Void = { _ in }
  ) -> (World, [Carrier]) {
    let network = SimulatedNetwork()
    let carriers = names.enumerated().map { n, name in
      let carrier = Carrier(name, "203.0.113.\(200 + n)", on: network)
      carrier.challenged = []
      return carrier
    }
    let trunks = carriers.map { carrier in
      carrier.trunk(plan, sources: ["\(carrier.peer.endpoint.ip)"])
    }
    return (World(script, shards: shards, open: open, trunks: trunks, on: network), carriers)
  }

  private static let failover = """
    on.trunk(function(name, up) log.info("trunk", { name = name, up = up }) end)
    on.invite(function(call)
      local r = call:dial(seq { "trunk/alpha/100", "trunk/beta/100" }, { timeout = 60, ringback = "180" })
      call.vars.cause = r.cause
      if not r.ok then call:reject { from = r } end
    end)
    """

  private func state(_ world: World, _ name: String) -> TrunkStatus.State {
    world.server.services.trunks.status(of: name).current
  }

  @Test(
    "RFC 3261 §11: pinged; down after two misses and skipped at once, up with the first answer; on.trunk is told once")
  func pings() throws {
    let (world, carriers) = Self.carriers(["alpha", "beta"], Self.failover, shards: 2) { $0.ping = .seconds(30.0) }
    let (alpha, beta) = (carriers[0], carriers[1])
    let alice = world.registered("1000")[0]
    world.run(31)
    #expect(alpha.requests(.options).count == 2 && beta.requests(.options).count == 2)
    #expect(text(alpha.requests(.options)[0].requestURI.bytes) == "sip:203.0.113.200")
    #expect(state(world, "alpha").isUp && state(world, "alpha").roundTrip == .milliseconds(20))

    alpha.says[.options] = 0
    alpha.says[.invite] = 0
    world.run(45)
    #expect(!state(world, "alpha").isUp && state(world, "beta").isUp)
    #expect(state(world, "alpha").problem == "OPTIONS: no answer")
    let call = alice.call("100")
    world.run(1)
    #expect(call.state == .answered && alpha.requests(.invite).isEmpty && beta.admitted(.invite).count == 1)
    alice.hangUp(call)
    world.run(1)
    #expect(world.record?.attempts.map(\.status) == [503, 200])
    #expect(world.record?.attempts.map(\.cause.value) == [38, 16])

    alpha.says = [:]
    world.run(35)
    #expect(state(world, "alpha").isUp && state(world, "alpha").problem == nil)
    let again = alice.call("100")
    world.run(1)
    #expect(alpha.admitted(.invite).count == 1)
    alice.hangUp(again)
    world.run(1)
    let told = world.server.log.lines.filter { $0.text == "trunk" }.map(\.metadata)
    #expect(told.map { $0["lua.name"] } == ["alpha", "alpha"])
    #expect(told.map { $0["lua.up"] } == ["false", "true"])
    #expect(world.server.log.texts(.warning) == ["a trunk is down"])
  }

  @Test(
    "a trunk that answers 503 to OPTIONS is down; one that answers 404 is up",
    arguments: [(503, false), (408, false), (404, true), (403, true)])
  func answers(status: Int, isUp: Bool) {
    let (world, carriers) = Self.carriers(["alpha"], World.plain) { $0.ping = .seconds(10.0) }
    carriers[0].says[.options] = status
    world.run(30)
    #expect(state(world, "alpha").isUp == isUp)
  }

  @Test("a call whose only trunk is down fails at once: 503, cause 38, and not after half a minute")
  func onlyOne() {
    let (world, carriers) = Self.carriers(
      ["alpha"],
      World.invite(
        """
        local r = call:dial("trunk/alpha/100", { timeout = 60 })
        call.vars.by = r.by
        call:reject { from = r }
        """)
    ) { $0.ping = .seconds(5.0) }
    let alice = world.registered("1000")[0]
    carriers[0].says[.options] = 0
    world.run(30)
    let call = alice.call("100")
    world.run(0.5)
    #expect(call.statuses.last == 503 && carriers[0].requests(.invite).isEmpty)
    #expect(text(alice.responses(to: .invite).last?.first(.reason))?.contains("cause=38") == true)
    #expect(world.record?.vars.first?.value == .string("system"))
  }

  @Test("reload: other pings take effect, and a trunk that is pinged no more counts as up")
  func pingChanges() {
    let (world, carriers) = Self.carriers(["alpha"], World.plain) { $0.ping = .seconds(10.0) }
    carriers[0].says[.options] = 0
    world.run(40)
    #expect(!state(world, "alpha").isUp)
    world.server.handle(.directory(Directory(users: [], trunks: [carriers[0].trunk()])))
    world.run(1)
    #expect(state(world, "alpha").isUp)
    let before = carriers[0].requests(.options).count
    world.run(100)
    // What was on its way is sent again for its 32 s, and nothing new comes.
    #expect(Set(carriers[0].requests(.options).dropFirst(before).map { text($0.callID) }).count <= 3)
    world.run(1)
    world.expectNothingLeft(after: 40)
  }

  // MARK: limits

  @Test(
    "max_calls: both directions together, on all shards; the next call goes to the next trunk with cause 34",
    arguments: [1, 4])
  func maxCalls(shards: Int) throws {
    let (world, carriers) = Self.carriers(["alpha", "beta"], Self.failover, shards: shards, open: ["192.0.2.0/24"]) {
      $0.maxCalls = 3
    }
    let phones = world.registered("1000", "1001", "1002", "1003", "1004")
    let calls = phones.map { $0.call("100") }
    world.run(2)
    #expect(calls.map(\.state) == Array(repeating: .answered, count: 5))
    #expect(carriers[0].admitted(.invite).count == 3 && carriers[1].admitted(.invite).count == 2)
    #expect(state(world, "alpha").calls == 3 && state(world, "beta").calls == 2)

    // A call from a trunk that has all it may: it is told so, and its carrier may send it elsewhere.
    carriers[0].call("sip:100@nightjar.example", callID: "too-many")
    world.run(1)
    #expect(carriers[0].peer.statuses.last == 503)
    #expect(text(carriers[0].peer.received.last { $0.status == 503 }?.first(.reason))?.contains("cause=34") == true)

    phones[0].hangUp(calls[0])
    world.run(1)
    #expect(state(world, "alpha").calls + state(world, "beta").calls == 4)
    for (phone, call) in zip(phones, calls).dropFirst() { phone.hangUp(call) }
    world.expectNothingLeft(records: 5)
    #expect(state(world, "alpha").calls == 0 && state(world, "beta").calls == 0)
    let causes = world.server.records.all.flatMap(\.attempts).filter { $0.status == 503 }.map(\.cause.value)
    #expect(causes == [34, 34] && state(world, "alpha").refused == 3)
  }

  @Test("calls_per_second: what is too fast goes to the next trunk, later calls find room again")
  func perSecond() {
    let (world, carriers) = Self.carriers(["alpha", "beta"], Self.failover) { $0.callsPerSecond = 2 }
    let phones = world.registered("1000", "1001", "1002", "1003")
    for round in 1...3 {
      let calls = phones.map { $0.call("100") }
      world.run(1)
      #expect(carriers[0].requests(.invite).count == 2 * round && carriers[1].requests(.invite).count == 2 * round)
      for (phone, call) in zip(phones, calls) { phone.hangUp(call) }
      world.run(1)
    }
    world.expectNothingLeft(records: 12)
  }

  @Test("a place is given back however a call ends: refused, cancelled, timed out, without a port, the server's end")
  func places() {
    let (world, carriers) = Self.carriers(
      ["alpha"], Self.failover.replacing(#"seq { "trunk/alpha/100", "trunk/beta/100" }"#, #""trunk/alpha/100""#))
    let alice = world.registered("1000")[0]
    for says in [486, 0] {
      carriers[0].says[.invite] = says
      let call = alice.call("100")
      world.run(1)
      if says == 0 { alice.hangUp(call) }
      world.run(70)
      #expect(state(world, "alpha").calls == 0, "\(says)")
    }
    let unanswered = alice.call("100")
    world.run(100)
    #expect(unanswered.state == .ended && state(world, "alpha").calls == 0)
    carriers[0].says = [:]
    world.server.media.capacity = world.server.media.leased.count
    _ = alice.call("100")
    world.run(2)
    #expect(state(world, "alpha").calls == 0)
    world.server.media.capacity = 1000
    let last = alice.call("100")
    world.run(2)
    #expect(last.state == .answered && state(world, "alpha").calls == 1)
    world.server.handle(.hangUpAll)
    world.expectNothingLeft()
    #expect(state(world, "alpha").calls == 0)
  }

  // MARK: hunt

  /// How many calls each carrier got of `count`, one after the other, over several shards.
  private func spread(_ hunt: String, _ count: Int, shards: Int, plan: (inout TrunkPlan) -> Void = { _ in }) -> [Int] {
    let (world, carriers) = Self.carriers(
      ["alpha", "beta", "gamma"],
      World.invite("local r = call:dial(\(hunt), { timeout = 5, stop_on = '4xx' }) call:reject { from = r }"),
      shards: shards, open: ["192.0.2.0/24"], plan: plan)
    for carrier in carriers { carrier.says[.invite] = 486 }
    let caller = RawPeer("192.0.2.99:5060", on: world.network)
    for n in 1...count {
      caller.request(
        "INVITE", "sip:\(100 + n)@nightjar.example", branch: "z9hG4bK-\(n)", callID: "hunt-\(n)",
        type: "application/sdp", body: text(PhoneSDP.audio(Endpoint("192.0.2.99:40000")!)))
      world.network.run(for: .milliseconds(60))
    }
    // It sends no ACK: the same refusal comes again and again.
    let refused = caller.received.filter { !$0.isRequest && $0.status == 486 }.map { text($0.callID) }
    #expect(Set(refused).count == count)
    return carriers.map { $0.requests(.invite).count }
  }

  @Test("hunt: the strategies over several shards, whatever number is dialled", arguments: [1, 4])
  func hunt(shards: Int) {
    let targets =
      #""trunk/alpha/" .. call.ruri.user, "trunk/beta/" .. call.ruri.user, "trunk/gamma/" .. call.ruri.user"#
    #expect(spread("hunt { \(targets), strategy = 'round_robin' }", 30, shards: shards) == [10, 10, 10])
    #expect(
      spread(
        """
        hunt { { "trunk/alpha/" .. call.ruri.user, weight = 3 }, "trunk/beta/" .. call.ruri.user,
          { "trunk/gamma/" .. call.ruri.user, weight = 0 }, strategy = "weighted" }
        """, 40, shards: shards) == [30, 10, 0])
    #expect(spread("hunt { \(targets), strategy = 'least_calls' }", 30, shards: shards) == [10, 10, 10])
    #expect(
      spread(
        "seq { hunt { { { 'user/1005', 'user/1004' }, weight = 5 }, strategy = 'weighted' }, "
          + "hunt { \(targets), strategy = 'round_robin' } }", 9, shards: shards) == [3, 3, 3],
      "nobody is registered at the first hunt: the second one takes turns")
  }

  @Test("hunt passes by a trunk that is down, and goes on from one that is full")
  func huntGoesOn() {
    let (world, carriers) = Self.carriers(
      ["alpha", "beta"],
      World.invite(
        """
        call:dial(hunt { { "trunk/alpha/1", weight = 9 }, "trunk/beta/1", strategy = "weighted" }, { timeout = 20 })
        """)
    ) { plan in
      plan.ping = .seconds(5.0)
      plan.maxCalls = 2
    }
    let phones = world.registered("1000", "1001", "1002", "1003")
    let first = phones.map { $0.call("100") }
    world.run(1)
    #expect(carriers.map { $0.admitted(.invite).count } == [2, 2])
    #expect(world.server.records.all.flatMap(\.attempts).isEmpty)
    for (phone, call) in zip(phones, first) { phone.hangUp(call) }
    carriers[0].says[.options] = 0
    world.run(30)
    let second = phones[0].call("100")
    world.run(1)
    #expect(second.state == .answered && carriers.map { $0.admitted(.invite).count } == [2, 3])
    phones[0].hangUp(second)
    world.run(1)
    #expect(world.record?.attempts.count == 1)
  }

  @Test("hunt{least_calls} counts the legs of users too")
  func leastCallsOfUsers() {
    let world = World(
      World.invite(
        """
        call:dial(hunt { "user/1001", "user/1002", strategy = "least_calls" }, { timeout = 20, ringback = "180" })
        """))
    let phones = world.registered("1000", "1001", "1002", "1003", "1004")
    for phone in phones { phone.script = .answer(after: .milliseconds(100)) }
    let calls = [phones[0], phones[3], phones[4]].map { phone in
      let call = phone.call("100")
      world.run(1)
      return call
    }
    let counts = [phones[1], phones[2]].map { $0.calls.count }
    #expect(counts.sorted() == [1, 2])
    // He who has one less is next, again and again.
    let busier = counts[0] == 2 ? 0 : 1
    phones[0].hangUp(calls[0])
    phones[3].hangUp(calls[1])
    phones[4].hangUp(calls[2])
    world.run(1)
    #expect(world.server.services.hunts.calls(at: Array("user/100\(busier + 1)".utf8)) == 0)
    world.expectNothingLeft(records: 3)
  }

  @Test("trunks.get and trunks.list tell what is known; a name that is none is nil")
  func lua() {
    let (world, carriers) = Self.carriers(
      ["alpha", "beta"],
      World.invite(
        """
        local one = trunks.get("alpha")
        call.vars.one = string.format("%s %s %s %d %s %s", one.name, one.up, one.registered, one.calls, one.rtt,
          one.max_calls)
        call.vars.none = tostring(trunks.get("gamma"))
        local names = {}
        for _, trunk in ipairs(trunks.list()) do names[#names + 1] = trunk.name .. ":" .. tostring(trunk.problem) end
        call.vars.all = table.concat(names, " ")
        call:reject { status = 486 }
        """)
    ) { plan in
      plan.ping = .seconds(5.0)
      plan.maxCalls = 30
    }
    carriers[1].says[.options] = 0
    world.run(30)
    let alice = world.registered("1000")[0]
    _ = alice.call("100")
    world.run(1)
    let vars = Dictionary((world.record?.vars ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    #expect(vars["one"] == .string("alpha true false 0 0.02 30"))
    #expect(vars["none"] == .string("nil"))
    #expect(vars["all"] == .string("alpha:nil beta:OPTIONS: no answer"))
  }
}

extension String {
  fileprivate func replacing(_ old: String, _ new: String) -> String {
    guard let range = firstRange(of: old) else { return self }
    return String(self[..<range.lowerBound]) + new + self[range.upperBound...]
  }
}
