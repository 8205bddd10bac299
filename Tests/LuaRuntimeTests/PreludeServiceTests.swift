import LuaRuntime
import Testing

@Suite struct PreludeServiceTests {
  @Test(
    "kv asks the host at once",
    arguments: [
      ("kv.get('a')", "kv_get", ["a"]),
      ("kv.set('a', {1, 2})", "kv_set", ["a", .array([1, 2])]),
      ("kv.set('a', false, {ttl=5})", "kv_set", ["a", false, 5]),
      ("kv.incr('a')", "kv_incr", ["a", 1]),
      ("kv.incr('a', -2.5, {ttl=1})", "kv_incr", ["a", -2.5, 1]),
      ("kv.incr('a', {ttl=1})", "kv_incr", ["a", 1, 1]),
      ("kv.cas('a', nil, 1)", "kv_cas", ["a", nil, 1]),
      ("kv.cas('a', 1, nil, {ttl=2})", "kv_cas", ["a", 1, nil, 2]),
      ("kv.delete('a')", "kv_delete", ["a"]),
    ] as [(String, String, [LuaValue])])
  func kv(call: String, op: String, args: [LuaValue]) throws {
    let telephone = try Telephone(invite: "return \(call)")
    let run = telephone.invite()
    #expect(run.failure == nil && run.asked.isEmpty)
    var told = try #require(telephone.world.told.first).args
    while told.last == .null { told.removeLast() }
    #expect(telephone.world.told.first?.op == op)
    #expect(told == args)
  }

  @Test(
    "Mistakes with services",
    arguments: [
      ("kv.get()", "kv.get: a key is a string of 1 to 512 bytes, not nil"),
      ("kv.get('')", "kv.get: a key is a string of 1 to 512 bytes, not \"\""),
      ("kv.set('a')", "kv.set: the value is nil; kv.delete(key) takes a key away"),
      ("kv.set('a', print)", "kv.set: a function cannot be kept"),
      ("kv.set('a', {b = print})", "argument 2 contains what is a function"),
      ("kv.set('a', 1, {tll=1})", "kv.set: unknown option 'tll' (did you mean 'ttl'?)"),
      ("kv.set('a', 1, {ttl=0})", "kv.set: option 'ttl' must be more than 0, not 0"),
      ("kv.incr('a', '1')", "kv.incr: its second argument must be a number, not \"1\""),
      ("log.info('x', 'y')", "log.info: its second argument is a table of fields, not \"y\""),
    ])
  func mistakes(body: String, message: String) throws {
    let failure = try Telephone.failure("return \(body)")
    #expect(failure.hasPrefix("dialplan.lua:2: ") && failure.contains(message), "\(failure)")
  }

  @Test("kv outcomes are values") func kvOutcome() throws {
    let telephone = try Telephone(
      invite: "local n, e = kv.incr('a') log.info('x', { n = tostring(n), kind = e.kind, text = tostring(e) })",
      replies: ["kv_incr": .values([nil, .record(["kind": "kv", "message": "'a' is no number"])])])
    #expect(telephone.invite().failure == nil)
    #expect(telephone.reports == [.record(["n": "nil", "kind": "kv", "text": "'a' is no number"])])
  }

  @Test("log takes anything, with its line") func log() throws {
    let telephone = try Telephone(
      invite:
        "log.debug('a')\nlog.warn(12, { n = 1, t = {}, call = call, b = false, [1] = 'x' })\nlog.error(nil)\nprint('p', 1)"
    )
    #expect(telephone.invite().failure == nil)
    let args = telephone.world.told.map(\.args)
    #expect(args[0] == ["debug", "a", nil, "dialplan.lua:2"])
    #expect(args[1][0] == "warn" && args[1][1] == "12" && args[1][3] == "dialplan.lua:3")
    #expect(
      args[1][2]["n"] == 1 && args[1][2]["call"] == "call call-1" && args[1][2]["b"] == false && args[1][2]["1"] == "x")
    #expect(args[1][2]["t"].asString?.hasPrefix("table: ") == true)
    #expect(args[2] == ["error", "nil", nil, "dialplan.lua:4"])
    #expect(args[3] == ["info", "p\t1", nil, "dialplan.lua:5"])
  }

  @Test("The clock is the host's") func clock() throws {
    let telephone = try Telephone(
      invite:
        "log.info('x', { now = now(), time = os.time(), date = os.date('!%Y-%m-%d'), uuid = uuid(), at = os.time{year=2024, month=1, day=1, hour=12} > 0 })"
    )
    #expect(telephone.invite().failure == nil)
    #expect(
      telephone.reports == [
        .record([
          "now": 1700000000.5, "time": 1_700_000_000, "date": "2023-11-14",
          "uuid": "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "at": true,
        ])
      ])
  }

  @Test(
    "json.decode",
    arguments: [
      ("1", "1"), ("-0.5e2", "-50"), (" [1, 2.5, \"x\"] ", "[1,2.5,\"x\"]"), ("{}", "{}"),
      ("{\"b\":1,\"a\":[true,false,null]}", "{\"a\":[true,false,null],\"b\":1}"),
      ("\"\\u00fc\\ud83d\\ude00\\n\\\"\\/\"", "\"ü😀\\n\\\"/\""), ("\"\"", "\"\""),
      ("9223372036854775807", "9223372036854775807"), ("9223372036854775808", "9.2233720368547758e+18"),
      ("1e400", "json.encode: inf is no number of JSON"),
      ("", "line 1, byte 1: the text ends too early"), ("[1,]", "line 1, byte 4: a value expected"),
      ("[1 2]", "',' or ']' expected"),
      ("{\"a\" 1}", "':' expected"), ("{a:1}", "a name in quotes expected"),
      ("{\"a\":1,}", "a name in quotes expected"), ("01", "no number"), ("-", "no number"), ("1.", "no number"),
      (".5", "a value expected"),
      ("1 2", "more text behind the value"), ("tru", "a value expected"), ("nullx", "a value expected"),
      ("\"abc", "a string without an end"), ("\"\\x\"", "an unknown escape"),
      ("\"\\ud800\"", "half of a surrogate pair"), ("\"\\udc00\"", "half of a surrogate pair"),
      ("\"\\u12\"", "four hexadecimal digits"), ("\"a\nb\"", "a control character in a string"),
      ("[1,\n\n x]", "line 3"), ("NaN", "a value expected"),
    ])
  func decode(text: String, expected: String) throws {
    let telephone = try Telephone(
      "on.invite(function(call) local v, e = json.decode(call.id) if e then assert(v == nil and e.kind == 'json') log.info(tostring(e)) else local ok, t = pcall(json.encode, v) log.info(t) end end)"
    )
    telephone.world.fields["id"] = .text(text)
    let run = telephone.invite()
    #expect(run.failure == nil, "\(run.failure?.message ?? "")")
    let got = telephone.world.told.first?.args[1].asString ?? ""
    #expect(
      got == expected || got.hasSuffix(expected) || (expected.hasPrefix("line") && got.contains(expected))
        || got.contains(": " + expected), "\(got)")
  }

  @Test(
    "json.encode raises for what is no JSON",
    arguments: [
      ("json.encode(print)", "json.encode: a function cannot be encoded"),
      ("json.encode{1, a=2}", "json.encode: a table has both a list and names"),
      ("json.encode{[1.5]=1}", "a key that is a number"),
      ("local t = {} t[1] = t json.encode(t)", "json.encode: a table contains itself"),
      ("json.encode('\\255')", "json.encode: a string is not UTF-8"), ("json.encode(0/0)", "is no number of JSON"),
      ("json.decode(1)", "json.decode takes a string, not 1"),
      ("local t = {} for i = 1, 70 do t = {t} end json.encode(t)", "json.encode: tables nest deeper than 64"),
    ])
  func encodeMistakes(body: String, message: String) throws {
    let failure = try Telephone.failure(body)
    #expect(failure.hasPrefix("dialplan.lua:2: ") && failure.contains(message), "\(failure)")
  }

  @Test("json: null, empty lists, control characters, deep and long text") func jsonEdges() throws {
    let telephone = try Telephone(
      invite: #"""
        local v = json.decode '{"a":null,"l":[]}'
        assert(v.a == json.null and #v.l == 0)
        assert(json.encode { json.null } == "[null]" and json.encode {} == "{}" and json.encode(json.array {}) == "[]")
        assert(json.encode("\0\31\127") == '"\\u0000\\u001f\\u007f"')
        assert(json.encode { a = 1.5, b = 1e15, c = 0.1, d = -0.0 } == '{"a":1.5,"b":1e+15,"c":0.1,"d":-0}')
        local v, e = json.decode(("["):rep(100))
        assert(v == nil and tostring(e):find("nested too deep"))
        local long = json.encode(("x"):rep(100000))
        assert(#json.decode(long) == 100000)
        """#)
    #expect(telephone.invite().failure == nil)
  }
}
