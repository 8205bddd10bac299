import LuaSyntax
import Testing

struct ParserTests {
  private func parse(_ text: String) throws -> Function { try Parser.parse(Array(text.utf8)) }

  private func failure(_ text: String) -> SyntaxError? {
    do {
      _ = try Parser.parse(Array(text.utf8))
      return nil
    } catch {
      return error
    }
  }

  @Test("Lua 5.4 §3.3: every kind of statement is read")
  func statements() throws {
    let chunk = try parse(
      """
      #!/usr/bin/lua
      local a <const>, b <close> = 1, nil;
      local function f(x, ...) return x, ... end
      function m.n.o(p) end function m:q() return self end
      a2, m.x = f(1), { 1, [2] = 3, y = 4; 5 }
      while true do break end
      repeat local z = 1 until z == 1
      if a then elseif b then else end
      for i = 1, 10, 2 do end for k, v in pairs(m) do goto continue ::continue:: end
      do f "text" f { 1 } m:q(2):q "x" end
      return function() end
      """)
    #expect(chunk.body.count == 12)
    guard case .return(let values) = chunk.body.last?.kind, case .function = values.first?.kind else {
      Issue.record("no return of a function")
      return
    }
  }

  @Test("Lua 5.4 §3.4.8: .. and ^ bind to the right, and ^ stronger than a sign before it")
  func precedence() throws {
    func shown(_ e: LuaSyntax.Expression) -> String {
      switch e.kind {
      case .number(let n): "\(Int(n))"
      case .unary(let op, let x): "(\(op) \(shown(x)))"
      case .binary(let op, let l, let r): "(\(shown(l)) \(op) \(shown(r)))"
      case .grouped(let x): shown(x)
      default: "?"
      }
    }
    func read(_ text: String) throws -> String {
      guard case .return(let values) = try parse("return " + text).body.last?.kind else { return "" }
      return shown(values[0])
    }
    #expect(try read("1 + 2 * 3 - 4") == "((1 + (2 * 3)) - 4)")
    #expect(try read("1 .. 2 .. 3") == "(1 .. (2 .. 3))")
    #expect(try read("-2 ^ -3 ^ 2") == "(- (2 ^ (- (3 ^ 2))))")
    #expect(try read("not 1 == 2 or 3 and 4") == "(((not 1) == 2) or (3 and 4))")
    #expect(try read("1 << 2 + 3 & 4 | 5 ~ 6") == "(((1 << (2 + 3)) & 4) | (5 ~ 6))")
  }

  @Test(
    "Lua 5.4 §3.1: literals are what they say",
    arguments: [
      (#""a\n\65\x42\z   c\u{20ac}""#, "a\nABc€"), ("[==[\nx]]y]==]", "x]]y"), (#"'it\'s'"#, "it's"),
    ])
  func strings(source: String, value: String) throws {
    guard case .return(let values) = try parse("return " + source).body.last?.kind else { return }
    #expect(values[0].text == value)
  }

  @Test(
    "Lua 5.4 §3.1: numbers",
    arguments: [
      ("3", 3.0), ("0x10", 16), ("3.", 3), (".5", 0.5), ("1e3", 1000), ("0x.8p1", 1), ("0xA.8", 10.5), ("1E-2", 0.01),
      ("0xffffffffffffffff", -1),
    ])
  func numbers(source: String, value: Double) throws {
    guard case .return(let values) = try parse("return " + source).body.last?.kind,
      case .number(let read) = values[0].kind
    else {
      Issue.record("\(source) is no number")
      return
    }
    #expect(read == value)
  }

  @Test(
    "A fault is told with its place",
    arguments: [
      ("local x = = 1", 1, 11), ("if x then\n\nfoo(", 3, 5), ("x = 'abc\n'", 1, 5), ("break", 1, 1),
      ("local a <const> = 1\na = 2", 2, 1), ("f() = 1", 1, 1), ("return 1 2", 1, 10), ("x = 0x", 1, 5),
      ("goto 5", 1, 6), ("a.b:c", 1, 6), ("--[[ never ends", 1, 1), ("x = @", 1, 5),
      ("f = function() return ... end", 1, 23),
      ("local x <cloze> = 1", 1, 10),
    ])
  func faults(source: String, line: Int, column: Int) {
    #expect(failure(source)?.at == Position(line: line, column: column))
  }

  @Test("A block that is not closed names the line that opened it")
  func unclosed() {
    #expect(
      failure("if x then\nfoo()\n")?.message == "'end' (to close 'if' at line 1) expected near the end of the file")
  }

  @Test("Scopes: a local is known after its own initial value, and a repeat's condition sees the block")
  func scopes() throws {
    let chunk = try parse("local x = x\nrepeat local y until y\nreturn y")
    guard case .local(_, let values) = chunk.body[0].kind, case .global("x") = values[0].kind,
      case .repeat(_, let condition) = chunk.body[1].kind, case .local = condition.kind,
      case .return(let last) = chunk.body[2].kind, case .global("y") = last[0].kind
    else {
      Issue.record("a name means something else")
      return
    }
  }

  @Test("Nesting that would be deep on the stack is refused, not run into")
  func deep() {
    for text in [
      String(repeating: "(", count: 5000), "x = " + String(repeating: "{", count: 5000),
      "x = " + String(repeating: "not ", count: 5000),
      String(repeating: "do ", count: 5000), "x = " + String(repeating: "1^", count: 5000) + "1",
      String(repeating: "f(function() ", count: 5000),
    ] {
      #expect(failure(text)?.message == "nested too deeply")
    }
  }

  @Test("No source traps: every prefix of a program, and every octet changed")
  func robust() throws {
    let program = Array(
      "local f <const> = function(a, ...) if a ~= 0x1p4 then return [[x]] .. 'y\\z \\u{41}' end end -- z".utf8)
    for length in 0...program.count { _ = try? Parser.parse(Array(program.prefix(length))) }
    for i in program.indices {
      for octet in [0, 10, 34, 39, 40, 91, 92, 93, 123, 255] as [UInt8] {
        var changed = program
        changed[i] = octet
        _ = try? Parser.parse(changed)
      }
    }
  }
}
