internal import Synchronization

/// How `hunt{…}` orders its targets.
struct Hunt: Sendable {
  enum Strategy: String, Sendable { case weighted, roundRobin = "round_robin", leastCalls = "least_calls" }

  var strategy: Strategy
  /// One a target; 0: only when no other is left.
  var weights: [Double]
  /// The same for every call through the same targets, whatever number is dialled.
  var key: [UInt8]
}

/// Whose turn it is in each hunt, for all shards: a leaf, its lock is held over nothing but its tables.
public final class HuntTable: Sendable {
  private struct State {
    var turns: [[UInt8]: Int] = [:]
    var shares: [[UInt8]: [Double]] = [:]
    var calls: [[UInt8]: Int] = [:]
  }
  private let state = Mutex(State())
  /// Hunts that are remembered; a script that makes ever new ones starts over.
  private let most: Int

  public init(most: Int = 4096) { self.most = most }

  /// Legs that ring or talk at a target that is no trunk.
  func add(_ n: Int, to target: [UInt8]) {
    state.withLock { state in
      let count = (state.calls[target] ?? 0) + n
      state.calls[target] = count > 0 ? count : nil
    }
  }

  func calls(at target: [UInt8]) -> Int { state.withLock { $0.calls[target] ?? 0 } }

  /// Positions of the targets in the order in which they are to be tried: those that can take a call first.
  /// - Parameters:
  ///   - usable: one a target.
  ///   - loads: one a target: calls that it has now.
  func order(_ hunt: Hunt, usable: [Bool], loads: [Int]) -> [Int] {
    let good = usable.indices.filter { usable[$0] }
    let rest = usable.indices.filter { !usable[$0] }
    switch hunt.strategy {
    case .weighted: return weighted(hunt, good) + rest
    case .roundRobin: return turned(hunt.key, good) + rest
    case .leastCalls:
      // Equal loads take turns, so that few calls do not all meet the same one.
      let turned = turned(hunt.key, good)
      func load(_ i: Int) -> Double {
        hunt.weights[i] > 0 ? Double(loads[i]) / hunt.weights[i] : .infinity
      }
      let sorted = turned.enumerated().sorted { (load($0.element), $0.offset) < (load($1.element), $1.offset) }
      return sorted.map(\.element) + rest
    }
  }

  private func turned(_ key: [UInt8], _ good: [Int]) -> [Int] {
    guard good.count > 1 else { return good }
    let turn = state.withLock { state in
      if state.turns[key] == nil, state.turns.count >= most { state.turns = [:] }
      let turn = state.turns[key] ?? 0
      state.turns[key] = (turn + 1) % 0x7fff_ffff
      return turn % good.count
    }
    return Array(good[turn...] + good[..<turn])
  }

  /// Each gains its weight, the first of the order pays what all gained: of any calls in a row each gets its share, evenly
  /// spread. Who pays the least is next in line, should the first one fail.
  private func weighted(_ hunt: Hunt, _ good: [Int]) -> [Int] {
    let total = good.reduce(0) { $0 + hunt.weights[$1] }
    guard total > 0 else { return good }
    let shares = state.withLock { state -> [Double] in
      if state.shares[hunt.key] == nil, state.shares.count >= most { state.shares = [:] }
      var shares = state.shares[hunt.key] ?? []
      if shares.count != hunt.weights.count { shares = Array(repeating: 0, count: hunt.weights.count) }
      for i in good { shares[i] += hunt.weights[i] }
      let asked = shares
      if let first = HuntTable.sorted(good, shares, hunt.weights).first { shares[first] -= total }
      state.shares[hunt.key] = shares
      return asked
    }
    return HuntTable.sorted(good, shares, hunt.weights)
  }

  private static func sorted(_ list: [Int], _ shares: [Double], _ weights: [Double]) -> [Int] {
    list.sorted { a, b in
      // Weight 0 is the last resort, whatever the others owe.
      if (weights[a] > 0) != (weights[b] > 0) { return weights[a] > 0 }
      return shares[a] != shares[b] ? shares[a] > shares[b] : a < b
    }
  }
}
