/// Where one header field is: absolute offsets, eight octets in all.
struct HeaderEntry: Sendable {
  var lineStart: UInt16
  var valueStart: UInt16
  /// Without trailing white space.
  var valueEnd: UInt16
  var nameLength: UInt8
  var name: HeaderName

  /// Name, colon and value.
  var line: Range<Int> { Int(lineStart)..<Int(valueEnd) }
  var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
}

/// The first pass over a message: finds the start line, every header field (folding included) and the body. A fault is
/// noted and the pass goes on, so that a reply can still name the transaction.
struct HeaderIndex {
  var entries: [HeaderEntry] = []
  /// Bits by `HeaderName.rawValue`: seen at all, and seen more than once.
  var present: UInt64 = 0
  var repeated: UInt64 = 0
  /// By `HeaderName.rawValue`, for the names that every message needs: the index of the first such entry, where it is
  /// present.
  private var firsts = InlineArray<16, UInt16>(repeating: 0)
  var startLine: Range<Int> = 0..<0
  var bodyStart = 0
  /// The first fault.
  var error: SIPError?

  init(_ s: Span<UInt8>, limits: ParserLimits) {
    let limit = min(s.count, min(limits.maxHeaderBytes, Int(UInt16.max) - 8))
    entries.reserveCapacity(24)
    // RFC 3261 §7.5: CRLF before the start line is ignored.
    var i = 0
    while i &+ 1 < limit, s[i] == 0x0d, s[i &+ 1] == 0x0a { i &+= 2 }
    let start = i
    i = lineEnd(s, i, limit)
    startLine = start..<i
    i = min(i &+ 2, limit)
    while true {
      if i &+ 1 < limit, s[i] == 0x0d, s[i &+ 1] == 0x0a {
        bodyStart = i &+ 2
        return
      }
      guard i < limit else {
        bodyStart = i
        note(
          limit < s.count
            ? SIPError(513, "header section too long", "RFC 3261 §21.5.14")
            : SIPError(400, "no empty line after the headers", "RFC 3261 §7"))
        return
      }
      guard entries.count < limits.maxHeaderLines else {
        bodyStart = i
        note(SIPError(513, "too many header lines", "RFC 3261 §21.5.14"))
        return
      }
      i = line(s, i, limit)
    }
  }

  private mutating func note(_ fault: SIPError) { if error == nil { error = fault } }

  /// One header field from `start`; returns where the next begins.
  @inline(__always) private mutating func line(_ s: Span<UInt8>, _ start: Int, _ limit: Int) -> Int {
    guard let (name, colon) = HeaderNameTable.shared.find(s, before: limit, from: start) else {
      return unusualLine(s, start, limit)
    }
    return field(s, start, name, nameEnd: colon, colon, limit)
  }

  /// A line whose name is not known, or is not followed by the colon at once, or is none.
  private mutating func unusualLine(_ s: Span<UInt8>, _ start: Int, _ limit: Int) -> Int {
    let nameEnd = s.skip(.token, start, limit)
    var i = nameEnd
    while i < limit, s[i] == 0x20 || s[i] == 0x09 { i &+= 1 }
    guard i < limit, s[i] == UInt8(ascii: ":"), nameEnd > start, nameEnd &- start <= 255 else {
      note(SIPError(400, "header line without a name and a colon", "RFC 3261 §7.3.1"))
      return min(lineEnd(s, start, limit) &+ 2, limit)
    }
    return field(s, start, HeaderNameTable.shared.find(s, start, nameEnd), nameEnd: nameEnd, i, limit)
  }

  private mutating func field(
    _ s: Span<UInt8>, _ start: Int, _ name: HeaderName, nameEnd: Int, _ colon: Int, _ limit: Int
  ) -> Int {
    let end = lineEnd(s, colon &+ 1, limit)
    let valueStart = s.skipLWS(colon &+ 1, end)
    let bit = UInt64(1) &<< UInt64(name.rawValue)
    if present & bit != 0 {
      repeated |= bit
    } else if Int(name.rawValue) < firsts.count {
      firsts[Int(name.rawValue)] = UInt16(truncatingIfNeeded: entries.count)
    }
    present |= bit
    entries.append(
      HeaderEntry(
        lineStart: UInt16(truncatingIfNeeded: start), valueStart: UInt16(truncatingIfNeeded: valueStart),
        valueEnd: UInt16(truncatingIfNeeded: s.trimEnd(valueStart, end)),
        nameLength: UInt8(truncatingIfNeeded: nameEnd &- start), name: name))
    return min(end &+ 2, limit)
  }

  /// The CRLF that ends the line at `i`, folded continuations included; `limit` if there is none. CR or LF alone
  /// is refused: what one element takes for a line end and the next does not is how headers are smuggled. Other control
  /// octets, NUL too, may stand escaped in a quoted string (RFC 4475 §3.1.1.2); the grammars of the values see to them.
  private mutating func lineEnd(_ s: Span<UInt8>, _ i: Int, _ limit: Int) -> Int {
    var i = s.lineBreak(i, limit)
    while i < limit {
      if s[i] == 0x0d, i &+ 1 < limit, s[i &+ 1] == 0x0a {
        guard i &+ 2 < limit, s[i &+ 2] == 0x20 || s[i &+ 2] == 0x09 else { return i }
        i &+= 3
      } else {
        note(SIPError(400, "CR or LF alone in a header", "RFC 3261 §25.1"))
        i &+= 1
      }
      i = s.lineBreak(i, limit)
    }
    return limit
  }

  /// The first field of that name.
  func first(_ name: HeaderName) -> HeaderEntry? {
    guard present & (1 &<< UInt64(name.rawValue)) != 0 else { return nil }
    if Int(name.rawValue) < firsts.count { return entries[Int(firsts[Int(name.rawValue)])] }
    for entry in entries where entry.name == name { return entry }
    return nil
  }
}
