import DialplanCheck
import LuaSyntax
import Testing

struct DialplanCheckTests {
  /// A small language; that of the server is made from its own table and tested with it.
  private static let language: Language = {
    var language = Language()
    let seconds = Language.Option(name: "timeout", type: "seconds", minimum: 0.001)
    language.verbs = [
      "dial": .init(
        arguments: [.init(name: "targets", type: "targets")],
        options: [
          seconds, .init(name: "ringback", type: "ringback"), .init(name: "media", type: "string", isLater: true),
          .init(name: "early_media", type: "string", values: ["none", "first"]),
          .init(name: "headers", type: "headers"),
        ]),
      "play": .init(arguments: [.init(name: "files", type: "files")], options: [.init(name: "loop", type: "boolean")]),
      "reject": .init(
        options: [
          .init(name: "status", type: "integer", minimum: 300, maximum: 699), .init(name: "cause", type: "cause"),
          .init(name: "from", type: "result"),
        ]),
      "tone": .init(
        arguments: [.init(name: "name", type: "string"), .init(name: "country", type: "string", isOptional: true)],
        options: [.init(name: "duration", type: "seconds")]),
      "answer": .init(options: [.init(name: "codecs", type: "strings")]), "park": .init(isLater: true),
      "on_hangup": .init(arguments: [.init(name: "fn", type: "function")]),
    ]
    language.fields = ["id": "string", "from": "address", "headers": "headers", "vars": "vars", "context": "string"]
    language.parts = ["address": ["user", "host"], "result": ["ok", "status", "cause"]]
    language.target = [seconds, .init(name: "delay", type: "seconds")]
    language.groups = [
      "hunt": [.init(name: "strategy", type: "string", values: ["weighted"])],
      "seq": [.init(name: "failover_on", type: "statuses")],
    ]
    language.handlers = ["invite", "load", "timer"]
    language.laterHandlers = ["message"]
    language.globals = [
      "on": ["invite", "load", "timer"], "router": nil, "seq": nil, "hunt": nil, "spawn": nil, "sleep": nil,
      "require": nil,
      "print": nil,
      "string": ["find", "format"], "kv": ["get", "set"], "log": ["info"], "tostring": nil, "pairs": nil, "pcall": nil,
    ]
    language.laterGlobals = ["sql"]
    language.causes = ["USER_BUSY", "NORMAL_CLEARING"]
    return language
  }()

  private func faults(_ text: String, modules: [String: String] = [:]) -> [String] {
    DialplanCheck.faults(
      in: ("d.lua", Array(text.utf8)), language: Self.language,
      surroundings: Surroundings(trunks: ["alpha", "beta"]) { $0 == "busy.wav" }
    ) { name in modules[name].map { ("\(name).lua", Array($0.utf8)) } }
    .map { "\($0.file):\($0.at.line):\($0.at.column): \($0.message)" }
  }

  @Test(
    "A name that the language does not have is told with the nearest that it has",
    arguments: [
      ("call:dail 'user/1'", "1:31: call has no verb 'dail' (did you mean 'dial'?)"),
      ("call:from()", "1:31: call.from is a field, not a verb"),
      ("call.dial(call, 'user/1')", "1:31: call.dial(…): a verb is called with a colon, call:dial(…)"),
      ("call:park(1)", "1:31: call:park() comes with a later release"),
      ("print(call.frm)", "1:37: call has no field or verb 'frm' (did you mean 'from'?)"),
      ("print(call.from.usr)", "1:42: a call's address has no field 'usr' (did you mean 'user'?)"),
      (
        "local r = call:dial 'user/1' print(r.stauts)",
        "1:63: a dial's result has no field 'stauts' (did you mean 'status'?)"
      ),
      ("call.note = 1", "1:31: call.note cannot be assigned: keep your own data in a local or in call.vars"),
      ("kv.gett 'x'", "1:29: kv has no 'gett' (did you mean 'get'?)"),
      ("lgo.info 'x'", "1:26: there is no global 'lgo' (did you mean 'log'?)"),
      ("sql.query()", "1:26: sql comes with a later release"),
    ])
  func names(line: String, fault: String) {
    #expect(faults("on.invite(function(call) \(line) end)") == ["d.lua:\(fault)"])
  }

  @Test(
    "Options are checked where they stand in the source",
    arguments: [
      ("call:dial('user/1', { timout = 5 })", "unknown option 'timout' (did you mean 'timeout'?)"),
      ("call:dial('user/1', { timeout = 0 })", "option 'timeout' must be more than 0, not 0"),
      ("call:dial('user/1', { timeout = '5' })", "option 'timeout' must be a number of seconds, not \"5\""),
      ("call:dial('user/1', { media = 'direct' })", "option 'media' comes with a later release"),
      (
        "call:dial('user/1', { early_media = 'frist' })",
        "option 'early_media' must be \"none\", \"first\" (did you mean 'first'?), not \"frist\""
      ),
      ("call:dial('user/1', 5)", "call:dial takes a table of options, not 5"),
      ("call:dial('user/1', { 5 })", "call:dial takes named options, not a list"),
      ("call:dial('user/1', { ringback = 'tune' })", "did you mean 'tone'?"),
      ("call:dial('user/1', { ringback = { play = 'none.wav' } })", "there is no sound file 'none.wav'"),
      ("call:dial('user/1', { ringback = { paly = 'busy.wav' } })", "unknown option 'paly' of ringback"),
      ("call:dial({ 'user/1', dealy = 5 })", "call:dial: target: unknown option 'dealy' (did you mean 'delay'?)"),
      ("call:dial('usr/1')", "\"usr/1\" is not a target"), ("call:dial('trunk/alpha')", "names no number"),
      ("call:dial('trunk/gamma/' .. call.id)", "there is no trunk 'gamma'"),
      (
        "call:dial(seq { 'trunk/alpa/1', 'user/1' })",
        "there is no trunk 'alpa' in the configuration (did you mean 'alpha'?)"
      ),
      (
        "call:dial(seq { 'user/1', failover = { 503 } })",
        "seq: unknown option 'failover' (did you mean 'failover_on'?)"
      ),
      ("call:play 'none.wav'", "there is no sound file 'none.wav'"),
      ("call:play { 'busy.wav', 'x.wav' }", "no sound file 'x.wav'"),
      ("call:reject { status = 200 }", "option 'status' must be from 300 to 699, not 200"),
      ("call:reject { cause = 'USER_BUZY' }", "(did you mean 'USER_BUSY'?), not \"USER_BUZY\""),
      ("call:reject { from = 486 }", "option 'from' must be the result of a dial, not 486"),
      ("call:tone('busy', { dura = 1 })", "call:tone: unknown option 'dura'"),
      ("call:answer { codecs = 8 }", "option 'codecs' must be a list of strings, not 8"),
    ])
  func options(line: String, fault: String) throws {
    let found = faults("on.invite(function(call) \(line) end)")
    #expect(found.count == 1)
    #expect(found.first?.contains(fault) == true, "\(found)")
  }

  @Test(
    "What is right, or cannot be told, is left alone",
    arguments: [
      "call:dial('user/' .. call.from.user, { timeout = 5 + 1, ringback = 180, headers = { ['X-A'] = 'b' } })",
      "call:dial { 'user/1', { 'trunk/alpha/1', timeout = 3 } } call:play('busy.wav', { loop = true })",
      "local t = os_or_not and 1 call:dial(t, t) call[t](call) print(call.headers['X-Any'], call.vars.any)",
      "local r = call:dial 'user/1' if not r.ok then call:reject { from = r } end r = 5 print(r.anything)",
      "local call = { dail = print } call.dail() call:dail() call.x = 1",
      "call:reject { cause = 17 } call:reject { cause = 'user_busy', status = 486, from = nil }",
      "local x = {} x.y, x[1] = 1, 2 function x.f() end local s = ('%d'):format(1) spawn(function(c) c:answer() end)",
      "call:dial('u' .. 'ser/1') call:dial(hunt { { 'user/1', weight = 3, timeout = 5 }, strategy = 'weighted' })",
      "call:tone('busy') call:tone('busy', 'us') call:tone('busy', { duration = 1 }) call:tone('busy', 'us', { duration = 1 })",
    ])
  func silence(line: String) {
    #expect(faults("os_or_not = 1 on.invite(function(call) \(line) end)") == [])
  }

  @Test("A call is known through functions, routers and hooks, also in another file")
  func flow() {
    let text = """
      local function ring(c, number) c:dail(number) end
      local function office(call, number) ring(call, number) end
      function lobby(caller) caller:anser() end
      on.invite(router { { "^1%d$", office }, { "200", function(a) a:plya 'busy.wav' end }, default = lobby })
      local extra = require "extra"
      """
    let module =
      "return { go = function(call) call:answer() call:on_hangup(function(h, c) c:nothing() end) call:paly() end }"
    #expect(
      faults(text, modules: ["extra": module]).map { String($0.prefix { $0 != "(" }) } == [
        "d.lua:1:34: call has no verb 'dail' ", "d.lua:3:31: call has no verb 'anser' ",
        "d.lua:4:64: call has no verb 'plya' ", "extra.lua:1:76: call has no verb 'nothing'",
        "extra.lua:1:96: call has no verb 'paly' ",
      ])
  }

  @Test("Globals: made while loading, not in a call, and never one of the language's")
  func globals() {
    let text = """
      LIMIT = 5
      function helper(call) count = (count or 0) + 1 end
      on.invite(function(call) helper(call) seen = LIMIT + limit end)
      kv = {}
      function string.trim(s) return s end
      print(string.trim " x ", string.tirm " x ")
      """
    #expect(
      faults(text).map { String($0.prefix(60)) } == [
        "d.lua:2:23: global 'count' cannot be assigned in a call: onc",
        "d.lua:3:39: global 'seen' cannot be assigned in a call: once",
        "d.lua:3:54: there is no global 'limit' (did you mean 'LIMIT'",
        "d.lua:4:1: 'kv' is a name of the language and cannot be assi", "d.lua:6:33: string has no 'tirm'",
      ])
  }

  @Test("Handlers: unknown, not built yet, registered twice")
  func handlers() {
    let text = """
      on.invte(print)
      on.message(print)
      on.invite(print)
      on.timer(1, print) on.timer(2, print)
      on.invite(print)
      on.load = print
      """
    #expect(
      faults(text) == [
        "d.lua:1:4: on has no handler 'invte' (did you mean 'invite'?)",
        "d.lua:2:4: on.message comes with a later release", "d.lua:5:4: on.invite: already registered at d.lua:3",
        "d.lua:6:4: on.load is called, not assigned: on.load(function(…) … end)",
      ])
  }

  @Test("Routes that nothing can reach, and those that match no number")
  func routes() {
    let text = """
      on.invite(router {
        { "100", print }, { "100", print },
        { "^1%d%d$", print },
        { "^15%d$", print },
        { "^9(%d+)$", print }, { "^9 ?%d+ $", print },
        { "^[2-4]", print }, { "^[5-8]", print }, { "^[3-6]%d", print },
        { "^%w%b()", print },
        defualt = print,
      })
      """
    #expect(
      faults(text) == [
        "d.lua:2:23: router: \"100\" is there twice, first at line 2",
        "d.lua:4:5: router: \"^15%d$\" is never reached: \"^1%d%d$\" at line 3 takes all that it would",
        "d.lua:5:28: router: \"^9 ?%d+ $\" can match no number",
        "d.lua:6:47: router: \"^[3-6]%d\" is never reached: the rules before it take all that it would",
        "d.lua:8:3: router: unknown option 'defualt' (did you mean 'default'?)",
      ])
  }

  @Test("A fault of syntax is told, and the other files are checked all the same")
  func syntax() {
    let found = faults(
      "local x = = 1", modules: [:])
    #expect(found == ["d.lua:1:11: unexpected '='"])
    let both = faults(
      "require 'broken' on.invite(function(call) call:dail() any() end)", modules: ["broken": "local function f("])
    #expect(
      both == [
        "broken.lua:1:18: a name expected near the end of the file",
        "d.lua:1:48: call has no verb 'dail' (did you mean 'dial'?)",
      ])
  }

  @Test("Functions that name each other do not send the check round in circles")
  func circles() {
    #expect(
      faults(
        "local a, b a = b b = a a = function(call) b(call) end b = function(call) a(call) call:dail() end on.invite(a)"
      ).count <= 1)
    #expect(
      faults("local r r = r on.invite(function(call) r = r print(r.x) local q = q q = q print(q.y) end)").count <= 2)
  }
}
