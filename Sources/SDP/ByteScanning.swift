// What the parser needs of bytes, without String and without Foundation.

typealias Bytes = ArraySlice<UInt8>

extension ArraySlice<UInt8> {
  /// Equal without regard to ASCII case. RFC 8866 makes attribute names case-sensitive; phones do not.
  func equals(_ name: StaticString) -> Bool {
    guard count == name.utf8CodeUnitCount else { return false }
    return name.withUTF8Buffer { buffer in
      for i in 0..<count where unsafe self[startIndex + i].asciiLowered != buffer[i].asciiLowered { return false }
      return true
    }
  }

  /// Takes the next run of bytes that are neither space nor tab; empty at the end.
  mutating func nextToken() -> Bytes {
    var i = startIndex
    while i < endIndex, self[i].isBlank { i += 1 }
    let start = i
    while i < endIndex, !self[i].isBlank { i += 1 }
    let token = self[start..<i]
    self = self[i...]
    return token
  }

  /// What is before the first `separator`, and what is after it; nil after it where there is none.
  func split(at separator: UInt8) -> (before: Bytes, after: Bytes?) {
    guard let i = firstIndex(of: separator) else { return (self, nil) }
    return (self[..<i], self[(i + 1)...])
  }

  var trimmed: Bytes {
    var low = startIndex
    var high = endIndex
    while low < high, self[low].isBlank { low += 1 }
    while low < high, self[high - 1].isBlank { high -= 1 }
    return self[low..<high]
  }

  /// A decimal number without sign, at most `limit`; nil for anything else.
  func decimal(upTo limit: Int) -> Int? {
    guard !isEmpty, count <= 18 else { return nil }
    var value = 0
    for c in self {
      guard c >= 0x30, c <= 0x39 else { return nil }
      value = value &* 10 &+ Int(c &- 0x30)
    }
    return value <= limit ? value : nil
  }

  /// Visible ASCII only: what may be copied into another description's line as a token.
  var isVisible: Bool { !isEmpty && allSatisfy { $0 > 0x20 && $0 < 0x7f } }
}

extension UInt8 {
  var isBlank: Bool { self == 0x20 || self == 0x09 }
  var asciiLowered: UInt8 { self >= 0x41 && self <= 0x5a ? self | 0x20 : self }
  var asciiUppered: UInt8 { self >= 0x61 && self <= 0x7a ? self & 0xdf : self }
}
