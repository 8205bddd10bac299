/// Which targets ring when: lists in parallel, `seq` one after the other, `hunt` one after the other in an order that is
/// asked for when its turn comes; nested as the script wrote them. A machine without I/O: each event gives the actions
/// that follow from it.
///
///     start ──> ringing ──leaf answered──> answered   (every other leaf that rings is to be cancelled)
///                  │ all failed, or a 6xx
///                  └─────────────────────> exhausted  (the best failure by RFC 3261 §16.7)
struct DialTree {
  /// One place to ring. A leaf that stands for a user becomes a parallel node of his bindings once it starts.
  struct Leaf: Equatable {
    var index: Int
  }

  enum Shape {
    case target(DialTarget)
    case parallel([Shape])
    case sequence([Shape], failover: FailoverRule?)
    case hunt(Hunt, [Shape], failover: FailoverRule?)
  }

  /// A hunt that waits for its order.
  struct Branch: Equatable {
    fileprivate var index: Int
  }

  /// What ended an attempt without an answer.
  struct Failure: Sendable, Equatable {
    enum Kind: Sendable { case response, timeout, unreachable }
    var status: Int
    var cause: Cause
    var kind: Kind
    /// Value of the callee's own Reason header, passed on by `reject{from=}`.
    var reason: [UInt8]?
    var attempt: Int?
  }

  enum Action: Equatable {
    case start(Leaf)
    case cancel(Leaf)
    /// `ordered` is to say in which order this hunt tries its targets.
    case order(Branch)
    case exhausted
  }

  private enum Kind {
    case leaf(DialTarget)
    case parallel
    case sequence(next: Int, FailoverRule?)
    case hunt(Hunt, FailoverRule?)
  }
  private enum Progress { case waiting, ringing, failed, answered }
  private struct Node {
    var kind: Kind
    var parent: Int
    var children: [Int]
    var progress = Progress.waiting
    var failures: [Failure] = []
  }

  private var nodes: [Node] = []
  private let defaultRule: FailoverRule
  private(set) var isOver = false

  /// `rule` is what `seq` without its own goes by.
  init(_ shape: Shape, rule: FailoverRule) {
    defaultRule = rule
    _ = add(shape, parent: -1)
  }

  private mutating func add(_ shape: Shape, parent: Int) -> Int {
    let index = nodes.count
    switch shape {
    case .target(let target):
      nodes.append(Node(kind: .leaf(target), parent: parent, children: []))
    case .parallel(let shapes):
      nodes.append(Node(kind: .parallel, parent: parent, children: []))
      for shape in shapes { nodes[index].children.append(add(shape, parent: index)) }
    case .sequence(let shapes, let rule):
      nodes.append(Node(kind: .sequence(next: 0, rule), parent: parent, children: []))
      for shape in shapes { nodes[index].children.append(add(shape, parent: index)) }
    case .hunt(let hunt, let shapes, let rule):
      nodes.append(Node(kind: .hunt(hunt, rule), parent: parent, children: []))
      for shape in shapes { nodes[index].children.append(add(shape, parent: index)) }
    }
    return index
  }

  func target(of leaf: Leaf) -> DialTarget? {
    if case .leaf(let target) = nodes[leaf.index].kind { return target }
    return nil
  }

  mutating func start() -> [Action] {
    var actions: [Action] = []
    begin(0, &actions)
    return actions
  }

  /// A leaf turned out to be several places, which ring together (RFC 3261 §16.6) if they are parallel. One that has
  /// rung may be other places instead: it was redirected.
  mutating func expand(_ leaf: Leaf, into shapes: [Shape]) -> [Action] {
    guard !isOver, nodes[leaf.index].progress == .ringing else { return [] }
    nodes[leaf.index].kind = .parallel
    for shape in shapes { nodes[leaf.index].children.append(add(shape, parent: leaf.index)) }
    nodes[leaf.index].progress = .waiting
    var actions: [Action] = []
    begin(leaf.index, &actions)
    return actions
  }

  /// A hunt and, for each of its members, the targets in it.
  func hunt(at branch: Branch) -> (Hunt, [[DialTarget]])? {
    guard case .hunt(let hunt, _) = nodes[branch.index].kind else { return nil }
    return (hunt, nodes[branch.index].children.map(targets))
  }

  private func targets(below index: Int) -> [DialTarget] {
    if case .leaf(let target) = nodes[index].kind { return [target] }
    return nodes[index].children.flatMap(targets)
  }

  /// A hunt has its order, each member once: from here on it is a sequence.
  mutating func ordered(_ branch: Branch, _ order: [Int]) -> [Action] {
    guard !isOver, case .hunt(_, let rule) = nodes[branch.index].kind else { return [] }
    let members = nodes[branch.index].children
    precondition(order.sorted() == Array(members.indices), "an order has each member once")
    nodes[branch.index].children = order.map { members[$0] }
    nodes[branch.index].kind = .sequence(next: 0, rule)
    var actions: [Action] = []
    begin(branch.index, &actions)
    return actions
  }

  mutating func failed(_ leaf: Leaf, _ failure: Failure) -> [Action] {
    guard !isOver, nodes[leaf.index].progress == .ringing else { return [] }
    nodes[leaf.index].failures = [failure]
    var actions: [Action] = []
    // RFC 3261 §16.7 step 5: a 6xx ends all the rest.
    if failure.status >= 600 {
      nodes[leaf.index].progress = .failed
      nodes[0].failures = [failure]
      for i in nodes.indices where nodes[i].progress == .ringing {
        if case .leaf = nodes[i].kind {
          nodes[i].progress = .failed
          actions.append(.cancel(Leaf(index: i)))
        }
      }
      finish(&actions)
      return actions
    }
    end(leaf.index, &actions)
    return actions
  }

  /// It was started, and has neither failed nor been given up.
  func isRinging(_ leaf: Leaf) -> Bool { !isOver && nodes[leaf.index].progress == .ringing }

  /// Every other leaf that rings loses.
  mutating func answered(_ leaf: Leaf) -> [Action] {
    guard !isOver else { return [] }
    isOver = true
    nodes[leaf.index].progress = .answered
    return ringing(except: leaf).map(Action.cancel)
  }

  /// The caller went, or the time is over: what rings now is to be cancelled.
  mutating func abort() -> [Action] {
    guard !isOver else { return [] }
    isOver = true
    return ringing(except: nil).map(Action.cancel)
  }

  /// Best failure of all attempts so far.
  var best: Failure? {
    nodes.isEmpty ? nil : DialTree.best(of: nodes[0].failures.isEmpty ? nodes.flatMap(\.failures) : nodes[0].failures)
  }

  private func ringing(except leaf: Leaf?) -> [Leaf] {
    nodes.indices.filter { i in
      guard nodes[i].progress == .ringing, i != leaf?.index, case .leaf = nodes[i].kind else { return false }
      return true
    }.map(Leaf.init)
  }

  private mutating func begin(_ index: Int, _ actions: inout [Action]) {
    nodes[index].progress = .ringing
    switch nodes[index].kind {
    case .leaf:
      actions.append(.start(Leaf(index: index)))
    case .parallel:
      if nodes[index].children.isEmpty { return end(index, &actions) }
      for child in nodes[index].children { begin(child, &actions) }
    case .sequence(_, let rule):
      guard let first = nodes[index].children.first else { return end(index, &actions) }
      nodes[index].kind = .sequence(next: 1, rule)
      begin(first, &actions)
    case .hunt:
      if nodes[index].children.isEmpty { return end(index, &actions) }
      actions.append(.order(Branch(index: index)))
    }
  }

  private mutating func end(_ index: Int, _ actions: inout [Action]) {
    nodes[index].progress = .failed
    let parent = nodes[index].parent
    guard parent >= 0 else { return finish(&actions) }
    nodes[parent].failures += nodes[index].failures
    switch nodes[parent].kind {
    case .leaf, .hunt:
      return
    case .parallel:
      let live = nodes[parent].children.contains { nodes[$0].progress == .ringing || nodes[$0].progress == .waiting }
      if !live { end(parent, &actions) }
    case .sequence(let next, let rule):
      let failure = DialTree.best(of: nodes[index].failures)
      let goesOn = failure.map { (rule ?? defaultRule).goesOn(after: $0) } ?? true
      if goesOn, next < nodes[parent].children.count {
        nodes[parent].kind = .sequence(next: next + 1, rule)
        begin(nodes[parent].children[next], &actions)
      } else {
        // What ended a sequence early is its outcome, whatever failed before.
        if !goesOn, let failure { nodes[parent].failures = [failure] }
        end(parent, &actions)
      }
    }
  }

  private mutating func finish(_ actions: inout [Action]) {
    isOver = true
    actions.append(.exhausted)
  }

  /// RFC 3261 §16.7 step 6: 6xx, else the lowest class, in it the statuses that tell the caller most.
  static func best(of failures: [Failure]) -> Failure? {
    guard let index = bestResponse(failures.map(\.status)) else { return nil }
    return failures[index]
  }
}

/// When `seq` rings the next target: `failover_on`, `stop_on`. Without them after anything but a 6xx.
struct FailoverRule: Sendable, Equatable {
  var statuses: Set<Int>?
  var onTimeout = true
  var onUnreachable = true
  var stop: Set<Int> = []
  var stopOnTimeout = false
  var stopOnUnreachable = false

  static let any = FailoverRule()

  private func listed(_ status: Int) -> Bool { statuses?.contains(status) ?? false }

  func goesOn(after failure: DialTree.Failure) -> Bool {
    if failure.status >= 600 { return false }
    switch failure.kind {
    case .timeout: return !stopOnTimeout && (onTimeout || listed(failure.status))
    case .unreachable: return !stopOnUnreachable && (onUnreachable || listed(failure.status))
    case .response: return !stop.contains(failure.status) && (statuses == nil || listed(failure.status))
    }
  }
}
