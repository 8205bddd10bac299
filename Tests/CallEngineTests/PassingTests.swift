@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// INFO, MESSAGE and OPTIONS within a call.
@Suite("Requests that pass through a call")
struct PassingTests {
  typealias Talk = ScenarioBridgeTests.Talk

  @Test(
    "RFC 3428 §4, RFC 3261 §11: the other phone is asked; his status and body come back",
    arguments: ["MESSAGE", "OPTIONS", "INFO"], [true, false])
  func passed(name: String, byCaller: Bool) throws {
    let method = SIPMessage.Method(Array(name.utf8)[...])
    let talk = Talk()
    let (from, to) = byCaller ? (talk.alice, talk.bob) : (talk.bob, talk.alice)
    to.otherAnswer = (202, ["Content-Type: text/plain", "X-Seen: yes"], Array("got it".utf8))
    from.send(
      method, in: byCaller ? talk.call : talk.other,
      headers: ["Content-Type: text/html;charset=utf-8", "Content-Language: de", "X-Mood: good", "P-Secret: no"],
      body: Array("<b>hi</b>".utf8))
    talk.world.run(1)
    let seen = try #require(to.requests.last)
    #expect(seen.method == method && text(seen.body) == "<b>hi</b>")
    #expect(text(seen.contentType) == "text/html;charset=utf-8" && text(seen.first(named: "X-Mood")) == "good")
    #expect(seen.first(named: "P-Secret") == nil)
    let answer = try #require(from.responses(to: method).last)
    #expect(answer.status == 202 && text(answer.body) == "got it" && text(answer.contentType) == "text/plain")
    #expect(text(answer.first(named: "X-Seen")) == "yes" && answer.has(.allow) == (method == .options))
    talk.end()
  }

  @Test(
    "RFC 3261 §8.1.3: what is between the other phone and us does not pass",
    arguments: [(404, 404), (407, 502), (420, 502), (302, 502), (488, 488)])
  func statuses(theirs: Int, ours: Int) {
    let talk = Talk()
    talk.bob.otherAnswer = (theirs, [], [])
    talk.alice.send(.message, in: talk.call, headers: ["Content-Type: text/plain"], body: Array("hi".utf8))
    talk.world.run(2)
    #expect(talk.alice.otherStatuses == [ours] && talk.call.state == .answered)
    talk.end()
  }

  @Test("RFC 3261 §12.2.1.2: a 481 says that the other dialog is gone, and the call with it")
  func gone() {
    let talk = Talk()
    talk.bob.otherAnswer = (481, [], [])
    talk.alice.send(.info, in: talk.call, headers: ["Content-Type: text/plain"], body: Array("hi".utf8))
    talk.world.run(2)
    #expect(talk.alice.otherStatuses == [480] && talk.call.bye != nil)
    talk.world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3261 §11.2: where there is no other leg OPTIONS is answered by us; a MESSAGE has no reader")
  func alone() throws {
    let world = World(World.invite("call:answer()\ncall:echo { duration = 30 }"))
    let alice = world.registered("1000")[0]
    let call = alice.call("600")
    world.run(1)
    alice.send(.options, in: call)
    alice.send(.message, in: call, headers: ["Content-Type: text/plain"], body: Array("hi".utf8))
    alice.send(.info, in: call)
    world.run(1)
    #expect(alice.otherStatuses.sorted() == [200, 200, 480])
    let ok = try #require(alice.responses(to: .options).last)
    #expect(ok.has(.allow) && ok.has(.accept) && ok.hasToken("100rel", in: .supported))
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
  }
}
