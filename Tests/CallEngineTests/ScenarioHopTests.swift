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

  @Test("RFC 3263 §4.1: NAPTR and SRV of a trunk without a transport of its own; its Request-URI names the trunk")
  func trunk() {
    var trunk = Trunk(
      name: "carrier", destination: nil, host: "carrier.example", transport: .udp, context: "trunk", sources: [])
    trunk.isTransportFixed = false
    let world = ScenarioHopTests.world("'trunk/carrier/4930'", trunks: [trunk])
    let alice = world.registered("1000")[0]
    let carrier = world.phone("carrier")
    carrier.script = .answer(after: .seconds(1))
    world.server.dns.set(
      "carrier.example", .naptr,
      .names([
        NamingRecord(
          order: 1, preference: 1, flags: Array("s".utf8), service: Array("sip+d2u".utf8),
          replacement: DNSName("_sip._udp.lb.example"))
      ]))
    world.server.dns.set("_sip._udp.lb.example", services: [(1, 1, 5060, "gw.example")])
    world.server.dns.set("gw.example", address: World.addresses[1])
    let call = alice.call("4930")
    world.run(3)
    #expect(call.state == .answered)
    #expect(text(carrier.calls[0].message?.requestURI.bytes ?? []) == "sip:4930@carrier.example")
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  /// `pbx.example.com` has two servers: the first, which fails, and the second.
  private func twoServers(_ options: String = "{ timeout = 100 }") -> (
    World, ScriptedPhone, ScriptedPhone, ScriptedPhone
  ) {
    let world = ScenarioHopTests.world("'sip:bob@pbx.example.com;transport=udp'", options)
    let alice = world.registered("1000")[0]
    world.server.dns.set(
      "_sip._udp.pbx.example.com", services: [(1, 1, 5060, "a.example.com"), (2, 1, 5060, "b.example.com")])
    world.server.dns.set("a.example.com", address: World.addresses[1])
    world.server.dns.set("b.example.com", address: World.addresses[2])
    return (world, alice, world.phone("a"), world.phone("b"))
  }

  @Test("RFC 3263 §4.3: 503, and the same INVITE goes to the next server, before the dial hears of it")
  func unavailable() throws {
    let (world, alice, first, second) = twoServers()
    first.script = .reject(503)
    second.script = .answer(after: .seconds(1))
    let call = alice.call("1001")
    world.run(3)
    #expect(call.state == .answered && !call.statuses.contains(503))
    let a = try #require(first.requests.first { $0.method == .invite })
    let b = try #require(second.requests.first { $0.method == .invite })
    #expect(a.callID == b.callID && a.fromTag == b.fromTag && a.cseq == b.cseq && a.body == b.body)
    #expect(a.via.branch != b.via.branch && a.requestURI.bytes == b.requestURI.bytes)
    #expect(world.sent(to: first).filter { $0.method == .ack }.count == 1)
    alice.hangUp(call)
    world.run(1)
    // For a while the first one is tried last.
    let again = alice.call("1001")
    world.run(3)
    #expect(again.state == .answered && first.calls.count == 1 && second.calls.count == 2)
    alice.hangUp(again)
    world.run(31)
    let later = alice.call("1001")
    world.run(3)
    #expect(later.state == .answered && first.calls.count == 2 && second.calls.count == 3)
    alice.hangUp(later)
    world.expectNothingLeft(records: 3)
    let tried = world.server.records.all.map { $0.attempts.map { "\($0.ip) \($0.status)" } }
    let (one, two) = ("\(World.addresses[1]):5060 503", "\(World.addresses[2]):5060 200")
    #expect(tried == [[one, two], [two], [one, two]])
  }

  @Test("RFC 3261 §21.5.4: a Retry-After holds it back for longer")
  func retryAfter() {
    let (world, alice, first, second) = twoServers()
    first.script = PhoneScript([.respond(503, headers: ["Retry-After: 120 (in a meeting);duration=9"])])
    second.script = .reject(486)
    alice.call("1001")
    world.run(60)
    alice.call("1001")
    world.run(65)
    #expect(first.calls.count == 1 && second.calls.count == 2)
    alice.call("1001")
    world.run(5)
    #expect(first.calls.count == 2 && second.calls.count == 3)
    world.expectNothingLeft(records: 3)
  }

  @Test("A server that says nothing is given up after four seconds; timer B would take 32")
  func silentServer() {
    let (world, alice, first, second) = twoServers()
    world.network.detach(first)
    second.script = .answer(after: .seconds(1))
    let call = alice.call("1001")
    world.run(6)
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [408, 200])
  }

  @Test("Without that, timer B: RFC 3261 §17.1.1.2")
  func timerB() {
    let (world, alice, first, second) = twoServers()
    world.server.reload(
      "on.invite(function(call) call:dial('sip:bob@pbx.example.com;transport=udp', { timeout = 100 }) end)"
    ) { $0.failoverAfter = .zero }
    world.network.detach(first)
    second.script = .answer(after: .seconds(1))
    let call = alice.call("1001")
    world.run(31)
    #expect(second.calls.isEmpty)
    world.run(4)
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("A server that was given up and rings or answers late: CANCEL, or ACK and BYE")
  func lateServer() throws {
    for answers in [false, true] {
      let (world, alice, first, second) = twoServers()
      // It hears everything, and its answers are lost for ten seconds.
      world.network.filter = { [clock = world.network.clock] in
        $0.from != first.endpoint || clock.now > VirtualClock().now + .seconds(12)
      }
      first.script = answers ? .answer(after: .seconds(1)) : .ringOnly
      second.script = .answer(after: .seconds(1))
      let call = alice.call("1001")
      world.run(30)
      #expect(call.state == .answered && second.calls[0].state == .answered)
      #expect(first.calls[0].state == .ended)
      let methods = Set(world.sent(to: first).filter(\.isRequest).map(\.method))
      #expect(methods.isSuperset(of: answers ? [.ack, .bye] : [.ack, .cancel]))
      #expect(methods.contains(.bye) == answers)
      alice.hangUp(call)
      world.expectNothingLeft(records: 1)
    }
  }

  @Test("All servers fail: the dial hears of the last, and goes on to its next target")
  func allFail() {
    let world = World(
      World.invite(
        "local r = call:dial(seq { 'sip:bob@pbx.example.com;transport=udp', 'user/1001' }, { timeout = 100 })"))
    let phones = world.registered("1000", "1001")
    world.server.dns.set(
      "_sip._udp.pbx.example.com", services: [(1, 1, 5060, "a.example.com"), (2, 1, 5060, "b.example.com")])
    world.server.dns.set("a.example.com", address: World.addresses[2])
    world.server.dns.set("b.example.com", address: World.addresses[3])
    let servers = [world.phone("a"), world.phone("b")]
    for server in servers { server.script = .reject(503) }
    phones[1].script = .answer(after: .seconds(1))
    let call = phones[0].call("1002")
    world.run(4)
    #expect(call.state == .answered)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [503, 503, 200])
  }

  @Test("The dial's time holds over all servers: CANCEL goes to the one that is being tried")
  func ringTime() {
    let (world, alice, first, second) = twoServers("{ timeout = 6 }")
    first.script = .reject(503)
    second.script = .ringOnly
    let call = alice.call("1001")
    world.run(8)
    #expect(call.statuses.last == 480 && second.calls[0].wasCancelled)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "No such name, and a server that knows none: 503 with cause 38, and the dial goes on", arguments: [false, true])
  func nowhere(dead: Bool) {
    let world = ScenarioHopTests.world("'sip:bob@nowhere.example.com'")
    let alice = world.registered("1000")[0]
    world.server.dns.isDead = dead
    let call = alice.call("1001")
    world.run(1)
    #expect(call.statuses.last == (dead ? 100 : 503))
    world.run(4)
    #expect(call.statuses.last == 503)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.cause.value == 38 && world.record?.attempts.map(\.ip) == [""])
  }

  @Test("A dead DNS server delays the call that needs it, and no other")
  func deadServer() {
    let world = World(
      World.invite(
        "local to = call.ruri.user\nlocal r = call:dial(to == '1001' and 'user/1001' or 'sip:x@slow.example', {})\n"
          + "if not r.ok then call:reject { from = r } end"))
    let phones = world.registered("1000", "1001")
    world.server.dns.isDead = true
    phones[1].script = .answer(after: .milliseconds(100))
    let slow = phones[0].call("1002")
    world.run(0.5)
    let quick = phones[0].call("1001")
    world.run(0.5)
    #expect(quick.state == .answered && slow.statuses.last == 100)
    phones[0].hangUp(quick)
    world.run(5)
    #expect(slow.statuses.last == 503)
    world.expectNothingLeft(records: 2)
  }

  @Test("While DNS is asked: the caller leaves, the target's time is over, the dial's is", arguments: [0, 1, 2])
  func endsMeanwhile(way: Int) {
    let target = way == 1 ? "{ 'sip:bob@slow.example', timeout = 2 }" : "'sip:bob@slow.example'"
    let world = ScenarioHopTests.world("seq { \(target), 'user/1001' }", "{ timeout = \(way == 2 ? 2 : 100) }")
    let phones = world.registered("1000", "1001")
    let bob = world.phone("bob")
    world.server.dns.set("slow.example", address: bob.endpoint.ip.description)
    world.server.dns.delay = .seconds(3)
    phones[1].script = .answer(after: .seconds(1))
    let call = phones[0].call("1002")
    world.run(1)
    if way == 0 { phones[0].hangUp(call) }
    world.run(12)
    #expect(bob.calls.isEmpty)
    switch way {
    case 0: #expect(call.statuses.last == 487)
    case 1:
      #expect(call.state == .answered)
      phones[0].hangUp(call)
    default: #expect(call.statuses.last == 480)
    }
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §12.2.1.1: a Contact that is a name: ACK and BYE go where it leads, and a BYE waits for the ACK")
  func contactName() throws {
    for slow in [false, true] {
      let world = ScenarioHopTests.world("'sip:bob@203.0.113.122'")
      let alice = world.registered("1000")[0]
      let edge = RawPeer("203.0.113.122:5060", on: world.network)
      let inner = RawPeer("203.0.113.200:5062", on: world.network)
      world.server.dns.set("inner.example.com", address: "203.0.113.200")
      world.server.dns.delay = slow ? .seconds(2) : .milliseconds(20)
      let sdp = PhoneSDP.audio(Endpoint("203.0.113.122:40000")!)
      edge.answer = { message in
        guard message.method == .invite else { return }
        edge.respond(message, 200, lines: ["Contact: <sip:bob@inner.example.com:5062>"], body: sdp)
      }
      inner.answer = { if $0.method == .bye { inner.respond($0, 200) } }
      let call = alice.call("1001")
      world.run(1)
      #expect(call.state == .answered)
      alice.hangUp(call)
      world.run(5)
      #expect(inner.received.filter(\.isRequest).map(\.method) == [.ack, .bye])
      #expect(!edge.received.contains { $0.method == .ack || $0.method == .bye })
      world.expectNothingLeft(records: 1)
    }
  }

  @Test("RFC 3261 §12.2.2: a re-INVITE with another Contact: what follows goes there")
  func newContact() throws {
    let world = ScenarioHopTests.world("'sip:bob@203.0.113.122'")
    let alice = world.registered("1000")[0]
    let bob = RawPeer("203.0.113.122:5060", on: world.network)
    let first = RawPeer("203.0.113.200:5060", on: world.network)
    let sdp = PhoneSDP.audio(Endpoint("203.0.113.122:40000")!)
    bob.answer = { message in
      if message.method == .bye { bob.respond(message, 200) }
      guard message.method == .invite else { return }
      bob.respond(message, 200, lines: ["Contact: <sip:bob@203.0.113.200>"], body: sdp)
    }
    let call = alice.call("1001")
    world.run(1)
    let invite = try #require(bob.received.first)
    let version = text(PhoneSDP.audio(Endpoint("203.0.113.122:40000")!, version: 2))
    for (method, body) in [("INVITE", version), ("ACK", "")] {
      bob.request(
        method, "sip:x@\(ServerNode.address)", branch: "z9hG4bK\(method)", callID: text(invite.callID), tag: "raw-to",
        toTag: text(invite.fromTag), cseq: 7, type: body.isEmpty ? nil : "application/sdp", body: body)
      world.run(1)
    }
    #expect(bob.statuses.contains(200))
    alice.hangUp(call)
    world.run(1)
    #expect(first.received.map(\.method) == [.ack] && bob.received.contains { $0.method == .bye })
    world.expectNothingLeft(records: 1)
  }

  @Test("A Contact whose name is nowhere: what answered gets the ACK")
  func contactNowhere() {
    let world = ScenarioHopTests.world("'sip:bob@203.0.113.122'")
    let alice = world.registered("1000")[0]
    let edge = RawPeer("203.0.113.122:5060", on: world.network)
    let sdp = PhoneSDP.audio(Endpoint("203.0.113.122:40000")!)
    edge.answer = { message in
      if message.method == .bye { edge.respond(message, 200) }
      guard message.method == .invite else { return }
      edge.respond(message, 200, lines: ["Contact: <sip:bob@nowhere.example>"], body: sdp)
    }
    let call = alice.call("1001")
    world.run(1)
    alice.hangUp(call)
    world.run(1)
    #expect(Set(edge.received.filter(\.isRequest).map(\.method)) == [.invite, .ack, .bye])
    world.expectNothingLeft(records: 1)
  }

  @Test("Many calls to one name at once: one question each, every call set up", arguments: [1, 4])
  func manyCalls(shards: Int) {
    let world = World(
      World.invite("call:dial('sip:bob@pbx.example.com', { timeout = 100 })"), shards: shards)
    let alice = world.registered("1000")[0]
    let bob = world.phone("bob")
    bob.script = .answer(after: .seconds(1))
    world.server.dns.set("pbx.example.com", address: World.addresses[1])
    world.server.dns.delay = .milliseconds(500)
    let calls = (0..<20).map { _ in alice.call("1001") }
    world.run(5)
    #expect(calls.allSatisfy { $0.state == .answered } && world.server.dns.asked.count == 3)
    for call in calls { alice.hangUp(call) }
    world.expectNothingLeft(records: 20)
  }

  @Test(
    "Hung up at any moment of look-up, failover and talk, also on a bad network: nothing is left", arguments: [1, 4])
  func sweep(shards: Int) {
    for step in 0..<24 {
      for isMobile in [false, true] {
        let world = World(
          World.invite("call:dial('sip:bob@pbx.example.com;transport=udp', { timeout = 8 })"), shards: shards,
          seed: UInt64(step))
        let alice = world.registered("1000")[0]
        if isMobile { world.network.conditions = .mobile }
        world.server.dns.set(
          "_sip._udp.pbx.example.com", services: [(1, 1, 5060, "a.example.com"), (2, 1, 5060, "b.example.com")])
        world.server.dns.set("a.example.com", address: World.addresses[1])
        world.server.dns.set("b.example.com", address: World.addresses[2])
        world.server.dns.delay = .milliseconds(150)
        let (first, second) = (world.phone("a"), world.phone("b"))
        first.script = PhoneScript([.respond(180, after: .milliseconds(100)), .respond(503, after: .milliseconds(200))])
        second.script = .answer(after: .milliseconds(300))
        let call = alice.call("1001")
        world.run(Double(step) * 0.08)
        alice.hangUp(call)
        world.run(20)
        // A CANCEL before the credentials were asked for ends nothing.
        if call.state == .answered { alice.hangUp(call) }
        world.expectNothingLeft(after: 150, records: 1, "step \(step), \(shards) shards, mobile: \(isMobile)")
      }
    }
  }
}
