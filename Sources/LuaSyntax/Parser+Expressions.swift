// Expressions, by the precedence of Lua 5.4 manual §3.4.8.
extension Parser {
  mutating func expressions() throws(SyntaxError) -> [Expression] {
    var list = [try expression()]
    while try take(.comma) { list.append(try expression()) }
    return list
  }

  mutating func expression() throws(SyntaxError) -> Expression {
    try nested { parser throws(SyntaxError) in try parser.expression(above: 0) }
  }

  private static let unaryStrength = 12

  /// How strongly an operator binds what stands to its left and to its right.
  private static func strength(_ token: Token) -> (left: Int, right: Int)? {
    switch token {
    case .word(.or): (1, 1)
    case .word(.and): (2, 2)
    case .sign(let sign):
      switch sign {
      case .less, .greater, .lessEqual, .greaterEqual, .unequal, .equal: (3, 3)
      case .bar: (4, 4)
      case .tilde: (5, 5)
      case .ampersand: (6, 6)
      case .shiftLeft, .shiftRight: (7, 7)
      case .concat: (9, 8)
      case .plus, .minus: (10, 10)
      case .star, .slash, .doubleSlash, .percent: (11, 11)
      case .caret: (14, 13)
      default: nil
      }
    default: nil
    }
  }

  private static func unary(_ token: Token) -> String? {
    switch token {
    case .word(.not): "not"
    case .sign(.minus), .sign(.hash), .sign(.tilde): token == .sign(.minus) ? "-" : token == .sign(.hash) ? "#" : "~"
    default: nil
    }
  }

  private mutating func expression(above limit: Int) throws(SyntaxError) -> Expression {
    let start = at
    var left: Expression
    if let name = Parser.unary(token) {
      try advance()
      let operand = try nested { parser throws(SyntaxError) in
        try parser.expression(above: Parser.unaryStrength)
      }
      left = Expression(.unary(name, operand), start)
    } else {
      left = try simple()
    }
    while let (strong, rest) = Parser.strength(token), strong > limit {
      let name =
        switch token {
        case .word(let word): word.rawValue
        case .sign(let sign): sign.rawValue
        default: ""
        }
      try advance()
      let right = try nested { parser throws(SyntaxError) in try parser.expression(above: rest) }
      left = Expression(.binary(name, left, right), start)
    }
    return left
  }

  private mutating func simple() throws(SyntaxError) -> Expression {
    let start = at
    let kind: Expression.Kind
    switch token {
    case .number(let value): kind = .number(value)
    case .string(let octets): kind = .string(octets)
    case .word(.nil): kind = .nil
    case .word(.true): kind = .true
    case .word(.false): kind = .false
    case .sign(.vararg):
      guard scope.isVariadic else { throw SyntaxError("'...' outside of a variadic function", at: at) }
      kind = .vararg
    case .sign(.openBrace): return try table()
    case .word(.function):
      try advance()
      return Expression(.function(try function(from: start, hasSelf: false)), start)
    default: return try suffixed()
    }
    try advance()
    return Expression(kind, start)
  }

  /// A name or a parenthesis, and what is taken from it: fields, calls.
  mutating func suffixed() throws(SyntaxError) -> Expression {
    let start = at
    var whole: Expression
    if try take(.open) {
      let inner = try expression()
      try expect(.close)
      whole = Expression(.grouped(inner), start)
    } else {
      guard case .name(let name) = token else { throw unexpected() }
      try advance()
      whole = variable(name, start)
    }
    while true {
      switch token {
      case .sign(.dot):
        try advance()
        let key = at
        whole = Expression(.index(whole, Expression(.string(Array(try name().utf8)), key)), start)
      case .sign(.openBracket):
        try advance()
        let key = try expression()
        try expect(.closeBracket)
        whole = Expression(.index(whole, key), start)
      case .sign(.colon):
        try advance()
        let place = at
        let method = try name()
        whole = Expression(.method(whole, method, place, try arguments()), start)
      case .sign(.open), .sign(.openBrace), .string:
        whole = Expression(.call(whole, try arguments()), start)
      default: return whole
      }
    }
  }

  private mutating func arguments() throws(SyntaxError) -> [Expression] {
    let start = at
    switch token {
    case .string(let octets):
      try advance()
      return [Expression(.string(octets), start)]
    case .sign(.openBrace): return [try table()]
    case .sign(.open):
      try advance()
      if try take(.close) { return [] }
      let list = try expressions()
      try expect(.close)
      return list
    default: throw unexpected("the arguments of a call")
    }
  }

  private mutating func table() throws(SyntaxError) -> Expression {
    let start = at
    try expect(.openBrace)
    var fields: [Field] = []
    while token != .sign(.closeBrace) {
      let key = at
      if try take(.openBracket) {
        let name = try expression()
        try expect(.closeBracket)
        try expect(.assign)
        fields.append(Field(key: name, value: try expression()))
      } else if case .name(let name) = token, try peek() == .sign(.assign) {
        try advance()
        try advance()
        fields.append(Field(key: Expression(.string(Array(name.utf8)), key), value: try expression()))
      } else {
        fields.append(Field(key: nil, value: try expression()))
      }
      if try take(.comma) { continue }
      if try take(.semicolon) { continue }
      break
    }
    try expect(.closeBrace)
    return Expression(.table(fields), start)
  }

  /// From the parameters to `end`.
  mutating func function(from start: Position, hasSelf: Bool) throws(SyntaxError) -> Function {
    try expect(.open)
    var parameters: [Local] = hasSelf ? [Local("self", start, isParameter: true)] : []
    var isVariadic = false
    if token != .sign(.close) {
      repeat {
        if try take(.vararg) {
          isVariadic = true
          break
        }
        let place = at
        parameters.append(Local(try name(), place, isParameter: true))
      } while try take(.comma)
    }
    try expect(.close)
    scope.enterFunction(isVariadic: isVariadic)
    let mark = scope.mark
    for parameter in parameters { scope.declare(parameter) }
    let body = try block()
    scope.close(mark)
    scope.leaveFunction()
    let last = at.line
    try expect(.end, toClose: "function", start)
    return Function(parameters: parameters, isVariadic: isVariadic, body: body, at: start, lastLine: last)
  }
}
