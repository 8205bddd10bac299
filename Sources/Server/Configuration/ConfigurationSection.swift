import CallEngine
import NetCore
import Yams

/// One mapping of the file. Each read names its key; `finish` faults the keys that nobody asked for.
final class ConfigurationSection {
  let place: ConfigurationValue
  private var entries: [(key: String, value: ConfigurationValue)] = []
  private var known: [String] = []

  init(_ mapping: Node.Mapping, at place: ConfigurationValue) {
    self.place = place
    for (keyNode, node) in mapping {
      let line = keyNode.mark?.line ?? place.line
      guard case .scalar(let scalar) = keyNode else {
        place.context.fail(line: line, "a key must be a word")
        continue
      }
      let path = place.path.isEmpty ? scalar.string : "\(place.path).\(scalar.string)"
      // The mark of an empty value is where the next token stands, which may be lines below.
      let value = ConfigurationValue(context: place.context, path: path, line: node.mark?.line ?? line, node: node)
      entries.append(
        (scalar.string, value.isNull ? .init(context: value.context, path: path, line: line, node: node) : value))
    }
  }

  /// The value of `key`; nil when the file has none, or leaves it empty: the default stays.
  func value(_ key: String) -> ConfigurationValue? {
    known.append(key)
    guard let value = entries.first(where: { $0.key == key })?.value, !value.isNull else { return nil }
    return value
  }

  /// As `value`, with a fault when it is not there.
  func required(_ key: String) -> ConfigurationValue? {
    if let value = value(key) { return value }
    place.fail("\(key) is missing")
    return nil
  }

  func read<T>(_ key: String, into target: inout T, _ parse: (ConfigurationValue) -> T?) {
    if let value = value(key), let parsed = parse(value) { target = parsed }
  }

  func readOptional<T>(_ key: String, into target: inout T?, _ parse: (ConfigurationValue) -> T?) {
    if let value = value(key), let parsed = parse(value) { target = parsed }
  }

  /// Reads the keys of the mapping below `key`, if there is one.
  func section(_ key: String, _ body: (ConfigurationSection) -> Void) {
    guard let section = value(key)?.section() else { return }
    body(section)
    section.finish()
  }

  /// Reads each mapping of the list below `key`. An element that `body` gives nil for is left out; it noted why.
  func sections<T>(_ key: String, into target: inout [T], _ body: (ConfigurationSection) -> T?) {
    guard let list = value(key)?.list() else { return }
    target = list.compactMap { element in
      guard let section = element.section() else { return nil }
      defer { section.finish() }
      return body(section)
    }
  }

  /// Every key, for a mapping whose keys are names of the author's own.
  func forEach(_ body: (_ key: String, ConfigurationValue) -> Void) {
    for (key, value) in entries {
      known.append(key)
      body(key, value)
    }
  }

  /// For a key whose part comes with a later release: a limit that does not hold, or a transport that is not encrypted,
  /// must not pass for one that is.
  func later(_ key: String, unless isDefault: Bool, _ what: String) {
    guard !isDefault, let value = entries.first(where: { $0.key == key })?.value else { return }
    value.fail("\(what) comes with a later release")
  }

  /// Notes a fault for each key that was not read.
  func finish() {
    for (key, value) in entries where !known.contains(key) {
      value.fail("unknown key\(ConfigurationValue.hint(key, known))")
    }
  }
}

extension ConfigurationValue {
  /// Seconds.
  func span() -> Instant.Span? { number().map { Instant.Span.seconds($0) } }

  /// A path, absolute or from the file's folder.
  func filePath() -> String? {
    nonEmptyText().map { ServerConfiguration.path($0, in: context.directory) }
  }

  func address() -> IPAddress? {
    guard let text = text() else { return nil }
    guard let address = IPAddress(text) else {
      fail("\"\(text)\" is not an IP address")
      return nil
    }
    return address
  }

  /// One address or several, at most one a family.
  func addressPerFamily() -> [IPAddress]? {
    guard let values = listOrOne() else { return nil }
    var addresses: [IPAddress] = []
    for value in values {
      guard let address = value.address() else { continue }
      if addresses.contains(where: { $0.family == address.family }) {
        value.fail("a second IPv\(address.family == .v4 ? 4 : 6) address; one a family")
      } else {
        addresses.append(address)
      }
    }
    if values.isEmpty {
      fail("at least one address is needed")
      return nil
    }
    return addresses
  }

  func networks() -> [SourceNetwork]? {
    guard let values = listOrOne() else { return nil }
    return values.compactMap { $0.network() }
  }

  /// CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3). Bits beyond the prefix are more likely a slip than a wish.
  private func network() -> SourceNetwork? {
    guard let text = text() else { return nil }
    guard let network = SourceNetwork(text) else {
      let wrong = text.contains("/") && IPAddress(text.prefix { $0 != "/" }) != nil
      fail(
        wrong
          ? "\"\(text)\" has no valid prefix length" : "\"\(text)\" is not an IP address or range, such as 10.1.0.0/16")
      return nil
    }
    let base = network.address.masked(to: network.bits)
    guard base == network.address else {
      fail("\"\(text)\" has bits set beyond its prefix; did you mean \"\(base)/\(network.bits)\"?")
      return nil
    }
    return network
  }

  static let nameMarks = "-_.!~*'+#"

  /// Fit for dial strings, logs and headers as it is: letters, digits and marks, at most 64.
  static func isName(_ text: String, allowing marks: String = nameMarks) -> Bool {
    !text.isEmpty && text.utf8.count <= 64
      && text.unicodeScalars.allSatisfy {
        ($0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0))) || marks.unicodeScalars.contains($0)
      }
  }

  func name(_ what: String, allowing marks: String = nameMarks) -> String? {
    guard let text = nonEmptyText() else { return nil }
    guard Self.isName(text, allowing: marks) else {
      fail("\"\(text)\" is not a \(what): up to 64 letters, digits and \(marks)")
      return nil
    }
    return text
  }
}

extension IPAddress {
  /// The address with all but its first `bits` bits cleared.
  fileprivate func masked(to bits: Int) -> IPAddress {
    func mask(_ word: UInt64, _ keep: Int) -> UInt64 {
      keep <= 0 ? 0 : keep >= 64 ? word : word & ~(UInt64.max >> UInt64(keep))
    }
    switch family {
    case .v4: return IPAddress(v4: UInt32(truncatingIfNeeded: mask(low << 32, bits) >> 32))
    case .v6: return IPAddress(high: mask(high, bits), low: mask(low, bits - 64))
    }
  }
}
