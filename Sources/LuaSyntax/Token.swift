/// A word of the language (Lua 5.4 manual §3.1).
enum Token: Equatable {
  case name(String)
  case string([UInt8])
  case number(Double)
  /// A reserved word.
  case word(Word)
  /// An operator or other sign, as it is written.
  case sign(Sign)
  case end

  enum Word: String, CaseIterable {
    case and, `break`, `do`, `else`, elseif, end, `false`, `for`, function, goto, `if`, `in`, local, `nil`, not, or
    case `repeat`, `return`, then, `true`, until, `while`
  }

  enum Sign: String, CaseIterable {
    case plus = "+", minus = "-", star = "*", slash = "/", doubleSlash = "//", percent = "%", caret = "^", hash = "#"
    case ampersand = "&", tilde = "~", bar = "|", shiftLeft = "<<", shiftRight = ">>"
    case equal = "==", unequal = "~=", lessEqual = "<=", greaterEqual = ">=", less = "<", greater = ">", assign = "="
    case open = "(", close = ")", openBrace = "{", closeBrace = "}", openBracket = "[", closeBracket = "]"
    case doubleColon = "::", semicolon = ";", colon = ":", comma = ",", dot = ".", concat = "..", vararg = "..."
  }

  /// As an error message shows it.
  var shown: String {
    switch self {
    case .name(let name): "'\(name)'"
    case .string: "a string"
    case .number: "a number"
    case .word(let word): "'\(word.rawValue)'"
    case .sign(let sign): "'\(sign.rawValue)'"
    case .end: "the end of the file"
    }
  }
}
