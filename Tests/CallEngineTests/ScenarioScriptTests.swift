@testable import CallEngine
import Logging
import LuaRuntime
import Media
import NetCore
import SIPMessage
import TestSupport
import Testing

/// How a script and its call end each other.
@Suite("Scenario: scripts")
struct ScenarioScriptTests {
  /// What a script left in `call.vars` of the last record.
  private func variable(_ world: World, _ name: String) -> JSONValue? {
    world.record?.vars.first { $0.name == name }?.value
  }

  /// A caller who is let in without credentials, and his call.
  private func call(_ script: String, answeredBy: Bool = false) -> (World, ScriptedPhone, PhoneCall) {
    let world = World(script)
    let phones = answeredBy ? world.registered("1000", "1001") : world.registered("1000")
    let call = phones[0].call("1001")
    world.run(1)
    return (world, phones[0], call)
  }

  @Test(
    "a hang-up at each verb that waits: it returns nil and the hang-up, so do all that follow",
    arguments: [
      ("call:wait()", true), ("call:wait { timer = 100 }", true), ("sleep(100)", true), ("call:echo()", true),
      ("call:play 'a.wav'", true), ("call:play('a.wav', { loop = true })", true), ("call:tone 'busy'", true),
      ("call:tone('busy', { duration = 100 })", true), ("call:tone('ringing', 'de')", false),
      ("call:play { 'a.wav', 'b.wav' }", false), ("call:wait()", false), ("sleep(100)", false),
    ])
  func hangup(verb: String, answered: Bool) {
    let (world, alice, call) = call(
      World.invite(
        """
        \(answered ? "call:answer()" : "")
        local ok, err = \(verb)
        call.vars.first = tostring(ok)
        call.vars.kind = err and err.kind
        call.vars.side = err and err.side
        local ok2, err2 = call:play "more.wav"
        local ok3, err3 = sleep(1)
        local ok4, err4 = call:answer()
        local r = call:dial "user/1001"
        call.vars.later = tostring(ok2) .. err2.kind .. tostring(ok3) .. err3.kind .. tostring(ok4) .. err4.kind
        call.vars.dial = r.ok == false and r.status .. r.by
        call.vars.state = call.state
        """))
    #expect(call.state == (answered ? .answered : .calling) || !answered)
    world.run(3)
    alice.hangUp(call)
    world.run(1)
    world.expectNothingLeft(records: 1, verb)
    #expect(variable(world, "first") == .string("nil"), "\(verb)")
    #expect(variable(world, "kind") == .string("hangup") && variable(world, "side") == .string("caller"), "\(verb)")
    #expect(variable(world, "later") == .string("nilhangupnilhangupnilhangup"), "\(verb)")
    #expect(variable(world, "dial") == .string("487caller"), "\(verb)")
    #expect(world.record?.scriptError == nil && world.record?.endedBy == .caller, "\(verb)")
  }

  @Test("a hang-up while dialling: the result says so", arguments: [true, false])
  func hangupInDial(ringing: Bool) {
    let world = World(
      World.invite(
        """
        local r = call:dial("user/1001", { timeout = 30 })
        call.vars.result = tostring(r.ok) .. r.status .. r.by
        call.vars.attempts = #r.attempts
        """))
    let phones = world.registered("1000", "1001")
    phones[1].script = ringing ? .ringOnly : .silent
    let call = phones[0].call("1001")
    world.run(3)
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(call.statuses.last == 487)
    #expect(variable(world, "result") == .string("false487caller") && variable(world, "attempts") == .integer(1))
  }

  @Test("after a hang-up 50 verbs, then the coroutine is closed quietly")
  func fiftyVerbs() {
    let (world, alice, call) = call(
      World.invite(
        """
        call:answer()
        call:wait()
        call.vars.n = 0
        while true do
          call:play "again.wav"
          call.vars.n = call.vars.n + 1
        end
        """))
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(variable(world, "n") == .integer(50))
    #expect(world.server.services.counters[.scriptsClosed] == 1 && world.server.services.counters[.scriptErrors] == 0)
    #expect(world.record?.scriptError == nil)
  }

  @Test("after a hang-up ten seconds, then whatever still runs is closed")
  func grace() {
    let (world, alice, call) = call(
      World.invite(
        """
        call:on_hangup(function() call.vars.hook = true; while true do pcall(sleep, 1) end end)
        call:answer()
        local n = 0
        spawn(function() while true do n = n + 1; kv.set("n", n); sleep(1) end end)
        call:wait()
        """))
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.run(9)
    world.run(3)
    #expect(world.server.records.all.count == 1)
    #expect(variable(world, "hook") == .bool(true))
  }

  @Test("`on_hangup`: the last registered first, with cause and side; registered late, it runs at once")
  func hooks() {
    let (world, alice, call) = call(
      World.invite(
        """
        call.vars.order = ""
        for i = 1, 3 do
          call:on_hangup(function(info)
            call.vars.order = call.vars.order .. i
            call.vars.info = info.kind .. info.side .. info.cause
          end)
        end
        call:answer()
        call:wait()
        call:on_hangup(function(info) call.vars.order = call.vars.order .. "late" .. info.side end)
        """))
    world.run(5)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    // The script that waits and the hooks are coroutines of their own: who goes first is not promised, the hooks' order is.
    guard case .string(let order)? = variable(world, "order") else {
      Issue.record("no order")
      return
    }
    #expect(order.replacing("latecaller", with: "") == "321" && order.contains("latecaller"))
    #expect(variable(world, "info") == .string("hangupcaller16"))
  }

  @Test("an error before the answer: 500; its file and line in the log and in the record")
  func errorBefore() throws {
    let (world, _, call) = call(World.invite("local x = nil\ncall:ring()\nreturn x.y"))
    #expect(call.statuses.last == 500)
    world.expectNothingLeft(records: 1)
    let error = try #require(world.record?.scriptError)
    #expect(error.contains("dialplan.lua:4:"))
    #expect(
      world.server.log.texts(.error).contains { $0.contains("dialplan.lua:4:") }, "\(world.server.log.texts(.error))")
    #expect(world.server.services.counters[.scriptErrors] == 1)
    #expect(world.record?.status == 500 && world.record?.endedBy == .system)
  }

  @Test("an error after the answer: BYE with a cause")
  func errorAfter() {
    let (world, _, call) = call(World.invite("call:answer()\nsleep(2)\nerror('no more')"))
    #expect(call.state == .answered)
    world.run(3)
    #expect(text(call.bye?.first(.reason))?.hasPrefix("Q.850;cause=41") == true)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.scriptError?.contains("no more") == true)
  }

  @Test("an error in a hook or a spawned task does not end anything else")
  func errorElsewhere() {
    let (world, alice, call) = call(
      World.invite(
        """
        call:on_hangup(function() error("in a hook") end)
        call:on_hangup(function() call.vars.other = true end)
        spawn(function() error("in a task") end)
        call:answer()
        call:wait()
        """))
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(world.server.services.counters[.scriptErrors] == 2 && variable(world, "other") == .bool(true))
  }

  @Test("a script that ends without an answer: 480, cause 31; with one: BYE, cause 16")
  func ends() {
    let (silent, _, refused) = call(World.invite("call:ring()"))
    #expect(refused.statuses.last == 480 && text(refused.message?.first(.reason))?.hasPrefix("Q.850;cause=31") == true)
    #expect(silent.server.log.texts(.warning).contains { $0.contains("without an answer") })
    silent.expectNothingLeft(records: 1)
    let (world, _, answered) = call(World.invite("call:answer()\nsleep(1)"))
    world.run(2)
    #expect(text(answered.bye?.first(.reason))?.hasPrefix("Q.850;cause=16") == true)
    world.expectNothingLeft(records: 1)
  }

  @Test(
    "reject: statuses, causes, texts, redirection",
    arguments: [
      ("{ status = 404, cause = 'UNALLOCATED_NUMBER' }", 404, "Q.850;cause=1;"),
      ("{ cause = 'USER_BUSY' }", 486, "Q.850;cause=17"),
      ("{ cause = 21 }", 603, "Q.850;cause=21"), ("{ status = 603 }", 603, "Q.850;cause=21"),
      ("{}", 480, "Q.850;cause="),
      ("{ contacts = { 'sip:2000@192.0.2.9' } }", 302, "Q.850;cause="),
    ])
  func reject(options: String, status: Int, reason: String) {
    let (world, _, call) = call(World.invite("call:reject(\(options))"))
    #expect(call.statuses.last == status)
    #expect(text(call.message?.first(.reason))?.hasPrefix(reason) == true)
    if status == 302 { #expect(text(call.message?.first(.contact)) == "<sip:2000@192.0.2.9>") }
    world.expectNothingLeft(records: 1)
  }

  @Test("RFC 3398: a callee's 401 is ours to deal with: the caller gets 502, the record has the original")
  func notForTheCaller() {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].script = .reject(401, headers: ["WWW-Authenticate: Digest realm=\"x\", nonce=\"y\""])
    let call = phones[0].call("1001")
    world.run(2)
    #expect(call.statuses.last == 502)
    world.expectNothingLeft(records: 1)
    #expect(world.record?.attempts.map(\.status) == [401])
  }

  @Test("CPU over the limit: 500 'script limit', and the neighbour does not notice")
  func cpuLimit() {
    let world = World(
      World.invite(
        """
        if call.ruri.user == "1002" then while true do end end
        call:answer()
        call:wait()
        """))
    let phones = world.registered("1000", "1003")
    let neighbour = phones[0].call("1001")
    world.run(1)
    let bad = phones[1].call("1002")
    world.run(2)
    #expect(bad.statuses.last == 500 && text(bad.message?.reasonPhrase) == "script limit")
    #expect(neighbour.state == .answered)
    phones[0].hangUp(neighbour)
    world.expectNothingLeft(records: 2)
    #expect(world.server.services.counters[.scriptLimits] == 1)
  }

  @Test("memory over the limit: 500 'script limit'")
  func memoryLimit() {
    let (world, _, call) = call(World.invite("local t = {}\nfor i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"))
    world.run(3)
    #expect(call.statuses.last == 500)
    world.expectNothingLeft(records: 1)
    #expect(world.server.services.counters[.scriptLimits] == 1)
  }

  @Test("100 tasks a call; the next spawn says so")
  func taskLimit() {
    let (world, alice, call) = call(
      World.invite(
        """
        local n = 0
        for i = 1, 200 do
          local ok, err = spawn(function() sleep(1000) end)
          if not ok then call.vars.kind = err.kind break end
          n = n + 1
        end
        call.vars.n = n
        call:answer()
        call:wait()
        """))
    #expect(call.state == .answered)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(variable(world, "n") == .integer(99) && variable(world, "kind") == .string("limit"))
  }

  @Test("kv crosses calls, shards and generations", arguments: [1, 4])
  func keyValue(shards: Int) {
    let script = World.invite("call.vars.n = kv.incr('calls')\ncall:reject { status = 486 }")
    let world = World(script, shards: shards)
    let alice = world.registered("1000")[0]
    for _ in 0..<6 {
      alice.call("1001")
      world.run(1)
    }
    world.server.reload(script)
    alice.call("1001")
    world.run(1)
    let seen = world.server.records.all.compactMap { $0.vars.first { $0.name == "n" }?.value }
    #expect(seen == (1...7).map { .integer($0) })
    world.expectNothingLeft(records: 7)
  }

  @Test("spawn: a task runs beside the call, and goes with it")
  func spawned() {
    let (world, alice, call) = call(
      World.invite(
        """
        spawn(function()
          while true do
            if not sleep(2) then call.vars.stopped = true return end
            kv.incr("ticks")
          end
        end)
        call:answer()
        call:wait()
        call.vars.ticks = kv.get("ticks")
        """))
    world.run(10)
    alice.hangUp(call)
    world.expectNothingLeft(records: 1)
    #expect(variable(world, "stopped") == .bool(true) && variable(world, "ticks") == .integer(5))
  }

  @Test("echo, play and tone: what the media plane is told, what the script is told")
  func audio() {
    let (world, _, call) = call(
      World.invite(
        """
        call.vars.play = call:play "early.wav"
        call:answer()
        call.vars.play2 = call:play { "a.wav", "b.wav" }
        call.vars.echo = call:echo { duration = 2 }
        call.vars.tone = call:tone("busy", "de", { duration = 3 })
        local ok, err = call:play "missing.wav"
        call.vars.failed = tostring(ok) .. err.kind
        """))
    func finish(_ end: PlaybackEnd) {
      for command in world.server.media.commands.reversed() {
        if case .play(let id, _, let token) = command {
          world.server.media.emit(.played(id, token: token, ended: end))
          break
        }
      }
      world.run(1)
    }
    #expect(call.statuses.contains(183) && !call.statuses.contains(200))
    finish(.finished)
    #expect(call.state == .answered)
    finish(.finished)
    world.run(6)
    finish(.failed("no such file"))
    world.expectNothingLeft(records: 1)
    #expect(variable(world, "play") == .string("finished") && variable(world, "play2") == .string("finished"))
    #expect(variable(world, "echo") == .string("finished") && variable(world, "tone") == .string("finished"))
    #expect(variable(world, "failed") == .string("nilmedia"))
    let names = world.server.media.commands.map(\.name)
    #expect(names.count { $0 == "echo" } >= 2 && names.contains("stopPlaying"))
  }

  @Test("headers that the script sets, adds and removes; its own identity for the callee")
  func headers() throws {
    let world = World(
      World.invite(
        """
        call.headers:set("X-One", "1")
        call.headers:remove("X-Away")
        call.headers:add("X-Two", "a")
        call.headers:add("X-Two", "b")
        local r = call:dial({ "user/1001", headers = { ["X-Leg"] = "yes" }, from = "4930123" }, { timeout = 20 })
        """))
    let phones = world.registered("1000", "1001")
    let call = phones[0].call("1001", headers: ["X-Away: 1", "X-Kept:  two  words", "Subject: hello"])
    world.run(3)
    let invite = try #require(phones[1].requests.first { $0.method == .invite })
    #expect(text(invite.first(named: "X-One")) == "1" && invite.first(named: "X-Away") == nil)
    #expect(invite.all(named: "X-Two").map { text($0) } == ["a", "b"])
    #expect(text(invite.first(named: "X-Kept")) == "two  words" && text(invite.first(.subject)) == "hello")
    #expect(text(invite.first(named: "X-Leg")) == "yes")
    #expect(text(invite.from.uri.user ?? []) == "4930123")
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }
}
