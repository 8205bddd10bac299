/// Where the parts of `name-addr` or `addr-spec` and its parameters are, as offsets from the first octet (RFC 3261 §20.10).
struct NameAddressLayout: Sendable {
  /// As written, quotes included.
  var displayName = Extent.none
  var uri = Extent.none
  var uriLayout = URILayout()
  /// The raw `;a=b` part after the address; empty if there is none.
  var parameters = Extent.none
  var tag = Extent.none

  private static func bad(_ reason: String) -> SIPError { SIPError(400, reason, "RFC 3261 §20.10") }

  /// One address from `from`, which is the base of the offsets. Returns where it ends: at `to`, or at a comma.
  static func parse(_ s: Span<UInt8>, _ from: Int, _ to: Int) throws(SIPError) -> (NameAddressLayout, end: Int) {
    guard to &- from < Int(UInt16.max) else { throw bad("address too long") }
    var layout = NameAddressLayout()
    var i = s.skipLWS(from, to)
    guard i < to else { throw bad("empty") }
    if s[i] == UInt8(ascii: "\"") {
      let end = try s.quotedStringEnd(i, to)
      layout.displayName = Extent(i..<end, base: from)
      i = s.skipLWS(end, to)
      guard i < to, s[i] == UInt8(ascii: "<") else { throw bad("no '<' after the display name") }
      i = try layout.bracketed(s, from, i, to)
    } else {
      let stop = s.skip(.displayName, i, to)
      if stop < to, s[stop] == UInt8(ascii: "<") {
        let end = s.trimEnd(i, stop)
        if end > i { layout.displayName = Extent(i..<end, base: from) }
        i = try layout.bracketed(s, from, stop, to)
      } else {
        i = try layout.bare(s, from, i, to)
      }
    }
    let start = i
    while let parameter = try s.nextParameter(&i, to) {
      guard parameter.word == Word.of("tag"), layout.tag.isNone else { continue }
      guard let value = parameter.value else { throw bad("tag without a value") }
      layout.tag = Extent(value, base: from)
    }
    layout.parameters = Extent(start..<s.trimEnd(start, i), base: from)
    return (layout, i)
  }

  private mutating func bracketed(_ s: Span<UInt8>, _ base: Int, _ open: Int, _ to: Int) throws(SIPError) -> Int {
    guard let close = s.find(UInt8(ascii: ">"), open &+ 1, to) else { throw NameAddressLayout.bad("'<' is not closed") }
    uriLayout = try URILayout.parse(s, open &+ 1, close)
    uri = Extent((open &+ 1)..<close, base: base)
    return close &+ 1
  }

  /// Without brackets the first `;` begins the header's own parameters, and `?` and `,` may not be in the URI at all.
  private mutating func bare(_ s: Span<UInt8>, _ base: Int, _ start: Int, _ to: Int) throws(SIPError) -> Int {
    var i = start
    scan: while i < to {
      switch s[i] {
      case UInt8(ascii: "?"): throw NameAddressLayout.bad("URI with headers must be in angle brackets")
      case UInt8(ascii: ";"), UInt8(ascii: ","), 0x20, 0x09, 0x0d, 0x0a: break scan
      default: i &+= 1
      }
    }
    guard s.find(UInt8(ascii: ":"), start, i) != nil else {
      throw NameAddressLayout.bad("neither a URI nor a display name with a URI; a comma in a name needs quotes")
    }
    uriLayout = try URILayout.parse(s, start, i)
    uri = Extent(start..<i, base: base)
    return i
  }
}
