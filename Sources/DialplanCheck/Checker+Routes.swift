internal import LuaSyntax

// Targets of a dial, and the rules of a router.
extension Checker {
  private static let prefixes = ["user/", "trunk/", "sip:", "sips:"]

  /// - Parameter weighs: as a member of a hunt it may have a weight.
  mutating func target(_ expression: Expression, weighs: Bool = false) {
    switch expression.bare.kind {
    case .string:
      if let text = expression.bare.text { target(text, isWhole: true, expression.at) }
    case .binary("..", let left, _):
      // What stands first says what it is, if it is long enough to say so.
      if let text = first(left)?.text { target(text, isWhole: false, expression.at) }
    case .table(let fields):
      let named = fields.filter { $0.key != nil }
      let positions = fields.filter { $0.key == nil }
      for position in positions { target(position.value) }
      if !named.isEmpty, positions.count == 1 {
        let weight = Language.Option(name: "weight", type: "integer", minimum: 0, maximum: 1_000_000)
        options(
          expression, weighs ? language.target + [weight] : language.target, "call:dial: target", hasPositions: true)
      }
    case .number, .true, .false, .function:
      report(
        "call:dial: a target is a string, a table or seq{…}, not \(constant(expression) ?? "this")", at: expression.at)
    default: break
    }
  }

  /// The list of `seq` and `hunt`. Its targets are looked at where it stands, whether it is dialled there or kept.
  mutating func targets(_ list: Expression, of group: String) {
    guard case .table(let fields) = list.bare.kind else { return }
    for field in fields where field.key == nil { target(field.value, weighs: group == "hunt") }
    let known = language.groups[group, default: []]
    for field in fields {
      guard let key = field.key, let name = key.text else { continue }
      if let option = known.first(where: { $0.name == name }) {
        value(field.value, option, group, "option '\(name)'")
      } else {
        report("\(group): unknown option '\(name)'\(hint(name, known.map(\.name)))", at: key.at)
      }
    }
  }

  private func first(_ expression: Expression) -> Expression? {
    if case .binary("..", let left, _) = expression.bare.kind { return first(left) }
    return expression.bare
  }

  private mutating func target(_ text: String, isWhole: Bool, _ at: Position) {
    guard let prefix = Checker.prefixes.first(where: { text.hasPrefix($0) }) else {
      // "us" .. "er/1": too short to tell.
      guard isWhole || text.utf8.count >= 6 else { return }
      let word = text.prefix { $0 != "/" && $0 != ":" }
      let near = NearestName.of(String(word), among: ["user", "trunk", "sip", "sips"])
      return report(
        "call:dial: \"\(text)\" is not a target: \"user/NAME\", \"trunk/NAME/NUMBER\" or \"sip:…\""
          + (near.map { " (did you mean '\($0)'?)" } ?? ""), at: at)
    }
    guard prefix == "trunk/" else { return }
    let parts = text.dropFirst(prefix.count).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      if isWhole { report("call:dial: \"\(text)\" names no number: \"trunk/NAME/NUMBER\"", at: at) }
      return
    }
    let name = String(parts[0])
    if !surroundings.trunks.contains(name) {
      report("there is no trunk '\(name)' in the configuration\(hint(name, surroundings.trunks))", at: at)
    }
  }

  // MARK: routers

  /// So many patterns are compared with each other; a table of more is a matter of time, not of mistakes.
  private static let mostCompared = 150

  private struct Rule {
    var text: String
    var language: PatternLanguage
    var at: Position
  }

  mutating func router(_ arguments: [Expression], _ at: Position) {
    guard case .table(let fields)? = arguments.first?.bare.kind else { return }
    var exact: [String: Position] = [:]
    var patterns: [Rule] = []
    for field in fields {
      if let key = field.key {
        if let name = key.text, name != "default" {
          report("router: unknown option '\(name)'\(hint(name, ["default"]))", at: key.at)
        }
        continue
      }
      guard case .table(let parts) = field.value.bare.kind, let first = parts.first, first.key == nil,
        let text = first.value.text
      else { continue }
      if text.utf8.allSatisfy({ Checker.isPlain($0) }), !text.isEmpty {
        if let before = exact[text] {
          report("router: \"\(text)\" is there twice, first at line \(before.line)", at: first.value.at)
        }
        exact[text] = first.value.at
      } else if let language = PatternLanguage(pattern: Array(text.utf8)) {
        patterns.append(Rule(text: text, language: language, at: first.value.at))
      }
    }
    guard patterns.count <= Checker.mostCompared else { return }
    compare(patterns, exact.keys.sorted())
  }

  /// As `router` tells numbers from patterns.
  private static func isPlain(_ octet: UInt8) -> Bool {
    OctetClass.named(UInt8(ascii: "w"))?.contains(octet) == true || "*#+_@-".utf8.contains(octet)
  }

  private mutating func compare(_ rules: [Rule], _ exact: [String]) {
    var before = PatternLanguage()
    for number in exact.prefix(Checker.mostCompared) { before.formUnion(PatternLanguage(exactly: Array(number.utf8))) }
    for (n, rule) in rules.enumerated() {
      if rule.language.isEmpty(over: PatternLanguage.dialable) == true {
        report("router: \"\(rule.text)\" can match no number", at: rule.at)
        continue
      }
      if let hiding = rules[..<n].first(where: { $0.language.includes(rule.language) == true }) {
        report(
          "router: \"\(rule.text)\" is never reached: \"\(hiding.text)\" at line \(hiding.at.line) takes all that it would",
          at: rule.at)
      } else if before.includes(rule.language) == true {
        report("router: \"\(rule.text)\" is never reached: the rules before it take all that it would", at: rule.at)
      }
      before.formUnion(rule.language)
    }
  }
}
