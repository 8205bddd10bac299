import LuaRuntime
import Testing

@Suite struct ValueTests {
  @Test(
    "Values pass to the host and back unchanged",
    arguments: [
      [],
      [nil, nil],
      [true, false, 1, -7, 1.5],
      [.integer(.max), .integer(.min), .number(-.infinity)],
      ["", .string([0, 255, 10, 0]), .text("Grüße")],
      [.array([1, "two", .array([3.5]), .array([])])],
      [.table([(key: "a", value: 1), (key: 2.5, value: "x"), (key: 9, value: .array([false]))])],
    ] as [[LuaValue]])
  func roundTrip(values: [LuaValue]) throws {
    let machine = try Machine("task('main', function(...) verb(...) return service(...) end)")
    let run = machine.run("main", values, answer: { _ in [] })
    #expect(run.asked == [values])
    #expect(machine.calls.map(\.args) == [values])
    #expect(run.values == values)
  }

  @Test("NaN stays a number") func notANumber() throws {
    let run = try Machine.run("return 0/0, ...", [.number(.nan)])
    #expect(run.values.allSatisfy { $0.asDouble?.isNaN == true } && run.values.count == 2)
  }

  @Test("A list is an array, anything else a table, and an empty table is both")
  func arraysAndTables() throws {
    let run = try Machine.run("return {1, 2, 3}, {1, nil, 3, n = 3}, {}, {[0] = 1, 2}, {[2] = 'b', [1] = 'a'}")
    #expect(run.values[0] == .array([1, 2, 3]))
    #expect(run.values[1].entries?.count == 3)
    #expect(run.values[2].entries?.isEmpty == true && run.values[2].asArray?.isEmpty == true)
    #expect(run.values[3] == .table([(key: 0, value: 1), (key: 1, value: 2)]))
    #expect(run.values[4] == .array(["a", "b"]))
  }

  @Test(
    "What cannot leave Lua is an error at the author's line",
    arguments: [
      ("verb(print)", "dialplan.lua:1: argument 1 is a function, which cannot leave the script"),
      ("verb(1, {x = {coroutine.create(print)}})", "argument 2 contains what is a thread, which cannot"),
      ("local t = {} t.a = {t} verb(t)", "dialplan.lua:1: argument 1: a table contains itself"),
      ("local t = {} for i = 1, 33 do t = {t} end service(t)", "argument 1: tables nest deeper than 32"),
      ("verb(('x'):rep(1 << 19):rep(5))", "string.rep: the result would be larger"),
      ("local s = ('x'):rep(1000000) verb({s, s, s, s, s})", "argument 1 is too large: more than 4194304 bytes"),
      ("return print", "result 1 is a function"),
    ])
  func cannotLeave(body: String, message: String) throws {
    let failure = try #require(try Machine.run(body).failure)
    #expect(failure.kind == .runtime)
    #expect(failure.message.contains(message), "\(failure.message)")
  }

  @Test("A table that is in a list twice is no cycle") func sharedTable() throws {
    let run = try Machine.run("local t = {1} return {t, t}")
    #expect(run.values == [.array([.array([1]), .array([1])])])
  }

  @Test("A metatable is not consulted on the way out") func rawAccess() throws {
    let run = try Machine.run("return setmetatable({1}, {__index = error, __len = error, __pairs = error})")
    #expect(run.values == [.array([1])])
  }

  @Test("An error of the host is raised at the author's line, and can be caught") func hostRaises() throws {
    let machine = try Machine(
      "task('main', function()\n  local good, e = pcall(service)\n  service()\nend)",
      reply: { _, _ in .raise("no such thing") })
    let failure = try #require(machine.run("main").failure)
    #expect(failure.message == "dialplan.lua:3: no such thing")
    #expect(failure.file == "dialplan.lua" && failure.line == 3)
  }

  @Test("A host call knows the task and the group") func hostKnowsTask() throws {
    let machine = try Machine("service('load') task('main', function() service('run') end)")
    _ = machine.run("main", group: 42)
    #expect(machine.calls.map(\.group) == [0, 42])
    #expect(machine.calls[0].task == .none && machine.calls[1].task != .none)
  }

  @Test("A name of the host's crosses by its number, as key and as value") func names() throws {
    let vm = try LuaVM(
      preludes: [("test", Array("define('ask', host) entry('main', function(t) return host(0), t end)".utf8))],
      operations: ["get"], names: ["kind", "busy"], scriptDirectory: nil
    ) { _, _, _, _, reply in
      let table = reply.openTable()
      reply.name(0)
      reply.name(1)
      reply.text("free")
      reply.list(2)
      reply.integer(1)
      reply.null()
      reply.closeTable(table, entries: 2)
      return .written
    }
    try vm.load(source: [], name: "dialplan.lua")
    let (_, step) = vm.start(entry: "main", group: 1) { $0.name(1) }
    #expect(step == .finished([.table([(key: "kind", value: "busy"), (key: "free", value: .array([1]))]), "busy"]))
    let (_, unknown) = vm.start(entry: "main", group: 1) { $0.name(2) }
    guard case .failed(let failure) = unknown else { return #expect(Bool(false), "\(unknown)") }
    #expect(failure.message.contains("no name 2 is known"))
  }

  @Test("Arguments are read where they lie") func arguments() throws {
    let run = try Machine(
      "task('main', function() verb(7, {a = 'x', b = {1.0, true, {c = 2}}, [3] = 4}, nil, 2.5) end)")
    let (_, step) = run.vm.start(entry: "main", group: 1)
    guard case .asked(_, let values) = step else { return #expect(Bool(false), "\(step)") }
    #expect(values.count == 4 && values[0].asInt == 7 && values[3].asDouble == 2.5 && values[3].asInt == nil)
    #expect(values[2].isNull && values[4].isNull && values[4].asArray == nil)
    let table = values[1]
    #expect(table["a"].equals("x") && table["a"].asBytes == [120] && !table["a"].equals("xy"))
    #expect(table["b"].asArray?.first?.asInt == 1 && table["b"].asArray?[1].asBool == true)
    #expect(table["b"].asArray?.last?["c"].asInt == 2 && table["c"].isNull && values[0]["a"].isNull)
    var names: [String] = []
    table.forEachEntry { key, value in names.append(key.asString ?? "\(key.asInt ?? 0)=\(value.asInt ?? 0)") }
    #expect(names.sorted() == ["3=4", "a", "b"])
    #expect(values.values == [7, table.value, nil, 2.5])
  }

  @Test("What was handed over stays as it is when the machine goes on") func keptArguments() throws {
    let machine = try Machine("task('main', function() verb('first') verb('second') end)")
    let (task, step) = machine.vm.start(entry: "main", group: 1)
    #expect(machine.vm.resume(task) == .asked(op: 0, args: ["second"]))
    #expect(step == .asked(op: 0, args: ["first"]))
  }

  @Test("Positions are read off messages")
  func positions() {
    #expect(LuaFailure(kind: .runtime, message: "a/b.lua:12: x: y").line == 12)
    #expect(LuaFailure(kind: .runtime, message: "a/b.lua:12: x").file == "a/b.lua")
    #expect(LuaFailure(kind: .runtime, message: "no position: at all").line == nil)
    #expect(LuaFailure(kind: .runtime, message: ":7: x").file == nil)
  }
}
