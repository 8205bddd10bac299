internal import LuaSyntax

// Tables of options, and values that stand in the source as they are. What is worked out at run time is checked there.
extension Checker {
  mutating func options(
    _ expression: Expression, _ known: [Language.Option], _ what: String, hasPositions: Bool = false
  ) {
    guard case .table(let fields) = expression.bare.kind else {
      if let shown = constant(expression), shown != "nil" {
        report("\(what) takes a table of options, not \(shown)", at: expression.at)
      }
      return
    }
    for field in fields {
      guard let key = field.key else {
        if !hasPositions { report("\(what) takes named options, not a list", at: field.value.at) }
        continue
      }
      guard let name = key.text else { continue }
      guard let option = known.first(where: { $0.name == name }) else {
        report("\(what): unknown option '\(name)'\(hint(name, known.map(\.name)))", at: key.at)
        continue
      }
      if option.isLater {
        report("\(what): option '\(name)' comes with a later release", at: key.at)
      } else {
        value(field.value, option, what, "option '\(name)'")
      }
    }
  }

  /// A literal as a message shows it; nil for anything else.
  func constant(_ expression: Expression) -> String? {
    switch expression.bare.kind {
    case .nil: "nil"
    case .true: "true"
    case .false: "false"
    case .number(let number): Checker.shown(number)
    case .string(let octets): "\"\(String(decoding: octets.prefix(40), as: UTF8.self))\""
    case .function: "a function"
    case .table: "a table"
    case .unary("-", let operand): constant(operand).map { "-\($0)" }
    default: nil
    }
  }

  static func shown(_ number: Double) -> String {
    Int64(exactly: number).map { String($0) } ?? "\(number)"
  }

  private func number(_ expression: Expression) -> Double? {
    switch expression.bare.kind {
    case .number(let number): number
    case .unary("-", let operand): number(operand).map { -$0 }
    default: nil
    }
  }

  mutating func value(_ expression: Expression, _ option: Language.Option, _ what: String, _ label: String) {
    guard let shown = constant(expression), shown != "nil" else { return }
    guard let wanted = wanted(expression, option) else {
      if option.type == "files" { files(expression) }
      if option.type == "ringback", case .table(let fields) = expression.bare.kind { ringback(fields, what) }
      return
    }
    report("\(what): \(label) must be \(wanted), not \(shown)", at: expression.at)
  }

  /// What would have been right; nil where the literal is.
  private func wanted(_ expression: Expression, _ option: Language.Option) -> String? {
    let text = expression.bare.text
    var isTable = false
    if case .table = expression.bare.kind { isTable = true }
    if let values = option.values {
      let given = text ?? number(expression).map { Checker.shown($0) }
      guard let given, values.contains(given) else {
        return values.map { Int($0) == nil ? "\"\($0)\"" : $0 }.joined(separator: ", ")
          + (text.map { hint($0, values) } ?? "")
      }
      return nil
    }
    switch option.type {
    case "string": return text == nil ? "a string" : nil
    case "boolean":
      switch expression.bare.kind {
      case .true, .false: return nil
      default: return "true or false"
      }
    case "function":
      if case .function = expression.bare.kind { return nil }
      return "a function"
    case "integer", "seconds": return wantedNumber(number(expression), option)
    case "strings": return isTable || text?.isEmpty == false ? nil : "a list of strings"
    case "files": return isTable || text?.isEmpty == false ? nil : "a file or a list of files"
    case "headers": return isTable ? nil : "a table of headers"
    case "vars": return isTable ? nil : "a table"
    case "address":
      return isTable || text?.isEmpty == false ? nil : "a number, a URI or a table of user, host and display"
    case "cause": return wantedCause(text, number(expression))
    case "ringback": return isTable ? nil : wantedRingback(text, number(expression))
    case "result": return "the result of a dial"
    default: return nil
    }
  }

  private func wantedNumber(_ number: Double?, _ option: Language.Option) -> String? {
    let isWhole = option.type == "integer"
    guard let number, !isWhole || number == number.rounded() else {
      return isWhole ? "an integer" : "a number of seconds"
    }
    let least = option.minimum ?? (isWhole ? -.infinity : 0)
    guard number < least || number > option.maximum ?? .infinity else { return nil }
    if let maximum = option.maximum { return "from \(Checker.shown(least)) to \(Checker.shown(maximum))" }
    return least > 0 ? "more than 0" : "a number of seconds"
  }

  private func wantedCause(_ text: String?, _ number: Double?) -> String? {
    if let number, number == number.rounded(), (1...127).contains(number) { return nil }
    if let text, language.causes.contains(text.uppercased()) { return nil }
    return "a Q.850 cause (1 to 127, or a name such as \"USER_BUSY\")\(text.map { hint($0, language.causes) } ?? "")"
  }

  private static let policies = ["180", "passthrough", "tone", "tone_until_media"]

  private func wantedRingback(_ text: String?, _ number: Double?) -> String? {
    if number == 180 || text.map(Checker.policies.contains) == true { return nil }
    return "\"180\", \"passthrough\", \"tone\", \"tone_until_media\" or { play = …, loop = …, until_media = … }"
      + (text.map { hint($0, Checker.policies) } ?? "")
  }

  private mutating func ringback(_ fields: [Field], _ what: String) {
    let known = ["play", "loop", "until_media"]
    for field in fields {
      guard let key = field.key, let name = key.text else { continue }
      if !known.contains(name) {
        report("\(what): unknown option '\(name)' of ringback\(hint(name, known))", at: key.at)
      } else if name == "play" {
        files(field.value)
      }
    }
  }

  /// Sound files that are named as they are must be there.
  private mutating func files(_ expression: Expression) {
    switch expression.bare.kind {
    case .table(let fields): for field in fields where field.key == nil { files(field.value) }
    case .string:
      guard let name = expression.bare.text, !surroundings.hasSound(name) else { return }
      report("there is no sound file '\(name)'", at: expression.at)
    default: break
    }
  }
}
