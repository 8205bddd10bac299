// RFC 3261 §25.1 `quoted-string`, on bytes.

extension [UInt8] {
  /// Appends `"…"`: quotes and backslashes escaped, controls (CR, LF and NUL among them) as spaces.
  mutating func appendQuoted(_ text: some Sequence<UInt8>) {
    append(UInt8(ascii: "\""))
    for c in text {
      switch c {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        append(UInt8(ascii: "\\"))
        append(c)
      case 0..<0x20, 0x7f: append(0x20)
      default: append(c)
      }
    }
    append(UInt8(ascii: "\""))
  }
}

extension ArraySlice<UInt8> {
  /// The parts between separators that are not inside a quoted string; never empty.
  func splitOutsideQuotes(_ separator: UInt8) -> [ArraySlice<UInt8>] {
    var parts: [ArraySlice<UInt8>] = []
    var start = startIndex
    var quoted = false
    var escaped = false
    for i in indices {
      let c = self[i]
      if quoted {
        if escaped {
          escaped = false
        } else if c == UInt8(ascii: "\\") {
          escaped = true
        } else if c == UInt8(ascii: "\"") {
          quoted = false
        }
      } else if c == UInt8(ascii: "\"") {
        quoted = true
      } else if c == separator {
        parts.append(self[start..<i])
        start = i + 1
      }
    }
    parts.append(self[start...])
    return parts
  }

  var trimmedBlanks: ArraySlice<UInt8> {
    var low = startIndex
    var high = endIndex
    while low < high, self[low] <= 0x20 { low += 1 }
    while low < high, self[high - 1] <= 0x20 { high -= 1 }
    return self[low..<high]
  }

  /// Without the quotes around it and with its escapes undone; a bare token as it is.
  var unquoted: [UInt8] {
    guard count >= 2, first == UInt8(ascii: "\""), last == UInt8(ascii: "\"") else { return Array(self) }
    var text: [UInt8] = []
    text.reserveCapacity(count)
    var escaped = false
    for c in dropFirst().dropLast() {
      if !escaped, c == UInt8(ascii: "\\") {
        escaped = true
      } else {
        text.append(c)
        escaped = false
      }
    }
    return text
  }
}
