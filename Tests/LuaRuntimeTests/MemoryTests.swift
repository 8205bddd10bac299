import LuaRuntime
import Testing

@Suite struct MemoryTests {
  static let bombs = [
    "local t = {} while true do t[#t + 1] = {} end",
    "local s = 'x' while true do s = s .. s end",
    "local t = {} for i = 1, math.huge do t[i] = i end",
    "local t = {} for i = 1, math.huge do t[i .. ''] = true end",
    "local function f(n) return 1 + f(n + 1) end f(1)",
    "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
    "local t = {} while true do local c = coroutine.wrap(function() coroutine.yield() end) c() t[#t + 1] = c end",
    "local t = {} while true do t[#t + 1] = function() return t end end",
    "local t = {} local s = ('x'):rep(1000) while true do t[#t + 1] = s:upper() .. #t end",
    "local t = {} while true do t[#t + 1] = ('x'):rep(100000) end",
    "local t = {('x'):rep(100000)} for i = 1, 100 do t[i] = t[1] end for i = 1, 9 do t[1] = table.concat(t) end",
    "local s = ('x'):rep(60000) while true do s = s:gsub('.', '%0%0') end",
    "local s = '' while true do s = ('%s%s'):format(s, ('y'):rep(99999)) end",
    "local t = {} while true do t[#t + 1] = load('return 1') end",
    "local s = ('x = 1 '):rep(100000) local t = {} while true do t[#t + 1] = load(s) end",
    "local t = {} while true do t[#t + 1] = table.pack(service({1, 2, 3}, 'x')) end",
    "string.pack('c2000000000', 'x')",
    "local s = ('x'):rep(1000000) return s:byte(1, 65000), table.unpack({}, 1, 60000), s .. s .. s",
    "pcall(function() local t = {} while true do t[#t + 1] = {} end end)",
    "coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end)()",
    "local function f() return f() end f()",
  ]

  @Test("A script that eats memory is ended over its limit, and its neighbour does not notice", arguments: bombs)
  func bomb(body: String) throws {
    let machine = try Machine(
      "task('bomb', function() \(body) end) task('neighbour', function() return verb({'hello'}) end)", limits: .patient)
    let (task, _) = machine.vm.start(entry: "neighbour", group: 2)
    let failure = try #require(machine.run("bomb", group: 1).failure)
    #expect(failure.kind == .memoryLimit, "\(failure)")
    #expect(failure.message.contains("script limit"), "\(failure)")
    #expect(machine.vm.resume(task, with: ["world"]) == .finished(["world"]))
    machine.vm.endGroup(1)
    machine.vm.collectGarbage()
    #expect(machine.vm.memoryInUse < 1 << 20)
  }

  @Test(
    "A single result that could not fit is refused before it is made",
    arguments: [
      "string.rep('x', 1e9)", "('x'):rep(math.maxinteger)", "string.rep('x', 1e6, ('y'):rep(1e6))",
      "table.concat({}, 'x', 1, 1e9)", "table.unpack({}, 1, 1e7)", "table.move({}, 1, 3e7, 2)",
      "table.move({}, math.mininteger, math.maxinteger, 1)",
      "table.insert(setmetatable({}, {__len = function() return 1e15 end}), 1, 1)",
      "table.remove(setmetatable({}, {__len = function() return 1e15 end}), 1)",
      "table.sort(setmetatable({}, {__len = function() return 1e9 end}))",
      "local s = {} for i = 0, 62 do s[#s + 1] = '[1 << ' .. i .. '] = 1' end table.insert(load('return {' .. table.concat(s, ',') .. '}')(), 1, 1)",
      "('x'):rep(1e6):byte(1, -1)",
      "string.find(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(31))",
      "string.find(('a'):rep(3000), '(.-)(.-)(.-)(.-)b')",
      "string.gsub(('a'):rep(1e5), '(.-)(.-)(.-)b', '')",
    ])
  func refused(call: String) throws {
    let run = try Machine.run("local good, e = pcall(function() \(call) end) return good, e", limits: .patient)
    #expect(run.failure == nil)
    #expect(run.values.first == false)
    #expect(run.values.last?.asString?.hasPrefix("dialplan.lua:1: ") == true, "\(run.values)")
  }

  @Test("string.rep of nothing, any number of times, is nothing") func emptyRep() throws {
    #expect(
      try Machine.run("return (''):rep(1e15), ('').rep('', 5, ''), ('ab'):rep(2, '-')").values == ["", "", "ab-ab"])
  }

  @Test("Endless recursion is named") func recursion() throws {
    let failure = try #require(
      try Machine.run("local function f(n)\n return 1 + f(n + 1) end f(1)", limits: .patient).failure)
    #expect(failure.kind == .memoryLimit)
    #expect(failure.message.hasPrefix("dialplan.lua:2: "), "\(failure.message)")
    #expect(failure.message.contains("call each other without end"))
    #expect(failure.traceback.split(separator: "\n").count < 40)
  }

  @Test(
    "Recursion in C is an ordinary error",
    arguments: [
      "local function f() return ('x'):gsub('.', f) end f()",
      "return setmetatable({}, {__index = function(t, k) return t[k .. 'x'] end}).x",
      "local function f() coroutine.wrap(f)() end f()", "return ('('):rep(1000):find(('('):rep(1000))",
      "assert(load('return ' .. ('('):rep(1000)))",
    ])
  func recursionInC(body: String) throws {
    let run = try Machine.run("local good, e = pcall(function() \(body) end) return good")
    #expect(run.values == [false])
  }

  @Test("What a call holds is given back when it is collected") func givenBack() throws {
    let machine = try Machine(
      "task('main', function() local t = {} for i = 1, 1000 do t[i] = {} end verb() t = nil verb() end)",
      limits: .patient)
    let (task, _) = machine.vm.start(entry: "main", group: 9)
    machine.vm.collectGarbage()
    #expect(machine.vm.memory(ofGroup: 9) > 50_000)
    _ = machine.vm.resume(task)
    machine.vm.collectGarbage()
    #expect(machine.vm.memory(ofGroup: 9) < 5_000)
    #expect(machine.vm.memory(ofGroup: 8) == 0)
  }

  @Test("Garbage is not held against a call") func garbage() throws {
    let run = try Machine.run("for i = 1, 300 do local s = ('x'):rep(50000 + i) end return 'fine'", limits: .patient)
    #expect(run.values == ["fine"])
  }

  @Test("When the machine is full the call that holds the most is ended") func eviction() throws {
    var limits = LuaLimits.patient
    limits.memoryBytes = 3 << 20
    limits.callMemoryBytes = 3 << 20
    let machine = try Machine(
      "task('hold', function(n) local t = {} for i = 1, n do t[i] = ('x'):rep(10000) .. i end verb(#t) return #t end)",
      limits: limits)
    let (big, step) = machine.vm.start(entry: "hold", args: [150], group: 1)
    #expect(step == .asked(op: 0, args: [150]))
    let (small, _) = machine.vm.start(entry: "hold", args: [50], group: 2)
    let (other, last) = machine.vm.start(entry: "hold", args: [120], group: 3)
    #expect(last == .asked(op: 0, args: [120]))
    #expect(machine.vm.evictedGroups() == [1])
    #expect(machine.vm.evictedGroups() == [])
    guard case .failed(let failure) = machine.vm.resume(big) else { return #expect(Bool(false), "not evicted") }
    #expect(failure.kind == .memoryLimit)
    #expect(machine.vm.resume(small) == .finished([50]))
    #expect(machine.vm.resume(other) == .finished([120]))
  }

  @Test("What the host answers is charged when it is there, and too much of it ends the call") func hostAnswers() throws
  {
    let large = LuaValue.string(Array(repeating: 7, count: 1 << 20))
    let machine = try Machine(
      "task('once', function() return #service() end) task('hold', function() local t = {} for i = 1, 9 do t[i] = service() end end)",
      limits: .patient, reply: { _, _ in .values([large]) })
    #expect(machine.run("once", group: 1).values == [.integer(1 << 20)])
    #expect(machine.run("hold", group: 2).failure?.kind == .memoryLimit)
  }

  @Test("Blocks of every size keep what is in them while they grow and shrink, and all are given back") func sizes()
    throws
  {
    let machine = try Machine(
      """
      local function fill(n)
        local t = {}
        for i = 1, n do t[i] = i end
        for i = 1, n do assert(t[i] == i) end
        return t
      end
      task('main', function()
        local kept = {}
        for n = 1, 200 do kept[n] = { fill(n), ("x"):rep(n * 7), n } end
        for n = 2, 200, 2 do kept[n] = nil end
        for n = 1, 200 do kept[-n] = fill(n) end
        for n = 1, 199, 2 do
          assert(#kept[n][1] == n and kept[n][2] == ("x"):rep(n * 7) and kept[n][3] == n)
        end
        verb()
        kept = nil
        verb()
      end)
      """, limits: .patient)
    machine.vm.collectGarbage()
    let before = machine.vm.memoryInUse
    let (task, step) = machine.vm.start(entry: "main", group: 1)
    #expect(step == .asked(op: 0, args: []))
    #expect(machine.vm.memory(ofGroup: 1) > 200_000)
    _ = machine.vm.resume(task)
    machine.vm.collectGarbage()
    #expect(machine.vm.memory(ofGroup: 1) < 4_000)
    #expect(machine.vm.resume(task) == .finished([]))
    machine.vm.endGroup(1)
    machine.vm.collectGarbage()
    #expect(machine.vm.memoryInUse < before + 4_000)
  }

  @Test("Ten thousand suspended tasks take less than 3 KiB each") func suspendedTasks() throws {
    var limits = LuaLimits()
    limits.memoryBytes = 256 << 20
    let machine = try Machine(
      "task('main', function(h) local call = {h = h} local r = verb(h) return r, call end)", limits: limits)
    machine.vm.collectGarbage()
    let before = machine.vm.memoryInUse
    let tasks = (1...10_000).map { machine.vm.start(entry: "main", args: [.integer($0)], group: UInt64($0)).0 }
    machine.vm.collectGarbage()
    let each = (machine.vm.memoryInUse - before) / tasks.count
    #expect(each < 3072, "\(each) bytes")
    for task in tasks { _ = machine.vm.resume(task) }
    #expect(machine.vm.taskCount == 0)
  }
}
