/// Reads a Lua 5.4 chunk (manual §9). It finds what `load` would refuse, save jumps into the scope of a label, and stops
/// at the first fault, as `load` does.
public struct Parser {
  private var lexer: Lexer
  private(set) var token: Token
  private(set) var at: Position
  private var ahead: (Token, Position)?
  private var depth = 0
  var scope = Scope()

  /// Nesting that Lua itself refuses (LUAI_MAXCCALLS).
  private static let deepest = 190

  /// The statements of a whole source.
  public static func parse(_ source: [UInt8]) throws(SyntaxError) -> Function {
    var parser = try Parser(source)
    let start = parser.at
    let body = try parser.block()
    guard parser.token == .end else { throw parser.unexpected() }
    return Function(parameters: [], isVariadic: true, body: body, at: start, lastLine: parser.at.line)
  }

  private init(_ source: [UInt8]) throws(SyntaxError) {
    lexer = Lexer(source)
    (token, at) = try lexer.next()
  }

  // MARK: tokens

  mutating func advance() throws(SyntaxError) {
    if let next = ahead {
      (token, at) = next
      ahead = nil
    } else {
      (token, at) = try lexer.next()
    }
  }

  /// The token after this one.
  mutating func peek() throws(SyntaxError) -> Token {
    if ahead == nil { ahead = try lexer.next() }
    return ahead?.0 ?? .end
  }

  func unexpected(_ wanted: String? = nil) -> SyntaxError {
    SyntaxError(wanted.map { "\($0) expected near \(token.shown)" } ?? "unexpected \(token.shown)", at: at)
  }

  mutating func take(_ sign: Token.Sign) throws(SyntaxError) -> Bool {
    guard token == .sign(sign) else { return false }
    try advance()
    return true
  }

  mutating func take(_ word: Token.Word) throws(SyntaxError) -> Bool {
    guard token == .word(word) else { return false }
    try advance()
    return true
  }

  mutating func expect(_ sign: Token.Sign) throws(SyntaxError) {
    guard try take(sign) else { throw unexpected("'\(sign.rawValue)'") }
  }

  /// - Parameter opened: what the word closes, and where that stands.
  mutating func expect(_ word: Token.Word, toClose opened: String? = nil, _ from: Position? = nil) throws(SyntaxError) {
    if try take(word) { return }
    guard let opened, let from, from.line != at.line else { throw unexpected("'\(word.rawValue)'") }
    throw unexpected("'\(word.rawValue)' (to close '\(opened)' at line \(from.line))")
  }

  mutating func name() throws(SyntaxError) -> String {
    guard case .name(let name) = token else { throw unexpected("a name") }
    try advance()
    return name
  }

  /// Counts how deep things nest.
  mutating func nested<Result>(
    _ body: (inout Parser) throws(SyntaxError) -> Result
  ) throws(SyntaxError) -> Result {
    depth += 1
    defer { depth -= 1 }
    guard depth < Parser.deepest else { throw SyntaxError("nested too deeply", at: at) }
    return try body(&self)
  }

  // MARK: statements

  /// Statements up to what ends a block; their locals end with it.
  mutating func block() throws(SyntaxError) -> [Statement] {
    let mark = scope.mark
    defer { scope.close(mark) }
    return try statements()
  }

  mutating func statements() throws(SyntaxError) -> [Statement] {
    var list: [Statement] = []
    while !endsBlock {
      if token == .word(.return) {
        list.append(try returning())
        guard endsBlock else { throw unexpected("'end'") }
        break
      }
      if let one = try nested({ parser throws(SyntaxError) in try parser.statement() }) { list.append(one) }
    }
    return list
  }

  private var endsBlock: Bool {
    switch token {
    case .end, .word(.end), .word(.else), .word(.elseif), .word(.until): true
    default: false
    }
  }

  private mutating func returning() throws(SyntaxError) -> Statement {
    let start = at
    try advance()
    var values: [Expression] = []
    if !endsBlock, token != .sign(.semicolon) { values = try expressions() }
    _ = try take(.semicolon)
    return Statement(.return(values), start)
  }

  private mutating func statement() throws(SyntaxError) -> Statement? {
    let start = at
    switch token {
    case .sign(.semicolon):
      try advance()
      return nil
    case .word(.if): return try conditional()
    case .word(.while):
      try advance()
      let condition = try expression()
      try expect(.do)
      let body = try loop()
      try expect(.end, toClose: "while", start)
      return Statement(.while(condition, body), start)
    case .word(.do):
      try advance()
      let body = try block()
      try expect(.end, toClose: "do", start)
      return Statement(.do(body), start)
    case .word(.for): return try forLoop()
    case .word(.repeat): return try repeatLoop()
    case .word(.function): return try functionStatement()
    case .word(.local):
      try advance()
      return try take(.function) ? try localFunction(start) : try localVariables(start)
    case .sign(.doubleColon):
      try advance()
      let label = try name()
      try expect(.doubleColon)
      return Statement(.label(label), start)
    case .word(.goto):
      try advance()
      return Statement(.goto(try name()), start)
    case .word(.break):
      guard scope.isInLoop else { throw SyntaxError("break outside of a loop", at: at) }
      try advance()
      return Statement(.break, start)
    default: return try expressionStatement()
    }
  }

  private mutating func loop() throws(SyntaxError) -> [Statement] {
    scope.enterLoop()
    defer { scope.leaveLoop() }
    return try block()
  }

  private mutating func conditional() throws(SyntaxError) -> Statement {
    let start = at
    var parts: [(condition: Expression?, body: [Statement])] = []
    repeat {
      try advance()
      let condition = try expression()
      try expect(.then)
      parts.append((condition, try block()))
    } while token == .word(.elseif)
    if try take(.else) { parts.append((nil, try block())) }
    try expect(.end, toClose: "if", start)
    return Statement(.if(parts), start)
  }

  private mutating func repeatLoop() throws(SyntaxError) -> Statement {
    let start = at
    try advance()
    scope.enterLoop()
    // The condition sees the locals of the block.
    let mark = scope.mark
    let body = try statements()
    scope.leaveLoop()
    try expect(.until, toClose: "repeat", start)
    let condition = try expression()
    scope.close(mark)
    return Statement(.repeat(body, condition), start)
  }

  private mutating func forLoop() throws(SyntaxError) -> Statement {
    let start = at
    try advance()
    var names = [(try name(), start)]
    let mark = scope.mark
    defer { scope.close(mark) }
    if try take(.assign) {
      var range = [try expression()]
      try expect(.comma)
      range.append(try expression())
      if try take(.comma) { range.append(try expression()) }
      try expect(.do)
      let variable = Local(names[0].0, names[0].1)
      scope.declare(variable)
      let body = try loop()
      try expect(.end, toClose: "for", start)
      return Statement(.numeric(variable, range, body), start)
    }
    while try take(.comma) { names.append((try name(), start)) }
    guard try take(.in) else { throw unexpected("'=' or 'in'") }
    let values = try expressions()
    try expect(.do)
    let variables = names.map { Local($0.0, $0.1) }
    for variable in variables { scope.declare(variable) }
    let body = try loop()
    try expect(.end, toClose: "for", start)
    return Statement(.generic(variables, values, body), start)
  }

  private mutating func localFunction(_ start: Position) throws(SyntaxError) -> Statement {
    let place = at
    let local = Local(try name(), place)
    scope.declare(local)
    return Statement(.localFunction(local, try function(from: start, hasSelf: false)), start)
  }

  private mutating func localVariables(_ start: Position) throws(SyntaxError) -> Statement {
    var locals: [Local] = []
    repeat {
      let place = at
      let name = try name()
      var attribute: String?
      if try take(.less) {
        let mark = at
        attribute = try self.name()
        guard attribute == "const" || attribute == "close" else {
          throw SyntaxError("unknown attribute '\(attribute ?? "")'", at: mark)
        }
        try expect(.greater)
      }
      locals.append(Local(name, place, attribute: attribute))
    } while try take(.comma)
    let values = try take(.assign) ? try expressions() : []
    for local in locals { scope.declare(local) }
    return Statement(.local(locals, values), start)
  }

  private mutating func functionStatement() throws(SyntaxError) -> Statement {
    let start = at
    try advance()
    let place = at
    var target = variable(try name(), place)
    var hasSelf = false
    while token == .sign(.dot) || token == .sign(.colon) {
      hasSelf = token == .sign(.colon)
      try advance()
      let key = at
      target = Expression(.index(target, Expression(.string(Array(try name().utf8)), key)), place)
      if hasSelf { break }
    }
    try markAssigned(target)
    return Statement(.function(target, try function(from: start, hasSelf: hasSelf)), start)
  }

  private mutating func expressionStatement() throws(SyntaxError) -> Statement {
    let start = at
    let first = try suffixed()
    if token == .sign(.assign) || token == .sign(.comma) {
      var targets = [first]
      while try take(.comma) { targets.append(try suffixed()) }
      try expect(.assign)
      for target in targets { try markAssigned(target) }
      return Statement(.assign(targets, try expressions()), start)
    }
    switch first.kind {
    case .call, .method: return Statement(.call(first), start)
    default: throw SyntaxError("a statement is expected near \(token.shown)", at: start)
    }
  }

  private func markAssigned(_ target: Expression) throws(SyntaxError) {
    switch target.kind {
    case .local(let local):
      if let attribute = local.attribute {
        throw SyntaxError("attempt to assign to \(attribute) variable '\(local.name)'", at: target.at)
      }
      local.isReassigned = true
    case .global, .index: break
    default: throw SyntaxError("cannot be assigned to", at: target.at)
    }
  }

  func variable(_ name: String, _ place: Position) -> Expression {
    Expression(scope.find(name).map { .local($0) } ?? .global(name), place)
  }
}
