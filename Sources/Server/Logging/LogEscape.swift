/// Makes text of any origin fit for one line of a log.
public enum LogEscape {
  /// Control characters, and what splits or reorders a line, as `\n`, `\t` or `\u001b`; a backslash is doubled.
  public static func text(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0 == "\\" || isUnfit($0) }) else { return text }
    var escaped = ""
    for scalar in text.unicodeScalars {
      if scalar == "\\" {
        escaped += "\\\\"
      } else if isUnfit(scalar) {
        escaped += escape(scalar)
      } else {
        escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// A JSON string (RFC 8259 §7) with its quotes.
  static func json(_ text: String) -> String {
    var escaped = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": escaped += "\\\""
      case "\\": escaped += "\\\\"
      default:
        if isUnfit(scalar) { escaped += escape(scalar) } else { escaped.unicodeScalars.append(scalar) }
      }
    }
    return escaped + "\""
  }

  /// C0, DEL, C1, line and paragraph separators, and the bidirectional controls that show a line in another order.
  private static func isUnfit(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7f...0x9f, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: true
    default: false
    }
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    default:
      let hex = String(scalar.value, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
    }
  }
}
