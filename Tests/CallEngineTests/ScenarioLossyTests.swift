@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// Whole calls where packets are lost, doubled and overtake each other: whatever happens, both sides end, each leg has one
/// final response, a record is written and nothing is left.
@Suite("Scenario: bad networks")
struct ScenarioLossyTests {
  /// What a seed decides besides the packets.
  enum Plot: UInt64, CaseIterable {
    case callerHangsUp, calleeHangsUp, callerCancels, busy, noAnswer, cancelRacesAnswer, bothHangUp, reinvite
  }

  static func play(seed: UInt64, shards: Int, conditions: SimulatedNetwork.Conditions) {
    let world = World(World.dialling("{ timeout = 12, ringback = \"180\" }"), shards: shards, seed: seed)
    let phones = world.registered("1000", "1001")
    let (alice, bob) = (phones[0], phones[1])
    world.network.conditions = conditions
    let plot = Plot(rawValue: seed % UInt64(Plot.allCases.count))!
    switch plot {
    case .callerHangsUp, .bothHangUp, .reinvite: bob.script = .answer(after: .milliseconds(700))
    case .calleeHangsUp:
      bob.script = PhoneScript([.respond(180), .respond(200, after: .seconds(1)), .hangUp(after: .seconds(2))])
    case .callerCancels, .noAnswer: bob.script = .ringOnly
    case .busy: bob.script = .reject(486)
    case .cancelRacesAnswer: bob.script = .answer(after: .milliseconds(2_000))
    }
    let call = alice.call("1001")
    switch plot {
    case .callerHangsUp, .bothHangUp, .reinvite:
      world.network.run(until: .seconds(60)) { call.state == .answered || call.state == .ended }
      world.run(2)
      if plot == .reinvite {
        alice.reinvite(
          call, body: PhoneSDP.audio(Endpoint(alice.endpoint.ip, 40_000), direction: "sendonly", version: 2))
        world.run(Double(seed % 5))
      }
      alice.hangUp(call)
      if plot == .bothHangUp, let other = bob.calls.first { bob.hangUp(other) }
    case .callerCancels:
      world.run(3)
      alice.hangUp(call)
    case .cancelRacesAnswer:
      world.network.run(for: .milliseconds(2_000 + Int64(seed % 200)))
      alice.hangUp(call)
    case .calleeHangsUp, .busy, .noAnswer: break
    }
    // A CANCEL or BYE that was lost for good leaves an answered call: its phone hangs up, as its user would.
    world.run(100)
    if call.state == .answered { alice.hangUp(call) }
    for other in bob.calls where other.state == .answered { bob.hangUp(other) }
    world.run(100)

    let note = "seed \(seed), \(plot), \(shards) shards"
    // The phone's own time-out (408) may stand for a lost final response.
    #expect(call.statuses.filter { $0 >= 200 && $0 != 407 }.count == 1, "\(note): \(call.statuses)")
    #expect(bob.calls.count <= 1, "\(note)")
    for other in bob.calls { #expect(other.statuses.filter { $0 >= 200 }.count <= 1, "\(note): \(other.statuses)") }
    for phone in phones {
      let finals = world.sent(to: phone).filter { !$0.isRequest && $0.method == .invite && $0.status >= 200 }
      let byInvite = Dictionary(grouping: finals) { "\(text($0.callID)) \($0.cseq) \(text($0.via.branch ?? []))" }
      for (_, copies) in byInvite { #expect(Set(copies.map(\.status)).count == 1, "\(note)") }
    }
    world.expectNothingLeft(after: 60, note)
    let invited = call.statuses.contains { $0 != 407 && $0 != 408 && $0 >= 180 }
    #expect(world.server.records.all.count <= 1 && (!invited || world.server.records.all.count == 1), "\(note)")
  }

  @Test("a tenth lost, some doubled, up to 120 ms: 240 seeds", arguments: [1, 4])
  func mobile(shards: Int) {
    for seed: UInt64 in 0..<240 { ScenarioLossyTests.play(seed: seed, shards: shards, conditions: .mobile) }
  }

  @Test("a third lost, many doubled, up to 400 ms: 240 seeds", arguments: [1, 4])
  func awful(shards: Int) {
    for seed: UInt64 in 1000..<1240 { ScenarioLossyTests.play(seed: seed, shards: shards, conditions: .awful) }
  }
}
