@testable import CallEngine
import Logging
import Media
import NetCore
import SIPMessage
import TestSupport
import Testing

@Suite("Events and messages of scripts")
struct EventScriptTests {
  private static let reject = "on.invite(function(call) call:reject { status = 486 } end)\n"

  private func world(_ script: String, shards: Int = 1) -> World {
    World(
      EventScriptTests.reject + script, shards: shards,
      users: [.init("1000"), .init("1001"), .init("2001", context: "other")])
  }

  @Test("on.subscribe: who may watch is the script's word; without one the rule holds", arguments: [1, 4])
  func subscribe(shards: Int) {
    let world = world(
      """
      on.subscribe(function(req)
        log.info("asked", { event = req.event, of = req.ruri.user, by = req.source.user, context = req.context,
          expires = req.expires, agent = req.headers["x-agent"] or "none" })
        if req.event == "reg" then return req:reject { status = 404, text = "Not Here" } end
        if req.ruri.user == "2001" then req:accept { expires = 120 } end
      end)
      """, shards: shards)
    let phone = world.registered("1000")[0]
    #expect(world.subscribe(phone, "reg", to: "1001").status == 404)
    let other = world.subscribe(phone, "dialog", to: "2001", headers: ["X-Agent: a"])
    #expect(other.status == 200 && other.header("Expires") == "120")
    #expect(world.subscribe(phone, "presence", to: "1001").status == 200)
    #expect(world.subscribe(phone, "presence", to: "1999").status == 404)
    #expect(world.server.log.lines.contains { $0.metadata["lua.agent"] == "a" && $0.metadata["lua.by"] == "1000" })
    #expect(world.server.log.texts(.error) == [] && world.subscriptions == 2)
    world.run(700)
    world.expectNoSubscriptions()
    world.expectNothingLeft()
  }

  @Test("on.message: accepted, refused, sent elsewhere, or left to the rule", arguments: [1, 4])
  func message(shards: Int) throws {
    let world = world(
      """
      on.message(function(req)
        if req.body == "log" then return req:accept { status = 202 } end
        if req.body == "no" then return req:reject { status = 603, headers = { ["X-Why"] = "no" } } end
        if req.body == "fail" then error("oh") end
        if req.body == "twice" then
          assert(req:accept())
          local ok, err = req:reject()
          assert(ok == nil and err.kind == "state")
          return
        end
        if req.ruri.user == "sales" then
          local r = req:deliver { to = "user/1001", from = { user = "sales", display = "Sales" } }
          log.info("sent on", { ok = r.ok, status = r.status, stored = r.stored, type = req.content_type })
        end
      end)
      """, shards: shards)
    let phones = world.registered("1000", "1001")
    let statuses = ["log", "no", "fail", "twice", "plain"].map { world.send(phones[0], to: "1001", $0).status }
    #expect(statuses == [202, 603, 500, 200, 200] && phones[1].words == ["plain"])
    #expect(world.send(phones[0], to: "sales", "buy").status == 200)
    let last = try #require(phones[1].messages.last)
    #expect(last.document == "buy" && last.from.displayName == "Sales" && text(last.from.uri.user) == "sales")
    #expect(world.server.log.lines.contains { $0.metadata["lua.status"] == "200" && $0.metadata["lua.ok"] == "true" })
    world.expectNothingLeft()
  }

  @Test("message.send: to a user, kept for an absent one, to an address", arguments: [1, 4])
  func send(shards: Int) throws {
    let world = World(
      World.invite(
        """
        local a = message.send { to = "user/1001", from = "1000", body = "\\0\\1\\255", content_type = "application/x-b" }
        local b = message.send { to = "user/1002", body = "later", headers = { ["X-A"] = "b" } }
        local c = message.send { to = "user/nobody", body = "x" }
        local d = message.send { to = "sip:7@192.0.2.200", body = "out" }
        log.info("r", { a = a.status, b = b.status, stored = b.stored, c = c.status, d = d.status })
        call:reject { status = 486 }
        """), shards: shards)
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    peer.answer = { message in if message.isRequest { peer.respond(message, 200) } }
    let phones = world.registered("1000", "1001")
    let call = phones[0].call("600")
    world.run(3)
    #expect(call.status == 486 && world.server.log.texts(.error) == [])
    let line = try #require(world.server.log.lines.first { $0.text == "r" }?.metadata)
    #expect(line["lua.a"] == "200" && line["lua.b"] == "202" && line["lua.stored"] == "true")
    #expect(line["lua.c"] == "404" && line["lua.d"] == "200")
    #expect(phones[1].messages.map { Array($0.body) } == [[0, 1, 255]])
    #expect(phones[1].messages.map { text($0.contentType) } == ["application/x-b"])
    #expect(peer.received.map(\.document) == ["out"])
    _ = world.registered("1002")
    world.run(2)
    #expect(world.phones.last?.words == ["later"] && world.phones.last?.messages.first?.first(named: "X-A") != nil)
  }

  @Test("A handler that does not end is answered for, and closed; so is a flood of them")
  func slow() {
    let world = world("on.message(function(req) sleep(3600) end)")
    let phone = world.registered("1000")[0]
    let request = world.send(phone, to: "1001", "x", seconds: 26)
    #expect(request.status == 500)
    world.expectNothingLeft()
    #expect(world.server.shards[0].eventState.requests.count == 0)
  }

  @Test("A reload while a handler waits: it ends in its own generation")
  func reloaded() {
    let world = world("on.message(function(req) sleep(5) req:accept() end)")
    let phone = world.registered("1000")[0]
    let request = phone.request(.message, "1001", headers: ["Content-Type: text/plain"], body: [65])
    world.run(1)
    world.server.reload(World.plain)
    world.run(10)
    #expect(request.status == 200)
    world.expectNothingLeft()
  }

  // MARK: INFO

  private static let digits = World.invite(
    """
    call:on_dtmf(function(digit, info) log.info("digit", { d = digit, side = info.side, s = info.duration }) end)
    local r = call:dial("user/1001", { ringback = "180" })
    if not r.ok then call:reject { from = r } end
    """)

  @Test(
    "Digits in INFO pass the bridge, and the script hears them",
    arguments: [
      ("application/dtmf-relay", "Signal=5\r\nDuration=250\r\n", "5", "0.25"),
      ("application/dtmf-relay", "Signal= *\r\n", "*", "0.16"), ("application/dtmf", "11", "#", "0.16"),
      ("application/dtmf", "b", "B", "0.16"), ("application/dtmf", "16", nil, nil),
      ("application/dtmf-relay", "Signal=\r\nDuration=x", nil, nil), ("text/plain", "5", nil, nil),
    ] as [(String, String, String?, String?)])
  func info(type: String, body: String, digit: String?, duration: String?) {
    let world = World(EventScriptTests.digits)
    let phones = world.registered("1000", "1001")
    let call = phones[0].call("1001")
    world.run(3)
    phones[0].send(.info, in: call, headers: ["Content-Type: \(type)"], body: Array(body.utf8))
    world.run(1)
    #expect(phones[0].otherStatuses == [200])
    #expect(phones[1].requests.last.map { Array($0.body) } == Array(body.utf8))
    let line = world.server.log.lines.first { $0.text == "digit" }?.metadata
    #expect(line?["lua.d"] == digit && line?["lua.s"] == duration)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 4733: digits of either side are heard by the script")
  func events() throws {
    let world = World(EventScriptTests.digits)
    let phones = world.registered("1000", "1001")
    phones[0].call("1001")
    world.run(3)
    for (index, lease) in world.server.media.leased.enumerated() {
      world.server.media.emit(.dtmf(lease.port.id, UInt8(index + 9), durationMs: 100))
    }
    world.run(1)
    let heard = world.server.log.lines.filter { $0.text == "digit" }.map { $0.metadata["lua.d"] ?? "" }
    #expect(heard == ["9", "*"])
    #expect(Set(world.server.log.lines.compactMap { $0.metadata["lua.side"] }) == ["caller", "callee"])
  }

  @Test("RFC 6086 §4.2.2: an Info-Package that the other side has not asked for: 469 with what it takes")
  func packages() throws {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].extraHeaders = ["Recv-Info: p1, p2;x=1"]
    let call = phones[0].call("1001", headers: ["Recv-Info: mine"])
    world.run(3)
    #expect(phones[1].calls[0].message?.first(named: "Recv-Info").map { text($0) } == "mine")
    #expect(call.message?.first(named: "Recv-Info").map { text($0) } == "p1, p2;x=1")
    for name in ["P2", "unknown"] {
      phones[0].send(.info, in: call, headers: ["Info-Package: \(name)", "Content-Type: text/plain"], body: [65])
      world.run(1)
    }
    #expect(phones[0].otherStatuses == [200, 469])
    let refusal = try #require(phones[0].responses(to: .info).last)
    #expect(refusal.first(named: "Recv-Info").map { text($0) } == "p1, p2;x=1")
    let passed = phones[1].requests.filter { $0.method == .info }
    #expect(passed.count == 1 && passed.first?.first(named: "Info-Package").map { text($0) } == "P2")
    phones[1].send(.info, in: phones[1].calls[0], headers: ["Info-Package: mine"])
    world.run(1)
    phones[1].send(.info, in: phones[1].calls[0], headers: ["Info-Package: p1"])
    world.run(1)
    #expect(phones[1].otherStatuses == [200, 469])
  }
}
