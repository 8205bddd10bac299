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

extension Span<UInt8> {
  /// Equal without regard to ASCII case.
  @inline(__always)
  func equals(_ name: StaticString, _ range: Range<Int>) -> Bool {
    range.count == name.utf8CodeUnitCount && matches(name, at: range.lowerBound)
  }

  /// `name` stands at `start`, in any case.
  private func matches(_ name: StaticString, at start: Int) -> Bool {
    let text = unsafe name.utf8Start
    for i in 0..<name.utf8CodeUnitCount where unsafe self[start + i].asciiLowered != text[i].asciiLowered {
      return false
    }
    return true
  }

  /// The two runs are equal without regard to ASCII case.
  func equals(_ range: Range<Int>, _ other: Span<UInt8>, _ otherRange: Range<Int>) -> Bool {
    guard range.count == otherRange.count else { return false }
    for i in 0..<range.count {
      let (a, b) = (self[range.lowerBound + i], other[otherRange.lowerBound + i])
      if a.asciiLowered != b.asciiLowered { return false }
    }
    return true
  }

  /// Visible ASCII only: what may be copied into another description's line as a token.
  func isVisible(_ range: Range<Int>) -> Bool {
    for i in range where self[i] <= 0x20 || self[i] >= 0x7f { return false }
    return !range.isEmpty
  }

  func trim(_ range: Range<Int>) -> Range<Int> {
    var low = range.lowerBound
    var high = range.upperBound
    while low < high, self[low].isBlank { low += 1 }
    while low < high, self[high - 1].isBlank { high -= 1 }
    return low..<high
  }

  func first(_ c: UInt8, in range: Range<Int>) -> Int? {
    var i = range.lowerBound
    while i < range.upperBound {
      if self[i] == c { return i }
      i += 1
    }
    return nil
  }

  /// The next run of octets that are no blanks, from `range` on.
  func token(_ range: Range<Int>) -> Range<Int> {
    var low = range.lowerBound
    while low < range.upperBound, self[low].isBlank { low += 1 }
    var high = low
    while high < range.upperBound, !self[high].isBlank { high += 1 }
    return low..<high
  }

  /// A decimal number without sign, at most `limit`; nil for anything else.
  func decimal(_ range: Range<Int>, upTo limit: Int) -> Int? {
    guard !range.isEmpty, range.count <= 18 else { return nil }
    var value = 0
    for i in range {
      let c = self[i]
      guard c >= 0x30, c <= 0x39 else { return nil }
      value = value &* 10 &+ Int(c &- 0x30)
    }
    return value <= limit ? value : nil
  }
}

/// Walks the lines of a description: a line ends at CR, at LF or at both (RFC 8866 §5 asks for CRLF and to accept LF);
/// what is not `x=…` is skipped.
struct LineCursor {
  var at: Int
  let end: Int
  private(set) var sawNUL = false

  init(_ range: Range<Int>) {
    at = range.lowerBound
    end = range.upperBound
  }

  /// The letter, lower-cased, and where the value is.
  mutating func next(_ s: Span<UInt8>) -> (type: UInt8, value: Range<Int>)? {
    var i = at
    while i < end {
      var start = i
      while i < end {
        let c = s[i]
        if c <= 0x0d {
          if c == 0x0a || c == 0x0d { break }
          if c == 0 { sawNUL = true }
        }
        i &+= 1
      }
      let stop = i
      i &+= 1
      while start < stop, s[start].isBlank { start &+= 1 }
      guard stop &- start >= 2, s[start + 1] == UInt8(ascii: "=") else { continue }
      at = i
      return (s[start].asciiLowered, (start + 2)..<stop)
    }
    at = i
    return nil
  }
}

extension UInt8 {
  var isBlank: Bool { self == 0x20 || self == 0x09 }
  var asciiLowered: UInt8 { self >= 0x41 && self <= 0x5a ? self | 0x20 : self }
  var asciiUppered: UInt8 { self >= 0x61 && self <= 0x7a ? self & 0xdf : self }
}
