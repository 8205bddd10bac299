/// The second step of a parse: what every message must have, found in the index, checked and laid out. Offsets of a
/// header's layout are relative to its value's first octet; all others are absolute.
struct MessageHead: Sendable {
  var start = StartLine()
  var via = Extent.none
  var viaLayout = ViaLayout()
  /// Whether there is another Via line, and whether a comma follows the top value.
  var viaIsRepeated = false
  var viaIsList = false
  var from = Extent.none
  var fromLayout = NameAddressLayout()
  var to = Extent.none
  var toLayout = NameAddressLayout()
  var callID = Extent.none
  var cseq: UInt32 = 0
  var cseqMethod = Extent.none
  var maxForwards: Int16 = -1
  var bodyStart: Int32 = 0
  var bodyEnd: Int32 = 0

  init(_ s: Span<UInt8>, _ index: HeaderIndex) throws(SIPError) {
    start = try StartLine.parse(s, index.startLine)
    if let error = index.error { throw error }
    try MessageHead.checkRepeated(index)
    try takeVia(s, index.first(.via))
    viaIsRepeated = index.repeated & (1 &<< UInt64(HeaderName.via.rawValue)) != 0
    (from, fromLayout) = try MessageHead.address(s, index.first(.from), "From")
    (to, toLayout) = try MessageHead.address(s, index.first(.to), "To")
    try takeCallID(s, index.first(.callID))
    try takeCSeq(s, index.first(.cSeq))
    if let entry = index.first(.maxForwards) {
      guard let number = s.decimal(Int(entry.valueStart), Int(entry.valueEnd), max: 255) else {
        throw SIPError(400, "Max-Forwards is not a number from 0 to 255", "RFC 3261 §20.22")
      }
      maxForwards = Int16(truncatingIfNeeded: number)
    }
    if start.isRequest { try MessageHead.checkContacts(s, index, start.method) }
    try takeBody(s, index)
  }

  /// RFC 3261 §7.3.1: a field whose grammar is no comma list may not be there twice (RFC 4475 §3.3.8, §3.3.9).
  private static func checkRepeated(_ index: HeaderIndex) throws(SIPError) {
    let single: [HeaderName] = [.callID, .cSeq, .from, .to, .maxForwards, .contentLength, .contentType]
    for name in single where index.repeated & (1 &<< UInt64(name.rawValue)) != 0 {
      throw SIPError(400, "\(name.text) is there more than once", "RFC 3261 §7.3.1")
    }
  }

  private mutating func takeVia(_ s: Span<UInt8>, _ entry: HeaderEntry?) throws(SIPError) {
    guard let entry else { throw SIPError(400, "Via is missing", "RFC 3261 §8.1.1.7") }
    do throws(SIPError) {
      let (layout, end) = try ViaLayout.parse(s, Int(entry.valueStart), Int(entry.valueEnd))
      via = Extent(start: entry.valueStart, end: UInt16(truncatingIfNeeded: s.trimEnd(Int(entry.valueStart), end)))
      viaLayout = layout
      viaIsList = end < Int(entry.valueEnd)
      // The cookie alone names no transaction, and would match every other such one (RFC 4475 §3.2.1).
      let branch = Int(entry.valueStart) &+ Int(layout.branch.start)
      if !layout.branch.isNone, s.equals("z9hg4bk", branch, Int(entry.valueStart) &+ Int(layout.branch.end)) {
        throw SIPError(400, "branch is the magic cookie and nothing more", "RFC 3261 §8.1.1.7")
      }
    } catch {
      throw error.inside("Via")
    }
  }

  private static func address(
    _ s: Span<UInt8>, _ entry: HeaderEntry?, _ name: String
  ) throws(SIPError) -> (Extent, NameAddressLayout) {
    guard let entry else { throw SIPError(400, "\(name) is missing", "RFC 3261 §8.1.1") }
    do throws(SIPError) {
      let (layout, end) = try NameAddressLayout.parse(s, Int(entry.valueStart), Int(entry.valueEnd))
      guard end == Int(entry.valueEnd) else { throw SIPError(400, "more than one address", "RFC 3261 §20.20") }
      return (Extent(start: entry.valueStart, end: entry.valueEnd), layout)
    } catch {
      throw error.inside(name)
    }
  }

  private mutating func takeCallID(_ s: Span<UInt8>, _ entry: HeaderEntry?) throws(SIPError) {
    guard let entry else { throw SIPError(400, "Call-ID is missing", "RFC 3261 §8.1.1.4") }
    let end = s.skip(.visible, Int(entry.valueStart), Int(entry.valueEnd))
    guard end == Int(entry.valueEnd), entry.valueEnd > entry.valueStart else {
      throw SIPError(400, "Call-ID is empty or has white space", "RFC 3261 §20.8")
    }
    callID = Extent(start: entry.valueStart, end: entry.valueEnd)
  }

  private mutating func takeCSeq(_ s: Span<UInt8>, _ entry: HeaderEntry?) throws(SIPError) {
    guard let entry else { throw SIPError(400, "CSeq is missing", "RFC 3261 §8.1.1.5") }
    var i = Int(entry.valueStart)
    let end = Int(entry.valueEnd)
    while i < end, s[i].isDigit { i &+= 1 }
    guard let number = s.decimal(Int(entry.valueStart), i, max: 0x7fff_ffff) else {
      throw SIPError(400, "CSeq is not a number below 2^31", "RFC 3261 §8.1.1.5")
    }
    let name = s.skipLWS(i, end)
    guard name > i, name < end, s.skip(.token, name, end) == end else {
      throw SIPError(400, "CSeq has no method", "RFC 3261 §20.16")
    }
    cseq = UInt32(truncatingIfNeeded: number)
    cseqMethod = Extent(name..<end)
    guard start.isRequest else {
      start.method = Method(s, name, end)
      start.methodName = cseqMethod
      return
    }
    let line = Int(start.methodName.start)..<Int(start.methodName.end)
    guard s.sameOctets(line, name..<end) else {
      // RFC 4475 §3.1.2.18: for a method that nobody knows, that it is unknown is the better answer.
      throw start.method == .unknown
        ? SIPError(501, "Method Not Implemented, and CSeq names another", "RFC 3261 §8.2.1")
        : SIPError(400, "CSeq names another method than the request line", "RFC 3261 §8.1.1.5")
    }
  }

  private static func checkContacts(_ s: Span<UInt8>, _ index: HeaderIndex, _ method: Method) throws(SIPError) {
    guard index.present & (1 &<< UInt64(HeaderName.contact.rawValue)) != 0 else { return }
    for entry in index.entries where entry.name == .contact {
      var i = Int(entry.valueStart)
      let end = Int(entry.valueEnd)
      if method == .register, end &- i == 1, s[i] == UInt8(ascii: "*") { continue }
      do throws(SIPError) {
        while true {
          i = try NameAddressLayout.parse(s, i, end).end
          guard i < end else { break }
          i &+= 1
        }
      } catch {
        throw error.inside("Contact")
      }
    }
  }

  /// RFC 3261 §18.3: on a datagram a Content-Length beyond its end is an error and octets behind the body are
  /// ignored; without one the body is the rest. A stream's framer has cut the message to its length already.
  private mutating func takeBody(_ s: Span<UInt8>, _ index: HeaderIndex) throws(SIPError) {
    bodyStart = Int32(truncatingIfNeeded: index.bodyStart)
    bodyEnd = Int32(truncatingIfNeeded: s.count)
    guard let entry = index.first(.contentLength) else { return }
    guard let length = s.decimal(Int(entry.valueStart), Int(entry.valueEnd), max: Int(Int32.max)) else {
      throw SIPError(400, "Content-Length is not a number", "RFC 3261 §20.14")
    }
    guard length <= s.count &- index.bodyStart else {
      throw SIPError(400, "Content-Length is more than the body has", "RFC 3261 §18.3")
    }
    bodyEnd = Int32(truncatingIfNeeded: index.bodyStart &+ length)
  }
}
