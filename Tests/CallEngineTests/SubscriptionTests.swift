@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// What the tests of events ask of a NOTIFY.
extension Message {
  var state: String { text(first(.subscriptionState)) ?? "" }
  var document: String { text(body) }
}

extension World {
  /// Subscriptions of all shards, and what they have taken.
  var subscriptions: Int { server.shards.reduce(0) { $0 + $1.eventState.subscriptions.count } }

  func expectNoSubscriptions(sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(subscriptions == 0, sourceLocation: sourceLocation)
    #expect(server.services.events.hub.subscriptionCount == 0, sourceLocation: sourceLocation)
    #expect(!server.services.events.hub.isWatched, sourceLocation: sourceLocation)
  }

  @discardableResult
  func subscribe(
    _ phone: ScriptedPhone, _ package: String, to user: String, expires: Int? = 600, headers: [String] = [],
    seconds: Double = 0.5
  ) -> PhoneRequest {
    let request = phone.request(
      .subscribe, user,
      headers: ["Event: \(package)"] + (expires.map { ["Expires: \($0)"] } ?? []) + headers)
    run(seconds)
    return request
  }
}

@Suite("RFC 6665: subscriptions")
struct SubscriptionTests {
  @Test("RFC 6665 §4.2.1.2: 200 with Expires and our Contact, then a NOTIFY at once", arguments: [1, 4])
  func accepted(shards: Int) throws {
    let world = World(shards: shards)
    let phone = world.registered("1000", "1001")[0]
    let subscribe = world.subscribe(phone, "presence;id=7", to: "1001")
    #expect(subscribe.statuses == [407, 200])
    #expect(subscribe.header("Expires") == "600" && subscribe.header("Contact") != nil)
    let notify = try #require(phone.notifications(of: subscribe).first)
    #expect(text(notify.first(.event)) == "presence;id=7")
    #expect(notify.state == "active;expires=600")
    #expect(text(notify.contentType) == "application/pidf+xml")
    #expect(notify.requestURI.user.map { text($0) } == "1000" && notify.has(.contact))
    let wire = world.ladder(phone)
    let accepted = try #require(wire.lastIndex(of: "< 200").map { wire[..<$0].lastIndex(of: "< 200") ?? $0 })
    #expect(try #require(wire.firstIndex(of: "< NOTIFY")) > accepted)
    world.subscribe(phone, "presence", to: "1001", expires: 0)
    phone.request(.subscribe, "1001", headers: ["Event: presence;id=7", "Expires: 0"], in: subscribe)
    world.expectNothingLeft()
    world.expectNoSubscriptions()
  }

  @Test(
    "RFC 6665 §4.2.1: what is refused, and how",
    arguments: [
      ("conference", "1001", 600, "", 489), ("Presence", "1001", 600, "", 489), ("presence", "1001", 10, "", 423),
      ("presence", "1001", 600, "Accept: application/sdp", 406), ("presence", "1999", 600, "", 404),
      ("presence", "sip:1001@elsewhere.example", 600, "", 404), ("presence", "2001", 600, "", 403),
      ("presence", "1001", 600, "Require: eventlist", 420),
      ("presence", "1001", 600, "Accept: text/plain, application/pidf+xml;q=0.5", 200),
      ("presence", "1001", 600, "Accept: application/*", 200),
    ])
  func refused(package: String, user: String, expires: Int, header: String, status: Int) {
    let world = World(users: [.init("1000"), .init("1001"), .init("2001", context: "other")])
    let phone = world.registered("1000")[0]
    let subscribe = world.subscribe(
      phone, package, to: user, expires: expires, headers: header.isEmpty ? [] : [header])
    #expect(subscribe.status == status)
    if status == 489 { #expect(subscribe.header("Allow-Events") == "reg, dialog, message-summary, presence") }
    if status == 423 { #expect(subscribe.header("Min-Expires") == "60") }
    #expect(world.subscriptions == (status == 200 ? 1 : 0))
  }

  @Test("RFC 6665 §6.4: who has no account, or comes by an access rule or a trunk, watches nobody")
  func strangers() {
    let world = World(
      open: ["192.0.2.200"],
      trunks: [
        Trunk(
          name: "alpha", destination: Endpoint("192.0.2.201:5060")!, host: "192.0.2.201", transport: .udp,
          context: "internal", sources: [SourceNetwork("192.0.2.201")!])
      ])
    for (address, status) in [("192.0.2.199:5060", 407), ("192.0.2.200:5060", 403), ("192.0.2.201:5060", 403)] {
      let peer = RawPeer(address, on: world.network)
      peer.request("SUBSCRIBE", callID: address, lines: ["Event: dialog", "Expires: 600"])
      world.run(1)
      #expect(peer.statuses == [status])
    }
    world.expectNoSubscriptions()
    world.expectNothingLeft()
  }

  @Test("RFC 6665 §4.2.1.2: refreshed, it lives on with the whole state; a longer time is cut", arguments: [1, 4])
  func refreshed(shards: Int) throws {
    let world = World(shards: shards)
    let phone = world.registered("1000")[0]
    let first = world.subscribe(phone, "reg", to: "1000", expires: 100_000)
    #expect(first.header("Expires") == "3600")
    world.run(3000)
    let again = phone.request(.subscribe, "1000", headers: ["Event: reg", "Expires: 1200"], in: first)
    world.run(1)
    #expect(again.statuses == [200])
    let notify = try #require(phone.notifications(of: first).last)
    #expect(notify.state == "active;expires=1200" && notify.document.contains("state=\"full\""))
    world.run(1100)
    #expect(world.subscriptions == 1)
    world.run(110)
    #expect(phone.notifications(of: first).last?.state == "terminated;reason=timeout")
    world.expectNoSubscriptions()
    let late = phone.request(.subscribe, "1000", headers: ["Event: reg", "Expires: 600"], in: first)
    world.expectNothingLeft()
    #expect(late.statuses == [481])
  }

  @Test("RFC 6665 §4.4.1: Expires 0 in the dialog ends it with one last NOTIFY", arguments: [1, 4])
  func unsubscribed(shards: Int) {
    let world = World(shards: shards)
    let phone = world.registered("1000", "1001")[0]
    let first = world.subscribe(phone, "dialog", to: "1001")
    let end = phone.request(.subscribe, "1001", headers: ["Event: dialog", "Expires: 0"], in: first)
    world.run(1)
    #expect(end.statuses == [200] && end.header("Expires") == "0")
    #expect(phone.notifications(of: first).map(\.state) == ["active;expires=600", "terminated;reason=timeout"])
    world.expectNoSubscriptions()
    world.expectNothingLeft()
  }

  @Test("RFC 6665 §4.4.3: a poll gets the state once", arguments: [1, 4])
  func polled(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001", "1002")
    phones[2].script = .ringOnly
    let call = phones[1].call("1002")
    world.run(1)
    let poll = world.subscribe(phones[0], "dialog", to: "1002", expires: 0, seconds: 1)
    #expect(poll.header("Expires") == "0")
    let notify = try #require(phones[0].notifications(of: poll).first)
    #expect(phones[0].notifications(of: poll).count == 1 && notify.state == "terminated;reason=timeout")
    #expect(notify.document.contains("<state>early</state>"))
    phones[1].hangUp(call)
    world.expectNothingLeft()
    world.expectNoSubscriptions()
  }

  @Test("RFC 6665 §4.2.2: a NOTIFY that is refused ends it", arguments: [481, 404, 603, 500])
  func notifyRefused(status: Int) {
    let world = World()
    let phone = world.registered("1000", "1001")[0]
    phone.answer = { $0.method == .notify ? status : 200 }
    world.subscribe(phone, "presence", to: "1001")
    world.expectNoSubscriptions()
    world.expectNothingLeft()
  }

  @Test("RFC 6665 §4.2.2: a NOTIFY that nobody answers ends it")
  func notifyUnanswered() {
    let world = World()
    let phone = world.registered("1000", "1001")[0]
    phone.answer = { _ in nil }
    let subscribe = world.subscribe(phone, "presence", to: "1001")
    #expect(subscribe.status == 200 && world.subscriptions == 1)
    world.run(33)
    world.expectNoSubscriptions()
  }

  @Test("Subscriptions of one user are bounded, over all shards", arguments: [1, 4])
  func bounded(shards: Int) {
    let world = World(shards: shards) { $0.events.maxSubscriptions = 3 }
    let phone = world.registered("1000", "1001")[0]
    let all = (0..<5).map { _ in world.subscribe(phone, "presence", to: "1001") }
    #expect(all.map(\.status) == [200, 200, 200, 403, 403])
    #expect(world.subscriptions == 3)
    phone.request(.subscribe, "1001", headers: ["Event: presence", "Expires: 0"], in: all[0])
    world.run(1)
    #expect(world.subscribe(phone, "presence", to: "1001").status == 200)
  }

  @Test("RFC 6665 §4.1.2.3: a server that drains tells its watchers to come again later")
  func drained() {
    let world = World()
    let phone = world.registered("1000", "1001")[0]
    let first = world.subscribe(phone, "presence", to: "1001")
    world.server.handle(.drain(drained: {}))
    world.run(1)
    #expect(phone.notifications(of: first).last?.state == "terminated;reason=probation;retry-after=10")
    let refused = world.subscribe(phone, "presence", to: "1001")
    #expect(refused.status == 503 && refused.header("Retry-After") != nil)
    world.expectNoSubscriptions()
    world.expectNothingLeft()
  }

  @Test("A reload keeps subscriptions; a user who is no more is watched no more", arguments: [1, 4])
  func reloaded(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001")
    let watch = world.subscribe(phones[0], "dialog", to: "1001")
    world.server.reload(World.plain)
    world.run(1)
    #expect(world.subscriptions == 1)
    phones[0].call("1001")
    world.run(3)
    #expect(phones[0].notifications(of: watch).last?.document.contains("<state>confirmed</state>") == true)
    let old = world.server.directory
    world.server.handle(
      .directory(Directory(users: [try #require(old.user(Array("1000".utf8)[...]))])))
    world.run(1)
    #expect(phones[0].notifications(of: watch).last?.state == "terminated;reason=noresource")
    world.expectNoSubscriptions()
  }

  @Test(
    "RFC 6665 §4.2.2: changes are gathered: one NOTIFY an interval, and the last one tells how it is",
    arguments: [1, 4])
  func gathered(shards: Int) throws {
    let world = World(World.dialling("{ timeout = 30, ringback = '180' }"), shards: shards)
    let phones = world.registered("1000", "1001", "1002")
    phones[2].script = .ringOnly
    let watch = world.subscribe(phones[0], "dialog", to: "1001")
    for _ in 0..<10 {
      let call = phones[1].call("1002")
      world.run(0.15)
      phones[1].hangUp(call)
      world.run(0.15)
    }
    world.run(2)
    let notifications = phones[0].notifications(of: watch)
    #expect(notifications.count >= 3 && notifications.count <= 7, "\(notifications.count)")
    let versions = notifications.indices.map { "version=\"\($0)\"" }
    #expect(zip(notifications, versions).allSatisfy { $0.document.contains($1) })
    let last = try #require(notifications.last?.document)
    #expect(!last.contains("<state>early</state>") && !last.contains("<state>trying</state>"))
  }

  @Test("RFC 6665 §4.2: over a network that loses a third it tells the truth in the end", arguments: [1, 2, 3, 4])
  func lossy(seed: UInt64) throws {
    let world = World(shards: seed % 2 == 0 ? 4 : 1, seed: seed, conditions: .mobile)
    let phones = world.registered("1000", "1001", "1002")
    let watch = world.subscribe(phones[0], "dialog", to: "1001", seconds: 20)
    #expect(watch.status == 200)
    let call = phones[1].call("1002")
    world.network.run(until: .seconds(40)) { call.state == .answered }
    world.run(10)
    #expect(phones[0].notifications(of: watch).last?.document.contains("<state>confirmed</state>") == true)
    phones[1].hangUp(call)
    world.run(40)
    let last = try #require(phones[0].notifications(of: watch).last)
    #expect(!last.document.contains("<state>confirmed</state>"))
    world.run(700)
    world.expectNoSubscriptions()
    world.expectNothingLeft()
  }
}
