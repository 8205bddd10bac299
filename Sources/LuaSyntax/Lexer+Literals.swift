// Quoted strings with their escapes, and numbers (Lua 5.4 manual §3.1).
extension Lexer {
  mutating func quoted() throws(SyntaxError) -> [UInt8] {
    let start = here
    let quote = peek()
    advance()
    var text: [UInt8] = []
    while let c = peek() {
      switch c {
      case quote:
        advance()
        return text
      case 0x0a, 0x0d: throw SyntaxError("unfinished string", at: start)
      case UInt8(ascii: "\\"): try escape(into: &text)
      default:
        text.append(c)
        advance()
      }
    }
    throw SyntaxError("unfinished string", at: start)
  }

  private static let plainEscapes: [UInt8: UInt8] = [
    UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13,
    UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11, UInt8(ascii: "\\"): 92, UInt8(ascii: "\""): 34, UInt8(ascii: "'"): 39,
  ]

  private mutating func escape(into text: inout [UInt8]) throws(SyntaxError) {
    let at = here
    advance()
    guard let c = peek() else { throw SyntaxError("unfinished string", at: at) }
    if let plain = Lexer.plainEscapes[c] {
      text.append(plain)
      return advance()
    }
    switch c {
    case 0x0a, 0x0d:
      newline()
      text.append(0x0a)
    case UInt8(ascii: "x"):
      advance()
      guard let high = peek()?.hexDigit, let low = peek(1)?.hexDigit else {
        throw SyntaxError("\\x takes two hexadecimal digits", at: at)
      }
      text.append(high << 4 | low)
      advance(2)
    case UInt8(ascii: "z"):
      advance()
      while let space = peek(), space == 0x20 || (0x09...0x0d).contains(space) {
        if space == 0x0a || space == 0x0d { newline() } else { advance() }
      }
    case UInt8(ascii: "u"): try unicode(into: &text, at)
    default:
      guard c.isDigit else { throw SyntaxError("invalid escape sequence", at: at) }
      var value = 0
      for _ in 0..<3 {
        guard let digit = peek(), digit.isDigit else { break }
        value = value * 10 + Int(digit - 0x30)
        advance()
      }
      guard let octet = UInt8(exactly: value) else { throw SyntaxError("decimal escape too large", at: at) }
      text.append(octet)
    }
  }

  /// `\u{XXX}`, up to 2³¹, in the original UTF-8 of up to six octets.
  private mutating func unicode(into text: inout [UInt8], _ at: Position) throws(SyntaxError) {
    advance()
    guard peek() == UInt8(ascii: "{") else { throw SyntaxError("missing '{' in \\u{…}", at: at) }
    advance()
    var value: UInt64 = 0
    var digits = 0
    while let digit = peek()?.hexDigit {
      value = value << 4 | UInt64(digit)
      digits += 1
      guard value < 1 << 31 else { throw SyntaxError("UTF-8 value too large", at: at) }
      advance()
    }
    guard digits > 0, peek() == UInt8(ascii: "}") else {
      throw SyntaxError("\\u{…} takes hexadecimal digits", at: at)
    }
    advance()
    guard value >= 0x80 else { return text.append(UInt8(value)) }
    var tail: [UInt8] = []
    var room: UInt64 = 0x3f
    repeat {
      tail.append(0x80 | UInt8(value & 0x3f))
      value >>= 6
      room >>= 1
    } while value > room
    text.append(UInt8(truncatingIfNeeded: ~room << 1 | value))
    text += tail.reversed()
  }

  mutating func number() throws(SyntaxError) -> Token {
    let at = here
    let start = offset
    let isHex = peek() == UInt8(ascii: "0") && peek(1).map { $0 | 0x20 } == UInt8(ascii: "x")
    if isHex { advance(2) }
    let exponent = isHex ? UInt8(ascii: "p") : UInt8(ascii: "e")
    while let c = peek() {
      if c | 0x20 == exponent, let sign = peek(1), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
        advance(2)
      } else if c.isDigit || c.isLetter || c == UInt8(ascii: ".") {
        advance()
      } else {
        break
      }
    }
    let text = String(decoding: slice(start..<offset), as: UTF8.self)
    // Swift wants digits about the point and an exponent for hexadecimal fractions.
    if isHex, let whole = UInt64(text.dropFirst(2), radix: 16) {
      return .number(Double(Int64(bitPattern: whole)))
    }
    var tidy = text
    if tidy.hasSuffix(".") { tidy += "0" }
    if tidy.hasPrefix(".") { tidy = "0" + tidy }
    if isHex, !tidy.lowercased().contains("p") { tidy += "p0" }
    guard let value = Double(tidy) ?? Double(tidy.replacing(".e", with: ".0e").replacing(".p", with: ".0p")) else {
      throw SyntaxError("malformed number '\(text)'", at: at)
    }
    return .number(value)
  }
}
