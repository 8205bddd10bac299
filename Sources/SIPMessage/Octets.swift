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

/// The character classes of RFC 3261 §25.1 as bitmaps: one shift and one test an octet, no table in memory.
struct OctetSet {
  let low: UInt64
  let high: UInt64
  /// 1 where octets of 128 and more, which only UTF-8 has, belong to the class.
  var beyond: UInt64 = 0

  @inline(__always) func contains(_ c: UInt8) -> Bool {
    (c < 64 ? low &>> UInt64(c) : c < 128 ? high &>> UInt64(c &- 64) : beyond) & 1 == 1
  }

  /// `token`.
  static var token: OctetSet { .init(low: 0x03ff_6ca2_0000_0000, high: 0x47ff_ffff_87ff_fffe) }
  /// Visible ASCII less `< > "`: wider than the ABNF of a URI, since phones dial `*98#`; never a delimiter of a header.
  static var uri: OctetSet { .init(low: 0xafff_fffa_0000_0000, high: 0x7fff_ffff_ffff_ffff) }
  /// Letters, digits, `-`, `.` and the `_` that real host names have.
  static var host: OctetSet { .init(low: 0x03ff_6000_0000_0000, high: 0x07ff_fffe_87ff_fffe) }
  /// The inside of `[…]`, loose enough for the `:::` of RFC 5118 §4.10.
  static var ipv6: OctetSet { .init(low: 0x07ff_4000_0000_0000, high: 0x0000_007e_0000_007e) }
  static var scheme: OctetSet { .init(low: 0x03ff_6800_0000_0000, high: 0x07ff_fffe_07ff_fffe) }
  /// An unquoted display name: tokens and LWS by the ABNF; also what phones put there and no delimiter needs.
  static var displayName: OctetSet { .init(low: 0x23ff_effb_0000_2600, high: 0x7fff_ffff_efff_ffff, beyond: 1) }
  /// An unquoted parameter value: visible ASCII less `; , " < > \`.
  static var parameterValue: OctetSet { .init(low: 0xa7ff_effa_0000_0000, high: 0x7fff_ffff_efff_ffff) }
  static var visible: OctetSet { .init(low: 0xffff_fffe_0000_0000, high: 0x7fff_ffff_ffff_ffff) }
  /// `reserved` of RFC 2396: an escaped one is not the same as a plain one (RFC 3261 §19.1.4).
  static var reserved: OctetSet { .init(low: 0xac00_9850_0000_0000, high: 0x0000_0000_0000_0001) }
}

extension UInt8 {
  @inline(__always) var isLWS: Bool { self == 0x20 || self == 0x0d || self == 0x0a || self == 0x09 }
  @inline(__always) var isDigit: Bool { self &- 0x30 < 10 }
  @inline(__always) var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

  @inline(__always) var hexValue: UInt8? {
    if self &- 0x30 < 10 { return self &- 0x30 }
    let letter = self | 0x20
    return letter &- 0x61 < 6 ? letter &- 0x61 &+ 10 : nil
  }
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

  /// The first CR or LF from `i`, or `end`: eight octets at a time, as this is where a parse spends itself.
  @inline(__always) func lineBreak(_ i: Int, _ end: Int) -> Int {
    var i = i
    let raw = unsafe bytes
    while i &+ 8 <= end {
      let word = unsafe UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
      let cr = word ^ 0x0d0d_0d0d_0d0d_0d0d
      let lf = word ^ 0x0a0a_0a0a_0a0a_0a0a
      let ones: UInt64 = 0x0101_0101_0101_0101
      // The lowest bit set is exact: a borrow can only falsify octets above one that matched.
      let hit = (((cr &- ones) & ~cr) | ((lf &- ones) & ~lf)) & 0x8080_8080_8080_8080
      if hit != 0 { return i &+ hit.trailingZeroBitCount &>> 3 }
      i &+= 8
    }
    while i < end, self[i] != 0x0d, self[i] != 0x0a { i &+= 1 }
    return i
  }

  @inline(__always) func find(_ c: UInt8, _ i: Int, _ end: Int) -> Int? {
    var i = i
    while i < end {
      if self[i] == c { return i }
      i &+= 1
    }
    return nil
  }

  @inline(__always) func skip(_ set: OctetSet, _ i: Int, _ end: Int) -> Int {
    var i = i
    while i < end, set.contains(self[i]) { i &+= 1 }
    return i
  }

  /// Case-insensitive.
  func equals(_ text: StaticString, _ start: Int, _ end: Int) -> Bool {
    let n = text.utf8CodeUnitCount
    guard end &- start == n else { return false }
    for k in 0..<n where self[start &+ k].lowercased != text[octet: k].lowercased { return false }
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
  func equalsIgnoringCase(_ text: StaticString) -> Bool { span.equals(text, 0, count) }

  func equalsIgnoringCase(_ other: Bytes) -> Bool {
    guard count == other.count else { return false }
    var j = other.startIndex
    for c in self {
      if c.lowercased != other[j].lowercased { return false }
      j &+= 1
    }
    return true
  }
}
