@testable import LuaRuntime
import Testing

@Suite struct AllocatorTests {
  static let script = """
    local shared = {}
    local helper = load("local a, b = ... return a + b")
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

  /// One life of a machine. Nil: there was no machine, or its script did not load.
  static func life(at: UInt64, count: UInt64, phase: Phase) -> Result<LuaStep, LuaFailure> {
    do throws(LuaFailure) {
      let vm = try LuaVM(
        preludes: [("test", Array(Machine.prelude.utf8))], operations: ["verb", "service", "log"], limits: LuaLimits(),
        scriptDirectory: nil, failAllocation: phase == .creation ? (at, count) : (0, 0)
      ) { _, _, _, args in .values(args) }
      if phase == .loading { vm.failAllocation(at: at, count: count) }
      try vm.load(source: Array(script.utf8), name: "dialplan.lua")
      if phase == .running { vm.failAllocation(at: at, count: count) }
      var (task, step) = vm.start(entry: "main", args: [1, "x"], group: 1)
      while case .asked(_, let args) = step { step = vm.resume(task, with: args) }
      task = .none
      vm.failAllocation(at: 0, count: 0)
      // Whatever happened, the machine works on.
      vm.endGroup(1)
      let (again, fresh) = vm.start(entry: "main", args: [1, "y"], group: 2)
      guard case .asked = fresh else { Issue.record("after \(phase) \(at): \(fresh)"); return .success(step) }
      #expect(vm.traceback(again).contains("dialplan.lua"))
      #expect(vm.close(again) == nil)
      #expect(vm.taskCount == 0)
      vm.shutdown()
      return .success(step)
    } catch {
      return .failure(error)
    }
  }

  enum Phase: CaseIterable { case creation, loading, running }

  @Test(
    "Every allocation may fail: no crash, no leak, and the machine goes on", arguments: Phase.allCases,
    [1, 2, UInt64.max])
  func everyAllocation(phase: Phase, count: UInt64) {
    var k: UInt64 = 0
    var successes = 0
    // A run that no longer reaches its k-th allocation has seen them all.
    while successes < 3, k < 20_000 {
      k += 1
      switch AllocatorTests.life(at: k, count: count, phase: phase) {
      case .success(.finished): successes += count == 1 && phase != .creation ? 0 : 1
      case .success(.failed(let failure)), .failure(let failure):
        successes = 0
        #expect(failure.kind == .memoryLimit, "\(phase) \(k): \(failure)")
      case .success(let step): Issue.record("\(phase) \(k): \(step)")
      }
      if count == 1, phase != .creation, k > 3000 { break }
    }
    #expect(k > 20)
  }
}
