@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// INVITE with Replaces (RFC 3891): somebody takes another's place in a call.
@Suite("Scenario: INVITE with Replaces")
struct ScenarioReplacesTests {
  @Test(
    "RFC 3891 §3: the new caller takes the place; who was replaced gets BYE", arguments: [1, 4],
    [(true, true), (true, false), (false, true), (false, false)])
  func confirmed(shards: Int, row: (Bool, Bool)) throws {
    let (ofCaller, offers) = row
    let exchange = Exchange(shards: shards)
    let (world, alice, bob, dave) = (exchange.world, exchange.alice, exchange.bob, exchange.dave)
    let (theirs, others) = exchange.talk(alice, bob)
    let (replaced, stays) = ofCaller ? (theirs, others) : (others, theirs)
    let new = dave.call(
      "1000", headers: ["Replaces: \(Exchange.replaces(replaced))", "Require: replaces"], body: offers ? nil : [])
    world.run(2)
    #expect(new.status == 200 && replaced.bye != nil && stays.state == .answered)
    #expect(exchange.bridged() == [ofCaller ? "1001" : "1000", "1003"])
    dave.hangUp(new)
    world.run(1)
    #expect(stays.state == .ended)
    world.expectNothingLeft(records: 2)
    let record = try #require(exchange.records().first { $0.from == "1003" })
    #expect(record.status == 200 && record.to == "1000")
  }

  @Test("RFC 3891 §3: pick-up: who answers in the place of a phone that rings", arguments: [1, 4], ["180", "tone"])
  func pickUp(shards: Int, ringback: String) throws {
    let exchange = Exchange(World.dialling("{ timeout = 30, ringback = \"\(ringback)\" }"), shards: shards)
    let (world, alice, bob, dave) = (exchange.world, exchange.alice, exchange.bob, exchange.dave)
    bob.script = .ringOnly
    let call = alice.call("1001")
    world.run(1)
    // As a busy lamp tells of Bob's dialog: the tags of his 180.
    let trace = try #require(
      world.network.trace.compactMap { Wire.parse($0.datagram) }.last {
        $0.status == 180 && text($0.fromTag)?.count == 32
      })
    let replaces =
      "\(text(trace.callID));to-tag=\(text(trace.fromTag) ?? "");from-tag=\(text(trace.toTag) ?? "");early-only"
    let new = dave.call("1001", headers: ["Replaces: \(replaces)"])
    world.run(2)
    #expect(new.status == 200 && call.status == 200 && bob.calls[0].wasCancelled)
    let cancel = try #require(bob.requests.last { $0.method == .cancel })
    #expect(text(cancel.first(.reason))?.contains("cause=200") == true)
    #expect(exchange.bridged() == ["1000", "1003"])
    alice.hangUp(call)
    world.run(1)
    #expect(new.state == .ended)
    world.expectNothingLeft(records: 2)
  }

  @Test(
    "RFC 3891 §3: what is refused: 400 malformed, 481 unknown, 486 early-only, 403 another's", arguments: [1, 4],
    [
      ("x", 400), ("ID;to-tag=TO", 400), ("ID;to-tag=TO;from-tag=FROM;to-tag=TO", 400),
      ("IDx;to-tag=TO;from-tag=FROM", 481), ("ID;to-tag=FROM;from-tag=TO", 481), ("ID;to-tag=TO;from-tag=FROMx", 481),
      ("ID;to-tag=TO;from-tag=FROM;early-only", 486), ("ID;to-tag=TO;from-tag=FROM", 403),
    ])
  func refused(shards: Int, row: (String, Int)) {
    let users = [ServerNode.User("1000"), .init("1001"), .init("1002"), .init("1003", context: "other")]
    let exchange = Exchange(shards: shards, users: users)
    let (call, _) = exchange.talk(exchange.alice, exchange.bob)
    guard let dialog = call.dialog else { return }
    let value = row.0.replacing("ID", with: text(dialog.callID)).replacing("TO", with: text(dialog.remoteTag))
      .replacing("FROM", with: text(dialog.localTag))
    // Of the same context but for the last.
    let who = row.1 == 403 ? exchange.dave : exchange.carol
    let new = who.call("1000", headers: ["Replaces: \(value)"])
    exchange.world.run(2)
    #expect(new.status == row.1 && call.state == .answered)
    exchange.alice.hangUp(call)
    exchange.world.expectNothingLeft()
  }

  @Test(
    "A stranger's INVITE with Replaces: 407 without credentials; 403 where an access rule lets him in",
    arguments: [true, false])
  func stranger(open: Bool) {
    let world = World(open: open ? ["192.0.2.222"] : [])
    let phones = world.registered("1000", "1001")
    phones[1].script = .answer(after: .milliseconds(100))
    let call = phones[0].call("1001")
    world.run(2)
    let peer = RawPeer("192.0.2.222:5060", on: world.network)
    peer.request("INVITE", lines: ["Replaces: \(Exchange.replaces(call))"])
    world.run(1)
    #expect(peer.statuses.last == (open ? 403 : 407) && call.state == .answered)
    phones[0].hangUp(call)
    world.run(60)
    #expect(world.server.callCount == 0 && world.server.records.all.count == 1)
  }

  @Test(
    "RFC 3264 §6: nothing in common with who stays: he is asked, else the call ends with cause 88",
    arguments: [true, false])
  func codecs(common: Bool) {
    let exchange = Exchange()
    let (world, alice, bob, dave) = (exchange.world, exchange.alice, exchange.bob, exchange.dave)
    bob.sdp = PhoneSDP.audio(Endpoint(bob.endpoint.ip, 40_002), formats: [(0, "PCMU/8000")])
    let (theirs, others) = exchange.talk(alice, bob)
    dave.sdp = PhoneSDP.audio(Endpoint(dave.endpoint.ip, 40_006), formats: [(8, "PCMA/8000")])
    if common {
      alice.sdp = PhoneSDP.audio(Endpoint(alice.endpoint.ip, 40_000), formats: [(8, "PCMA/8000")], version: 2)
    } else {
      alice.reinviteAnswer = 488
      dave.reinviteAnswer = 488
    }
    let new = dave.call("1000", headers: ["Replaces: \(Exchange.replaces(others))"])
    world.run(3)
    #expect(new.status == 200 && (theirs.state == .answered) == common)
    if common {
      #expect(exchange.bridged() == ["1000", "1003"])
      alice.hangUp(theirs)
    } else {
      #expect(text(theirs.bye?.first(.reason))?.contains("cause=88") == true)
    }
    world.expectNothingLeft(records: 2)
  }
}
