@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// Who may say who calls, and who is told (RFC 3325); what a caller may keep to himself (RFC 3323).
@Suite("Scenario: identity by trust")
struct ScenarioIdentityTests {
  /// A trunk at one of the world's phone addresses; calls come from it too.
  private static func trunk(
    _ name: String, _ place: Int, trusted: Bool, remotePartyID: Bool = false, comesIn: Bool = false
  ) -> Trunk {
    var trunk = Trunk(
      name: name, destination: Endpoint("\(World.addresses[place]):5060")!, host: World.addresses[place],
      transport: .udp, context: "trunk", sources: comesIn ? [SourceNetwork(World.addresses[place])!] : [])
    trunk.isTrusted = trusted
    trunk.remotePartyID = remotePartyID
    return trunk
  }

  private static let diversion = "Diversion: <sip:+4917@carrier.example>;reason=no-answer;counter=2"
  private static let history = "History-Info: <sip:+4917@carrier.example>;index=1, <sip:1001@x>;index=1.1;mp=1"

  /// A call of a carrier to user 1001: what the phone is sent.
  private func incoming(trusted: Bool, remotePartyID: Bool = false, _ headers: String...) throws -> Message {
    let world = World(
      trunks: [ScenarioIdentityTests.trunk("in", 1, trusted: trusted, remotePartyID: remotePartyID, comesIn: true)])
    let phone = world.registered("1001")[0]
    let carrier = world.phone("carrier")
    let call = carrier.call("1001", headers: headers)
    world.run(3)
    #expect(call.statuses.last == 200)
    carrier.hangUp(call)
    world.expectNothingLeft(records: 1)
    return try #require(phone.calls.first?.message)
  }

  /// A call of user 1000 out by a trunk: what the carrier is sent.
  private func outgoing(
    trusted: Bool, remotePartyID: Bool = false, script: String = "call:dial('trunk/out/4930', { timeout = 20 })",
    _ headers: String...
  ) throws -> Message {
    let world = World(
      World.invite(script),
      trunks: [ScenarioIdentityTests.trunk("out", 1, trusted: trusted, remotePartyID: remotePartyID)])
    let alice = world.registered("1000")[0]
    let carrier = world.phone("carrier")
    let call = alice.call("4930", headers: headers)
    world.run(3)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    return try #require(carrier.calls.first?.message)
  }

  @Test("RFC 3325 §5: what a trusted trunk asserts passes to our phones, what another one asserts does not")
  func asserted() throws {
    let pai = "P-Asserted-Identity: \"Bob\" <sip:+4930@carrier.example>"
    #expect(
      text(try incoming(trusted: true, pai).first(.pAssertedIdentity)) == "\"Bob\" <sip:+4930@nightjar.example>")
    let stripped = try incoming(trusted: false, pai, ScenarioIdentityTests.diversion, ScenarioIdentityTests.history)
    #expect(!stripped.has(.pAssertedIdentity) && !stripped.has(.diversion) && !stripped.has(.historyInfo))
    #expect(text(stripped.from.uri.user) == "carrier")
  }

  @Test("RFC 5806 §4, RFC 7044 §5: the history of a trusted trunk's call passes to our phones")
  func history() throws {
    let invite = try incoming(trusted: true, ScenarioIdentityTests.diversion, ScenarioIdentityTests.history)
    #expect(invite.values(.diversion).map { text($0) } == ["<sip:+4917@carrier.example>;reason=no-answer;counter=2"])
    #expect(invite.values(.historyInfo).count == 2)
    // §4.3: a phone is outside of the trust domain.
    let hidden = try incoming(
      trusted: true, "Diversion: <sip:+4917@c>;privacy=full, <sip:+4918@c>;privacy=off", "Privacy: history",
      ScenarioIdentityTests.history)
    #expect(hidden.values(.diversion).map { text($0) } == ["<sip:+4918@c>;privacy=off"])
    #expect(!hidden.has(.historyInfo))
  }

  @Test("a history without end is cut")
  func longHistory() throws {
    let many = (1...200).map { "<sip:\($0)@c>;index=1.\($0)" }.joined(separator: ",")
    let invite = try incoming(trusted: true, "History-Info: \(many)", "Diversion: \(many)")
    #expect(invite.values(.historyInfo).count < 20 && invite.values(.diversion).count == 10)
    #expect(text(invite.values(.historyInfo).last) == "<sip:200@c>;index=1.200")
  }

  @Test("a phone's own Diversion and History-Info count for nothing; the script may set one")
  func fromPhones() throws {
    let invite = try outgoing(trusted: true, ScenarioIdentityTests.diversion, ScenarioIdentityTests.history)
    #expect(!invite.has(.diversion) && !invite.has(.historyInfo))
    let set = try outgoing(
      trusted: true,
      script: """
        call:dial({ 'trunk/out/4930', headers = { Diversion = "<sip:1000@nightjar.example>;reason=follow-me",
          ["X-Was"] = call.headers.Diversion } })
        """, ScenarioIdentityTests.diversion)
    #expect(set.values(.diversion).map { text($0) } == ["<sip:1000@nightjar.example>;reason=follow-me"])
    #expect(text(set.first(named: "X-Was")) == "<sip:+4917@carrier.example>;reason=no-answer;counter=2")
  }

  @Test("RFC 3325 §7: a trusted trunk is told who calls, and to keep it to itself; another one is told nothing")
  func towardsTrunks() throws {
    let told = try outgoing(trusted: true, "Privacy: id")
    #expect(text(told.first(.pAssertedIdentity)) == "\"Phone 1000\" <sip:1000@nightjar.example>")
    #expect(text(told.first(.privacy)) == "id" && text(told.from.uri.user) == "anonymous")
    let user = try outgoing(
      trusted: true, "Privacy: user", "Subject: from Alice", "Call-Info: <http://alice/>", "X-Y: 1")
    #expect(text(user.first(.privacy)) == "user;id" && !user.has(.subject) && !user.has(.callInfo))
    #expect(text(user.first(named: "X-Y")) == "1")
    let stranger = try outgoing(trusted: false)
    #expect(!stranger.has(.pAssertedIdentity) && text(stranger.from.uri.user) == "1000")
    #expect(!(try outgoing(trusted: false, "Privacy: id")).has(.pAssertedIdentity))
    let script = try outgoing(trusted: false, script: "call:dial({ 'trunk/out/4930', pai = '5000' })")
    #expect(text(script.first(.pAssertedIdentity)) == "<sip:5000@nightjar.example>")
  }

  @Test("RFC 3325 §6: a preferred identity is followed where it is the user's own, and never passed on")
  func preferred() throws {
    let own = try outgoing(trusted: true, "P-Preferred-Identity: \"Alice at work\" <sip:1000@anywhere>")
    #expect(text(own.first(.pAssertedIdentity)) == "\"Alice at work\" <sip:1000@nightjar.example>")
    let forged = try outgoing(trusted: true, "P-Preferred-Identity: \"Boss\" <sip:1001@nightjar.example>")
    #expect(text(forged.first(.pAssertedIdentity)) == "\"Phone 1000\" <sip:1000@nightjar.example>")
    #expect(!own.has(.pPreferredIdentity) && !forged.has(.pPreferredIdentity))
  }

  @Test("Remote-Party-ID, for trunks that are configured so")
  func remotePartyID() throws {
    let told = try outgoing(trusted: true, remotePartyID: true)
    #expect(
      text(told.first(.remotePartyID))
        == "\"Phone 1000\" <sip:1000@nightjar.example>;party=calling;screen=yes;privacy=off")
    #expect(
      text(try outgoing(trusted: true, remotePartyID: true, "Privacy: id").first(.remotePartyID))?
        .hasSuffix("privacy=full") == true)
    #expect(!(try outgoing(trusted: true)).has(.remotePartyID))
    let header = "Remote-Party-ID: <sip:4@c>;party=called, \"Bob\" <sip:+4930@carrier.example>;party=calling"
    #expect(
      text(try incoming(trusted: true, remotePartyID: true, header).first(.pAssertedIdentity))
        == "\"Bob\" <sip:+4930@nightjar.example>")
    #expect(!(try incoming(trusted: true, header)).has(.pAssertedIdentity))
  }

  @Test(
    "RFC 3323 §4.2: critical: what cannot be done fails the call, what can be is done",
    arguments: [
      ("id;critical", 200), ("header;session;user;critical", 200), ("history;critical", 200),
      ("magic", 200), ("magic;critical", 500),
    ])
  func critical(value: String, status: Int) {
    let world = World()
    let phones = world.registered("1000", "1001")
    let call = phones[0].call("1001", headers: ["Privacy: \(value)"])
    world.run(3)
    #expect(call.statuses.last == status && phones[1].calls.count == (status == 200 ? 1 : 0))
    if status == 200 { phones[0].hangUp(call) }
    world.expectNothingLeft(records: status == 200 ? 1 : 0)
  }
}
