import NetCore
import SIPMessage
import TestSupport
import Testing

/// Two phones without a server: each is the other's.
private struct Pair {
  let network: SimulatedNetwork
  let alice: ScriptedPhone
  let bob: ScriptedPhone

  init(seed: UInt64 = 1, conditions: SimulatedNetwork.Conditions = .perfect) {
    network = SimulatedNetwork(seed: seed, conditions: conditions)
    let a = Endpoint(IPAddress(v4: 0x0a00_0001), 5060)
    let b = Endpoint(IPAddress(v4: 0x0a00_0002), 5060)
    alice = ScriptedPhone(user: "alice", endpoint: a, server: b, on: network, seed: seed)
    bob = ScriptedPhone(user: "bob", endpoint: b, server: a, on: network, seed: seed &+ 1)
  }

  /// Long after everything has ended nothing is left.
  func settle() {
    network.run(for: .milliseconds(200_000))
    #expect(alice.liveTransactions == 0 && bob.liveTransactions == 0)
    #expect(alice.nextDeadline == nil && bob.nextDeadline == nil && network.nextEvent == nil)
    #expect(alice.unparsable.isEmpty && bob.unparsable.isEmpty && network.undeliverable == 0)
  }
}

@Suite("Scripted phones on a simulated network")
struct ScriptedPhoneTests {
  @Test("a call: 100, 180, 200 with SDP, ACK, BYE; each message once on a perfect network")
  func call() {
    let pair = Pair()
    let call = pair.alice.call("bob")
    pair.network.run(for: .milliseconds(5_000))
    #expect(call.statuses == [100, 180, 200] && call.state == .answered && call.bodies.count == 1)
    let other = pair.bob.calls[0]
    #expect(other.state == .answered && other.isAcknowledged && other.bodies.count == 1)
    pair.alice.hangUp(call)
    pair.network.run(for: .milliseconds(1_000))
    #expect(call.byeStatus == 200 && other.state == .ended && other.bye != nil)
    #expect(pair.network.trace.count == 7)
    pair.settle()
  }

  @Test("the called side hangs up by its script; a re-INVITE and an INFO in between")
  func hangUpByScript() {
    let pair = Pair()
    pair.bob.script = PhoneScript([.respond(200), .hangUp(after: .milliseconds(5_000))])
    let call = pair.alice.call("bob")
    pair.network.run(for: .milliseconds(1_000))
    pair.alice.reinvite(
      call, body: PhoneSDP.audio(Endpoint(pair.alice.endpoint.ip, 40_000), direction: "sendonly", version: 2))
    pair.network.run(for: .milliseconds(1_000))
    #expect(call.reinviteStatus == 200 && call.bodies.count == 2 && pair.bob.calls[0].bodies.count == 2)
    pair.alice.send(.info, in: call)
    pair.network.run(for: .milliseconds(5_000))
    #expect(pair.alice.otherStatuses == [200] && call.bye != nil && call.state == .ended)
    #expect(pair.bob.calls[0].byeStatus == 200)
    pair.settle()
  }

  @Test("a call that is cancelled while it rings ends with 487")
  func cancel() {
    let pair = Pair()
    pair.bob.script = .ringOnly
    let call = pair.alice.call("bob")
    pair.network.run(for: .milliseconds(3_000))
    #expect(call.state == .ringing)
    pair.alice.hangUp(call)
    pair.network.run(for: .milliseconds(1_000))
    #expect(call.statuses == [100, 180, 487] && pair.bob.calls[0].wasCancelled)
    pair.settle()
  }

  @Test("a call that is refused; a request outside of calls; a phone that is gone")
  func refused() {
    let pair = Pair()
    pair.bob.script = .reject(486, headers: ["Reason: Q.850;cause=17"])
    let call = pair.alice.call("bob")
    pair.alice.send(.options, to: "bob")
    pair.network.run(for: .milliseconds(1_000))
    #expect(call.statuses == [100, 486] && call.message?.first(.reason) != nil && pair.alice.otherStatuses == [200])
    pair.network.detach(pair.bob)
    let lost = pair.alice.call("bob")
    #expect(pair.network.run(until: .milliseconds(40_000)) { lost.state == .ended })
    #expect(lost.statuses == [408])
  }

  @Test("the same seed gives the same run, another seed another")
  func repeatable() {
    func run(_ seed: UInt64) -> [String] {
      let pair = Pair(seed: seed, conditions: .awful)
      pair.alice.call("bob")
      pair.network.run(for: .milliseconds(60_000))
      return pair.network.trace.map {
        "\($0.sent.nanoseconds) \($0.copies) \(String(decoding: $0.datagram.bytes, as: UTF8.self))"
      }
    }
    #expect(run(5) == run(5) && run(5) != run(6))
  }

  @Test("calls over a bad network are set up and taken down", arguments: [SimulatedNetwork.Conditions.mobile, .awful])
  func badNetwork(conditions: SimulatedNetwork.Conditions) {
    for seed: UInt64 in 0..<40 {
      let pair = Pair(seed: seed, conditions: conditions)
      let call = pair.alice.call("bob")
      guard pair.network.run(until: .milliseconds(40_000), { call.state == .answered }) else {
        Issue.record("seed \(seed): \(call.statuses)")
        continue
      }
      #expect(pair.bob.calls.count == 1)
      pair.network.run(for: .milliseconds(10_000))
      pair.alice.hangUp(call)
      pair.network.run(for: .milliseconds(40_000))
      #expect(call.byeStatus == 200 && pair.bob.calls[0].state == .ended && pair.bob.calls[0].isAcknowledged)
      pair.settle()
    }
  }

  @Test("a filter loses what a test wants lost: the 200 is sent again until it gets through")
  func filter() {
    let pair = Pair()
    var lost = 0
    pair.network.filter = { datagram in
      guard String(decoding: datagram.bytes, as: UTF8.self).hasPrefix("SIP/2.0 200"), lost < 3 else { return true }
      lost += 1
      return false
    }
    let call = pair.alice.call("bob")
    pair.network.run(for: .milliseconds(6_000))
    #expect(lost == 3 && call.state == .answered && pair.bob.calls[0].isAcknowledged)
    pair.settle()
  }
}
