/// Eight octets at a time: a word has the first octet in its lowest eight bits, however the machine stores it.
enum Word {
  static let ones: UInt64 = 0x0101_0101_0101_0101
  static let highs: UInt64 = 0x8080_8080_8080_8080

  /// A text of up to eight octets, in lower case; a constant where the text is a literal.
  @inline(__always) static func of(_ text: StaticString) -> UInt64 {
    var word: UInt64 = 0
    for k in 0..<text.utf8CodeUnitCount { word |= UInt64(text[octet: k].lowercased) &<< UInt64(8 &* k) }
    return word
  }

  /// The same as it is written.
  @inline(__always) static func exact(_ text: StaticString) -> UInt64 {
    var word: UInt64 = 0
    for k in 0..<text.utf8CodeUnitCount { word |= UInt64(text[octet: k]) &<< UInt64(8 &* k) }
    return word
  }

  /// A to Z in lower case, every other octet as it is.
  @inline(__always) static func lowercased(_ word: UInt64) -> UInt64 {
    // No sum of seven bits and less than 128 carries into the next octet.
    let seven = word & ~highs
    let fromA = seven &+ (0x80 - 0x41) &* ones
    let beyondZ = seven &+ (0x80 - 0x5b) &* ones
    return word | ((fromA & ~beyondZ & ~word & highs) &>> 2)
  }

  /// Its first `n` octets, 1...8; the others are zero.
  @inline(__always) static func first(_ n: Int, of word: UInt64) -> UInt64 {
    word & (UInt64.max &>> UInt64(64 &- 8 &* n))
  }

  /// The high bit of each octet that is `c`. The lowest bit is exact: a borrow can only falsify octets above it.
  @inline(__always) static func equal(_ word: UInt64, to c: UInt8) -> UInt64 {
    let x = word ^ (UInt64(c) &* ones)
    return (x &- ones) & ~x & highs
  }

  /// The high bit of each octet below `c`, which is at most 128; exact as `equal` is.
  @inline(__always) static func below(_ word: UInt64, _ c: UInt8) -> UInt64 {
    (word &- UInt64(c) &* ones) & ~word & highs
  }

  /// Which octet the lowest bit of `hits` is in.
  @inline(__always) static func index(_ hits: UInt64) -> Int { hits.trailingZeroBitCount &>> 3 }
}

extension Span where Element == UInt8 {
  /// The eight octets from `i`, all of which must be there.
  @inline(__always) func load(_ i: Int) -> UInt64 {
    unsafe UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
  }

  /// `start..<end` as one word as written; 0 if it is empty, longer than eight octets or ends with a NUL, which would
  /// not show: so two texts with the same word other than 0 are the same.
  @inline(__always) func rawWord(_ start: Int, _ end: Int) -> UInt64 {
    let n = end &- start
    guard n > 0, n <= 8 else { return 0 }
    var word: UInt64 = 0
    if start <= count &- 8 {
      word = Word.first(n, of: load(start))
    } else {
      for k in 0..<n { word |= UInt64(self[start &+ k]) &<< UInt64(8 &* k) }
    }
    return word &>> UInt64(8 &* n &- 8) == 0 ? 0 : word
  }

  /// `start..<end` in lower case as one word, to be compared with `Word.of`; 0 as for `rawWord`.
  @inline(__always) func word(_ start: Int, _ end: Int) -> UInt64 { Word.lowercased(rawWord(start, end)) }

  /// Whether `text`, of up to eight octets, stands at `start`; case is ignored.
  @inline(__always) func has(_ text: StaticString, at start: Int, _ end: Int) -> Bool {
    let n = text.utf8CodeUnitCount
    return end &- start >= n && word(start, start &+ n) == Word.of(text)
  }

  /// The first `c` from `i`.
  @inline(__always) func find(_ c: UInt8, _ i: Int, _ end: Int) -> Int? {
    var i = i
    while i <= end &- 8 {
      let hits = Word.equal(load(i), to: c)
      if hits != 0 { return i &+ Word.index(hits) }
      i &+= 8
    }
    while i < end {
      if self[i] == c { return i }
      i &+= 1
    }
    return nil
  }

  /// The first CR or LF from `i`, or `end`. One test finds all control octets up to CR; the others of them are rare.
  @inline(__always) func lineBreak(_ i: Int, _ end: Int) -> Int {
    var i = i
    while i <= end &- 8 {
      let hits = Word.below(load(i), 0x0e)
      guard hits != 0 else {
        i &+= 8
        continue
      }
      i &+= Word.index(hits)
      if self[i] == 0x0d || self[i] == 0x0a { return i }
      i &+= 1
    }
    while i < end, self[i] != 0x0d, self[i] != 0x0a { i &+= 1 }
    return i
  }

  /// Whether an octet below 0x0e, as CR, LF and NUL are, is in `start..<end`.
  func hasControl(_ start: Int, _ end: Int) -> Bool {
    var i = start
    while i <= end &- 8 {
      if Word.below(load(i), 0x0e) != 0 { return true }
      i &+= 8
    }
    while i < end {
      if self[i] < 0x0e { return true }
      i &+= 1
    }
    return false
  }
}
