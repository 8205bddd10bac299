internal import LuaSyntax

/// Walks one file and writes down what is wrong with it.
struct Checker {
  let file: String
  let knowledge: Knowledge
  let surroundings: Surroundings
  /// Every file was read, so that a global that none makes is none.
  let knowsGlobals: Bool
  /// Handlers registered so far, in all files.
  var handlers: [String: (file: String, at: Position)]
  private(set) var faults: [DialplanFault] = []
  /// What stands on the left of an assignment: it is looked at as that.
  private var targets: Set<ObjectIdentifier> = []

  var language: Language { knowledge.language }

  init(
    file: String, knowledge: Knowledge, surroundings: Surroundings, knowsGlobals: Bool,
    handlers: [String: (file: String, at: Position)]
  ) {
    self.file = file
    self.knowledge = knowledge
    self.surroundings = surroundings
    self.knowsGlobals = knowsGlobals
    self.handlers = handlers
  }

  mutating func report(_ message: String, at: Position) {
    let fault = DialplanFault(file: file, at: at, message: message)
    if !faults.contains(fault) { faults.append(fault) }
  }

  /// ` (did you mean 'x'?)` or nothing.
  func hint(_ name: String, _ known: some Sequence<String>) -> String {
    NearestName.of(name, among: known.sorted()).map { " (did you mean '\($0)'?)" } ?? ""
  }

  mutating func check(_ chunk: Function) {
    var statements: [(Statement, [Function])] = []
    var expressions: [(Expression, [Function])] = []
    var walker = Walker()
    walker.statement = { statements.append(($0, $1)) }
    walker.expression = { expressions.append(($0, $1)) }
    walker.walk(chunk)
    for (statement, functions) in statements { check(statement, functions) }
    for (expression, _) in expressions { check(expression) }
  }

  // MARK: statements

  private mutating func check(_ statement: Statement, _ functions: [Function]) {
    switch statement.kind {
    case .assign(let targets, _): for target in targets { assigned(target, functions) }
    case .function(let target, _): assigned(target, functions)
    default: break
    }
  }

  private mutating func assigned(_ target: Expression, _ functions: [Function]) {
    targets.insert(ObjectIdentifier(target))
    switch target.kind {
    case .global(let name):
      if language.globals[name] != nil || language.laterGlobals.contains(name) {
        report("'\(name)' is a name of the language and cannot be assigned", at: target.at)
      } else if functions.contains(where: { knowledge.runsInCall($0) }) {
        report(
          "global '\(name)' cannot be assigned in a call: once the script is loaded its globals are read-only (use a "
            + "local, or kv for what calls share)", at: target.at)
      }
    case .index(let object, let key):
      if knowledge.kind(of: object) == .call, let name = key.text {
        report("call.\(name) cannot be assigned: keep your own data in a local or in call.vars", at: key.at)
      } else if case .global("on") = object.kind, let name = key.text {
        report("on.\(name) is called, not assigned: on.\(name)(function(…) … end)", at: key.at)
      }
    default: break
    }
  }

  // MARK: expressions

  private mutating func check(_ expression: Expression) {
    switch expression.kind {
    case .global(let name): global(name, expression.at)
    case .index(let object, let key):
      if !targets.contains(ObjectIdentifier(expression)) { member(object, key) }
    case .method(let object, let name, let at, let arguments):
      if knowledge.kind(of: object) == .call { verb(name, at, arguments) }
    case .call(let callee, let arguments): called(callee, arguments)
    default: break
    }
  }

  private mutating func global(_ name: String, _ at: Position) {
    if language.laterGlobals.contains(name) {
      report("\(name) comes with a later release", at: at)
    } else if knowsGlobals, language.globals[name] == nil, !knowledge.assignedGlobals.contains(name) {
      let known = Array(language.globals.keys) + Array(knowledge.assignedGlobals)
      report("there is no global '\(name)'\(hint(name, known))", at: at)
    }
  }

  private mutating func member(_ object: Expression, _ key: Expression) {
    guard let name = key.text else { return }
    if case .global(let table) = object.kind, let members = language.globals[table] ?? nil, table != "on" {
      if !members.contains(name), knowledge.addedMembers[table]?.contains(name) != true {
        report("\(table) has no '\(name)'\(hint(name, members))", at: key.at)
      }
      return
    }
    switch knowledge.kind(of: object) {
    case .call:
      guard language.fields[name] == nil, language.verbs[name] == nil else { return }
      report(
        "call has no field or verb '\(name)'\(hint(name, Array(language.fields.keys) + Array(language.verbs.keys)))",
        at: key.at)
    case .part(let part):
      guard let fields = language.parts[part], !fields.contains(name) else { return }
      let what = part == "result" ? "a dial's result" : "a call's \(part)"
      report("\(what) has no field '\(name)'\(hint(name, fields))", at: key.at)
    case .headers, .vars, nil: break
    }
  }

  private mutating func called(_ callee: Expression, _ arguments: [Expression]) {
    switch callee.kind {
    case .index(let object, let key):
      guard let name = key.text else { return }
      if case .global("on") = object.kind { return handler(name, key.at) }
      if knowledge.kind(of: object) == .call, language.verbs[name] != nil {
        report("call.\(name)(…): a verb is called with a colon, call:\(name)(…)", at: key.at)
      }
    case .global("router"): router(arguments, callee.at)
    case .global(let group) where group == "seq" || group == "hunt":
      if let list = arguments.first { targets(list, of: group) }
    default: break
    }
  }

  private mutating func handler(_ name: String, _ at: Position) {
    if language.laterHandlers.contains(name) {
      report("on.\(name) comes with a later release", at: at)
    } else if !language.handlers.contains(name) {
      report("on has no handler '\(name)'\(hint(name, language.handlers))", at: at)
    } else if name != "timer" {
      if let before = handlers[name] {
        report("on.\(name): already registered at \(before.file):\(before.at.line)", at: at)
      } else {
        handlers[name] = (file, at)
      }
    }
  }

  // MARK: verbs

  private mutating func verb(_ name: String, _ at: Position, _ arguments: [Expression]) {
    guard let verb = language.verbs[name] else {
      if language.fields[name] != nil {
        return report("call.\(name) is a field, not a verb", at: at)
      }
      return report("call has no verb '\(name)'\(hint(name, language.verbs.keys))", at: at)
    }
    if verb.isLater { return report("call:\(name)() comes with a later release", at: at) }
    let what = "call:\(name)"
    var options = verb.arguments.count
    for (n, (option, argument)) in zip(verb.arguments, arguments).enumerated() {
      if option.isOptional, n == arguments.count - 1, case .table = argument.bare.kind {
        options = n
        break
      }
      if option.type == "targets" {
        target(argument)
      } else {
        value(argument, option, what, "its argument '\(option.name)'")
      }
    }
    guard let known = verb.options, arguments.count > options else { return }
    self.options(arguments[options], known, what)
  }
}
