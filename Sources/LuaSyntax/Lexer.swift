/// Cuts a source into tokens. What `load` refuses is refused here, with the same line.
struct Lexer {
  private let source: [UInt8]
  private(set) var offset = 0
  private var line = 1
  private var lineStart = 0

  init(_ source: [UInt8]) {
    self.source = source
    // A first line that begins with # is for the system's shell (§3.1 is silent, the stand-alone interpreter skips it).
    if source.first == UInt8(ascii: "#") { skipLine() }
  }

  var here: Position { Position(line: line, column: offset - lineStart + 1) }

  func peek(_ ahead: Int = 0) -> UInt8? {
    offset + ahead < source.count ? source[offset + ahead] : nil
  }

  func slice(_ range: Range<Int>) -> ArraySlice<UInt8> { source[range] }

  mutating func advance(_ count: Int = 1) { offset += count }

  /// Past a line end, whichever of CR, LF, CRLF and LFCR it is.
  mutating func newline() {
    let first = source[offset]
    offset += 1
    if let second = peek(), second != first, second == 0x0a || second == 0x0d { offset += 1 }
    line += 1
    lineStart = offset
  }

  private mutating func skipLine() {
    while let c = peek(), c != 0x0a, c != 0x0d { offset += 1 }
  }

  // MARK: tokens

  mutating func next() throws(SyntaxError) -> (Token, Position) {
    try skipSpace()
    let at = here
    guard let c = peek() else { return (.end, at) }
    if c.isLetter { return (name(), at) }
    if c.isDigit || (c == UInt8(ascii: ".") && peek(1)?.isDigit == true) { return (try number(), at) }
    if c == UInt8(ascii: "\"") || c == UInt8(ascii: "'") { return (.string(try quoted()), at) }
    if c == UInt8(ascii: "["), let level = longBracket() {
      return (.string(try longString(level, of: "string", from: at)), at)
    }
    guard let sign = sign() else {
      let shown = c >= 0x20 && c < 0x7f ? "'\(Character(UnicodeScalar(c)))'" : "a byte \(c)"
      throw SyntaxError("unexpected \(shown)", at: at)
    }
    return (.sign(sign), at)
  }

  private mutating func skipSpace() throws(SyntaxError) {
    while let c = peek() {
      switch c {
      case 0x0a, 0x0d: newline()
      case 0x20, 0x09, 0x0b, 0x0c: offset += 1
      case UInt8(ascii: "-") where peek(1) == UInt8(ascii: "-"):
        let at = here
        offset += 2
        if peek() == UInt8(ascii: "["), let level = longBracket() {
          _ = try longString(level, of: "comment", from: at)
        } else {
          skipLine()
        }
      default: return
      }
    }
  }

  private mutating func name() -> Token {
    let start = offset
    while let c = peek(), c.isLetter || c.isDigit { offset += 1 }
    let text = String(decoding: source[start..<offset], as: UTF8.self)
    return Token.Word(rawValue: text).map { .word($0) } ?? .name(text)
  }

  /// The longest sign that stands here.
  private mutating func sign() -> Token.Sign? {
    for length in [3, 2, 1] where offset + length <= source.count {
      let text = String(decoding: source[offset..<offset + length], as: UTF8.self)
      if let sign = Token.Sign(rawValue: text) {
        offset += length
        return sign
      }
    }
    return nil
  }

  /// The level of a long bracket that opens here: `[[` is 0, `[==[` 2. Nothing is taken.
  private func longBracket() -> Int? {
    var level = 0
    while peek(1 + level) == UInt8(ascii: "=") { level += 1 }
    return peek(1 + level) == UInt8(ascii: "[") ? level : nil
  }

  private mutating func longString(
    _ level: Int, of what: String, from start: Position
  ) throws(SyntaxError) -> [UInt8] {
    offset += level + 2
    if let c = peek(), c == 0x0a || c == 0x0d { newline() }
    var text: [UInt8] = []
    while let c = peek() {
      if c == 0x0a || c == 0x0d {
        newline()
        text.append(0x0a)
      } else if c == UInt8(ascii: "]"), closes(level) {
        offset += level + 2
        return text
      } else {
        text.append(c)
        offset += 1
      }
    }
    throw SyntaxError("unfinished long \(what)", at: start)
  }

  private func closes(_ level: Int) -> Bool {
    for n in 0..<level where peek(1 + n) != UInt8(ascii: "=") { return false }
    return peek(1 + level) == UInt8(ascii: "]")
  }
}

extension UInt8 {
  var isDigit: Bool { self >= 0x30 && self <= 0x39 }
  var isLetter: Bool { (self | 0x20 >= 0x61 && self | 0x20 <= 0x7a) || self == UInt8(ascii: "_") }
  /// Its value as a hexadecimal digit.
  var hexDigit: UInt8? {
    if isDigit { return self - 0x30 }
    let lower = self | 0x20
    return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : nil
  }
}
