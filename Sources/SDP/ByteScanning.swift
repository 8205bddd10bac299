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
    range.count == name.utf8CodeUnitCount && matches(name, range)
  }

  /// Of the same length.
  private func matches(_ name: StaticString, _ range: Range<Int>) -> Bool {
    var text = unsafe name.utf8Start
    var i = check(range)
    while i < range.upperBound {
      let (a, b) = unsafe (self[unchecked: i], text.pointee)
      if a != b, a.asciiLowered != b.asciiLowered { return false }
      unsafe text += 1
      i &+= 1
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

  /// One look at the bounds for all that a scan reads; returns where it starts.
  @inline(__always)
  private func check(_ range: Range<Int>) -> Int {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "a range of another body")
    return range.lowerBound
  }

  /// Visible ASCII only: what may be copied into another description's line as a token.
  func isVisible(_ range: Range<Int>) -> Bool {
    var i = check(range)
    while i < range.upperBound {
      let c = unsafe self[unchecked: i]
      if c <= 0x20 || c >= 0x7f { return false }
      i &+= 1
    }
    return !range.isEmpty
  }

  @inline(__always)
  func trim(_ range: Range<Int>) -> Range<Int> {
    var low = check(range)
    var high = range.upperBound
    while low < high, unsafe self[unchecked: low].isBlank { low &+= 1 }
    while low < high, unsafe self[unchecked: high &- 1].isBlank { high &-= 1 }
    return low..<high
  }

  @inline(__always)
  func first(_ c: UInt8, in range: Range<Int>) -> Int? {
    var i = check(range)
    while i < range.upperBound {
      if unsafe self[unchecked: i] == c { return i }
      i &+= 1
    }
    return nil
  }

  /// The next run of octets that are no blanks, from `range` on.
  func token(_ range: Range<Int>) -> Range<Int> {
    var low = check(range)
    while low < range.upperBound, unsafe self[unchecked: low].isBlank { low &+= 1 }
    var high = low
    while high < range.upperBound, unsafe !self[unchecked: high].isBlank { high &+= 1 }
    return low..<high
  }

  /// A decimal number without sign, at most `limit`; nil for anything else.
  func decimal(_ range: Range<Int>, upTo limit: Int) -> Int? {
    var i = check(range)
    guard !range.isEmpty, range.count <= 18 else { return nil }
    var value = 0
    while i < range.upperBound {
      let digit = unsafe self[unchecked: i] &- 0x30
      guard digit <= 9 else { return nil }
      value = value &* 10 &+ Int(digit)
      i &+= 1
    }
    return value <= limit ? value : nil
  }

  /// The first octet below 14 from `start` on: a line end, a tab or worse; `end` where there is none. Eight octets a
  /// step, as a body is read twice and has few of them.
  @inline(__always)
  func firstControl(_ start: Int, _ end: Int) -> Int {
    var i = start
    while i &+ 8 <= end {
      let word = UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
      // The lowest octet that is marked is right; a borrow can only mark higher ones wrongly.
      let marks = (word &- 0x0e0e_0e0e_0e0e_0e0e) & ~word & 0x8080_8080_8080_8080
      if marks != 0 { return i &+ marks.trailingZeroBitCount >> 3 }
      i &+= 8
    }
    while i < end, self[i] > 0x0d { i &+= 1 }
    return i
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
  @inline(__always)
  mutating func next(_ s: Span<UInt8>) -> (type: UInt8, value: Range<Int>)? {
    while at < end {
      var start = at
      var stop = s.firstControl(start, end)
      while stop < end, s[stop] != 0x0a, s[stop] != 0x0d {
        if s[stop] == 0 { sawNUL = true }
        stop = s.firstControl(stop &+ 1, end)
      }
      at = stop &+ 1
      while start < stop, s[start].isBlank { start &+= 1 }
      guard stop &- start >= 2, s[start &+ 1] == UInt8(ascii: "=") else { continue }
      return (s[start].asciiLowered, (start &+ 2)..<stop)
    }
    return nil
  }
}

extension UInt8 {
  var isBlank: Bool { self == 0x20 || self == 0x09 }
  var asciiLowered: UInt8 { self >= 0x41 && self <= 0x5a ? self | 0x20 : self }
  var asciiUppered: UInt8 { self >= 0x61 && self <= 0x7a ? self & 0xdf : self }
}
