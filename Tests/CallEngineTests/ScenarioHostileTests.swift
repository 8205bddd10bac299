@testable import CallEngine
import NetCore
import SIPMessage
import SIPTransaction
import TestSupport
import Testing

/// Peers that get it wrong: the server never traps, and forgets them in the end.
@Suite("Scenario: hostile peers")
struct ScenarioHostileTests {
  /// What is left in the server; phones may be left with whatever was done to them.
  private func leftovers(_ world: World) -> [String] {
    var left: [String] = []
    for (index, shard) in world.server.shards.enumerated() {
      let counts = [
        ("calls", shard.calls.count), ("legs", shard.legs.count), ("tasks", shard.tasks.count),
        ("transactions", shard.transactionCount), ("timers", shard.wheel.count),
        ("media owners", shard.mediaOwners.count),
      ]
      for (what, count) in counts where count != 0 { left.append("shard \(index) \(what): \(count)") }
    }
    return left + world.server.media.violations
  }

  private func mutated(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var bytes = bytes
    for _ in 0...random.next() % 4 {
      guard bytes.count > 8 else { return bytes }
      let at = Int(random.next() % UInt64(bytes.count))
      switch random.next() % 5 {
      case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes.remove(at: at)
      case 2: bytes.insert(UInt8(32 + random.next() % 95), at: at)
      case 3: bytes.removeLast(Int(random.next() % UInt64(bytes.count / 2)))
      default:
        let end = min(bytes.count, at + Int(random.next() % 40))
        bytes.insert(contentsOf: bytes[at..<end], at: Int(random.next() % UInt64(bytes.count)))
      }
    }
    return bytes
  }

  @Test(
    "messages of a whole call, mutated and sent again at any time: no trap, and in the end nothing is left",
    arguments: [1, 4])
  func mutations(shards: Int) {
    for seed: UInt64 in 1...60 {
      var random = SeededRandom(seed: seed)
      let world = World(
        World.dialling("{ timeout = 10, ringback = 'passthrough', max_duration = 60 }"), shards: shards, seed: seed,
        open: ["192.0.2.111"])
      let phones = world.registered("1000", "1001")
      let (alice, bob) = (phones[0], phones[1])
      bob.script = PhoneScript([
        .respond(180), .respond(183, body: bob.sdp), .respond(200, after: .seconds(1), body: bob.sdp),
      ])
      let call = alice.call("1001")
      for step in 0..<60 {
        world.network.run(for: .milliseconds(120))
        if step == 20 { alice.reinvite(call, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 40_000), version: 2)) }
        if step == 30 { alice.send(.info, in: call) }
        if step == 45 { alice.hangUp(call) }
        let seen = world.network.trace.map(\.datagram).filter { $0.to == ServerNode.address }
        for _ in 0..<3 {
          let one = seen[Int(random.next() % UInt64(seen.count))]
          world.server.receive(
            mutated(one.bytes, &random), from: one.from, to: ServerNode.address, at: world.network.clock.now)
        }
      }
      // A ring time, a duration limit, 64*T1 for an ACK and again for a BYE, and the time a transaction lingers.
      world.run(300)
      #expect(leftovers(world) == [], "seed \(seed)")
    }
  }

  @Test("RFC 3261 §9.1: a CANCEL of a re-INVITE ends it on both legs with 487; the call goes on")
  func cancelReinvite() throws {
    let world = World(open: ["192.0.2.200"])
    let bob = world.registered("1001")[0]
    bob.script = .answer(after: .milliseconds(100))
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    peer.request("INVITE", type: "application/sdp", body: text(PhoneSDP.audio(Endpoint(peer.endpoint.ip, 4_000))))
    world.run(1)
    let answer = try #require(peer.received.last { $0.status == 200 })
    let tag = text(answer.toTag) ?? ""
    peer.request("ACK", branch: "z9hG4bKack", toTag: tag)
    bob.reinviteAnswer = nil
    let body = text(PhoneSDP.audio(Endpoint(peer.endpoint.ip, 4_000), direction: "sendonly", version: 2))
    peer.request("INVITE", branch: "z9hG4bKre", toTag: tag, cseq: 2, type: "application/sdp", body: body)
    world.run(1)
    peer.request("CANCEL", branch: "z9hG4bKre", toTag: tag, cseq: 2)
    world.run(1)
    #expect(peer.received.contains { $0.method == .cancel && $0.status == 200 })
    #expect(peer.received.contains { $0.method == .invite && $0.status == 487 && $0.cseq == 2 })
    peer.request("ACK", branch: "z9hG4bKre", toTag: tag, cseq: 2)
    #expect(bob.requests.contains { $0.method == .cancel } && world.server.callCount == 1)
    bob.reinviteAnswer = 200
    peer.request("INVITE", branch: "z9hG4bKre3", toTag: tag, cseq: 3, type: "application/sdp", body: body)
    world.run(1)
    #expect(peer.received.contains { $0.method == .invite && $0.status == 200 && $0.cseq == 3 })
    peer.request("ACK", branch: "z9hG4bKack3", toTag: tag, cseq: 3)
    peer.request("BYE", branch: "z9hG4bKbye", toTag: tag, cseq: 4)
    world.run(60)
    #expect(leftovers(world) == [] && world.server.records.all.count == 1)
  }

  @Test("RFC 3261 §12.2.2: a request with an old CSeq: 500; with another's From-tag: 481")
  func wrongNumbers() throws {
    let world = World(open: ["192.0.2.200"])
    let bob = world.registered("1001")[0]
    bob.script = .answer(after: .milliseconds(100))
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    peer.request(
      "INVITE", cseq: 10, type: "application/sdp", body: text(PhoneSDP.audio(Endpoint(peer.endpoint.ip, 4_000))))
    world.run(1)
    let tag = text(peer.received.last { $0.status == 200 }?.toTag) ?? ""
    peer.request("ACK", branch: "z9hG4bKack", toTag: tag, cseq: 10)
    peer.request("INFO", branch: "z9hG4bKold", toTag: tag, cseq: 9)
    peer.request("BYE", branch: "z9hG4bKother", tag: "somebody-else", toTag: tag, cseq: 11)
    peer.request("BYE", branch: "z9hG4bKcall", callID: "another-call", toTag: tag, cseq: 11)
    world.run(1)
    #expect(peer.received.filter { $0.method == .info }.map(\.status) == [500])
    #expect(peer.received.filter { $0.method == .bye }.map(\.status) == [481, 481])
    #expect(world.server.callCount == 1)
    peer.request("BYE", branch: "z9hG4bKbye", toTag: tag, cseq: 11)
    world.run(60)
    #expect(leftovers(world) == [])
  }

  @Test("RFC 3261 §12.1.1, §12.2.1.1: the caller came through a proxy that records its route: so do our requests")
  func recordRoute() throws {
    let world = World(open: ["192.0.2.200"])
    let bob = world.registered("1001")[0]
    bob.script = PhoneScript([.respond(200), .hangUp(after: .seconds(1))])
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    peer.request(
      "INVITE", lines: ["Record-Route: <sip:192.0.2.200;lr>", "Record-Route: <sip:10.9.9.9;lr>"],
      type: "application/sdp", body: text(PhoneSDP.audio(Endpoint(peer.endpoint.ip, 4_000))))
    world.run(0.5)
    let answer = try #require(peer.received.last { $0.status == 200 })
    #expect(answer.values(.recordRoute).map { text($0) } == ["<sip:192.0.2.200;lr>", "<sip:10.9.9.9;lr>"])
    peer.request("ACK", branch: "z9hG4bKack", toTag: text(answer.toTag))
    world.run(2)
    let bye = try #require(peer.received.first { $0.method == .bye && $0.isRequest })
    #expect(bye.values(.route).map { text($0) } == ["<sip:192.0.2.200;lr>", "<sip:10.9.9.9;lr>"])
    peer.respond(bye, 200)
    world.run(60)
    #expect(leftovers(world) == [])
  }

  @Test(
    "RFC 3261 §21.3, RFC 3398: what is between us and the callee does not become the caller's",
    arguments: [401, 407, 420, 421, 422, 494])
  func ours(status: Int) {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .reject(status)
    let call = phones[0].call("1001")
    world.run(2)
    #expect(call.statuses.last == 502)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.first?.status == status)
  }

  @Test("RFC 3326: the callee's own Reason reaches the caller as it is with `reject{from=}`")
  func ownReason() {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .reject(486, headers: ["Reason: Q.850;cause=34;text=\"all lines\""])
    let call = phones[0].call("1001")
    world.run(2)
    #expect(call.statuses.last == 486)
    #expect(text(call.message?.first(.reason)) == "Q.850;cause=34;text=\"all lines\"")
    world.expectNothingLeft(records: 1)
    #expect(world.record?.cause.value == 34)
  }

  @Test("RFC 3261 §21.3: a callee that redirects: the caller is not sent a 3xx without a Contact")
  func redirect() {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .reject(302, headers: ["Contact: <sip:2000@203.0.113.122>"])
    let call = phones[0].call("1001")
    world.run(2)
    let status = call.statuses.last ?? 0
    #expect(status >= 400 || call.message?.has(.contact) == true, "\(status)")
    world.expectNothingLeft(records: 1)
  }

  @Test("a call is ended by its id from the control socket")
  func byID() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .answer(after: .milliseconds(100))
    let call = phones[0].call("1001")
    world.run(2)
    let id = try #require(world.server.snapshots[0].calls.first?.id)
    let found = Flag()
    world.server.handle(.hangUp(call: "00", done: { if $0 { found.raise() } }))
    #expect(!found.isRaised && call.state == .answered)
    world.server.handle(.hangUp(call: id, done: { if $0 { found.raise() } }))
    world.run(1)
    #expect(found.isRaised && call.bye != nil && phones[1].calls[0].bye != nil)
    world.expectNothingLeft(records: 1)
  }
}
