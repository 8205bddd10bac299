@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// 3xx of a callee: noted for the script, followed where it allows, and never for ever.
@Suite("RFC 3261 §8.1.3.4: redirections")
struct ScenarioRedirectTests {
  private func moved(_ contacts: String..., more: [String] = []) -> PhoneScript {
    .reject(302, headers: contacts.map { "Contact: \($0)" } + more)
  }

  /// Dials 1001 with `options`; `after` is what the script does then.
  private func world(_ options: String, after: String = "", trunks: [Trunk] = []) -> World {
    World(
      World.invite(
        """
        local r = call:dial("user/1001", { timeout = 20, ringback = "180", \(options) })
        call.vars.status = r.status
        call.vars.contacts = table.concat(r.contacts or {}, " ")
        \(after)
        if not r.ok then call:reject { from = r } end
        """), trunks: trunks)
  }

  private func variable(_ world: World, _ name: String) -> String {
    guard let value = world.record?.vars.first(where: { $0.name == name })?.value else { return "" }
    return "\(value)"
  }

  @Test("By default nobody is rung; the script has the contacts by q, and the caller no 3xx")
  func notFollowed() {
    let world = world("")
    let phones = world.registered("1000", "1001", "1002")
    phones[1].script = moved(
      "<sip:low@h.example>;q=0.1, <sip:1002@nightjar.example>;q=0.9", "<tel:+491>, <sip:x@h.example?Route=%3Csip:y%3E>")
    let call = phones[0].call("1001")
    world.run(3)
    #expect(call.statuses.last == 480 && phones[2].calls.isEmpty)
    world.expectNothingLeft(records: 1)
    #expect(variable(world, "status").contains("302"))
    #expect(
      variable(world, "contacts").contains("sip:x@h.example sip:1002@nightjar.example sip:low@h.example"))
  }

  @Test("redirects: a user of ours rings instead, and learns who sent the call on")
  func followed() throws {
    let world = world("redirects = 1")
    let phones = world.registered("1000", "1001", "1002")
    phones[1].script = moved("<sip:1002@nightjar.example>")
    let call = phones[0].call("1001")
    world.run(3)
    #expect(call.statuses.last == 200 && phones[2].calls.count == 1)
    let invite = try #require(phones[2].calls[0].message)
    // RFC 5806 §4, RFC 7044 §5.
    #expect(text(invite.first(.diversion)) == "<sip:1001@nightjar.example>;reason=unconditional;counter=1")
    #expect(
      invite.values(.historyInfo).map { text($0) } == [
        "<sip:1001@nightjar.example?Reason=SIP%3Bcause%3D302>;index=1", "<sip:1002@nightjar.example>;index=1.1;mp=1",
      ])
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [302, 200])
  }

  @Test("the reason is the one that the phone gives; after ringing it is a deflection")
  func reasons() throws {
    let world = world("redirects = 5")
    let phones = world.registered("1000", "1001", "1002", "1003")
    phones[1].script = moved("<sip:1002@nightjar.example>", more: ["Diversion: <sip:1001@x>;reason=user-busy"])
    phones[2].script = PhoneScript([
      .respond(180), .respond(302, after: .seconds(1), headers: ["Contact: <sip:1003@nightjar.example>"]),
    ])
    let call = phones[0].call("1001")
    world.run(5)
    #expect(
      phones[3].calls[0].message?.values(.diversion).map { text($0) } == [
        "<sip:1002@nightjar.example>;reason=deflection;counter=1",
        "<sip:1001@nightjar.example>;reason=user-busy;counter=1",
      ])
    #expect(phones[3].calls[0].message?.values(.historyInfo).count == 3)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("phones that send each other the call end it: every place rings once")
  func loop() {
    let world = world("redirects = 10, redirect_to = 'anywhere'")
    let phones = world.registered("1000", "1001", "1002")
    phones[1].script = moved("<sip:1002@nightjar.example>", "<sip:1001@nightjar.example>")
    phones[2].script = moved("<sip:1001@NIGHTJAR.example;x=y>", "<sip:1002@198.51.100.1:5060>")
    let call = phones[0].call("1001")
    world.run(5)
    #expect(phones[1].calls.count == 1 && phones[2].calls.count == 1)
    #expect(call.statuses.last == 480)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [302, 302])
  }

  @Test("RFC 5806 §6: an endless chain of strangers ends too")
  func chain() {
    let world = world("redirects = 10, redirect_to = 'anywhere'")
    let phones = world.registered("1000", "1001")
    let stranger = RawPeer("203.0.113.60:5060", on: world.network)
    phones[1].script = moved("<sip:0@203.0.113.60>")
    stranger.answer = { message in
      guard message.method == .invite else { return }
      stranger.respond(
        message, 302, lines: (0..<3).map { "Contact: <sip:\(stranger.received.count)-\($0)@203.0.113.60>" })
    }
    let call = phones[0].call("1001")
    world.run(30)
    #expect(stranger.received.filter { $0.method == .invite }.count <= 10)
    #expect(call.statuses.last == 480)
    world.expectNothingLeft(records: 1)
  }

  @Test("a 3xx leads to no stranger unless the script says so; one is told nothing but the From")
  func strangers() throws {
    for options in ["redirects = 3", "redirects = 3, redirect_to = 'anywhere'"] {
      let world = world(options)
      let phones = world.registered("1000", "1001")
      let stranger = RawPeer("203.0.113.60:5060", on: world.network)
      stranger.answer = { if $0.method == .invite { stranger.respond($0, 486) } }
      phones[1].script = moved("<sip:x@203.0.113.60?Route=%3Csip:198.18.0.1%3E>")
      let call = phones[0].call("1001")
      world.run(3)
      if options.contains("anywhere") {
        let invite = try #require(stranger.received.first)
        #expect(text(invite.requestURI.bytes) == "sip:x@203.0.113.60" && !invite.has(.route))
        #expect(!invite.has(.pAssertedIdentity) && !invite.has(.diversion) && !invite.has(.historyInfo))
        #expect(!invite.has(.authorization) && !invite.has(.proxyAuthorization))
        #expect(call.statuses.last == 486)
      } else {
        #expect(stranger.received.isEmpty && call.statuses.last == 480)
      }
      world.expectNothingLeft(records: 1)
    }
  }

  @Test("RFC 3261 §8.1.3.4: contacts of one q ring together, lower ones after them")
  func order() {
    let world = world("redirects = 5")
    let phones = world.registered("1000", "1001", "1002", "1003", "1004")
    phones[1].script = moved(
      "<sip:1004@nightjar.example>;q=0.2", "<sip:1002@nightjar.example>;q=0.8, <sip:1003@nightjar.example>;q=0.8")
    phones[2].script = PhoneScript([.respond(180), .respond(486, after: .seconds(3))])
    phones[3].script = PhoneScript([.respond(180), .respond(486, after: .seconds(2))])
    let call = phones[0].call("1001")
    world.run(1)
    #expect(phones[2].calls.count == 1 && phones[3].calls.count == 1 && phones[4].calls.isEmpty)
    world.run(5)
    #expect(call.statuses.last == 200 && phones[4].calls.count == 1)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("the script dials where the 3xx points: the trunk is told that it is a forwarded call")
  func byTheScript() throws {
    let world = world(
      "", after: "if r.status == 302 then r = call:dial('trunk/alpha/4930', { timeout = 20 }) end",
      trunks: [
        Trunk(
          name: "alpha", destination: Endpoint("\(World.addresses[2]):5060")!, host: World.addresses[2],
          transport: .udp, context: "trunk", sources: [])
      ])
    let phones = world.registered("1000", "1001")
    let alpha = world.phone("alpha")
    phones[1].script = moved("<sip:004930@nightjar.example>")
    let call = phones[0].call("1001")
    world.run(3)
    #expect(call.statuses.last == 200)
    let invite = try #require(alpha.calls[0].message)
    #expect(text(invite.first(.diversion)) == "<sip:1001@nightjar.example>;reason=unconditional;counter=1")
    #expect(invite.values(.historyInfo).count == 2)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }
}
