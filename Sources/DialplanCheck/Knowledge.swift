internal import LuaSyntax

/// What an expression is, as far as it can be told without running the script.
enum Kind: Equatable {
  case call
  case headers
  case vars
  /// A table with known fields, by its name in the language.
  case part(String)
}

/// What is known of a script's names: which are calls, which functions run in a call, which globals there are.
final class Knowledge {
  private enum Value {
    case expression(Expression)
    case function(Function)
    case unknown
  }

  let language: Language
  private var values: [ObjectIdentifier: [Value]] = [:]
  private var globalValues: [String: [Value]] = [:]
  private var kinds: [ObjectIdentifier: Kind] = [:]
  /// Functions that run in a call: handlers, what they call, what is in them.
  private var inCall: Set<ObjectIdentifier> = []
  private var callees: [(from: Function?, to: Function)] = []
  private var inner: [(outer: Function, inner: Function)] = []
  /// Members that a script adds to tables of the language.
  private(set) var addedMembers: [String: Set<String>] = [:]

  var assignedGlobals: Dictionary<String, some Any>.Keys { globalValues.keys }

  init(_ chunks: [Function], language: Language) {
    self.language = language
    for chunk in chunks { collect(chunk) }
    // Each round may tell what the parameters of further functions are.
    var known = -1
    while known != kinds.count + inCall.count {
      known = kinds.count + inCall.count
      for chunk in chunks { infer(chunk) }
      spread()
    }
    for chunk in chunks { guess(chunk) }
    for chunk in chunks { infer(chunk) }
    spread()
  }

  // MARK: questions

  func kind(of expression: Expression) -> Kind? {
    switch expression.kind {
    case .grouped(let inner): return kind(of: inner)
    case .local(let local): return kinds[ObjectIdentifier(local)] ?? valueKind(local)
    case .method(let object, "dial", _, _) where kind(of: object) == .call: return .part("result")
    case .index(let object, let key):
      guard kind(of: object) == .call, let name = key.text, let field = language.fields[name] else { return nil }
      if field == "headers" { return .headers }
      if field == "vars" { return .vars }
      return language.parts[field] == nil ? nil : .part(field)
    default: return nil
    }
  }

  func function(of expression: Expression) -> Function? {
    switch expression.bare.kind {
    case .function(let function): return function
    case .local(let local): return only(values[ObjectIdentifier(local)] ?? [])
    case .global(let name): return only(globalValues[name] ?? [])
    default: return nil
    }
  }

  func runsInCall(_ function: Function) -> Bool { inCall.contains(ObjectIdentifier(function)) }

  private func only(_ values: [Value]) -> Function? {
    guard values.count == 1 else { return nil }
    switch values[0] {
    case .function(let function): return function
    case .expression(let expression):
      // A name for another name would be looked up without end if they named each other.
      if case .function(let function) = expression.bare.kind { return function }
      return nil
    case .unknown: return nil
    }
  }

  /// Of a local that is always given the same kind of thing.
  private func valueKind(_ local: Local) -> Kind? {
    guard !local.isParameter, let all = values[ObjectIdentifier(local)], !all.isEmpty else { return nil }
    var found: Kind?
    for value in all {
      guard case .expression(let expression) = value else { return nil }
      if case .nil = expression.kind { continue }
      if case .local = expression.bare.kind { return nil }
      guard let kind = kind(of: expression), found == nil || found == kind else { return nil }
      found = kind
    }
    return found
  }

  // MARK: collecting

  private func collect(_ chunk: Function) {
    var walker = Walker()
    walker.statement = { [unowned self] statement, functions in
      switch statement.kind {
      case .local(let locals, let expressions):
        guard !expressions.isEmpty else { break }
        for (n, local) in locals.enumerated() { give(local, value(n, of: expressions)) }
      case .localFunction(let local, let function):
        give(local, .function(function))
        enter(function, functions)
      case .function(let target, let function):
        assign(target, .function(function))
        enter(function, functions)
      case .assign(let targets, let expressions):
        for (n, target) in targets.enumerated() { assign(target, value(n, of: expressions)) }
      case .numeric(let local, _, _): give(local, .unknown)
      case .generic(let locals, _, _): for local in locals { give(local, .unknown) }
      default: break
      }
    }
    walker.expression = { [unowned self] expression, functions in
      if case .function(let function) = expression.kind { enter(function, functions) }
    }
    walker.walk(chunk)
  }

  private func value(_ n: Int, of expressions: [Expression]) -> Value {
    guard n < expressions.count else { return .unknown }
    return .expression(expressions[n])
  }

  private func give(_ local: Local, _ value: Value) { values[ObjectIdentifier(local), default: []].append(value) }

  private func enter(_ function: Function, _ functions: [Function]) {
    if let outer = functions.last { inner.append((outer, function)) }
  }

  private func assign(_ target: Expression, _ value: Value) {
    switch target.kind {
    case .local(let local): give(local, value)
    case .global(let name): globalValues[name, default: []].append(value)
    case .index(let object, let key):
      if case .global(let name) = object.kind, let member = key.text { addedMembers[name, default: []].insert(member) }
    default: break
    }
  }

  // MARK: inferring

  private func infer(_ chunk: Function) {
    var walker = Walker()
    callees.removeAll(keepingCapacity: true)
    walker.expression = { [unowned self] expression, functions in
      switch expression.kind {
      case .call(let callee, let arguments):
        called(callee, arguments)
        if let function = function(of: callee) {
          callees.append((functions.last, function))
          for (parameter, argument) in zip(function.parameters, arguments) {
            guard let kind = kind(of: argument) else { continue }
            learn(parameter, kind)
            if kind == .call { inCall.insert(ObjectIdentifier(function)) }
          }
        }
      case .method(let object, "on_hangup", _, let arguments) where kind(of: object) == .call:
        if let hook = arguments.first.flatMap({ function(of: $0) }) {
          inCall.insert(ObjectIdentifier(hook))
          if hook.parameters.count > 1 { learn(hook.parameters[1], .call) }
        }
      default: break
      }
    }
    walker.walk(chunk)
    for (from, to) in callees where from.map({ runsInCall($0) }) ?? false { inCall.insert(ObjectIdentifier(to)) }
  }

  /// What the language calls back, and with what.
  private func called(_ callee: Expression, _ arguments: [Expression]) {
    switch callee.kind {
    case .index(let object, let key):
      guard case .global("on") = object.kind, let name = key.text, !["load", "unload", "timer"].contains(name),
        let handler = arguments.first.flatMap({ function(of: $0) })
      else { return }
      inCall.insert(ObjectIdentifier(handler))
      if name == "invite" || name == "refer", let first = handler.parameters.first { learn(first, .call) }
    case .global("router"):
      guard case .table(let rules)? = arguments.first?.bare.kind else { return }
      for rule in rules { route(rule) }
    case .global("spawn"):
      guard let task = arguments.first.flatMap({ function(of: $0) }) else { return }
      inCall.insert(ObjectIdentifier(task))
      if let first = task.parameters.first { learn(first, .call) }
    default: break
    }
  }

  private func route(_ rule: Field) {
    var handler = rule.value
    if rule.key == nil {
      guard case .table(let parts) = rule.value.bare.kind, parts.count >= 2 else { return }
      handler = parts[1].value
    }
    guard let function = function(of: handler) else { return }
    inCall.insert(ObjectIdentifier(function))
    if let first = function.parameters.first { learn(first, .call) }
  }

  private func learn(_ local: Local, _ kind: Kind) {
    guard !local.isReassigned, kinds[ObjectIdentifier(local)] == nil else { return }
    kinds[ObjectIdentifier(local)] = kind
  }

  /// A function inside of one that runs in a call does so too.
  private func spread() {
    var changed = true
    while changed {
      changed = false
      for (outer, inner) in inner where runsInCall(outer) {
        if inCall.insert(ObjectIdentifier(inner)).inserted { changed = true }
      }
    }
  }

  /// A parameter that is named `call` and has a verb called on it is one, wherever its function is called from.
  private func guess(_ chunk: Function) {
    var walker = Walker()
    walker.expression = { [unowned self] expression, functions in
      guard case .method(let object, let name, _, _) = expression.kind, language.verbs[name] != nil,
        case .local(let local) = object.kind, local.isParameter, local.name == "call"
      else { return }
      learn(local, .call)
      if let owner = functions.last(where: { $0.parameters.contains { $0 === local } }) {
        inCall.insert(ObjectIdentifier(owner))
      }
    }
    walker.walk(chunk)
  }
}
