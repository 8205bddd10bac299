@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// REFER within a call: blind transfer, and what scripts say of it.
@Suite("Scenario: transfer")
struct ScenarioTransferTests {
  @Test(
    "RFC 3515 §2.4.4, RFC 5589 §6.1: 202, NOTIFY 100 180 200, the other two talk, BYE to who transferred",
    arguments: [true, false], [1, 4])
  func blind(byCallee: Bool, shards: Int) throws {
    let exchange = Exchange(shards: shards)
    let (world, alice, bob, carol) = (exchange.world, exchange.alice, exchange.bob, exchange.carol)
    let (theirs, others) = exchange.talk(alice, bob)
    let (from, call, left, leftCall) = byCallee ? (bob, others, alice, theirs) : (alice, theirs, bob, others)
    from.send(.refer, in: call, headers: [Exchange.referTo("1002")])
    world.run(3)
    #expect(from.otherStatuses == [202])
    #expect(Exchange.told(from) == [100, 180, 200])
    let notify = from.requests.filter { $0.method == .notify }
    #expect(
      notify.allSatisfy { text($0.contentType) == "message/sipfrag;version=2.0" && text($0.first(.event)) == "refer" })
    #expect(
      notify.compactMap { text($0.first(.subscriptionState)) }.map { String($0.prefix(6)) } == [
        "active", "active", "termin",
      ])
    #expect(call.bye != nil && leftCall.state == .answered && carol.calls.last?.state == .answered)
    #expect(exchange.bridged() == [left.user, "1002"])
    let invite = try #require(carol.calls.last?.message)
    #expect(text(invite.first(.referredBy)) == "<sip:\(from.user)@\(ServerNode.domain)>")
    #expect(invite.from.uri.decodedUser == Array(left.user.utf8))
    // Within the new call: hold goes through, whoever hangs up ends it.
    left.reinvite(leftCall, body: PhoneSDP.audio(Endpoint(left.endpoint.ip, 45_000), direction: "sendonly", version: 9))
    world.run(1)
    #expect(leftCall.reinviteStatus == 200)
    left.hangUp(leftCall)
    world.expectNothingLeft(records: 2)
    let first = try #require(exchange.records().first { $0.to == "1001" })
    let second = try #require(exchange.records().first { $0.to == "1002" })
    #expect(
      first.transferredBy == from.user && first.transferTarget == "1002"
        && first.endedBy == (byCallee ? .callee : .caller))
    #expect(
      second.transferredBy == from.user && second.from == left.user && second.status == 200 && second.answerMs != nil)
  }

  @Test(
    "RFC 3515 §2.4.5: the target refuses: NOTIFY says so, and both talk on", arguments: [486, 603, 404], [true, false])
  func refused(status: Int, byCallee: Bool) throws {
    let exchange = Exchange()
    let (world, alice, bob) = (exchange.world, exchange.alice, exchange.bob)
    let (theirs, others) = exchange.talk(alice, bob)
    exchange.carol.script = .reject(status)
    let (from, call) = byCallee ? (bob, others) : (alice, theirs)
    from.send(.refer, in: call, headers: [Exchange.referTo("1002")])
    world.run(2)
    #expect(Exchange.told(from) == [100, status])
    #expect(theirs.state == .answered && others.state == .answered)
    #expect(exchange.bridged() == ["1000", "1001"])
    // A further one tells itself apart (§2.4.6).
    exchange.carol.script = .answer(after: .milliseconds(100))
    from.send(.refer, in: call, headers: [Exchange.referTo("1002")])
    world.run(2)
    #expect(Exchange.told(from).suffix(3) == [100, 180, 200])
    #expect(text(from.requests.last { $0.method == .notify }?.first(.event))?.hasPrefix("refer;id=") == true)
    (byCallee ? alice : bob).hangUp(byCallee ? theirs : others)
    world.expectNothingLeft(records: 3)
  }

  @Test("RFC 5589 §6.1: who transferred hangs up at once; the target answers, or does not", arguments: [true, false])
  func impatient(answers: Bool) {
    let exchange = Exchange()
    let (world, alice, bob) = (exchange.world, exchange.alice, exchange.bob)
    let (theirs, others) = exchange.talk(alice, bob)
    exchange.carol.script =
      answers ? .answer(after: .seconds(2)) : PhoneScript([.respond(180), .respond(486, after: .seconds(2))])
    bob.send(.refer, in: others, headers: [Exchange.referTo("1002")])
    world.run(0.5)
    bob.hangUp(others)
    world.run(1)
    #expect(theirs.state == .answered && others.byeStatus == 200)
    world.run(3)
    #expect(theirs.state == (answers ? .answered : .ended))
    if answers {
      #expect(exchange.bridged() == ["1000", "1002"])
      alice.hangUp(theirs)
    } else {
      #expect(text(theirs.bye?.first(.reason))?.contains("cause=17") == true)
    }
    world.expectNothingLeft(records: 2)
  }

  @Test("Who is transferred hangs up while the target rings: CANCEL, NOTIFY 487, BYE", arguments: [true, false])
  func abandoned(byCallee: Bool) {
    let exchange = Exchange()
    let (world, alice, bob) = (exchange.world, exchange.alice, exchange.bob)
    let (theirs, others) = exchange.talk(alice, bob)
    exchange.carol.script = .ringOnly
    let (from, call) = byCallee ? (bob, others) : (alice, theirs)
    from.send(.refer, in: call, headers: [Exchange.referTo("1002")])
    world.run(1)
    if byCallee { alice.hangUp(theirs) } else { bob.hangUp(others) }
    world.run(2)
    #expect(exchange.carol.calls.last?.wasCancelled == true)
    #expect(Exchange.told(from).last == 487 && call.bye != nil)
    world.expectNothingLeft(records: 2)
  }

  @Test(
    "RFC 3515 §2.4.2, RFC 3261 §21.4.14: a REFER that cannot be followed",
    arguments: [
      ([], 400), (["Refer-To: <sip:1002@x>", "Refer-To: <sip:1003@x>"], 400), (["Refer-To: <http://x/>"], 416),
      (["Refer-To: <sip:1002@x?Replaces=abc>"], 400), (["Refer-To: <sip:1002@x;method=BYE>"], 403),
      (["Refer-To: <sip:1002@x>", "Require: frobnicate"], 420), (["Refer-To: sip:1002@x, <sip:1003@x>"], 400),
    ] as [([String], Int)])
  func unusable(lines: [String], status: Int) {
    let exchange = Exchange()
    let (call, _) = exchange.talk(exchange.alice, exchange.bob)
    exchange.alice.send(.refer, in: call, headers: lines)
    exchange.world.run(1)
    #expect(exchange.alice.otherStatuses == [status])
    #expect(call.state == .answered)
    exchange.alice.hangUp(call)
    exchange.world.expectNothingLeft(records: 1)
  }

  @Test("A second REFER while the first is under way: 491, from either side")
  func twice() {
    let exchange = Exchange()
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.carol.script = .ringOnly
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("1002")])
    exchange.world.run(0.5)
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("1003")])
    exchange.alice.send(.refer, in: theirs, headers: [Exchange.referTo("1003")])
    exchange.world.run(0.5)
    #expect(exchange.bob.otherStatuses == [202, 491] && exchange.alice.otherStatuses == [491])
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 2)
  }

  @Test("Nobody to transfer: 403; without a call 403 for a user, 407 for a stranger, who touches nobody's call")
  func nobody() {
    let exchange = Exchange(
      World.invite(
        "if call.ruri.user == '600' then call:answer() call:echo() else call:dial('user/' .. call.ruri.user) end"))
    let world = exchange.world
    let call = exchange.alice.call("600")
    world.run(1)
    exchange.alice.send(.refer, in: call, headers: [Exchange.referTo("1002")])
    world.run(1)
    #expect(exchange.alice.otherStatuses == [403] && call.state == .answered)
    let stranger = RawPeer("192.0.2.222:5060", on: world.network)
    stranger.request("REFER", lines: ["Refer-To: <sip:1002@nightjar.example>"])
    // With the tag of somebody's dialog, but not its Call-ID.
    stranger.request(
      "REFER", branch: "z9hG4bK2", toTag: text(call.dialog?.remoteTag), lines: ["Refer-To: <sip:1002@nightjar.example>"]
    )
    world.run(1)
    #expect(stranger.statuses.sorted() == [407, 481] && exchange.carol.calls.isEmpty)
    exchange.alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 4488 §4: Refer-Sub: false is answered so, and no NOTIFY comes")
  func silent() throws {
    let exchange = Exchange()
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.bob.send(
      .refer, in: others, headers: [Exchange.referTo("1002"), "Refer-Sub: false", "Require: norefersub"])
    exchange.world.run(3)
    #expect(text(try #require(exchange.bob.responses(to: .refer).first).first(named: "Refer-Sub")) == "false")
    #expect(Exchange.told(exchange.bob).isEmpty && others.bye != nil)
    #expect(exchange.bridged() == ["1000", "1002"])
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 2)
  }

  @Test("RFC 3515 §2.4.5: NOTIFY refused or unanswered changes nothing", arguments: [481, 500, 0])
  func deaf(status: Int) {
    let exchange = Exchange()
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.bob.notifyAnswer = status
    if status == 0 { exchange.world.network.filter = { Wire.summary($0.bytes) != "NOTIFY" } }
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("1002")])
    exchange.world.run(6)
    #expect(others.bye != nil && exchange.bridged() == ["1000", "1002"])
    if status == 481 { #expect(Exchange.told(exchange.bob) == [100]) }
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 2)
  }

  @Test("The same over a network that loses, doubles and reorders", arguments: 1...12)
  func lossy(seed: Int) {
    let exchange = Exchange(shards: seed % 2 == 0 ? 4 : 1, seed: UInt64(seed), conditions: .mobile)
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("1002")])
    exchange.world.run(20)
    #expect(theirs.state == .answered && others.state == .ended && exchange.carol.calls.last?.state == .answered)
    #expect(exchange.bridged() == ["1000", "1002"])
    exchange.carol.hangUp(exchange.carol.calls[0])
    exchange.world.expectNothingLeft(after: 200, records: 2)
  }

  @Test("RFC 3264 §8.4: who was put on hold before is offered to talk when the target has answered")
  func held() throws {
    let exchange = Exchange()
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.alice.sdp = PhoneSDP.audio(Endpoint(exchange.alice.endpoint.ip, 40_000), direction: "recvonly", version: 2)
    exchange.bob.reinvite(
      others, body: PhoneSDP.audio(Endpoint(exchange.bob.endpoint.ip, 40_002), direction: "sendonly", version: 2))
    exchange.world.run(1)
    exchange.alice.sdp = PhoneSDP.audio(Endpoint(exchange.alice.endpoint.ip, 40_000), version: 3)
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("1002")])
    exchange.world.run(3)
    let offered = try OfferAnswerSDP.audio(in: SessionDescription(parsing: (theirs.bodies.last ?? [])[...]))
    #expect(offered.direction == .sendrecv)
    let toCarol = try OfferAnswerSDP.audio(in: SessionDescription(parsing: (exchange.carol.calls[0].bodies[0])[...]))
    #expect(toCarol.direction == .sendrecv)
    let last = exchange.world.server.media.commands.last { $0.name == "remote" }
    guard case .remote(_, _, _, _, sending: true, receiving: true, _)? = last else {
      Issue.record("not resumed: \(String(describing: last))")
      return
    }
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 2)
  }

  @Test(
    "RFC 3264 §8: a target that speaks another codec: who was transferred is asked for it; else he is not asked",
    arguments: [true, false])
  func codec(other: Bool) {
    let exchange = Exchange()
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    if other {
      exchange.carol.sdp = PhoneSDP.audio(Endpoint(exchange.carol.endpoint.ip, 40_004), formats: [(8, "PCMA/8000")])
    }
    let bodies = theirs.bodies.count
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("1002")])
    exchange.world.run(3)
    #expect(theirs.bodies.count == bodies + (other ? 1 : 0))
    #expect(theirs.state == .answered && exchange.bridged() == ["1000", "1002"])
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 2)
  }

  // MARK: scripts

  static let rule = """
    on.refer(function(call, target)
      if target.user == "1003" then return false end
      if target.user == "1004" then return { status = 480, text = "Not now" } end
      if target.user == "1005" then return "1002" end
      if target.user == "1006" then return "pass" end
      if target.user == "1007" then error("oh") end
      if target.user == "1008" then sleep(60) end
      call.vars.asked = target.by .. target.user
    end)

    """

  @Test(
    "on.refer refuses, redirects, passes on, fails, sleeps, or lets it happen",
    arguments: [
      ("1003", 603), ("1004", 480), ("1005", 202), ("1006", 202), ("1007", 500), ("1008", 500), ("1002", 202),
    ])
  func asked(target: String, status: Int) throws {
    let exchange = Exchange(Self.rule + World.plain)
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo(target)])
    exchange.world.run(12)
    #expect(exchange.bob.otherStatuses == [status])
    switch target {
    case "1005", "1002":
      #expect(exchange.bridged() == ["1000", "1002"])
      exchange.alice.hangUp(theirs)
      exchange.world.expectNothingLeft(records: 2)
      let record = try #require(exchange.records().first { $0.to == "1002" })
      if target == "1002" { #expect(record.vars.contains { $0.name == "asked" && $0.value == .string("callee1002") }) }
    default:
      #expect(theirs.state == .answered && others.state == .answered)
      #expect(exchange.alice.requests.contains { $0.method == .refer } == (target == "1006"))
      exchange.alice.hangUp(theirs)
      exchange.world.expectNothingLeft(records: 1)
    }
  }

  @Test("on_refer = \"pass\": REFER and NOTIFY go between the phones, each in its own dialog", arguments: [202, 405])
  func passed(answer: Int) throws {
    let exchange = Exchange(World.dialling("{ on_refer = \"pass\" }"))
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.alice.referAnswer = answer
    exchange.bob.send(
      .refer, in: others, headers: [Exchange.referTo("1002"), "Referred-By: <sip:1001@nightjar.example>"])
    exchange.world.run(1)
    #expect(exchange.bob.otherStatuses == [answer])
    let refer = try #require(exchange.alice.requests.last)
    #expect(refer.method == .refer && text(refer.first(.referTo)) == "<sip:1002@nightjar.example>")
    #expect(text(refer.first(.referredBy)) == "<sip:1001@nightjar.example>")
    if answer == 202 {
      exchange.alice.send(
        .notify, in: theirs,
        headers: ["Event: refer", "Subscription-State: terminated;reason=noresource", "Content-Type: message/sipfrag"],
        body: Array("SIP/2.0 200 OK\r\n".utf8))
      exchange.world.run(1)
      #expect(Exchange.told(exchange.bob) == [200] && exchange.alice.otherStatuses == [200])
    }
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 1)
  }

  @Test("on_refer of a dial as a function wins over on.refer")
  func dialFunction() {
    let exchange = Exchange(
      Self.rule + World.dialling("{ on_refer = function(call, target) return { status = 488 } end }"))
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("1002")])
    exchange.world.run(1)
    #expect(exchange.bob.otherStatuses == [488])
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 1)
  }

  @Test("The dialplan routes the target in the context of who transferred, and may answer himself")
  func routed() throws {
    let script = """
      on.invite(function(call)
        if call.ruri.user == "600" then call:answer() return call:echo() end
        if call.ruri.user == "700" then
          call.vars.seen = call.context .. "," .. tostring(call.transferred_by) .. "," .. tostring(call.vars.kept)
          return call:reject { status = 403 }
        end
        call.vars.kept = "yes"
        call:dial("user/" .. call.ruri.user)
      end)
      """
    let users = [
      ServerNode.User("1000", context: "guests"), .init("1001", context: "staff"), .init("1002"), .init("1003"),
    ]
    let exchange = Exchange(script, users: users)
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("700")])
    exchange.world.run(1)
    #expect(Exchange.told(exchange.bob) == [100, 403])
    #expect(exchange.records().last?.vars.contains { $0.value == .string("staff,1001,yes") } == true)
    exchange.bob.send(.refer, in: others, headers: [Exchange.referTo("600")])
    exchange.world.run(1)
    #expect(Exchange.told(exchange.bob).last == 200 && others.bye != nil && theirs.state == .answered)
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: 3)
  }

  @Test("Transfers of a call are bounded: two phones cannot send a third one round for ever")
  func bounded() {
    let exchange = Exchange()
    let (theirs, others) = exchange.talk(exchange.alice, exchange.bob)
    var call = others
    var phone = exchange.bob
    for round in 0..<CallTransfer.mostTransfers {
      let next = round % 2 == 0 ? exchange.carol : exchange.bob
      phone.send(.refer, in: call, headers: [Exchange.referTo(next.user)])
      exchange.world.run(3)
      #expect(phone.otherStatuses.last == 202, "\(round)")
      (phone, call) = (next, next.calls.last ?? call)
    }
    phone.send(.refer, in: call, headers: [Exchange.referTo("1003")])
    exchange.world.run(1)
    #expect(phone.otherStatuses.last == 482)
    exchange.alice.hangUp(theirs)
    exchange.world.expectNothingLeft(records: CallTransfer.mostTransfers + 1)
  }

  // MARK: call:refer

  @Test("call:refer sends REFER to the caller's phone and returns what came of it", arguments: [200, 486, 405, 408, 0])
  func verb(outcome: Int) throws {
    let exchange = Exchange(
      World.invite(
        """
        call:answer()
        local r, why = call:refer("1002", { timeout = 5 })
        call.vars.out = r and (tostring(r.ok) .. " " .. r.status) or why.kind
        """))
    let (world, alice) = (exchange.world, exchange.alice)
    if outcome == 405 { alice.referAnswer = 405 }
    let call = alice.call("900")
    world.run(1)
    let refer = try #require(alice.requests.last { $0.method == .refer })
    #expect(text(refer.first(.referTo)) == "<sip:1002@nightjar.example>" && refer.has(.referredBy))
    if outcome == 200 || outcome == 486 {
      for status in [100, outcome] {
        alice.send(
          .notify, in: call, headers: ["Event: refer", "Subscription-State: active", "Content-Type: message/sipfrag"],
          body: Array("SIP/2.0 \(status) X\r\n".utf8))
        world.run(0.5)
      }
      #expect(alice.otherStatuses == [200, 200])
    }
    if outcome == 0 { alice.hangUp(call) }
    world.expectNothingLeft(records: 1)
    let expected = outcome == 0 ? "hangup" : "\(outcome < 300) \(outcome)"
    #expect(exchange.records().last?.vars.first?.value == .string(expected))
  }
}
