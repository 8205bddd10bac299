internal import LuaSyntax

/// Visits every statement and every expression of a chunk, outer before inner, in the order of the source.
struct Walker {
  /// With the functions that enclose it, the innermost last; the chunk itself is none.
  var statement: (Statement, [Function]) -> Void = { _, _ in }
  var expression: (Expression, [Function]) -> Void = { _, _ in }
  private var functions: [Function] = []

  init() {}

  mutating func walk(_ chunk: Function) { walk(chunk.body) }

  private mutating func walk(_ body: [Statement]) {
    for one in body { walk(one) }
  }

  private mutating func walk(_ one: Statement) {
    statement(one, functions)
    switch one.kind {
    case .local(_, let values), .return(let values): walk(values)
    case .localFunction(_, let function): walk(inside: function)
    case .function(let target, let function):
      walk([target])
      walk(inside: function)
    case .assign(let targets, let values):
      walk(targets)
      walk(values)
    case .call(let call): walk([call])
    case .do(let body): walk(body)
    case .while(let condition, let body):
      walk([condition])
      walk(body)
    case .repeat(let body, let condition):
      walk(body)
      walk([condition])
    case .if(let parts):
      for part in parts {
        if let condition = part.condition { walk([condition]) }
        walk(part.body)
      }
    case .numeric(_, let values, let body), .generic(_, let values, let body):
      walk(values)
      walk(body)
    case .break, .goto, .label: break
    }
  }

  private mutating func walk(inside function: Function) {
    functions.append(function)
    walk(function.body)
    functions.removeLast()
  }

  private mutating func walk(_ list: [Expression]) {
    for one in list {
      expression(one, functions)
      switch one.kind {
      case .call(let callee, let arguments): walk([callee] + arguments)
      case .method(let object, _, _, let arguments): walk([object] + arguments)
      case .index(let object, let key): walk([object, key])
      case .function(let function): walk(inside: function)
      case .table(let fields):
        for field in fields {
          if let key = field.key { walk([key]) }
          walk([field.value])
        }
      case .unary(_, let operand), .grouped(let operand): walk([operand])
      case .binary(_, let left, let right): walk([left, right])
      case .nil, .true, .false, .vararg, .number, .string, .local, .global: break
      }
    }
  }
}
