@testable import LuaRuntime
import Testing

@Suite struct AllocatorTests {
  static let script = """
    local shared = {}
    local helper = assert(load("local a, b = ... return a + b"))
    task('main', function(n, name)
      local call = setmetatable({ name = name }, { __index = function(_, k) return k .. "?" end })
      local inner = coroutine.wrap(function(x)
        local y = verb("inner", { x, deep = { 1, 2, 3 } })
        coroutine.yield(y)
        return "end"
      end)
      local r = inner(n)
      local text = ("%s-%d"):format(name, helper(n, 1)):gsub("%d", "<%0>")
      local good, e = pcall(function()
        local closed <close> = setmetatable({}, { __close = function() shared[#shared + 1] = text end })
        error({ text })
      end)
      local list = {}
      for i = 1, 20 do list[i] = { i, tostring(i) } end
      table.sort(list, function(a, b) return a[1] > b[1] end)
      local back = service({ list = list, text = text, r = r })
      xpcall(error, function(m) return m .. "!" end, "boom")
      return inner(), back, call.other, verb(table.concat({ "a", "b" }, ","))
    end)
    """

  enum Phase: CaseIterable { case creation, loading, running }

  /// One life of a machine, and how many allocations the phase took. Whatever fails, the machine works on behind it.
  static func life(_ phase: Phase, at: UInt64, count: UInt64) -> (outcome: Result<LuaStep, LuaFailure>, took: UInt64) {
    var took: UInt64 = 0
    do throws(LuaFailure) {
      let vm = try LuaVM(
        preludes: [("test", Array(Machine.prelude.utf8))], operations: ["verb", "service", "log"], limits: LuaLimits(),
        scriptDirectory: nil, failAllocation: phase == .creation ? (at, count) : (0, 0)
      ) { _, _, _, args, _ in .values(args.values) }
      let created = vm.allocations
      vm.failAllocation(at: phase == .loading ? at : 0, count: count)
      try vm.load(source: Array(script.utf8), name: "dialplan.lua")
      let loaded = vm.allocations
      vm.failAllocation(at: phase == .running ? at : 0, count: count)
      var (task, step) = vm.start(entry: "main", args: [1, "x"], group: 1)
      while case .asked(_, let args) = step { step = vm.resume(task, with: LuaFlat(args.values)) }
      task = .none
      switch phase {
      case .creation: took = created
      case .loading: took = loaded - created
      case .running: took = vm.allocations - loaded
      }
      vm.failAllocation(at: 0, count: 0)
      vm.endGroup(1)
      let (again, fresh) = vm.start(entry: "main", args: [1, "y"], group: 2)
      if case .asked = fresh {} else { Issue.record("after \(phase) \(at): \(fresh)") }
      #expect(vm.traceback(again).contains("dialplan.lua"))
      #expect(vm.close(again) == nil)
      #expect(vm.taskCount == 0)
      vm.shutdown()
      return (.success(step), took)
    } catch {
      return (.failure(error), took)
    }
  }

  @Test(
    "Every allocation may fail: no crash, no leak, and the machine goes on", arguments: Phase.allCases,
    [1, 2, UInt64.max])
  func everyAllocation(phase: Phase, count: UInt64) {
    let (outcome, allocations) = AllocatorTests.life(phase, at: 0, count: 0)
    guard case .success(.finished) = outcome else {
      Issue.record("without a failure: \(outcome)")
      return
    }
    #expect(allocations > 50)
    var failures = 0
    for k in 1...allocations {
      switch AllocatorTests.life(phase, at: k, count: count).outcome {
      case .success(.finished): break  // Lua collected and asked again, or could do without
      case .success(.failed(let failure)), .failure(let failure):
        failures += 1
        #expect(failure.kind == .memoryLimit, "\(phase) \(k): \(failure)")
      case .success(let step): Issue.record("\(phase) \(k): \(step)")
      }
    }
    #expect(count == 1 || failures > Int(allocations) / 2, "\(failures) of \(allocations)")
  }
}
