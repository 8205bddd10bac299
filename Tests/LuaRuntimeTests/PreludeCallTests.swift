import LuaRuntime
import Testing

@Suite struct PreludeCallTests {
  @Test("Fields are fetched when asked for, once; state each time") func fields() throws {
    let telephone = try Telephone(
      invite: """
        local function report(v) log.info("report", { v = v }) end
        report(call.id) report(call.context) report(call.generation)
        report(call.from.user .. call.from.user .. call.from.display) report(call.ruri.params.user)
        report(call.source.port) report(call.sdp.codecs[2]) report(call.contact == nil) report(call.source.trunk == nil)
        report(tostring(call)) report(call.state == "new")
        """)
    #expect(telephone.invite().failure == nil)
    #expect(
      telephone.reports.map { $0["v"] } == [
        "call-1", "internal", 3, "10001000Alice", "phone", 5060, "PCMU", true, true, "call call-1", true,
      ])
  }

  @Test(
    "Unknown names raise at the author's line and name the nearest",
    arguments: [
      ("return call.form", "dialplan.lua:2: call has no field or verb 'form' (did you mean 'from'?)"),
      ("call:anwser()", "dialplan.lua:2: call has no field or verb 'anwser' (did you mean 'answer'?)"),
      ("call:xyzzy()", "dialplan.lua:2: call has no field or verb 'xyzzy'"),
      ("return call.from.usr", "dialplan.lua:2: a call's address has no field 'usr' (did you mean 'user'?)"),
      ("return call.source.adress", "dialplan.lua:2: a call's source has no field 'adress'"),
      ("call.vras = 1", "dialplan.lua:2: call.vras cannot be assigned: keep your own data in a local or in call.vars"),
      ("call.dial('user/1')", "dialplan.lua:2: call.dial(…): a verb is called with a colon, call:dial(…)"),
      ("call.answer()", "dialplan.lua:2: call.answer(…): a verb is called with a colon, call:answer(…)"),
      ("call.headers.set('X', 'y')", "dialplan.lua:2: call.headers.set(…): call it with a colon, call.headers:set(…)"),
      ("return call:gather{}", "dialplan.lua:2: call:gather() comes with a later release"),
      ("return call:record()", "dialplan.lua:2: call:record() comes with a later release"),
      ("http.get('x')", "dialplan.lua:2: http.get comes with a later release"),
      ("return all{}", "dialplan.lua:2: all() comes with a later release"),
      ("return originate('x')", "dialplan.lua:2: originate() comes with a later release"),
      ("return kv.gte('x')", "dialplan.lua:2: kv has no 'gte' (did you mean 'get'?)"),
      ("return log.warning('x')", "dialplan.lua:2: log has no 'warning' (did you mean 'warn'?)"),
      ("return json.parse('x')", "dialplan.lua:2: json has no 'parse'"),
      ("on.invite(print)", "dialplan.lua:2: on.invite: handlers are registered while the script loads, not in a call"),
      ("return nothing.at_all", "dialplan.lua:2: attempt to index a nil value (global 'nothing')"),
    ])
  func unknownNames(body: String, message: String) throws {
    let failure = try Telephone.failure(body)
    #expect(failure.hasPrefix(message), "\(failure)")
  }

  @Test("Headers are read from the call and written for what goes on") func headers() throws {
    let telephone = try Telephone(
      invite: """
        local h = call.headers
        log.info("x", { v = h["X-Foo"] })
        h:set("X-A", 1) h:add("X-B", "two") h:remove("X-C")
        h["X-D"] = "four" h["X-E"] = nil
        for _, v in ipairs(h:all("Via")) do log.info("x", { v = v }) end
        """,
      replies: ["header_get": .values(["bar"]), "header_all": .values([.array(["a", "b"])])])
    #expect(telephone.invite().failure == nil)
    #expect(telephone.reports.map { $0["v"] } == ["bar", "a", "b"])
    #expect(
      telephone.world.told.filter { $0.op != "log" } == [
        .init(op: "header_get", args: [7, "X-Foo"]), .init(op: "header_set", args: [7, "X-A", "1"]),
        .init(op: "header_add", args: [7, "X-B", "two"]), .init(op: "header_remove", args: [7, "X-C"]),
        .init(op: "header_set", args: [7, "X-D", "four"]), .init(op: "header_remove", args: [7, "X-E"]),
        .init(op: "header_all", args: [7, "Via"]),
      ])
  }

  @Test(
    "Headers that would break a message are refused",
    arguments: [
      ("call.headers:set('Via', 'x')", "the header 'Via' is the server's own"),
      ("call.headers:set('l', 'x')", "the header 'l' is the server's own"),
      ("call.headers:set('X Y', 'x')", "\"X Y\" is not the name of a header"),
      ("call.headers:set('X', 'a\\r\\nY: b')", "a header's value cannot contain a line end"),
      ("call.headers:add('X', {})", "a header's value is a string, not a table"),
      ("call.headers:remove('Contact')", "the header 'Contact' is the server's own"),
      ("call:answer{headers={['Call-ID']='x'}}", "call:answer: the header 'Call-ID' is the server's own"),
      ("call:answer{headers={X='a\\nb'}}", "call:answer: a header's value cannot contain a line end"),
    ])
  func badHeaders(body: String, message: String) throws {
    let failure = try Telephone.failure(body)
    #expect(failure.contains(message), "\(failure)")
  }

  @Test("call.vars are kept, told to the host and shared by the tasks of a call") func vars() throws {
    let telephone = try Telephone(
      invite: """
        call.vars.a = 1 call.vars.b = "x" call.vars.a = nil call.vars.c = true
        local n = 0
        for k, v in pairs(call.vars) do n = n + 1 end
        log.info("x", { n = n, a = tostring(call.vars.a), b = call.vars.b })
        spawn(function(same) log.info("y", { same = same == call, b = same.vars.b }) end)
        """)
    #expect(telephone.invite().failure == nil)
    let spawned = try #require(telephone.world.told.first { $0.op == "spawn" })
    #expect(telephone.run("spawned", spawned.args).failure == nil)
    #expect(telephone.reports == [.record(["n": 2, "a": "nil", "b": "x"]), .record(["same": true, "b": "x"])])
    #expect(
      telephone.world.told.filter { $0.op == "var_set" }.map(\.args) == [
        [7, "a", 1], [7, "b", "x"], [7, "a", nil], [7, "c", true],
      ])
    #expect(try Telephone.failure("call.vars.x = {}").contains("variable 'x' must be a string, a number or a boolean"))
    #expect(try Telephone.failure("call.vars[1] = 1").contains("a variable's name is a string, not 1"))
  }

  @Test("A verb's outcome is passed on: true, or nil and an error value") func outcomes() throws {
    let telephone = try Telephone(
      invite: """
        local good = call:answer()
        local bad, e = call:play "x.wav"
        log.info("x", { good = good, bad = tostring(bad), kind = e.kind, side = e.side, text = tostring(e) })
        """)
    let run = telephone.invite(answers: [[true], [nil, .hangup]])
    #expect(run.failure == nil)
    #expect(
      telephone.reports == [
        .record([
          "good": true, "bad": "nil", "kind": "hangup", "side": "caller",
          "text": "the call has been hung up by the caller",
        ])
      ])
  }

  @Test("on_hangup: hooks run by index, unknown ones are nothing, a late one at once") func onHangup() throws {
    let telephone = try Telephone(
      invite: """
        call:on_hangup(function(h, c) log.info("first", { side = h.side, same = c == call }) end)
        call:on_hangup(function(h) log.info("second", { text = tostring(h) }) end)
        """)
    #expect(telephone.invite().failure == nil)
    #expect(telephone.run("hangup_hook", [7, 2, .hangup]).failure == nil)
    #expect(telephone.run("hangup_hook", [7, 1, .hangup]).failure == nil)
    #expect(telephone.run("hangup_hook", [7, 1, .hangup]).failure == nil)
    #expect(telephone.run("hangup_hook", [7, 9, .hangup]).failure == nil)
    #expect(
      telephone.reports == [
        .record(["text": "the call has been hung up by the caller"]), .record(["side": "caller", "same": true]),
      ])
    let late = try Telephone(
      invite: "call:on_hangup(function(h) log.info('late', { side = h.side }) end)",
      replies: ["on_hangup": .values([.hangup])])
    #expect(late.invite().failure == nil)
    #expect(late.reports == [.record(["side": "caller"])])
    #expect(
      try Telephone.failure("call:on_hangup(1)")
        == "dialplan.lua:2: call:on_hangup: its argument must be a function, not 1")
  }

  @Test("What was kept for a call is dropped with its group") func forget() throws {
    let telephone = try Telephone(
      """
      local seen = setmetatable({}, { __mode = "k" })
      on.invite(function(call) seen[call] = true call:on_hangup(print) call.vars.big = ("x"):rep(100000) end)
      on.timer(1, function() local n = 0 for _ in pairs(seen) do n = n + 1 end log.info("n", { n = n }) end)
      """)
    #expect(telephone.invite().failure == nil)
    telephone.vm.collectGarbage()
    _ = telephone.run("timer", [1])
    telephone.vm.endGroup(7)
    telephone.vm.collectGarbage()
    _ = telephone.run("timer", [1])
    #expect(telephone.reports == [.record(["n": 1]), .record(["n": 0])])
  }
}
