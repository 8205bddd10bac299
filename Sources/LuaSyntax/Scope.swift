/// Which local a name means, and which labels can be jumped to.
struct Scope {
  private final class Function {
    let isVariadic: Bool
    var loops = 0
    init(isVariadic: Bool) { self.isVariadic = isVariadic }
  }

  private var locals: [Local] = []
  private var functions = [Function(isVariadic: true)]

  /// What to go back to with `close`.
  var mark: Int { locals.count }
  var isVariadic: Bool { functions.last?.isVariadic ?? false }
  var isInLoop: Bool { functions.last.map { $0.loops > 0 } ?? false }

  mutating func declare(_ local: Local) { locals.append(local) }

  mutating func close(_ mark: Int) { locals.removeSubrange(mark...) }

  func find(_ name: String) -> Local? { locals.last { $0.name == name } }

  mutating func enterFunction(isVariadic: Bool) { functions.append(Function(isVariadic: isVariadic)) }
  mutating func leaveFunction() { functions.removeLast() }
  func enterLoop() { functions.last?.loops += 1 }
  func leaveLoop() { functions.last?.loops -= 1 }
}
