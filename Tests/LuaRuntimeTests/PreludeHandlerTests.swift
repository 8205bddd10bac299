import LuaRuntime
import Testing

@Suite struct PreludeHandlerTests {
  @Test("The dialplan of the reference runs") func reference() throws {
    let script = """
      local internal = router {
        { "^(1%d%d%d)$", function(call, extension)
            local r = call:dial("user/" .. extension, { timeout = 20 })     -- ringback: the default policy
            if r.ok then return end                                         -- talked, and hung up
            if r.status == 486 then
              call:answer()
              call:play "busy.wav"
              return call:hangup { cause = "USER_BUSY" }
            end
            call:reject { from = r }                                        -- the callee's own status and Reason
          end },
        { "^9(%d+)$", function(call, number)
            local r = call:dial(seq { "trunk/alpha/" .. number, "trunk/beta/" .. number },
              { ringback = "passthrough", failover_on = { 408, 500, 502, 503, "timeout", "unreachable" } })
            if not r.ok then call:reject { from = r } end
          end },
        default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
      }
      on.invite(function(call)
        if call.context ~= "internal" then return call:reject { status = 403 } end
        return internal(call)
      end)
      """
    let telephone = try Telephone(script)
    let busy = telephone.invite(answers: [[.record(["ok": false, "status": 486])]])
    #expect(busy.failure == nil)
    #expect(busy.asked.map(\.op) == ["dial", "answer", "play", "hangup"])
    telephone.vm.endGroup(7)
    telephone.world.fields["ruri"] = .record(["user": "9030123"])
    let trunk = telephone.invite(answers: [[.record(["ok": true])]])
    #expect(trunk.asked.map(\.op) == ["dial"])
    #expect(trunk.asked.first?.args[1]["list"].asArray?.first == "trunk/alpha/030123")
    telephone.vm.endGroup(7)
    telephone.world.fields["ruri"] = .record(["user": "x"])
    #expect(telephone.invite().asked == [.init(op: "reject", args: [7, .record(["status": 404, "cause": 1])])])
    telephone.vm.endGroup(7)
    telephone.world.fields["context"] = "public"
    #expect(telephone.invite().asked == [.init(op: "reject", args: [7, .record(["status": 403])])])
  }

  @Test("handlers lists what the script registered") func handlers() throws {
    let telephone = try Telephone(
      "on.invite(print)\non.load(print)\non.timer(30, print)\non.timer(0.5, print)\n\non.unload(print)")
    let list = try #require(telephone.run("handlers", []).values.first?.asArray)
    let sorted = list.sorted { ($0["line"].asInt ?? 0) < ($1["line"].asInt ?? 0) }
    #expect(
      sorted == [
        .record(["name": "invite", "file": "dialplan.lua", "line": 1]),
        .record(["name": "load", "file": "dialplan.lua", "line": 2]),
        .record(["name": "timer", "index": 1, "seconds": 30, "file": "dialplan.lua", "line": 3]),
        .record(["name": "timer", "index": 2, "seconds": 0.5, "file": "dialplan.lua", "line": 4]),
        .record(["name": "unload", "file": "dialplan.lua", "line": 6]),
      ])
    #expect(try Telephone("").run("handlers", []).values.first?.asArray?.isEmpty == true)
  }

  @Test("load, unload and timers run what was registered") func entries() throws {
    let telephone = try Telephone(
      """
      on.load(function(g) log.info("x", { load = g }) end)
      on.unload(function(g) log.info("x", { unload = g }) end)
      on.timer(1, function() log.info("x", { timer = sleep(1) }) end)
      """)
    for (entry, argument) in [("load", 4), ("unload", 4), ("timer", 1), ("timer", 9)] as [(String, LuaValue)] {
      #expect(telephone.run(entry, [argument]).failure == nil)
    }
    #expect(telephone.reports == [.record(["load": 4]), .record(["unload": 4]), .record(["timer": true])])
  }

  @Test(
    "Mistakes while the script loads",
    arguments: [
      ("on.invite(print)\non.invite(print)", "dialplan.lua:2: on.invite: already registered at dialplan.lua:1"),
      ("on.invite()", "dialplan.lua:1: on.invite takes a function, not nil"),
      ("on.invte(print)", "dialplan.lua:1: on has no handler 'invte' (did you mean 'invite'?)"),
      ("on.register(print)", "dialplan.lua:1: on.register comes with a later release"),
      ("on.record(print)", "dialplan.lua:1: on.record comes with a later release"),
      ("function on.invite() end", "dialplan.lua:1: on.invite is called, not assigned"),
      ("on.timer(0, print)", "dialplan.lua:1: on.timer: its first argument must be a number of seconds, not 0"),
      ("on.timer(print)", "dialplan.lua:1: on.timer: its first argument must be a number of seconds, not a function"),
      ("sleep(1)", "dialplan.lua:1: 'sleep' cannot wait while the script is loaded"),
      ("spawn(print)", "dialplan.lua:1: spawn cannot be used while the script loads"),
      ("http = 1", "dialplan.lua:1: 'http' is a name of the language and cannot be assigned"),
      ("kv.get = 1", "dialplan.lua:1: kv.get cannot be assigned"),
      ("router()", "dialplan.lua:1: router takes a table of rules, not nil"),
      ("router { '100' }", "dialplan.lua:1: router: rule 1 must be { \"number or pattern\", function }"),
      ("router { {'100', print}, {'100', print} }", "dialplan.lua:1: router: rule 2: \"100\" is there twice"),
      ("router { {'^(1', print} }", "dialplan.lua:1: router: rule 1: \"^(1\": a '(' without its ')'"),
      ("router { {'[', print} }", "dialplan.lua:1: router: rule 1: \"[\": missing ']'"),
      ("router { {'^1%', print} }", "dialplan.lua:1: router: rule 1: \"^1%\": it ends with '%'"),
      ("router { {'^(1)%2', print} }", "it refers to capture %2, which is none"),
      ("router { {'^1)', print} }", "a ')' without its '('"), ("router { {'%f1', print} }", "missing '[' after '%f'"),
      ("router { {'%bx', print} }", "missing arguments to '%b'"),
      ("router { defualt = print }", "dialplan.lua:1: router: unknown option 'defualt' (did you mean 'default'?)"),
      ("router { default = 1 }", "dialplan.lua:1: router: default must be a function, not 1"),
    ])
  func mistakes(script: String, message: String) throws {
    do throws(LuaFailure) {
      _ = try Telephone(script)
      Issue.record("it was loaded")
    } catch {
      #expect(error.message.hasPrefix("dialplan.lua:") && error.message.contains(message), "\(error.message)")
    }
  }

  @Test("A call without on.invite is a failure") func noInvite() throws {
    #expect(try Telephone("").invite().failure?.message == "the script has no on.invite")
  }

  @Test(
    "router: exact numbers first, then patterns in order, then the default; captures are passed on",
    arguments: [
      ("100", "exact 100"), ("*97", "star *97"), ("+4930123", "plus +4930123"), ("1001", "first 1 001"),
      ("2001", "second 2001"), ("x", "default x"), ("", "default "),
    ])
  func router(number: String, expected: String) throws {
    let telephone = try Telephone(
      """
      local function say(word) return function(call, ...) log.info(table.concat({ word, ... }, " ")) end end
      local route = router {
        { "^(1)(%d+)$", say "first" }, { "^[12]%d%d%d$", say "second" }, { "100", say "exact" }, { "*97", say "star" },
        { "+4930123", say "plus" }, default = say "default",
      }
      on.invite(function(call) route(call) route(call, "100") end)
      """)
    telephone.world.fields["ruri"] = .record(["user": .text(number)])
    #expect(telephone.invite().failure == nil)
    #expect(telephone.world.told.map { $0.args[1].asString } == [expected, "exact 100"])
  }
}
