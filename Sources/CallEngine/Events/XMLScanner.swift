import SIPMessage

/// Reads the elements and the text of an XML document that a peer publishes. It checks that tags nest and are closed;
/// prefixes of names are dropped. A document type declaration, which could name entities without end, is refused.
struct XMLScanner {
  enum Token: Equatable {
    /// The local name of an element.
    case open([UInt8])
    case close([UInt8])
    case text([UInt8])
    case end
  }

  struct Malformed: Error {}

  private let source: Bytes
  private var at: Int
  private var stack: [Bytes] = []
  /// Of `<name/>`, whose end is still to be told.
  private var closes: [UInt8]?
  private var hasRoot = false

  private static let deepest = 32

  init(_ source: Bytes) {
    self.source = source
    at = source.startIndex
    if source.starts(with: [0xef, 0xbb, 0xbf]) { at += 3 }
  }

  mutating func next() throws(Malformed) -> Token {
    if let name = closes {
      closes = nil
      return .close(name)
    }
    while at < source.endIndex {
      if source[at] != UInt8(ascii: "<") {
        let text = try characters()
        if stack.isEmpty {
          guard text.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0a || $0 == 0x0d }) else { throw Malformed() }
          continue
        }
        return .text(text)
      }
      if begins(with: "<?") {
        try skip(past: "?>")
      } else if begins(with: "<!--") {
        try skip(past: "-->")
      } else if begins(with: "<![CDATA[") {
        guard !stack.isEmpty else { throw Malformed() }
        let start = at + 9
        try skip(past: "]]>")
        return .text(Array(source[start..<(at - 3)]))
      } else if begins(with: "<!") {
        throw Malformed()
      } else if begins(with: "</") {
        return .close(try endTag())
      } else {
        return .open(try startTag())
      }
    }
    guard stack.isEmpty, hasRoot else { throw Malformed() }
    return .end
  }

  private func begins(with text: StaticString) -> Bool {
    source[at...].starts(with: text.description.utf8)
  }

  private mutating func skip(past text: StaticString) throws(Malformed) {
    let wanted = Array(text.description.utf8)
    var i = at
    while i + wanted.count <= source.endIndex {
      if source[i..<(i + wanted.count)].elementsEqual(wanted) {
        at = i + wanted.count
        return
      }
      i += 1
    }
    throw Malformed()
  }

  // MARK: tags

  private static func isBlank(_ c: UInt8) -> Bool { c == 0x20 || c == 0x09 || c == 0x0a || c == 0x0d }

  private static func local(_ name: Bytes) -> [UInt8] {
    name.lastIndex(of: UInt8(ascii: ":")).map { Array(name[($0 + 1)...]) } ?? Array(name)
  }

  private mutating func name() throws(Malformed) -> Bytes {
    let start = at
    while at < source.endIndex, !XMLScanner.isBlank(source[at]),
      !"<>/=\"'&".utf8.contains(source[at])
    { at += 1 }
    guard at > start else { throw Malformed() }
    return source[start..<at]
  }

  private mutating func blanks() {
    while at < source.endIndex, XMLScanner.isBlank(source[at]) { at += 1 }
  }

  private mutating func take(_ c: UInt8) -> Bool {
    guard at < source.endIndex, source[at] == c else { return false }
    at += 1
    return true
  }

  private mutating func startTag() throws(Malformed) -> [UInt8] {
    at += 1
    let name = try name()
    guard !stack.isEmpty || !hasRoot, stack.count < XMLScanner.deepest else { throw Malformed() }
    hasRoot = true
    while true {
      blanks()
      if take(UInt8(ascii: ">")) {
        stack.append(name)
        return XMLScanner.local(name)
      }
      if take(UInt8(ascii: "/")) {
        guard take(UInt8(ascii: ">")) else { throw Malformed() }
        closes = XMLScanner.local(name)
        return XMLScanner.local(name)
      }
      _ = try self.name()
      blanks()
      guard take(UInt8(ascii: "=")) else { throw Malformed() }
      blanks()
      try skipValue()
    }
  }

  private mutating func skipValue() throws(Malformed) {
    guard at < source.endIndex, source[at] == UInt8(ascii: "\"") || source[at] == UInt8(ascii: "'") else {
      throw Malformed()
    }
    let quote = source[at]
    at += 1
    while at < source.endIndex, source[at] != quote {
      if source[at] == UInt8(ascii: "<") { throw Malformed() }
      at += 1
    }
    guard take(quote) else { throw Malformed() }
  }

  private mutating func endTag() throws(Malformed) -> [UInt8] {
    at += 2
    let name = try name()
    blanks()
    guard take(UInt8(ascii: ">")), stack.popLast()?.elementsEqual(name) == true else { throw Malformed() }
    return XMLScanner.local(name)
  }

  // MARK: text

  private mutating func characters() throws(Malformed) -> [UInt8] {
    var out: [UInt8] = []
    while at < source.endIndex, source[at] != UInt8(ascii: "<") {
      if source[at] == UInt8(ascii: "&") {
        out += try reference()
      } else {
        out.append(source[at])
        at += 1
      }
    }
    return out
  }

  /// The five entities that need no declaration, and character references (XML 1.0 §4.1).
  private mutating func reference() throws(Malformed) -> [UInt8] {
    guard let end = source[at...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { throw Malformed() }
    let name = String(decoding: source[(at + 1)..<end], as: UTF8.self)
    at = end + 1
    switch name {
    case "lt": return [UInt8(ascii: "<")]
    case "gt": return [UInt8(ascii: ">")]
    case "amp": return [UInt8(ascii: "&")]
    case "quot": return [UInt8(ascii: "\"")]
    case "apos": return [UInt8(ascii: "'")]
    default:
      let number: UInt32? =
        name.hasPrefix("#x")
        ? UInt32(name.dropFirst(2), radix: 16) : name.hasPrefix("#") ? UInt32(name.dropFirst()) : nil
      guard let number, number > 0, let scalar = Unicode.Scalar(number) else { throw Malformed() }
      return Array(String(scalar).utf8)
    }
  }
}
