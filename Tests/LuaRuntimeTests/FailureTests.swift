import LuaRuntime
import Testing

@Suite struct FailureTests {
  @Test(
    "Every error begins with the author's file and line",
    arguments: [
      ("return fail('x')", 2), ("local a = nil\nreturn a.b", 3), ("return verb(print)", 2),
      ("local function f()\n return fail('x')\nend\nreturn f()", 3),
      ("coroutine.wrap(function()\n fail('x') end)()", 3),
      ("pcall(fail, 'y')\nreturn (fail 'x')", 3),
      ("return (function(...) return fail(...) end)('x')", 2),
      ("for _ = 1, 1 do\n if true then return fail 'x' end end", 3),
      ("error('x')", 2), ("local t <close> = 1", 2), ("return string.rep()", 2),
    ])
  func position(body: String, line: Int) throws {
    let failure = try #require(try Machine("task('main', function()\n\(body)\nend)").run("main").failure)
    #expect(failure.file == "dialplan.lua" && failure.line == line, "\(failure.message)")
    #expect(failure.traceback.contains("dialplan.lua:\(line)"), "\(failure.traceback)")
    #expect(!failure.traceback.contains("[nightjar]"))
  }

  @Test("A tail call keeps the frame of its caller") func tailCalls() throws {
    let machine = try Machine(
      """
      local function last(...) fail("here") end
      local function middle(...) return last(...) end
      task("main", function()
        return middle(1, 2)
      end)
      task("count", function(n)
        local function many(...) return select("#", ...), ... end
        local function pass(...) return many(...) end
        return pass(n, nil, n)
      end)
      """)
    let failure = try #require(machine.run("main").failure)
    for line in 1...2 { #expect(failure.traceback.contains("dialplan.lua:\(line):")) }
    #expect(failure.traceback.contains("dialplan.lua:4:"))
    #expect(!failure.traceback.contains("tail call"))
    #expect(machine.run("count", [5]).values == [3, 5, nil, 5])
  }

  @Test(
    "Whatever is thrown has a message",
    arguments: [
      ("error('text', 0)", "text"), ("error({message = 'in a table'})", "in a table"),
      ("error({})", "the error is a table without a message"), ("error()", "nil"), ("error(7)", "7"),
      ("error(setmetatable({}, {__tostring = function() return 'by tostring' end}))", "by tostring"),
      ("error(setmetatable({}, {__tostring = function() error('again', 0) end}))", "again"),
      ("error(true)", "true"),
    ])
  func thrown(body: String, message: String) throws {
    #expect(try Machine.run(body).failure?.message == message)
  }

  @Test("A suspended task can be traced") func traceback() throws {
    let machine = try Machine(
      "local function menu()\n  verb('x')\nend\ntask('main', function()\n  menu()\nend)")
    let (task, _) = machine.vm.start(entry: "main", group: 1)
    #expect(
      machine.vm.traceback(task) == "dialplan.lua:2: in upvalue 'menu'\ndialplan.lua:5: in function <dialplan.lua:4>")
    machine.vm.close(task)
    #expect(machine.vm.traceback(task) == "")
  }

  @Test("An entry that nobody registered") func noEntry() throws {
    let failure = try #require(try Machine("").run("main").failure)
    #expect(failure.kind == .notFound)
  }

  @Test("An error in a prelude names it") func prelude() {
    #expect {
      _ = try LuaVM(
        preludes: [("broken", Array("\nundefined()".utf8))], operations: [], scriptDirectory: nil,
        host: { _, _, _, _, _ in .none })
    } throws: {
      ($0 as? LuaFailure)?.message == "[nightjar] broken:2: prelude: 'undefined' is not defined"
    }
    #expect {
      _ = try LuaVM(
        preludes: [("ops", Array("return OP.missing".utf8))], operations: ["there"], scriptDirectory: nil,
        host: { _, _, _, _, _ in .none })
    } throws: {
      ($0 as? LuaFailure)?.message == "[nightjar] ops:1: no operation is named 'missing'"
    }
  }
}
