/// A chunk as it was read: what a tool that explains or checks scripts walks over. Classes, so that a node can be a key.
public final class Expression {
  public indirect enum Kind {
    case `nil`, `true`, `false`, vararg
    case number(Double)
    case string([UInt8])
    case local(Local)
    case global(String)
    /// `f(…)`, `f "…"`, `f {…}`.
    case call(Expression, [Expression])
    /// `object:name(…)`, and where the name stands.
    case method(Expression, String, Position, [Expression])
    /// `object[key]` and `object.key`, which is a string.
    case index(Expression, Expression)
    case function(Function)
    case table([Field])
    case unary(String, Expression)
    case binary(String, Expression, Expression)
    /// In parentheses, which cut a list of values to one.
    case grouped(Expression)
  }

  public let kind: Kind
  public let at: Position

  init(_ kind: Kind, _ at: Position) {
    self.kind = kind
    self.at = at
  }
}

/// An entry of a table constructor.
public struct Field {
  /// Nil: the next position.
  public let key: Expression?
  public let value: Expression
}

/// A local variable or parameter, one for each declaration.
public final class Local {
  public let name: String
  public let at: Position
  public let isParameter: Bool
  /// `const` or `close`.
  public let attribute: String?
  /// It is assigned to after its declaration.
  public internal(set) var isReassigned = false

  init(_ name: String, _ at: Position, isParameter: Bool = false, attribute: String? = nil) {
    self.name = name
    self.at = at
    self.isParameter = isParameter
    self.attribute = attribute
  }
}

public final class Function {
  /// With `self` first for `function a:b()`.
  public let parameters: [Local]
  public let isVariadic: Bool
  public let body: [Statement]
  public let at: Position
  /// The line of its `end`.
  public let lastLine: Int

  init(parameters: [Local], isVariadic: Bool, body: [Statement], at: Position, lastLine: Int) {
    self.parameters = parameters
    self.isVariadic = isVariadic
    self.body = body
    self.at = at
    self.lastLine = lastLine
  }
}

public final class Statement {
  public indirect enum Kind {
    case local([Local], [Expression])
    case localFunction(Local, Function)
    /// `function a.b.c()`: the name as an expression.
    case function(Expression, Function)
    case assign([Expression], [Expression])
    case call(Expression)
    case `do`([Statement])
    case `while`(Expression, [Statement])
    case `repeat`([Statement], Expression)
    /// Condition and block, in order; a last one without a condition is `else`.
    case `if`([(condition: Expression?, body: [Statement])])
    case numeric(Local, [Expression], [Statement])
    case generic([Local], [Expression], [Statement])
    case `return`([Expression])
    case `break`
    case goto(String)
    case label(String)
  }

  public let kind: Kind
  public let at: Position

  init(_ kind: Kind, _ at: Position) {
    self.kind = kind
    self.at = at
  }
}

extension Expression {
  /// The text of a string constant that is UTF-8.
  public var text: String? {
    guard case .string(let octets) = kind else { return nil }
    return String(validating: octets, as: UTF8.self)
  }

  /// Without parentheses around it.
  public var bare: Expression {
    if case .grouped(let inner) = kind { return inner.bare }
    return self
  }
}
