/// Says which shard a message belongs to, without parsing it: one pass, no allocation, no failure. What it takes from a
/// malformed message may be wrong; the parser of that shard then refuses the message.
public enum MessageSkim {
  public enum Verdict: Equatable, Sendable {
    /// Named by a token of ours: the top Via branch of a response; the To-tag, or the `to-tag` of Replaces, of a request.
    case shard(UInt8)
    /// Keyed hash of the Call-ID.
    case key(UInt64)
    case unreadable
  }

  public static func route(_ bytes: [UInt8], key: (UInt64, UInt64), shards: UInt8) -> Verdict {
    let s = bytes.span
    let end = s.count
    var i = 0
    while i < end, s[i] == 0x0d || s[i] == 0x0a { i &+= 1 }
    let isResponse = s.has("sip/", at: i, end &- 1)
    // Only an INVITE can have Replaces, which may stand anywhere; all else is decided by the two fields that are asked for.
    let mayReplace = s.has("invite", at: i, end &- 1)
    var callID: Range<Int>?
    var seenVia = false
    var seenTo = false
    i = nextLine(s, i)
    while i < end, s[i] != 0x0d, s[i] != 0x0a {
      let next = nextLine(s, i)
      defer { i = next }
      guard let (name, value) = field(s, i, next) else { continue }
      switch name {
      case .callID where callID == nil: callID = value
      case .via where isResponse && !seenVia:
        seenVia = true
        if let shard = branchShard(s, value), shard < shards { return .shard(shard) }
      case .to where !isResponse:
        seenTo = true
        if let shard = tagShard(s, value, Word.of("tag")), shard < shards { return .shard(shard) }
      case .replaces where !isResponse:
        if let shard = tagShard(s, value, Word.of("to-tag")), shard < shards { return .shard(shard) }
      default: break
      }
      if callID != nil, isResponse ? seenVia : seenTo && !mayReplace { break }
    }
    guard let callID, !callID.isEmpty else { return .unreadable }
    return .key(SipHash.hash(s, callID.lowerBound, callID.upperBound, key: key))
  }

  /// The start of the next line that is no continuation.
  private static func nextLine(_ s: Span<UInt8>, _ from: Int) -> Int {
    var i = s.lineBreak(from, s.count)
    while i < s.count {
      if s[i] == 0x0a, i &+ 1 >= s.count || (s[i &+ 1] != 0x20 && s[i &+ 1] != 0x09) { return i &+ 1 }
      i = s.lineBreak(i &+ 1, s.count)
    }
    return i
  }

  /// Only a line whose first octet can begin one of the four names is looked at.
  private static func field(_ s: Span<UInt8>, _ start: Int, _ end: Int) -> (HeaderName, Range<Int>)? {
    switch s[start] | 0x20 {
    case UInt8(ascii: "v"), UInt8(ascii: "t"), UInt8(ascii: "i"), UInt8(ascii: "c"), UInt8(ascii: "r"): break
    default: return nil
    }
    let name: HeaderName
    let colon: Int
    if let known = HeaderNameTable.shared.find(s, before: end, from: start) {
      (name, colon) = known
    } else {
      let nameEnd = s.skip(.token, start, end)
      colon = s.skipLWS(nameEnd, end)
      guard nameEnd > start, colon < end, s[colon] == UInt8(ascii: ":") else { return nil }
      name = HeaderNameTable.shared.find(s, start, nameEnd)
    }
    let from = s.skipLWS(colon &+ 1, end)
    return (name, from..<s.trimEnd(from, end))
  }

  private static func branchShard(_ s: Span<UInt8>, _ value: Range<Int>) -> UInt8? {
    guard let semicolon = s.find(UInt8(ascii: ";"), value.lowerBound, value.upperBound) else { return nil }
    guard let found = parameter(Word.of("branch"), s, semicolon, value.upperBound) else { return nil }
    return Token(branch: s, found.lowerBound, found.upperBound)?.shard
  }

  /// Behind a quoted display name and a URI in brackets, where a `;tag=` would be no parameter of the header.
  private static func tagShard(_ s: Span<UInt8>, _ value: Range<Int>, _ name: UInt64) -> UInt8? {
    var i = value.lowerBound
    let end = value.upperBound
    if i < end, s[i] == UInt8(ascii: "\"") {
      guard let close = try? s.quotedStringEnd(i, end) else { return nil }
      i = close
    }
    while i < end, s[i] != UInt8(ascii: ";") {
      if s[i] == UInt8(ascii: "<") {
        guard let close = s.find(UInt8(ascii: ">"), i, end) else { return nil }
        i = close
      }
      i &+= 1
    }
    guard let found = parameter(name, s, i, end) else { return nil }
    return Token(s, found.lowerBound, found.upperBound)?.shard
  }

  private static func parameter(_ name: UInt64, _ s: Span<UInt8>, _ from: Int, _ end: Int) -> Range<Int>? {
    var i = from
    while let parameter = try? s.nextParameter(&i, end) {
      if parameter.word == name { return parameter.value }
    }
    return nil
  }
}
