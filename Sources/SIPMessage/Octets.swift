/// A view into the octets of a message: indices are those of the array it was cut from. Copy what you keep, as a view
/// keeps the whole message alive.
public typealias Bytes = ArraySlice<UInt8>

/// Two offsets from the start of a view. 16 bits are enough, as a header section is limited to 64 KiB; a header's
/// layout then fits in a few words inside `Message`, without memory of its own.
struct Extent: Sendable {
  var start: UInt16
  var end: UInt16

  static var none: Extent { Extent(start: .max, end: 0) }

  init(start: UInt16, end: UInt16) {
    self.start = start
    self.end = end
  }

  /// Offsets of `range` from `base`; the callers have bounded both to 16 bits.
  init(_ range: Range<Int>, base: Int = 0) {
    start = UInt16(truncatingIfNeeded: range.lowerBound &- base)
    end = UInt16(truncatingIfNeeded: range.upperBound &- base)
  }

  var isNone: Bool { start > end }

  func slice(_ view: Bytes) -> Bytes {
    view[(view.startIndex &+ Int(start))..<(view.startIndex &+ Int(end))]
  }

  func optionalSlice(_ view: Bytes) -> Bytes? { isNone ? nil : slice(view) }
}

extension Span where Element == UInt8 {
  /// The first index from `i` that is no linear white space. Folding needs no look-ahead: inside a value the header
  /// index has made sure that CRLF is followed by a blank.
  @inline(__always) func skipLWS(_ i: Int, _ end: Int) -> Int {
    var i = i
    while i < end, self[i].isLWS { i &+= 1 }
    return i
  }

  /// The end of `start..<end` without trailing white space.
  @inline(__always) func trimEnd(_ start: Int, _ end: Int) -> Int {
    var end = end
    while end > start, self[end &- 1].isLWS { end &-= 1 }
    return end
  }

  /// The first index from `i` whose octet is not in `set`, or `end`.
  @inline(__always) func skip(_ set: OctetSet, _ i: Int, _ end: Int) -> Int {
    precondition(i >= 0 && end <= count)
    var i = i
    // Four at a time: this is where a parse spends itself.
    while i <= end &- 4 {
      guard set.contains(unsafe self[unchecked: i]) else { return i }
      guard set.contains(unsafe self[unchecked: i &+ 1]) else { return i &+ 1 }
      guard set.contains(unsafe self[unchecked: i &+ 2]) else { return i &+ 2 }
      guard set.contains(unsafe self[unchecked: i &+ 3]) else { return i &+ 3 }
      i &+= 4
    }
    while i < end, set.contains(self[i]) { i &+= 1 }
    return i
  }

  /// Case-insensitive.
  @inline(__always) func equals(_ text: StaticString, _ start: Int, _ end: Int) -> Bool {
    let n = text.utf8CodeUnitCount
    guard end &- start == n else { return false }
    if n <= 8 { return word(start, end) == Word.of(text) }
    for k in 0..<n where self[start &+ k].lowercased != text[octet: k].lowercased { return false }
    return true
  }

  /// Octet by octet; the ranges are of the same span.
  func sameOctets(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
    guard a.count == b.count else { return false }
    for k in 0..<a.count where self[a.lowerBound &+ k] != self[b.lowerBound &+ k] { return false }
    return true
  }

  /// The index after the closing quote of the quoted string that opens at `i` (RFC 3261 §25.1).
  func quotedStringEnd(_ i: Int, _ end: Int) throws(SIPError) -> Int {
    var i = i &+ 1
    while i < end {
      switch self[i] {
      case UInt8(ascii: "\""): return i &+ 1
      case UInt8(ascii: "\\"): i &+= 2
      default: i &+= 1
      }
    }
    throw SIPError(400, "quoted string is not closed", "RFC 3261 §25.1")
  }

  /// Digits only, leading zeros allowed; nil if there is none, another octet, or more than `max`.
  @inline(__always) func decimal(_ start: Int, _ end: Int, max: Int) -> Int? {
    guard start < end else { return nil }
    var value = 0
    var i = start
    while i < end {
      let c = self[i]
      guard c.isDigit else { return nil }
      value = value &* 10 &+ Int(c &- 0x30)
      if value > max { return nil }  // `max` is far below Int.max / 10, so the product cannot have wrapped
      i &+= 1
    }
    return value
  }
}

extension StaticString {
  @inline(__always) subscript(octet k: Int) -> UInt8 { unsafe utf8Start[k] }
}

extension ArraySlice<UInt8> {
  /// Case-insensitive.
  public func equalsIgnoringCase(_ text: StaticString) -> Bool { span.equals(text, 0, count) }

  func equalsIgnoringCase(_ other: Bytes) -> Bool {
    guard count == other.count else { return false }
    var j = other.startIndex
    for c in self {
      if c.lowercased != other[j].lowercased { return false }
      j &+= 1
    }
    return true
  }

  /// Octet by octet, as `==` does, but eight at a time.
  public func hasSameOctets(as other: Bytes) -> Bool {
    let a = span
    let b = other.span
    guard a.count == b.count else { return false }
    var i = 0
    while i <= a.count &- 8 {
      guard a.load(i) == b.load(i) else { return false }
      i &+= 8
    }
    while i < a.count {
      guard a[i] == b[i] else { return false }
      i &+= 1
    }
    return true
  }
}
