import LuaRuntime
import Testing

@Suite struct LimitTests {
  /// Each would run for ever.
  static let hangs = [
    "while true do end",
    "for i = 1, math.huge do end",
    "repeat until false",
    "::again:: goto again",
    "pcall(function() while true do end end)",
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(error, 'x') end",
    "xpcall(function() while true do end end, function() while true do end end)",
    "xpcall(error, function() while true do end end)",
    "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "coroutine.wrap(function() while true do end end)()",
    "pcall(coroutine.wrap(function() while true do end end))",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "local function nest() coroutine.wrap(nest)() end while true do pcall(nest) end",
    "while true do coroutine.wrap(function() for i = 1, 500 do end end)() end",
    "local function f(n) if n == 0 then for i = 1, 900 do end else for i = 1, 90 do coroutine.wrap(f)(n - 1) end end end f(9)",
    "do local x <close> = setmetatable({}, {__close = function() while true do end end}) end",
    "local x <close> = setmetatable({}, {__close = function() while true do end end}) error 'x'",
    "pcall(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) error 'x' end) while true do end",
    "local c = coroutine.create(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) coroutine.yield() end) coroutine.resume(c) coroutine.close(c)",
    "coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) error 'x' end)()",
    "return setmetatable({}, {__index = function() while true do end end}).x",
    "return setmetatable({}, {__add = function() while true do end end}) + 1",
    "return #setmetatable({}, {__len = function() while true do end end})",
    "return setmetatable({}, {__eq = function() while true do end end}) == setmetatable({}, {})",
    "for k in setmetatable({}, {__call = function() while true do end end}) do end",
    "return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
    "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "string.gsub('aaa', 'a', function() while true do end end)",
    "while true do pcall(string.gsub, 'aaa', 'a', function() while true do end end) end",
    "table.sort({3, 2, 1, 5, 4}, function() while true do end end)",
    "table.sort({3, 2, 1}, function(a, b) pcall(function() while true do end end) return a < b end) while true do end",
    "table.concat(setmetatable({}, {__index = function() while true do end end}), '', 1, 10)",
    "table.move(setmetatable({}, {__index = function() return 1 end}), 1, 1e6, 1, setmetatable({}, {__newindex = function() end}))",
    "load(function() while true do end end)",
    "local t = {} while true do t[1] = ('x'):rep(100000) end",
    "local s = ('x'):rep(300000) while true do s:upper() end",
    "local s = ('x'):rep(300000) while true do s:find('y') end",
    "local s = ('x'):rep(300000) while true do utf8.len(s) end",
    "local s = ('x'):rep(300000) while true do s:find('xy', 1, true) end",
    "while true do pcall(string.find, ('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40)) end",
    "while true do pcall(table.concat, {}, 'x', 1, 1e15) table.move({}, 1, 1e6, 2) end",
    "local t = {} for i = 1, 1e4 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, 1) end",
    "while true do local t = {} for i = 1, 50 do t[i] = i end end",
    "while true do service(1) end",
    "while true do print() end",
    "while true do load('return 1') end",
    "while true do tostring({}) end",
  ]

  @Test("A script that does not end is ended over its CPU limit, and its neighbour does not notice", arguments: hangs)
  func hang(body: String) throws {
    let machine = try Machine(
      "task('hang', function() \(body) end) task('neighbour', function() return pcall(verb, 'hello') end)")
    let (task, step) = machine.vm.start(entry: "neighbour", group: 2)
    #expect(step == .asked(op: 0, args: ["hello"]))
    let failure = try #require(machine.run("hang", group: 1).failure)
    #expect(failure.kind == .cpuLimit, "\(failure)")
    #expect(failure.message.contains("script limit"), "\(failure)")
    #expect(machine.vm.resume(task, with: ["world"]) == .finished([true, "world"]))
    // The call is over for good; the next one is not.
    let (_, again) = machine.vm.start(entry: "neighbour", group: 1)
    guard case .failed(let refused) = again else { return #expect(Bool(false), "\(again)") }
    #expect(refused.kind == .cpuLimit)
    machine.vm.endGroup(1)
    #expect(machine.run("neighbour", group: 1).values == [true, "hello"])
  }

  @Test("The message of a CPU limit names the line") func cpuLimitNamesLine() throws {
    let failure = try #require(try Machine.run("\n\n while true do end").failure)
    #expect(failure.message == "dialplan.lua:3: script limit: the call used too much CPU time")
    #expect(failure.line == 3)
    #expect(failure.traceback.contains("dialplan.lua:3"))
  }

  @Test("A long computation is sliced and goes on where it was") func slices() throws {
    var limits = LuaLimits.quick
    limits.callCPU = .seconds(20)
    let body = """
      local sum = 0
      local inner = coroutine.wrap(function(n) for i = 1, n do sum = sum + i end return 'done' end)
      local word = inner(300000)
      local good, other = pcall(function() for i = 1, 300000 do sum = sum + 1 end return 'too' end)
      return sum, word, good, other
      """
    let run = try Machine.run(body, limits: limits)
    #expect(run.values == [.integer(45_000_150_000 + 300_000), "done", true, "too"])
    #expect(run.slices > 0)
  }

  @Test("Many short steps are charged too") func shortSteps() throws {
    var limits = LuaLimits.quick
    limits.callCPU = .milliseconds(3)
    let failure = try Machine.run("while true do for i = 1, 20 do end verb() end", limits: limits).failure
    #expect(failure?.kind == .cpuLimit)
    #expect(failure?.line == 1)
  }

  @Test("A sort longer than a turn is not cut") func sortIsNotSliced() throws {
    var limits = LuaLimits.quick
    limits.callCPU = .seconds(20)
    let body = """
      local t = {} for i = 1, 20000 do t[i] = (i * 7919) % 20011 end
      table.sort(t, function(a, b) return a < b end)
      for i = 2, #t do if t[i - 1] > t[i] then return false end end
      return true
      """
    #expect(try Machine.run(body, limits: limits).values == [true])
  }

  @Test("CPU is charged to the call over all its steps and tasks") func charged() throws {
    let machine = try Machine("task('work', function() for i = 1, 20000 do end end)")
    var steps = 0
    var failure: LuaFailure?
    while failure == nil, steps < 10_000 {
      failure = machine.run("work", group: 5).failure
      steps += 1
    }
    #expect(failure?.kind == .cpuLimit)
    #expect(steps > 2)
    #expect(machine.run("work", group: 6).failure == nil)
  }

  @Test(
    "A breach cannot be caught",
    arguments: [
      "pcall(function() while true do end end) caught = true verb('caught')",
      "xpcall(function() while true do end end, function() verb('handler') end) verb('caught')",
      "string.gsub('a', 'a', function() while true do end end) verb('caught')",
      "pcall(string.gsub, 'a', 'a', function() while true do end end) service('caught')",
      "xpcall(string.gsub, function() service('handler') end, 'a', 'a', function() while true do end end)",
      "coroutine.resume(coroutine.create(function() while true do end end)) service('caught')",
      "coroutine.resume(coroutine.create(function() string.gsub('a', 'a', function() while true do end end) end)) service('caught')",
      "local x <close> = setmetatable({}, {__close = function() service('closed') end}) while true do end",
      "pcall(function() local t = {} while true do t[#t + 1] = {} end end) service('caught')",
      "pcall(string.gsub, 'a', 'a', function() local t = {} while true do t[#t + 1] = {} end end) service('caught')",
    ])
  func notCaught(body: String) throws {
    let machine = try Machine("task('main', function() \(body) end)")
    let run = machine.run("main")
    #expect(run.failure?.kind == .cpuLimit || run.failure?.kind == .memoryLimit)
    #expect(run.asked.isEmpty && machine.calls.isEmpty)
  }

  @Test("Loading is limited too", arguments: ["while true do end", "pcall(function() while true do end end)"])
  func loading(script: String) {
    #expect {
      _ = try Machine(script)
    } throws: { error in
      let failure = error as? LuaFailure
      return failure?.kind == .cpuLimit && failure?.message.hasPrefix("dialplan.lua:1: script limit: loading") == true
    }
  }

  @Test("Tasks of one call are limited") func tasks() throws {
    var limits = LuaLimits.quick
    limits.tasksPerCall = 3
    let machine = try Machine("task('main', function() verb() end)", limits: limits)
    let tasks = (0..<3).map { _ in machine.vm.start(entry: "main", group: 1).0 }
    guard case .failed(let failure) = machine.vm.start(entry: "main", group: 1).1 else {
      return #expect(Bool(false), "a fourth task was started")
    }
    #expect(failure.kind == .taskLimit)
    #expect(machine.vm.resume(tasks[0]) == .finished([]))
    let (_, step) = machine.vm.start(entry: "main", group: 1)
    #expect(step == .asked(op: 0, args: []))
  }
}
