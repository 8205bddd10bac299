@testable import CallEngine
import Logging
import NetCore
import SIPDigest
import SIPMessage
import TestSupport
import Testing

/// Calls to a carrier that asks who we are, and to whom nobody tells it.
@Suite("Scenario: credentials of a trunk")
struct ScenarioTrunkCallTests {
  private static let dialling = World.invite(
    """
    local r = call:dial("trunk/alpha/100", { timeout = 20, ringback = "180" })
    call.vars.status = r.status
    if not r.ok then call:reject { from = r } end
    """)

  private func world(
    _ script: String = ScenarioTrunkCallTests.dialling, configure: (Carrier) -> Void = { _ in },
    trunk: (Carrier) -> Trunk = { $0.trunk { $0.credentials = .init(user: "4930", password: "s3cret") } }
  ) -> (World, Carrier, ScriptedPhone) {
    let network = SimulatedNetwork()
    let carrier = Carrier("alpha", "203.0.113.200", on: network)
    carrier.challenged = [.invite]
    configure(carrier)
    let world = World(script, trunks: [trunk(carrier)], on: network)
    return (world, carrier, world.registered("1000")[0])
  }

  private func proofs(_ message: Message) -> [String] {
    (message.all(.authorization) + message.all(.proxyAuthorization)).map { text($0) }
  }

  @Test(
    "RFC 3261 §22.2: INVITE goes out again with credentials: same Call-ID and From, next CSeq, new branch; §22.1: so does its ACK",
    arguments: [false, true])
  func invite(isProxy: Bool) throws {
    let (world, carrier, alice) = world { $0.isProxy = isProxy }
    let call = alice.call("100")
    world.run(2)
    #expect(call.state == .answered)
    let invites = carrier.requests(.invite)
    #expect(invites.map(\.cseq) == [1, 2] && invites[0].callID == invites[1].callID)
    #expect(invites[0].from.bytes == invites[1].from.bytes && invites[0].via.branch != invites[1].via.branch)
    #expect(invites[0].body == invites[1].body && invites[0].first(.contact) == invites[1].first(.contact))
    #expect(proofs(invites[0]) == [])
    let proof = proofs(invites[1])
    #expect(proof.count == 1 && proof[0].contains("uri=\"\(text(invites[1].requestURI.bytes))\""))
    let acks = carrier.requests(.ack)
    #expect(acks.map(\.cseq) == [1, 2])
    #expect(proofs(acks[0]) == [] && proofs(acks[1]) == proof)
    // What follows in the dialog counts on from there.
    alice.hangUp(call)
    world.run(1)
    #expect(carrier.requests(.bye).map(\.cseq) == [3])
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [200])
  }

  @Test("re-INVITE, INFO and BYE are answered for too, each with the next CSeq of the dialog")
  func inDialog() throws {
    let (world, carrier, alice) = world { $0.challenged = [.invite, .info, .bye] }
    let call = alice.call("100")
    world.run(2)
    alice.reinvite(call, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 40_000), direction: "sendonly", version: 2))
    world.run(1)
    #expect(call.reinviteStatus == 200)
    alice.send(.info, in: call, headers: ["Content-Type: text/plain"], body: Array("digits".utf8))
    world.run(1)
    #expect(alice.otherStatuses.last == 200)
    alice.hangUp(call)
    world.run(1)
    #expect(carrier.admitted.map(\.method) == [.invite, .invite, .info, .bye])
    #expect(carrier.requests.filter { $0.method != .ack }.map(\.cseq) == [1, 2, 3, 4, 5, 6, 7, 8])
    let acks = carrier.requests(.ack).filter { !proofs($0).isEmpty }
    #expect(acks.map(\.cseq) == [2, 4])
    world.expectNothingLeft(records: 1)
  }

  @Test("a call from the trunk: our BYE to it proves itself too")
  func inboundBye() throws {
    let (world, carrier, _) = world(World.invite("call:answer() call:wait { timer = 1 } call:hangup()")) {
      $0.challenged = [.bye]
    } trunk: { carrier in
      carrier.trunk({ $0.credentials = .init(user: carrier.user, password: "s3cret") }, sources: ["203.0.113.200"])
    }
    carrier.call("sip:100@nightjar.example")
    world.network.run(for: .milliseconds(50))
    let ok = try #require(carrier.peer.received.last { !$0.isRequest && $0.status == 200 })
    carrier.peer.request(
      "ACK", "sip:198.51.100.1:5060", branch: "z9hG4bK-ack", callID: "in-1", toTag: text(ok.toTag), cseq: 1)
    world.run(3)
    #expect(carrier.requests(.bye).count == 2 && carrier.admitted(.bye).count == 1)
    world.expectNothingLeft(records: 1)
  }

  // MARK: at most two attempts

  @Test("RFC 7616 §3.5: an answer that is refused is given up at once; a stale nonce gets a second one, never a third")
  func attempts() {
    for (staleness, invites, expected) in [(0, 2, 502), (1, 3, 200), (2, 3, 502)] {
      let (world, carrier, alice) = world()
      if staleness == 0 { carrier.password = "another" }
      carrier.staleness = staleness
      let call = alice.call("100")
      world.run(2)
      #expect(carrier.requests(.invite).count == invites, "stale \(staleness)")
      #expect(call.statuses.last == expected, "stale \(staleness)")
      if expected == 200 { alice.hangUp(call) }
      world.expectNothingLeft(records: 1)
      if expected != 200 { #expect(world.record?.attempts.map(\.status) == [401]) }
    }
  }

  @Test("a trunk without credentials, and a callee who is no trunk: 401 and 407 become 502", arguments: [401, 407])
  func noCredentials(status: Int) {
    let (world, carrier, alice) = world {
      $0.isProxy = status == 407
    } trunk: {
      $0.trunk()
    }
    let call = alice.call("100")
    world.run(2)
    #expect(carrier.requests(.invite).count == 1 && call.statuses.last == 502)
    world.expectNothingLeft(records: 1)
  }

  @Test("a caller who gives up between the challenge and its answer is not called for again")
  func cancelled() {
    let (world, carrier, alice) = world { $0.challenged = [] }
    carrier.says[.invite] = 0
    let call = alice.call("100")
    world.run(0.2)
    alice.hangUp(call)
    world.run(0.2)
    carrier.says[.invite] = nil
    carrier.challenged = [.invite]
    world.run(40)
    #expect(Set(carrier.requests(.invite).map(\.cseq)) == [1] && call.state == .ended)
    world.expectNothingLeft(records: 1)
  }

  // MARK: to whom

  @Test(
    "credentials are for the trunk's own realm: another one that its host passes on gets none",
    arguments: [true, false])
  func realm(isConfigured: Bool) {
    let (world, carrier, alice) = world(trunk: { carrier in
      carrier.trunk {
        $0.credentials = .init(user: "4930", password: "s3cret", realms: isConfigured ? ["elsewhere.example"] : [])
      }
    })
    if !isConfigured {
      // Learnt from the first challenge; then a callee far behind the carrier asks for himself.
      let call = alice.call("100")
      world.run(2)
      alice.hangUp(call)
      world.run(1)
      carrier.says[.invite] = 401
      carrier.lines = ["WWW-Authenticate: Digest realm=\"far.example\", nonce=\"1\", qop=\"auth\""]
    }
    let before = carrier.requests(.invite).count
    let call = alice.call("100")
    world.run(2)
    #expect(carrier.requests(.invite).count == before + 1 && call.statuses.last == 502)
    #expect(world.server.log.texts(.warning).contains { $0.contains("no credentials for") })
    world.expectNothingLeft(records: isConfigured ? 1 : 2)
  }

  @Test("credentials are for the trunk's own host: one that its Contact names, with the same realm, gets none")
  func otherHost() throws {
    let (world, carrier, alice) = world()
    let thief = Carrier("thief", "203.0.113.66", on: world.network)
    thief.challenged = [.bye, .info, .invite]
    carrier.contact = "<sip:gw@203.0.113.66>"
    let call = alice.call("100")
    world.run(2)
    #expect(call.state == .answered)
    alice.send(.info, in: call)
    world.run(1)
    alice.hangUp(call)
    world.run(1)
    #expect(!thief.requests(.info).isEmpty && !thief.requests(.bye).isEmpty)
    #expect(thief.requests.allSatisfy { proofs($0) == [] })
    #expect(thief.requests(.bye).count == 1 && thief.admitted.isEmpty)
    world.expectNothingLeft(records: 1)
  }

  @Test("a target that is no trunk gets none, even at the trunk's own address and for its realm")
  func plainURI() {
    let (world, carrier, alice) = world(
      World.invite(
        "local r = call:dial('sip:100@203.0.113.200', { timeout = 5 }) if not r.ok then call:reject { from = r } end"))
    let call = alice.call("100")
    world.run(2)
    #expect(carrier.requests(.invite).count == 1 && call.statuses.last == 502)
    world.expectNothingLeft(records: 1)
  }

  @Test("what is lost on the way changes nothing: the challenged call is set up once, over a bad network")
  func lossy() {
    for seed in 1...12 as ClosedRange<UInt64> {
      let network = SimulatedNetwork(seed: seed)
      let carrier = Carrier("alpha", "203.0.113.200", on: network)
      carrier.challenged = [.invite]
      let world = World(
        ScenarioTrunkCallTests.dialling,
        trunks: [carrier.trunk { $0.credentials = .init(user: carrier.user, password: "s3cret") }], on: network)
      let alice = world.registered("1000")[0]
      network.conditions = .mobile
      let call = alice.call("100")
      world.run(20)
      #expect(call.state == .answered, "seed \(seed)")
      alice.hangUp(call)
      world.expectNothingLeft(after: 150, records: 1, "seed \(seed)")
      #expect(world.server.services.trunks.status(of: "alpha").current.calls == 0)
    }
  }
}
