/// The numbers that a Lua pattern matches, as a finite automaton: of two patterns it can be said whether one takes all that
/// the other takes. Captures make no difference; `%b`, `%f` and references to captures have no automaton.
struct PatternLanguage {
  /// From a state by an octet of the class to another; nil: without an octet.
  private struct Edge {
    var octets: OctetClass?
    var to: Int
  }

  private var edges: [[Edge]] = [[]]
  private var accepting: Set<Int> = []

  /// The union of none: no number.
  init() {}

  /// Nil where the pattern has no automaton, or is none.
  init?(pattern: [UInt8]) {
    guard let items = PatternLanguage.items(pattern) else { return nil }
    var state = 0
    if !items.isAnchored { addLoop(at: 0, .all) }
    for item in items.list { state = add(item, from: state) }
    if !items.endsAtEnd { addLoop(at: state, .all) }
    accepting = [state]
  }

  /// One number and no other.
  init(exactly number: [UInt8]) {
    var state = 0
    for octet in number {
      state = add(Item(octets: OctetClass { $0 == octet }, repeats: .once), from: state)
    }
    accepting = [state]
  }

  /// Adds what another one takes.
  mutating func formUnion(_ other: PatternLanguage) {
    let offset = edges.count
    for list in other.edges { edges.append(list.map { Edge(octets: $0.octets, to: $0.to + offset) }) }
    edges[0].append(Edge(octets: nil, to: offset))
    accepting.formUnion(other.accepting.map { $0 + offset })
  }

  // MARK: questions

  /// What a user part can be without escaping anything (RFC 3261 §25.1), and what is not ASCII.
  static let dialable = OctetClass { c in
    c >= 0x80 || OctetClass.named(UInt8(ascii: "w"))?.contains(c) == true || "-_.!~*'()&=+$,;?/#@%:".utf8.contains(c)
  }

  /// Whether it takes any number made of these octets; nil: too much to tell.
  func isEmpty(over octets: OctetClass) -> Bool? {
    PatternLanguage().includes(self, over: octets)
  }

  /// Whether everything that `other` takes is taken here; nil: too much to tell.
  func includes(_ other: PatternLanguage, over octets: OctetClass = .all) -> Bool? {
    let letters = PatternLanguage.letters(of: [self, other], within: octets)
    var seen: Set<Pair> = []
    var waiting = [Pair(ours: closure([0]), theirs: other.closure([0]))]
    while let pair = waiting.popLast() {
      guard seen.insert(pair).inserted else { continue }
      guard seen.count <= 4000 else { return nil }
      if !pair.theirs.isDisjoint(with: other.accepting), pair.ours.isDisjoint(with: accepting) { return false }
      for letter in letters {
        let theirs = other.step(pair.theirs, letter)
        if !theirs.isEmpty { waiting.append(Pair(ours: step(pair.ours, letter), theirs: theirs)) }
      }
    }
    return true
  }

  private struct Pair: Hashable {
    var ours: Set<Int>
    var theirs: Set<Int>
  }

  private func closure(_ states: Set<Int>) -> Set<Int> {
    var all = states
    var waiting = Array(states)
    while let state = waiting.popLast() {
      for edge in edges[state] where edge.octets == nil && all.insert(edge.to).inserted { waiting.append(edge.to) }
    }
    return all
  }

  private func step(_ states: Set<Int>, _ letter: UInt8) -> Set<Int> {
    var next: Set<Int> = []
    for state in states {
      for edge in edges[state] where edge.octets?.contains(letter) == true { next.insert(edge.to) }
    }
    return closure(next)
  }

  /// One octet for each group that no edge tells apart.
  private static func letters(of languages: [PatternLanguage], within octets: OctetClass) -> [UInt8] {
    var classes: Set<OctetClass> = []
    for language in languages {
      for list in language.edges { for edge in list { if let octets = edge.octets { classes.insert(octets) } } }
    }
    let order = Array(classes)
    var seen: Set<[Bool]> = []
    return (0...UInt8.max).filter { octet in
      octets.contains(octet) && seen.insert(order.map { $0.contains(octet) }).inserted
    }
  }

  // MARK: reading

  private enum Repeats { case once, any, some, perhaps }

  private struct Item {
    var octets: OctetClass
    var repeats: Repeats
  }

  private mutating func newState() -> Int {
    edges.append([])
    return edges.count - 1
  }

  private mutating func addLoop(at state: Int, _ octets: OctetClass) {
    edges[state].append(Edge(octets: octets, to: state))
  }

  private mutating func add(_ item: Item, from state: Int) -> Int {
    let next = newState()
    switch item.repeats {
    case .once: edges[state].append(Edge(octets: item.octets, to: next))
    case .perhaps:
      edges[state].append(Edge(octets: item.octets, to: next))
      edges[state].append(Edge(octets: nil, to: next))
    case .some:
      edges[state].append(Edge(octets: item.octets, to: next))
      addLoop(at: next, item.octets)
    case .any:
      edges[state].append(Edge(octets: nil, to: next))
      addLoop(at: next, item.octets)
    }
    return next
  }

  private static func items(_ p: [UInt8]) -> (list: [Item], isAnchored: Bool, endsAtEnd: Bool)? {
    var list: [Item] = []
    let isAnchored = p.first == UInt8(ascii: "^")
    var i = isAnchored ? 1 : 0
    while i < p.count {
      let c = p[i]
      if c == UInt8(ascii: "$"), i == p.count - 1 { return (list, isAnchored, true) }
      if c == UInt8(ascii: "(") || c == UInt8(ascii: ")") {
        i += 1
        continue
      }
      guard let octets = single(p, &i) else { return nil }
      var repeats = Repeats.once
      if i < p.count {
        switch p[i] {
        case UInt8(ascii: "*"), UInt8(ascii: "-"): repeats = .any
        case UInt8(ascii: "+"): repeats = .some
        case UInt8(ascii: "?"): repeats = .perhaps
        default: break
        }
        if repeats != .once { i += 1 }
      }
      list.append(Item(octets: octets, repeats: repeats))
    }
    return (list, isAnchored, false)
  }

  /// One octet's worth of pattern: a letter, a class, a set.
  private static func single(_ p: [UInt8], _ i: inout Int) -> OctetClass? {
    let c = p[i]
    i += 1
    switch c {
    case UInt8(ascii: "."): return .all
    case UInt8(ascii: "%"): return escaped(p, &i)
    case UInt8(ascii: "["): return set(p, &i)
    default: return OctetClass { $0 == c }
    }
  }

  private static func escaped(_ p: [UInt8], _ i: inout Int) -> OctetClass? {
    guard i < p.count else { return nil }
    let c = p[i]
    i += 1
    if let named = OctetClass.named(c) { return named }
    let isAlphanumeric = OctetClass.named(UInt8(ascii: "w"))?.contains(c) ?? false
    return isAlphanumeric ? nil : OctetClass { $0 == c }
  }

  private static func set(_ p: [UInt8], _ i: inout Int) -> OctetClass? {
    var octets = OctetClass()
    let isInverted = i < p.count && p[i] == UInt8(ascii: "^")
    if isInverted { i += 1 }
    var isFirst = true
    while i < p.count, isFirst || p[i] != UInt8(ascii: "]") {
      isFirst = false
      let c = p[i]
      i += 1
      if c == UInt8(ascii: "%") {
        guard let part = escaped(p, &i) else { return nil }
        octets.formUnion(part)
      } else if i + 1 < p.count, p[i] == UInt8(ascii: "-"), p[i + 1] != UInt8(ascii: "]") {
        let last = p[i + 1]
        i += 2
        if c <= last { octets.formUnion(OctetClass { $0 >= c && $0 <= last }) }
      } else {
        octets.insert(c)
      }
    }
    guard i < p.count else { return nil }
    i += 1
    return isInverted ? octets.inverted : octets
  }
}
