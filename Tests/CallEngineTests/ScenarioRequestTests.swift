@testable import CallEngine
import Logging
import LuaRuntime
import Media
import NetCore
import SIPMessage
import TestSupport
import Testing

/// Requests that make no call, each with the status that its clause wants.
@Suite("Scenario: requests")
struct ScenarioRequestTests {
  private static let peer = "192.0.2.200:5060"

  private func world(_ script: String = World.plain, shards: Int = 1) -> (World, RawPeer) {
    let world = World(script, shards: shards, open: ["192.0.2.200"])
    return (world, RawPeer(ScenarioRequestTests.peer, on: world.network))
  }

  @Test(
    "RFC 3261 §8.2: requests outside a dialog",
    arguments: [
      ("FROBNICATE", 501), ("MESSAGE", 405), ("SUBSCRIBE", 405), ("PUBLISH", 405), ("REFER", 403), ("NOTIFY", 405),
      ("BYE", 481), ("INFO", 481), ("UPDATE", 481), ("PRACK", 481), ("OPTIONS", 200),
    ])
  func outside(method: String, status: Int) throws {
    let (world, peer) = world()
    peer.request(method)
    world.run(1)
    let response = try #require(peer.received.last)
    #expect(response.status == status && response.toTag != nil)
    if [405, 501, 200].contains(status) { #expect(response.has(.allow)) }
    world.expectNothingLeft(records: 0)
  }

  @Test(
    "RFC 3261 §12.2.2: a To-tag that names no dialog: 481; such an ACK is dropped",
    arguments: ["BYE", "INVITE", "INFO", "OPTIONS"])
  func strangeTag(method: String) {
    let (world, peer) = world()
    peer.request(method, toTag: "00000000000000010123456789abcdef")
    peer.request("ACK", branch: "z9hG4bK2", toTag: "00000000000000010123456789abcdef")
    world.run(1)
    #expect(peer.statuses.last == 481)
    #expect(Set(peer.statuses) == (method == "INVITE" ? [100, 481] : [481]))
  }

  @Test("RFC 3261 §9.2: a CANCEL that matches nothing: 481", arguments: [1, 4])
  func strayCancel(shards: Int) {
    let (world, peer) = world(shards: shards)
    peer.request("CANCEL")
    world.run(1)
    #expect(peer.statuses == [481])
    world.expectNothingLeft(records: 0)
  }

  @Test("RFC 3261 §8.2.2.3: Require of what we do not have: 420 with Unsupported")
  func require() throws {
    let (world, peer) = world()
    peer.request("INVITE", lines: ["Require: 100rel, frobnicate, TIMER", "Proxy-Require: gruu"])
    world.run(1)
    let response = try #require(peer.received.last)
    #expect(response.status == 420 && text(response.first(.unsupported)) == "frobnicate, gruu")
  }

  @Test("RFC 3261 §8.2.2.1: a Request-URI of another scheme: 416")
  func scheme() {
    let (world, peer) = world()
    peer.request("INVITE", "urn:service:sos")
    world.run(1)
    #expect(peer.statuses.last == 416)
  }

  @Test("RFC 3261 §8.2.2.2: the same request by another way: 482", arguments: [1, 4])
  func merged(shards: Int) {
    let (world, peer) = world(World.invite("call:ring()\nsleep(3)\ncall:reject { status = 486 }"), shards: shards)
    peer.request("INVITE", branch: "z9hG4bKone")
    peer.request("INVITE", branch: "z9hG4bKtwo")
    world.run(1)
    let merged = peer.received.filter { $0.status == 482 }
    #expect(merged.count >= 1 && merged.allSatisfy { text($0.via.branch) == "z9hG4bKtwo" })
    world.run(5)
    #expect(peer.statuses.contains(486) && world.server.records.all.count == 1)
  }

  @Test("RFC 3261 §16.3: Max-Forwards is one less on the other leg; at 0 it is 483, an OPTIONS is answered")
  func maxForwards() throws {
    let world = World(open: ["192.0.2.200"])
    let bob = world.registered("1001")[0]
    bob.script = .reject(486)
    let peer = RawPeer(ScenarioRequestTests.peer, on: world.network)
    peer.request("INVITE", maxForwards: 10)
    world.run(1)
    #expect(bob.requests.last?.maxForwards == 9)
    peer.request("INVITE", branch: "z9hG4bK3", callID: "raw-2", maxForwards: 0)
    world.run(1)
    #expect(peer.statuses.contains(483))
    peer.request("OPTIONS", branch: "z9hG4bK4", callID: "raw-3", maxForwards: 0)
    world.run(1)
    #expect(peer.received.last { $0.method == .options }?.status == 200)
  }

  @Test(
    "RFC 3261 §16.3: a call that goes round in circles ends with 483; where it comes back unchanged, with 482",
    arguments: [1, 4], [true, false])
  func loop(shards: Int, changes: Bool) {
    let own = Trunk(
      name: "self", destination: ServerNode.address, host: "198.51.100.1", transport: .udp, context: "public",
      sources: [SourceNetwork("198.51.100.1")!])
    let world = World(
      World.invite(
        "local number = \(changes ? "tonumber(call.ruri.user) + 1" : "1001")\n"
          + "local r = call:dial('trunk/self/' .. tostring(number), { timeout = 100 })\nif not r.ok then call:reject { from = r } end"
      ),
      shards: shards, trunks: [own])
    let alice = world.registered("1000")[0]
    let call = alice.call("1001")
    world.run(10)
    #expect(call.statuses.last == (changes ? 483 : 482))
    // With one shard it is seen the second time; with four where it comes back to the shard that it left.
    world.expectNothingLeft(records: changes ? 70 : shards == 1 ? 2 : nil)
  }

  @Test(
    "RFC 3261 §21.4, RFC 3264 §6: bodies that cannot be negotiated",
    arguments: [
      ("text/plain", "hello", 415), ("application/sdp", "nonsense", 400),
      (
        "application/sdp",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n", 488
      ),
      (
        "application/sdp",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=video 4000 RTP/AVP 99\r\n", 488
      ),
    ])
  func bodies(type: String, body: String, status: Int) throws {
    let (world, peer) = world()
    peer.request("INVITE", type: type, body: body)
    world.run(1)
    let response = try #require(peer.received.last)
    #expect(response.status == status)
    if status == 488 { #expect(response.has(.warning)) }
    if status == 415 { #expect(response.has(.accept)) }
    #expect(world.server.records.all.isEmpty && world.server.callCount == 0)
  }

  @Test("RFC 3261 §17.2.1: a copy of the INVITE is answered from its transaction; the script runs once")
  func copies() {
    let (world, peer) = world(World.invite("kv.incr('runs')\ncall:ring()\nsleep(2)\ncall:reject { status = 486 }"))
    for _ in 0..<5 { peer.request("INVITE") }
    world.run(1)
    for _ in 0..<5 { peer.request("INVITE") }
    world.run(3)
    #expect(world.server.services.keyValue.get(Array("runs".utf8), nowMilliseconds: 0) == .integer(1))
    #expect(Set(peer.statuses) == [100, 180, 486])
    #expect(Set(peer.received.filter { $0.status > 100 }.compactMap { text($0.toTag) }).count == 1)
  }

  @Test("RFC 3261 §15: a BYE on the early dialog ends the call as a CANCEL would")
  func earlyBye() throws {
    let (world, peer) = world(World.invite("call:ring()\nsleep(100)"))
    peer.request("INVITE")
    world.run(1)
    let tag = try #require(peer.received.last { $0.status == 180 }?.toTag)
    peer.request("BYE", branch: "z9hG4bKbye", toTag: text(tag), cseq: 2)
    world.run(1)
    #expect(peer.received.contains { $0.method == .bye && $0.status == 200 } && peer.statuses.contains(487))
    world.run(20)
    #expect(world.record?.endedBy == .caller && world.record?.status == 487)
  }

  @Test("drain: new calls get 503 with Retry-After, the running one goes on; its end is the end of the drain")
  func drain() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .answer(after: .milliseconds(100))
    let call = phones[0].call("1001")
    world.run(2)
    let done = Flag()
    world.server.handle(.drain { done.raise() })
    let late = phones[0].call("1001")
    world.run(1)
    #expect(late.statuses.last == 503 && late.message?.has(.retryAfter) == true)
    #expect(call.state == .answered && !done.isRaised)
    phones[0].hangUp(call)
    world.run(20)
    #expect(done.isRaised)
    world.expectNothingLeft(records: 1)
  }

  @Test("hang up all: every call ends, whatever its state", arguments: [1, 4])
  func hangUpAll(shards: Int) {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001", "1002")
    let talking = phones[0].call("1001")
    world.run(2)
    phones[2].script = .ringOnly
    let ringing = phones[0].call("1002")
    world.run(2)
    world.server.handle(.hangUpAll)
    world.run(2)
    #expect(talking.state == .ended && talking.bye != nil && ringing.statuses.last == 503)
    #expect(phones[2].calls[0].wasCancelled && phones[1].calls[0].bye != nil)
    world.expectNothingLeft(records: 2)
  }

  @Test("RFC 3264 §6: a callee who may be offered none of the caller's codecs is not called, and keeps no port")
  func nothingToOffer() {
    let world = World(
      """
      on.invite(function(call)
        local r = call:dial({ "user/1001", codecs = { "G729" } })
        call:reject { from = r }
      end)
      """)
    let phones = world.registered("1000", "1001")
    let call = phones[0].call("1001")
    world.run(2)
    #expect(call.statuses.last == 488 && phones[1].calls.isEmpty)
    world.expectNothingLeft(records: 1)
  }

  @Test("no port is left: the callee is not called, the caller gets 503")
  func noPorts() {
    let world = World()
    let phones = world.registered("1000", "1001")
    world.server.media.capacity = 0
    let none = phones[0].call("1001")
    world.run(2)
    #expect(none.statuses.last == 503 && phones[1].calls.isEmpty)
    world.server.media.capacity = 1
    let half = phones[0].call("1001")
    world.run(4)
    #expect(half.statuses.last == 503 && phones[1].calls.last?.state == .ended)
    world.expectNothingLeft(records: 2)
    #expect(world.server.services.counters[.portsExhausted] == 2)
  }

  @Test("RFC 3261 §13.2.2.4: a callee's 200 with a Contact that is none: that attempt fails, nothing is left")
  func malformedAnswer() {
    let world = World(
      World.invite("local r = call:dial('sip:2000@192.0.2.200', { timeout = 10 })\ncall:reject { from = r }"))
    let alice = world.registered("1000")[0]
    let peer = RawPeer(ScenarioRequestTests.peer, on: world.network)
    peer.answer = { message in
      if message.method == .invite, message.isRequest { peer.respond(message, 200, lines: ["Contact: <:::>"]) }
    }
    let call = alice.call("2000")
    world.run(15)
    #expect(call.statuses.last.map { $0 >= 400 } == true)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §13.2.2.4: a callee's 200 without SDP: ACK, BYE with cause 88, and the attempt has failed")
  func emptyAnswer() throws {
    let world = World(
      World.invite("local r = call:dial('sip:2000@192.0.2.200', { timeout = 10 })\ncall:reject { from = r }"))
    let alice = world.registered("1000")[0]
    let peer = RawPeer(ScenarioRequestTests.peer, on: world.network)
    peer.answer = { message in
      guard message.isRequest else { return }
      if message.method == .invite { peer.respond(message, 200, lines: ["Contact: <sip:raw@192.0.2.200>"]) }
      if message.method == .bye { peer.respond(message, 200) }
    }
    let call = alice.call("2000")
    world.run(5)
    #expect(call.statuses.last == 488)
    #expect(peer.received.contains { $0.method == .ack })
    let bye = try #require(peer.received.first { $0.method == .bye })
    #expect(text(bye.first(.reason))?.hasPrefix("Q.850;cause=88") == true)
    world.expectNothingLeft(records: 1)
  }
}

/// Set from a `@Sendable` closure of one thread.
final class Flag: Sendable {
  private let log = RecordedLog()
  func raise() { log.logger().info("raised") }
  var isRaised: Bool { !log.lines.isEmpty }
}
