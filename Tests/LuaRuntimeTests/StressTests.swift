import Testing

@testable import LuaRuntime

@Suite struct StressTests {
  static let script = """
    local shared = {}
    local kinds = {
      function(n) return verb(n) end,
      function(n) for i = 1, 5 do local t = { verb(i) } end end,
      function(n) while true do end end,
      function(n) local t = {} while true do t[#t + 1] = { n } end end,
      function(n) coroutine.wrap(function() for i = 1, 3 do coroutine.yield(verb(i)) end while true do end end)() end,
      function(n) local w = coroutine.wrap(function() while true do coroutine.yield(verb(n)) end end) for i = 1, 4 do w() end end,
      function(n) local x <close> = setmetatable({}, { __close = function() service(n) end }) verb() error { n } end,
      function(n) local x <close> = setmetatable({}, { __close = function() while true do end end }) verb() end,
      function(n) ("x"):rep(n):gsub("x", function() if n % 3 == 0 then while true do end end end) end,
      function(n) pcall(string.rep, "x", 1 << 30) verb(("x"):rep(n * 100)) service(("y"):rep(n * 100)) end,
      function(n) shared[n] = { verb(n) } end,
      function(n) local function f() return 1 + f() end f() end,
      function(n) local held = {} for i = 1, n do held[i] = ("z"):rep(1000) .. i end verb() end,
      function(n) xpcall(function() table.sort({ 3, 2, 1 }, function() while true do end end) end, function() while true do end end) end,
    }
    task("main", function(kind, n) return kinds[kind % #kinds + 1](n) end)
    """

  @Test("A day of bad calls leaves nothing behind", arguments: [1, 2, 3] as [UInt64])
  func badDay(seed: UInt64) throws {
    var limits = LuaLimits()
    limits.burst = .microseconds(200)
    limits.callCPU = .milliseconds(2)
    limits.callMemoryBytes = 200_000
    limits.memoryBytes = 1_500_000
    limits.tasksPerCall = 4
    let machine = try Machine(Self.script, limits: limits)
    let vm = machine.vm
    vm.collectGarbage()
    let before = vm.memoryInUse
    var state = seed
    func random(_ n: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % n
    }
    var tasks: [(task: LuaTask, sliced: Bool)] = []
    for _ in 0..<6000 {
      if random(40) == 0 { vm.failAllocation(at: 1 + random(50), count: 1 + random(3)) }
      var step: LuaStep
      var task: LuaTask
      if tasks.isEmpty || random(3) == 0 {
        let args: LuaFlat = [.integer(Int64(random(1000))), .integer(Int64(random(60)))]
        (task, step) = vm.start(entry: "main", args: args, group: 1 + random(12))
      } else {
        let index = Int(random(UInt64(tasks.count)))
        let sliced: Bool
        (task, sliced) = tasks.remove(at: index)
        if random(10) == 0 {
          _ = vm.close(task)
          continue
        }
        if random(10) == 0 { _ = vm.traceback(task) }
        step = vm.resume(task, with: sliced ? [] : [.text(String(repeating: "v", count: Int(random(200))))])
      }
      switch step {
      case .asked: tasks.append((task, false))
      case .sliced: tasks.append((task, true))
      case .finished, .failed: break
      }
      for group in vm.evictedGroups() { vm.endGroup(group) }
      if random(30) == 0 { vm.endGroup(1 + random(12)) }
    }
    vm.failAllocation(at: 0, count: 0)
    for (task, _) in tasks { _ = vm.close(task) }
    for group in 1...12 { vm.endGroup(UInt64(group)) }
    #expect(vm.taskCount == 0)
    vm.collectGarbage()
    #expect(vm.memoryInUse < before + 200_000, "\(vm.memoryInUse) of \(before)")
    #expect(machine.run("main", [0, 7], group: 99).values == [7])
  }
}
