import DialplanCheck
import Yams

/// Where faults are gathered while one file is read.
final class ConfigurationContext {
  let file: String
  let directory: String
  var faults: [ConfigurationFault] = []

  init(file: String, directory: String) {
    self.file = file
    self.directory = directory
  }

  func fail(line: Int, _ message: String) {
    faults.append(ConfigurationFault(file: file, line: line, message: message))
  }
}

/// One node of the YAML tree with its place. A reading method that finds another type notes a fault and gives nil, so
/// that the default stays and reading goes on to the next fault.
struct ConfigurationValue {
  let context: ConfigurationContext
  /// As messages name it: `sip.listen[1]`.
  let path: String
  let line: Int
  let node: Node

  func fail(_ message: String) {
    context.fail(line: line, path.isEmpty ? message : "\(path): \(message)")
  }

  /// `null`, `~`, or nothing behind the colon.
  var isNull: Bool {
    guard case .scalar(let scalar) = node else { return false }
    return scalar.style == .plain && node.null != nil
  }

  /// Text as it stands in the file: an unquoted 0123 is "0123". A word that YAML takes for a truth value must be quoted.
  func text() -> String? {
    guard case .scalar(let scalar) = node else { return wrongType("text") }
    if isNull { return wrongType("text") }
    if scalar.style == .plain, node.bool != nil {
      fail("text is expected; put \(scalar.string) in quotes, as YAML reads it as a truth value")
      return nil
    }
    if scalar.string.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
      fail("control characters are not allowed")
      return nil
    }
    return scalar.string
  }

  func nonEmptyText() -> String? {
    guard let text = text() else { return nil }
    if text.isEmpty {
      fail("must not be empty")
      return nil
    }
    return text
  }

  func integer(in range: ClosedRange<Int>) -> Int? {
    guard let text = plainScalar("a whole number") else { return nil }
    guard let number = Int(text) else { return wrongType("a whole number") }
    guard range.contains(number) else {
      fail(
        range.upperBound == .max
          ? "\(number) is too small; at least \(range.lowerBound)"
          : "\(number) is out of range; \(range.lowerBound) to \(range.upperBound)")
      return nil
    }
    return number
  }

  /// Seconds or a rate, from zero to a million; fractions allowed.
  func number() -> Double? {
    guard let text = plainScalar("a number") else { return nil }
    guard let number = Double(text), number.isFinite, text.allSatisfy({ $0.isNumber || ".-+eE".contains($0) }) else {
      return wrongType("a number")
    }
    guard number >= 0, number <= 1_000_000 else {
      fail("\(text) is out of range; 0 to 1000000")
      return nil
    }
    return number
  }

  func boolean() -> Bool? {
    guard let text = plainScalar("true or false") else { return nil }
    switch text.lowercased() {
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    default: return wrongType("true or false")
    }
  }

  /// One of a few words, written as they are; another notes the nearest.
  func word(of words: [String], what: String) -> String? {
    guard let text = text() else { return nil }
    if words.contains(text) { return text }
    fail("unknown \(what) \"\(text)\"\(Self.hint(text, words))")
    return nil
  }

  /// The elements of a list; nil with a fault for what is not one.
  func list() -> [ConfigurationValue]? {
    guard case .sequence(let sequence) = node else { return wrongType("a list") }
    return sequence.enumerated().map { index, element in
      ConfigurationValue(
        context: context, path: "\(path)[\(index + 1)]", line: element.mark?.line ?? line, node: element)
    }
  }

  func failIfEmptyList() {
    if case .sequence(let sequence) = node, sequence.isEmpty { fail("at least one is needed") }
  }

  /// A list, or one value that stands for a list of itself.
  func listOrOne() -> [ConfigurationValue]? {
    if case .scalar = node { return [self] }
    return list()
  }

  var isSection: Bool {
    if case .mapping = node { return true }
    return false
  }

  func section() -> ConfigurationSection? {
    guard case .mapping(let mapping) = node else { return wrongType("a group of keys") }
    return ConfigurationSection(mapping, at: self)
  }

  /// Notes "X is expected, not Y".
  func wrongType<T>(_ expected: String) -> T? {
    fail("\(expected) is expected, not \(kind)")
    return nil
  }

  /// `; did you mean "x"?`, or all that is known when nothing is near.
  static func hint(_ name: String, _ known: [String]) -> String {
    if let nearest = NearestName.of(name, among: known) { return "; did you mean \"\(nearest)\"?" }
    return known.isEmpty ? "" : "; known: \(known.joined(separator: ", "))"
  }

  private func plainScalar(_ expected: String) -> String? {
    guard case .scalar(let scalar) = node, scalar.style == .plain, !isNull else { return wrongType(expected) }
    return scalar.string
  }

  private var kind: String {
    switch node {
    case .mapping: return "a group of keys"
    case .sequence: return "a list"
    case .alias: return "an alias"
    case .scalar(let scalar):
      if isNull { return "nothing" }
      let shown = scalar.string.count > 40 ? scalar.string.prefix(40) + "…" : scalar.string[...]
      return scalar.style == .plain ? "\(shown)" : "the text \"\(shown)\""
    }
  }
}
