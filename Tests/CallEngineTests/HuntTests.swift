@testable import CallEngine
import Testing

/// In which order a hunt tries its targets.
@Suite("hunt")
struct HuntTests {
  private static func hunt(_ strategy: Hunt.Strategy, _ weights: [Double], key: String = "k") -> Hunt {
    Hunt(strategy: strategy, weights: weights, key: Array(key.utf8))
  }
  private static let free = [0, 0, 0]

  @Test("weighted: of any calls in a row each target gets its share, evenly spread")
  func weighted() {
    let table = HuntTable()
    let hunt = HuntTests.hunt(.weighted, [5, 3, 2])
    var firsts: [Int] = []
    for _ in 1...1000 {
      let order = table.order(hunt, usable: [true, true, true], loads: HuntTests.free)
      #expect(Set(order) == [0, 1, 2])
      firsts.append(order[0])
    }
    func count(_ list: some Sequence<Int>, _ i: Int) -> Int { list.reduce(0) { $0 + ($1 == i ? 1 : 0) } }
    #expect((0...2).map { count(firsts, $0) } == [500, 300, 200])
    for start in stride(from: 0, to: 1000, by: 10) {
      #expect((0...2).map { count(firsts[start..<(start + 10)], $0) } == [5, 3, 2])
    }
  }

  @Test("weighted: what one cannot take goes to the others by their weights; weight 0 is the last resort")
  func weightedUnusable() {
    let table = HuntTable()
    let hunt = HuntTests.hunt(.weighted, [6, 1, 3])
    var firsts = [0, 0, 0]
    for _ in 1...400 {
      let order = table.order(hunt, usable: [false, true, true], loads: HuntTests.free)
      #expect(order.last == 0)
      firsts[order[0]] += 1
    }
    #expect(firsts == [0, 100, 300])
    let spare = HuntTests.hunt(.weighted, [1, 0, 1], key: "spare")
    for _ in 1...50 { #expect(table.order(spare, usable: [true, true, true], loads: HuntTests.free).last == 1) }
    #expect(table.order(spare, usable: [false, true, false], loads: HuntTests.free) == [1, 0, 2])
    let none = HuntTests.hunt(.weighted, [0, 0], key: "none")
    #expect(table.order(none, usable: [true, true], loads: [0, 0]) == [0, 1])
  }

  @Test("round_robin: one after the other, and each hunt has its own turn")
  func roundRobin() {
    let table = HuntTable()
    let a = HuntTests.hunt(.roundRobin, [1, 1, 1], key: "a")
    let b = HuntTests.hunt(.roundRobin, [1, 1], key: "b")
    var orders: [[Int]] = []
    for n in 1...7 {
      orders.append(table.order(a, usable: [true, true, true], loads: HuntTests.free))
      if n % 2 == 0 { _ = table.order(b, usable: [true, true], loads: [0, 0]) }
    }
    #expect(orders == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]])
    let without = (1...4).map { _ in table.order(a, usable: [true, false, true], loads: HuntTests.free) }
    #expect(without.allSatisfy { $0.last == 1 } && Set(without.map { $0[0] }) == [0, 2])
    #expect(table.order(a, usable: [false, false, false], loads: HuntTests.free) == [0, 1, 2])
  }

  @Test("least_calls: the fewest first, in proportion to the weights; equals take turns")
  func leastCalls() {
    let table = HuntTable()
    let plain = HuntTests.hunt(.leastCalls, [1, 1, 1])
    #expect(table.order(plain, usable: [true, true, true], loads: [4, 1, 2]) == [1, 2, 0])
    #expect(table.order(plain, usable: [true, false, true], loads: [4, 1, 2]) == [2, 0, 1])
    let big = HuntTests.hunt(.leastCalls, [10, 1, 0], key: "big")
    #expect(table.order(big, usable: [true, true, true], loads: [9, 1, 0]) == [0, 1, 2])
    #expect(table.order(big, usable: [true, true, true], loads: [11, 1, 0]) == [1, 0, 2])
    var firsts = [0, 0, 0]
    for _ in 1...30 { firsts[table.order(plain, usable: [true, true, true], loads: [1, 1, 1])[0]] += 1 }
    #expect(firsts == [10, 10, 10])
  }

  @Test("a script that makes ever new hunts fills no memory, and counts are gone with the last leg")
  func bounded() {
    let table = HuntTable(most: 8)
    for n in 0..<100 {
      for strategy in [Hunt.Strategy.weighted, .roundRobin, .leastCalls] {
        let order = table.order(
          HuntTests.hunt(strategy, [1, 1], key: "\(strategy) \(n)"), usable: [true, true], loads: [0, 0])
        #expect(order.sorted() == [0, 1])
      }
    }
    let target = Array("user/1001".utf8)
    table.add(1, to: target)
    table.add(1, to: target)
    #expect(table.calls(at: target) == 2)
    table.add(-1, to: target)
    table.add(-1, to: target)
    #expect(table.calls(at: target) == 0)
  }

  // MARK: the tree

  private static func target(_ name: String) -> DialTree.Shape {
    .target(DialTarget(place: .user(Array(name.utf8)), name: Array("user/\(name)".utf8)))
  }

  private static func name(_ tree: DialTree, _ action: DialTree.Action) -> String? {
    switch action {
    case .start(let leaf): tree.target(of: leaf).map { "start " + String(decoding: $0.name, as: UTF8.self) }
    case .cancel(let leaf): tree.target(of: leaf).map { "cancel " + String(decoding: $0.name, as: UTF8.self) }
    case .order: "order"
    case .exhausted: "exhausted"
    }
  }

  private static func failure(_ status: Int) -> DialTree.Failure {
    .init(status: status, cause: Cause(status: status), kind: .response, reason: nil, attempt: nil)
  }

  @Test("a hunt nested in seq is asked for its order when its turn comes, and goes on like a seq")
  func nested() throws {
    let hunt = DialTree.Shape.hunt(
      HuntTests.hunt(.roundRobin, [1, 1, 1]), ["a", "b", "c"].map(HuntTests.target), failover: nil)
    var tree = DialTree(
      .sequence([HuntTests.target("first"), hunt, HuntTests.target("last")], failover: nil), rule: .any)
    func names(_ actions: [DialTree.Action]) -> [String?] { actions.map { HuntTests.name(tree, $0) } }
    var actions = tree.start()
    #expect(names(actions) == ["start user/first"])
    func leaf(_ actions: [DialTree.Action]) throws -> DialTree.Leaf {
      guard case .start(let leaf) = try #require(actions.first) else { throw Missing() }
      return leaf
    }
    actions = tree.failed(try leaf(actions), HuntTests.failure(503))
    #expect(names(actions) == ["order"])
    guard case .order(let branch) = actions[0] else { throw Missing() }
    let members = try #require(tree.hunt(at: branch)).1
    #expect(
      members.map { $0.map { String(decoding: $0.name, as: UTF8.self) } } == [["user/a"], ["user/b"], ["user/c"]])
    actions = tree.ordered(branch, [2, 0, 1])
    for expected in ["start user/c", "start user/a", "start user/b", "start user/last"] {
      #expect(names(actions) == [expected])
      actions = tree.failed(try leaf(actions), HuntTests.failure(486))
    }
    #expect(names(actions) == ["exhausted"] && tree.ordered(branch, [0, 1, 2]).isEmpty)
  }

  @Test("a 6xx elsewhere ends a hunt that has no order yet")
  func ended() throws {
    let hunt = DialTree.Shape.hunt(HuntTests.hunt(.roundRobin, [1]), [HuntTests.target("a")], failover: nil)
    var tree = DialTree(.parallel([HuntTests.target("x"), hunt]), rule: .any)
    let actions = tree.start()
    guard case .start(let leaf) = actions[0], case .order(let branch) = actions[1] else { throw Missing() }
    #expect(tree.failed(leaf, HuntTests.failure(603)).last == .exhausted)
    #expect(tree.ordered(branch, [0]).isEmpty)
  }

  private struct Missing: Error {}

  @Test("a trunk is the same member whatever number is dialled; who is counted for the least calls is no trunk")
  func keys() {
    func trunk(_ number: String) -> DialTree.Shape {
      .target(
        DialTarget(place: .trunk(name: "alpha", number: Array(number.utf8)), name: Array("trunk/alpha/\(number)".utf8)))
    }
    #expect(trunk("1").huntKey == trunk("2").huntKey && trunk("1").huntKey != HuntTests.target("1").huntKey)
    #expect(DialTree.Shape.parallel([trunk("1")]).huntKey != trunk("1").huntKey)
    guard
      case .sequence(let members, _) = DialTree.Shape.sequence([trunk("1"), HuntTests.target("2")], failover: nil)
        .counted(), case .target(let first) = members[0], case .target(let second) = members[1]
    else { return #expect(Bool(false)) }
    #expect(first.counted == nil && second.counted == Array("user/2".utf8))
  }
}
