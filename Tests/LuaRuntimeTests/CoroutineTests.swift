import LuaRuntime
import Testing

@Suite struct CoroutineTests {
  @Test("A wait inside a coroutine passes outward, whatever lies between")
  func passesOutward() throws {
    let body = """
      local function level(n)
        if n == 0 then return verb("deep") end
        local inner = coroutine.create(level)
        local good, value = coroutine.resume(inner, n - 1)
        assert(good and coroutine.status(inner) == "dead")
        return value .. n
      end
      local good, value = pcall(function()
        local v <close> = setmetatable({}, { __close = function() end })
        return coroutine.wrap(level)(4)
      end)
      return value
      """
    let run = try Machine.run(body)
    #expect(run.asked == [["deep"]])
    #expect(run.values == ["deep1234"])
  }

  @Test("A script's own yields stay its own, between waits too") func ownYields() throws {
    let body = """
      local g = coroutine.wrap(function(a)
        local b = coroutine.yield(verb("one", a))
        local c, d = coroutine.yield(b, verb("two"))
        return c, d, verb("three")
      end)
      local w, x = g(1)
      local y, z = g(2)
      return w, x, y, z, g(3, 4)
      """
    let run = try Machine.run(body)
    #expect(run.asked == [["one", 1], ["two"], ["three"]])
    #expect(run.values == ["one", 1, 2, "two", 3, 4, "three"])
  }

  @Test("An iterator may wait") func iterator() throws {
    let body = """
      local sum = 0
      for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(verb(i)) end end) do sum = sum + v end
      return sum
      """
    #expect(try Machine.run(body).values == [6])
  }

  @Test("Waiting in metamethods and behind pcall, xpcall, tostring's neighbours is allowed where Lua can yield")
  func metamethods() throws {
    let body = """
      local t = setmetatable({}, { __index = function(_, k) return verb(k) end, __add = function() return verb("+") end,
        __call = function(_, x) return verb(x) end, __eq = function() return verb(true) end,
        __concat = function() return verb("..") end, __newindex = function(_, k) verb(k) end })
      local a = t.x
      t.y = 1
      local good, b = pcall(t, "called")
      local also, c = xpcall(verb, print, "handled")
      return a, t + 1, t .. 1, b, c, t == setmetatable({}, getmetatable(t))
      """
    #expect(try Machine.run(body).values == ["x", "+", "..", "called", "handled", true])
  }

  @Test(
    "Waiting where it is impossible is an error that says so by name",
    arguments: [
      ("('x'):gsub('x', function() verb() end)", "'verb' cannot wait in a function that 'gsub' calls"),
      ("table.sort({1, 2}, function() return verb() end)", "'verb' cannot wait in a function that 'sort' calls"),
      ("do local x <close> = setmetatable({}, {__close = function() verb() end}) end", "'verb' cannot wait in __close"),
      ("for i = 1, 2 do local x <close> = setmetatable({}, {__close = function() verb() end}) break end", "in __close"),
      (
        "coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function() verb() end}) end)()",
        "in __close"
      ),
      (
        "local x <close> = setmetatable({}, {__close = function() coroutine.wrap(verb)() end})",
        "'verb' cannot wait in __close"
      ),
      ("return tostring(setmetatable({}, {__tostring = function() return verb() end}))", "'verb' cannot wait in"),
      ("('x'):gsub('x', coroutine.wrap(function() verb() end))", "'verb' cannot wait in a function that"),
    ])
  func cannotWait(body: String, message: String) throws {
    let run = try Machine.run("\n" + body)
    let failure = try #require(run.failure)
    #expect(failure.message.hasPrefix("dialplan.lua:2: "), "\(failure.message)")
    #expect(failure.message.contains(message), "\(failure.message)")
    #expect(run.asked.isEmpty)
  }

  @Test("coroutine.close and <close>") func close() throws {
    let body = """
      local log = {}
      local function closing(name) return setmetatable({}, { __close = function(_, e) log[#log + 1] = name .. ":" .. tostring(e) end }) end
      local c = coroutine.create(function() local x <close> = closing("c") coroutine.yield() end)
      coroutine.resume(c)
      local closed = coroutine.close(c)
      local d = coroutine.create(function() local x <close> = closing("d") error("bad", 0) end)
      local _, e = coroutine.resume(d)
      local also, f = coroutine.close(d)
      local g = coroutine.wrap(function() local x <close> = closing("g") error("worse", 0) end)
      local _, h = pcall(g)
      return closed, e, also, f, h, coroutine.status(c), table.concat(log, " ")
      """
    #expect(try Machine.run(body).values == [true, "bad", false, "bad", "worse", "dead", "c:nil d:bad g:worse"])
  }

  @Test("status, running, isyieldable and dead coroutines are as in the manual") func manual() throws {
    let body = """
      local outer, main = coroutine.running()
      local seen = {}
      local c
      c = coroutine.create(function()
        seen[1] = coroutine.status(c)
        local _, inner_main = coroutine.running()
        seen[2] = inner_main
        seen[3] = coroutine.isyieldable()
        seen[4] = coroutine.status(outer)
        seen[5] = select(2, coroutine.resume(c))
      end)
      coroutine.resume(c)
      local good, message = coroutine.resume(c)
      return main, coroutine.isyieldable(), seen, good, message, pcall(coroutine.wrap(function() end))
      """
    let run = try Machine.run(body)
    #expect(
      run.values == [
        true, false,
        .array(["running", false, true, "normal", "cannot resume non-suspended coroutine"]), false,
        "cannot resume dead coroutine", true,
      ])
  }

  @Test("A coroutine that waits cannot be resumed by another task") func foreign() throws {
    let machine = try Machine(
      """
      local held
      task("a", function() held = coroutine.create(function() return verb("a") end) return coroutine.resume(held) end)
      task("b", function() return coroutine.status(held), pcall(coroutine.resume, held, "stolen") end)
      """)
    let (task, step) = machine.vm.start(entry: "a", group: 1)
    #expect(step == .asked(op: 0, args: ["a"]))
    #expect(
      machine.run("b", group: 2).values == ["normal", false, "dialplan.lua:3: the coroutine waits for the server"])
    #expect(machine.vm.resume(task, with: ["mine"]) == .finished([true, "mine"]))
  }

  @Test("Closing a task runs its handlers, which cannot wait, and their errors are told") func closeTask() throws {
    let machine = try Machine(
      """
      task("main", function(mode)
        local x <close> = setmetatable({}, { __close = function()
          service("closed")
          if mode == "wait" then verb() elseif mode == "loop" then while true do end end
        end })
        verb()
      end)
      """)
    let (quiet, _) = machine.vm.start(entry: "main", args: ["quiet"], group: 1)
    #expect(machine.vm.close(quiet) == nil)
    #expect(machine.calls.map(\.args) == [["closed"]])
    let (waits, _) = machine.vm.start(entry: "main", args: ["wait"], group: 2)
    #expect(machine.vm.close(waits)?.message == "dialplan.lua:4: 'verb' cannot wait in __close")
    let (loops, _) = machine.vm.start(entry: "main", args: ["loop"], group: 3)
    #expect(machine.vm.close(loops)?.kind == .cpuLimit)
    #expect(machine.vm.taskCount == 0)
    #expect(machine.vm.close(quiet) == nil)
    guard case .failed(let failure) = machine.vm.resume(quiet) else { return #expect(Bool(false)) }
    #expect(failure.kind == .notFound)
  }

  @Test("An uncaught error runs <close> handlers too") func closeOnError() throws {
    let machine = try Machine(
      "task('main', function() local x <close> = setmetatable({}, {__close = function(_, e) service(e) end}) error('x', 0) end)"
    )
    #expect(machine.run("main").failure?.message == "x")
    #expect(machine.calls.map(\.args) == [["x"]])
  }

  @Test("An error in a <close> handler behind an error is told with the traceback") func closeFails() throws {
    let run = try Machine.run("local x <close> = setmetatable({}, {__close = function() verb() end}) error('x')")
    #expect(run.failure?.message == "dialplan.lua:1: x")
    #expect(run.failure?.traceback.hasSuffix("in __close: dialplan.lua:1: 'verb' cannot wait in __close") == true)
    #expect(run.asked.isEmpty)
  }

  @Test("A group that ends drops its tasks without their handlers") func endGroup() throws {
    let machine = try Machine(
      "task('main', function() local x <close> = setmetatable({}, {__close = function() service() end}) verb() end)")
    let (task, _) = machine.vm.start(entry: "main", group: 1)
    machine.vm.endGroup(1)
    #expect(machine.calls.isEmpty && machine.vm.taskCount == 0)
    guard case .failed(let failure) = machine.vm.resume(task) else { return #expect(Bool(false)) }
    #expect(failure.kind == .notFound)
  }
}
