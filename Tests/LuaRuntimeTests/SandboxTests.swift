import LuaRuntime
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct SandboxTests {
  @Test(
    "What is not in the sandbox is not there",
    arguments: [
      "io", "debug", "package", "dofile", "loadfile", "warn", "os.execute", "os.remove", "os.rename", "os.getenv",
      "os.exit", "os.tmpname", "os.setlocale", "string.dump", "host", "ask", "OP", "entry", "define", "tag",
    ])
  func absent(name: String) throws {
    #expect(try Machine.run("return \(name) == nil").values == [true])
  }

  @Test(
    "What should be in it is",
    arguments: [
      "assert", "error", "getmetatable", "setmetatable", "ipairs", "pairs", "next", "pcall", "xpcall", "rawequal",
      "rawget", "rawset", "rawlen", "require", "select", "tonumber", "tostring", "type", "print", "load",
      "string.format",
      "table.concat", "math.floor", "utf8.char", "coroutine.wrap", "os.time", "os.date", "os.clock", "string.gsub",
    ])
  func present(name: String) throws {
    #expect(try Machine.run("return type(\(name))").values == ["function"])
  }

  @Test(
    "Globals are frozen behind the load, by every way",
    arguments: [
      ("counter = 1", "dialplan.lua:1: global 'counter' cannot be assigned in a call"),
      ("new = 1", "dialplan.lua:1: global 'new' cannot be assigned in a call"),
      ("_G.counter = 1", "global 'counter' cannot be assigned in a call"),
      ("_ENV.counter = 1", "global 'counter' cannot be assigned in a call"),
      ("rawset(_G, 'counter', 1)", "dialplan.lua:1: global 'counter' cannot be assigned in a call"),
      ("function counter() end", "global 'counter' cannot be assigned in a call"),
      ("string.trim = 1", "dialplan.lua:1: string.trim cannot be assigned in a call"),
      ("rawset(table, 'x', 1)", "table.x cannot be assigned in a call"),
      ("load('counter = 1')()", "global 'counter' cannot be assigned in a call"),
      ("coroutine.wrap(function() counter = 1 end)()", "dialplan.lua:1: global 'counter' cannot be assigned"),
      ("for k, v in pairs(_G) do _G[k] = 1 end", "cannot be assigned"),
      ("setmetatable(_G, nil)", "cannot change a protected metatable"),
      ("setmetatable(string, nil)", "cannot change a protected metatable"),
      ("setmetatable('', {})", "table expected"),
      ("getmetatable('').__index = {}", "attempt to index a string value"),
      ("table.insert(_G, 1)", "global '1' cannot be assigned"),
      ("collectgarbage()", "collectgarbage: only 'count' is available"),
      ("setmetatable({}, {__gc = print})", "dialplan.lua:1: __gc is not available"),
      ("coroutine.yield()", "dialplan.lua:1: coroutine.yield outside a coroutine"),
      ("coroutine.close(coroutine.running())", "a call's own coroutine belongs to the server"),
      ("coroutine.resume((coroutine.running()))", "a call's own coroutine belongs to the server"),
      ("require 'x'", "modules are loaded with the script, not in a call"),
    ])
  func frozen(body: String, message: String) throws {
    let machine = try Machine(
      "counter = 0 task('main', function() \(body)\nend) task('read', function() return counter end)")
    let failure = try #require(machine.run("main").failure)
    #expect(failure.kind == .runtime)
    #expect(failure.message.contains(message), "\(failure.message)")
    #expect(machine.run("read").values == [0])
  }

  @Test("While it loads a script may define globals, but not the names of the language") func whileLoading() throws {
    let machine = try Machine(
      """
      limit = 3
      function helper() return limit end
      string.trim = function(s) return s:match("^%s*(.-)%s*$") end
      task("main", function() return helper(), ("  x "):trim(), rawget(_G, "limit"), _G.limit, _VERSION end)
      """)
    #expect(machine.run("main").values == [3, "x", 3, 3, "Lua 5.4"])
    for name in ["pcall", "verb", "string", "_G"] {
      #expect {
        _ = try Machine("\n\(name) = 1")
      } throws: {
        ($0 as? LuaFailure)?.message == "dialplan.lua:2: '\(name)' is a name of the language and cannot be assigned"
      }
    }
  }

  @Test("Bytecode is not loaded") func bytecode() throws {
    #expect(throws: LuaFailure.self) { _ = try Machine("\u{1b}Lua") }
    let run = try Machine.run(#"return load("\27Lua"), load("return 1", "x", "b"), load("return 1", "x", "bt")()"#)
    #expect(run.values == [nil, nil, 1])
  }

  @Test("load takes text, an environment and a reader, and gives syntax errors as values") func load() throws {
    let run = try Machine.run(
      """
      local f = load("x = 1 return x, y", "chunk", "t", { y = 2 })
      local parts = { "return ", "7" }
      local g = load(function() return table.remove(parts, 1) end)
      local bad, message = load("x x", "=text")
      local a, b = f()
      return a, b, g(), bad, message
      """)
    #expect(run.values == [1, 2, 7, nil, "text:1: syntax error near 'x'"])
  }

  @Test("A syntax error tells file and line; a first line with #! and a BOM are skipped") func syntax() throws {
    #expect {
      _ = try Machine("local x = 1\nlocal y = = 2")
    } throws: { error in
      let failure = error as? LuaFailure
      return failure?.kind == .syntax && failure?.file == "dialplan.lua" && failure?.line == 2
    }
    #expect(try Machine("\u{feff}#!/usr/bin/lua\ntask('main', function() return 1 end)").run("main").values == [1])
  }

  @Test("A runtime error while loading has its line and a traceback") func loadError() {
    #expect {
      _ = try Machine("local function f()\n  error 'no'\nend\nf()")
    } throws: { error in
      let failure = error as? LuaFailure
      return failure?.message == "dialplan.lua:2: no"
        && failure?.traceback.contains("dialplan.lua:4: in main chunk") == true
    }
  }

  @Test("print goes to the log with its line") func printing() throws {
    let machine = try Machine("task('main', function()\n print('a', 1, nil) end)", reply: { _, _ in .none })
    _ = machine.run("main")
    #expect(machine.calls.map(\.args) == [["info", "a\t1\tnil", nil, "dialplan.lua:2"]])
  }

  @Test("What a verb cannot do while the script loads is said by name") func waitWhileLoading() {
    for script in ["verb()", "pcall(verb) verb()", "coroutine.wrap(verb)()"] {
      #expect {
        _ = try Machine(script)
      } throws: {
        ($0 as? LuaFailure)?.message == "dialplan.lua:1: 'verb' cannot wait while the script is loaded"
      }
    }
  }

  // MARK: require

  static let files: [(String, String)] = [
    ("one.lua", "local name, file = ... return { name = name, file = file }"),
    ("lib/two.lua", "shared = (shared or 0) + 1 return function() return shared end"),
    ("lib/pack/init.lua", "return 'pack'"), ("nothing.lua", ""),
    ("loop_a.lua", "require 'loop_b'"), ("loop_b.lua", "require 'loop_a'"),
    ("broken.lua", "local x =\n= 1"), ("raises.lua", "\nerror 'inside'"),
    ("../outside.lua", "return 'outside'"),
  ]

  private func withFolder(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/nightjar-require-XXXXXX".utf8CString)
    let root = try #require(mkdtemp(&template).map { String(cString: $0) })
    let folder = root + "/scripts"
    for path in [folder, folder + "/lib", folder + "/lib/pack"] { mkdir(path, 0o700) }
    for (name, text) in Self.files {
      let file = try #require(fopen(folder + "/" + name, "w"))
      fputs(text, file)
      fclose(file)
    }
    symlink("../outside.lua", folder + "/link.lua")
    symlink("one.lua", folder + "/inner.lua")
    symlink("../..", folder + "/up")
    defer {
      for name in Self.files.map(\.0) + ["link.lua", "inner.lua", "up"] { unlink(folder + "/" + name) }
      for path in [folder + "/lib/pack", folder + "/lib", folder, root] { rmdir(path) }
    }
    try body(folder)
  }

  @Test("require reads modules of the script's folder, once") func require() throws {
    try withFolder { folder in
      let machine = try Machine(
        """
        local one, two, again = require "one", require "lib.two", require "lib/two"
        local pack, nothing, inner = require "lib.pack", require "nothing", require "inner"
        task("main", function()
          return one.name, one.file, two(), two == again, pack, nothing, inner.file, require("one") == one
        end)
        """, directory: folder)
      #expect(machine.run("main").values == ["one", "one.lua", 1, true, "pack", true, "inner.lua", true])
    }
  }

  @Test(
    "require does not leave the script's folder",
    arguments: [
      ("../outside", "named from the script's folder downwards"), ("lib/../../outside", "downwards"),
      ("..outside", "downwards"), ("/etc/passwd", "downwards"), ("lib..two", "downwards"),
      ("link", "module 'link' not found"), ("up/outside", "not found"),
      ("missing", "no missing.lua and no missing/init.lua"),
      ("one\\0", "not the name of a module"), ("", "not the name of a module"),
      ("lib//two", "not the name of a module"),
      ("~/one", "not the name of a module"), ("one;rm", "not the name of a module"),
      ("loop_a", "module 'loop_a' requires itself: loop_a → loop_b → loop_a"),
      ("broken", "broken.lua:2: unexpected symbol"),
      ("raises", "raises.lua:2: inside"),
    ])
  func escapes(name: String, message: String) throws {
    try withFolder { folder in
      do throws(LuaFailure) {
        _ = try Machine("require('\(name)')", directory: folder)
        Issue.record("'\(name)' was loaded")
      } catch {
        #expect(error.message.contains(message), "\(error.message)")
      }
    }
  }

  @Test("Without a folder there is nothing to require") func noFolder() {
    #expect(throws: LuaFailure.self) { _ = try Machine("require 'one'") }
  }
}
