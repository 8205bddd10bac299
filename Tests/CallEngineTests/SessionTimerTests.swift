@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction
import TestSupport
import Testing

/// RFC 4028 on each leg by itself.
@Suite("Session timers")
struct SessionTimerTests {
  /// Alice calls Bob; each says of timers what a test wants.
  private func talk(
    caller: [String] = [], callee: [String] = [], configure: (inout EngineSettings) -> Void = { _ in }
  ) -> (World, ScriptedPhone, ScriptedPhone, PhoneCall) {
    let world = World(configure: configure)
    let phones = world.registered("1000", "1001")
    phones[1].script = PhoneScript([
      .respond(200, after: .milliseconds(200), headers: callee + ["Allow: INVITE, ACK, BYE, UPDATE"])
    ])
    let call = phones[0].call("1001", headers: caller)
    world.run(1)
    return (world, phones[0], phones[1], call)
  }

  private func refreshes(_ phone: ScriptedPhone) -> [Message] {
    phone.requests.filter { $0.toTag != nil && ($0.method == .update || $0.method == .invite) }
  }

  @Test("RFC 4028 §7.1, §9: who does not know timers has none, and is left alone")
  func unsupported() throws {
    let (world, alice, bob, call) = talk()
    let invite = try #require(bob.requests.first { $0.method == .invite })
    #expect(invite.hasToken("timer", in: .supported) && text(invite.first(.sessionExpires)) == "1800")
    #expect(!invite.has(.require) && !invite.has(.minSE))
    #expect(call.message?.has(.sessionExpires) == false)
    world.run(7200)
    #expect(call.state == .answered && refreshes(alice).isEmpty && refreshes(bob).isEmpty)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 4028 §9: towards a caller: his own interval and refresher, with Require; or ours",
    arguments: [
      ("Session-Expires: 600;refresher=uas", "600;refresher=uas"), ("Session-Expires: 600", "600;refresher=uac"),
      ("Session-Expires: 7200;refresher=uac", "1800;refresher=uac"), ("X-None: 1", "1800;refresher=uas"),
    ])
  func answered(header: String, said: String) throws {
    let (world, alice, _, call) = talk(caller: ["Supported: timer", header])
    let ok = try #require(call.message)
    #expect(text(ok.first(.sessionExpires)) == said && ok.hasToken("timer", in: .require))
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 4028 §7.4, §10: we refresh at half of the interval, by UPDATE without a description; the call goes on")
  func weRefresh() throws {
    let (world, alice, bob, call) = talk(
      caller: ["Supported: timer", "Session-Expires: 200;refresher=uas"],
      callee: ["Session-Expires: 300;refresher=uac", "Require: timer"])
    alice.changeHeaders = ["Require: timer", "Session-Expires: 200;refresher=uac"]
    bob.changeHeaders = ["Require: timer", "Session-Expires: 300;refresher=uac"]
    world.run(98)
    #expect(refreshes(alice).isEmpty)
    world.run(900)
    #expect(refreshes(alice).count == 9 && refreshes(bob).count == 6)
    for (phone, interval) in [(alice, "200"), (bob, "300")] {
      for message in refreshes(phone) {
        #expect(message.method == .update && message.body.isEmpty)
        #expect(text(message.first(.sessionExpires)) == "\(interval);refresher=uac")
        #expect(message.hasToken("timer", in: .supported))
      }
    }
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 4028 §7.4: to who has no UPDATE the refresh is a re-INVITE with the same description, octet by octet")
  func byReinvite() throws {
    let (world, alice, bob, call) = talk(callee: ["Session-Expires: 100;refresher=uac"])
    bob.changeHeaders = ["Session-Expires: 100;refresher=uac"]
    let leg = try #require(world.server.shards[0].calls.elements.first?.bridged)
    leg.allowsUpdate = false
    world.run(120)
    let offers = bob.calls[0].bodies
    #expect(refreshes(bob).map(\.method) == [.invite, .invite] && offers.count == 3 && Set(offers).count == 1)
    #expect(refreshes(alice).isEmpty && call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 4028 §7.4: a phone that answers UPDATE with 405 or 501 gets a re-INVITE from then on", arguments: [405, 501])
  func noUpdate(status: Int) {
    let (world, alice, bob, call) = talk(callee: ["Session-Expires: 100;refresher=uac"])
    bob.changeHeaders = ["Session-Expires: 100;refresher=uac"]
    bob.updateAnswer = status
    world.run(160)
    #expect(refreshes(bob).map(\.method) == [.update, .invite, .invite, .invite] && call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 4028 §10: a peer that was to refresh and does not: BYE before the interval is over", arguments: [true, false])
  func theyExpire(isCaller: Bool) throws {
    let (world, _, bob, call) =
      isCaller
      ? talk(caller: ["Supported: timer", "Session-Expires: 200;refresher=uac"])
      : talk(callee: ["Session-Expires: 200;refresher=uas"])
    world.run(160)
    #expect(call.state == .answered)
    world.run(15)
    let bye = try #require(isCaller ? call.bye : bob.calls[0].bye)
    #expect(text(bye.first(.reason))?.contains("session timer expired") == true)
    #expect(call.state == .ended && bob.calls[0].state == .ended)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.endedBy == .system)
  }

  @Test(
    "RFC 4028 §9: the peer's refresh, by UPDATE or re-INVITE, is answered and starts the interval anew",
    arguments: [true, false])
  func theyRefresh(byUpdate: Bool) throws {
    let (world, alice, bob, call) = talk(caller: ["Supported: timer", "Session-Expires: 200;refresher=uac"])
    for turn in 0..<4 {
      world.run(100)
      let headers = ["Supported: timer", "Session-Expires: 200;refresher=uac"]
      if byUpdate {
        alice.send(.update, in: call, headers: headers)
      } else {
        alice.send(.invite, in: call, headers: headers, body: alice.sdp)
      }
      world.run(1)
      let ok = try #require(alice.responses(to: byUpdate ? .update : .invite).last)
      #expect(ok.status == 200 && text(ok.first(.sessionExpires)) == "200;refresher=uac", "turn \(turn)")
      #expect(ok.hasToken("timer", in: .require))
      if !byUpdate { alice.sendACK(call, of: ok) }
    }
    #expect(call.state == .answered && bob.calls[0].state == .answered)
    world.run(200)
    #expect(call.bye != nil)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 4028 §10: a refresh that gets 481, or nothing, ends the call", arguments: [481, nil])
  func refreshFails(status: Int?) throws {
    let (world, alice, bob, call) = talk(callee: ["Session-Expires: 200;refresher=uac"])
    bob.reinviteAnswer = status
    if status == nil { world.network.detach(bob) }
    world.run(140)
    #expect(call.bye != nil, "BYE to the other leg at the latest with timer F")
    _ = alice
    world.run(100)
    #expect(world.server.callCount == 0 && world.server.media.leased.isEmpty)
  }

  @Test("RFC 4028 §10: a refresh that is refused is tried again, and the call ends when the interval does")
  func refreshRefused() {
    let (world, _, bob, call) = talk(callee: ["Session-Expires: 300;refresher=uac"])
    bob.reinviteAnswer = 500
    world.run(200)
    #expect(refreshes(bob).count >= 4 && call.state == .answered)
    world.run(80)
    #expect(call.bye != nil && bob.calls[0].bye != nil)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 4028 §7.2: a 2xx without Session-Expires turns the timer off")
  func turnedOff() {
    let (world, alice, bob, call) = talk(callee: ["Session-Expires: 200;refresher=uac"])
    world.run(2000)
    #expect(refreshes(bob).count == 1 && call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  // MARK: 422

  @Test("RFC 4028 §9: an interval below `sip.min_se`: 422 with Min-SE; from who knows no timers it is made longer")
  func tooSmall() throws {
    let (world, _, bob, call) = talk(caller: ["Supported: timer", "Session-Expires: 100"]) { $0.minSE = 120 }
    #expect(call.status == 422 && text(call.message?.first(.minSE)) == "120" && bob.calls.isEmpty)
    world.expectNothingLeft(records: 0)
    let (second, alice, _, other) = talk(caller: ["Session-Expires: 100"]) { $0.minSE = 120 }
    #expect(other.status == 200 && text(other.message?.first(.sessionExpires)) == "120;refresher=uas")
    #expect(other.message?.has(.require) == false)
    alice.hangUp(other)
    second.expectNothingLeft(records: 1)
  }

  @Test("RFC 4028 §7.3: a callee's 422 is answered by the same INVITE with his Min-SE; the caller hears nothing of it")
  func calleeWantsMore() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    bob.script = .reject(422, headers: ["Min-SE: 4000"])
    let call = alice.call("1001")
    world.network.run(until: .seconds(2)) { bob.requests.contains { $0.method == .invite } }
    bob.script = PhoneScript([
      .respond(180), .respond(200, after: .seconds(1), headers: ["Session-Expires: 4000;refresher=uas"]),
    ])
    world.run(3)
    let invites = bob.requests.filter { $0.method == .invite }
    #expect(invites.count == 2 && call.state == .answered && !call.statuses.contains(422))
    let (first, second) = (invites[0], invites[1])
    #expect(second.cseq == first.cseq + 1 && second.callID == first.callID && second.fromTag == first.fromTag)
    #expect(text(second.first(.sessionExpires)) == "4000" && text(second.first(.minSE)) == "4000")
    #expect(
      second.body == first.body && second.via.branch != first.via.branch && second.hasToken("100rel", in: .supported))
    alice.hangUp(call)
    world.run(2)
    #expect(bob.calls.last?.bye?.cseq == second.cseq + 1)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "RFC 4028 §7.3: a callee who is never content is refused after three more",
    arguments: ["Min-SE: 100", "X-None: 1", nil])
  func neverContent(header: String?) {
    let world = World()
    let phones = world.registered("1000", "1001")
    let bob = phones[1]
    let call = phones[0].call("1001")
    var least = 2000
    // Each time a little more.
    bob.script = .reject(422, headers: [header ?? "Min-SE: \(least)"])
    for seen in 1...10 {
      world.network.run(until: .seconds(1)) { bob.requests.filter { $0.method == .invite }.count == seen }
      least += 500
      bob.script = .reject(422, headers: [header ?? "Min-SE: \(least)"])
    }
    #expect(bob.requests.filter { $0.method == .invite }.count == (header == nil ? 4 : 1))
    #expect(call.status == 502)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 4028 §7.3: 422 to a refresh: again with the longer interval")
  func refreshWantsMore() throws {
    let (world, alice, bob, call) = talk(callee: ["Session-Expires: 200;refresher=uac"])
    bob.updateAnswer = 422
    bob.changeHeaders = ["Min-SE: 900", "Session-Expires: 900;refresher=uac"]
    world.network.run(until: .seconds(150)) { !refreshes(bob).isEmpty }
    bob.updateAnswer = nil
    world.run(5)
    #expect(refreshes(bob).count == 2)
    let again = try #require(refreshes(bob).last)
    #expect(text(again.first(.sessionExpires)) == "900;refresher=uac" && text(again.first(.minSE)) == "900")
    world.run(300)
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("`sip.session_expires: 0`: we ask nobody, and whoever asks has his")
  func off() throws {
    let (world, alice, bob, call) = talk(caller: ["Supported: timer"]) { $0.sessionExpires = 0 }
    #expect(bob.requests.first { $0.method == .invite }?.has(.sessionExpires) == false)
    #expect(call.message?.has(.sessionExpires) == false)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    let (second, caller, _, other) = talk(caller: ["Supported: timer", "Session-Expires: 3600"]) {
      $0.sessionExpires = 0
    }
    #expect(text(other.message?.first(.sessionExpires)) == "3600;refresher=uac")
    caller.hangUp(other)
    second.expectNothingLeft(records: 1)
  }

  @Test("RFC 4028: refreshes of both legs where packets are lost: the call stays", arguments: 1...10)
  func lossy(seed: Int) {
    let (world, alice, bob, call) = talk(
      caller: ["Supported: timer", "Session-Expires: 200;refresher=uas"], callee: ["Session-Expires: 180;refresher=uac"]
    )
    alice.changeHeaders = ["Session-Expires: 200;refresher=uac"]
    bob.changeHeaders = ["Session-Expires: 180;refresher=uac"]
    world.network.conditions = .mobile
    world.run(Double(1500 + seed))
    #expect(call.state == .answered && refreshes(alice).count >= 14 && refreshes(bob).count >= 15)
    world.network.conditions = .perfect
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }
}
