import NetCore

/// What the attributes of an audio section say about its payload types, gathered in one pass.
struct PayloadTable {
  private let section: Bytes
  private let formatList: Bytes
  /// Where the text after the payload type starts in `section`, from its start, by payload type; −1: none. Offsets
  /// instead of slices keep the table on the stack.
  private var rtpmap = InlineArray<128, Int32>(repeating: -1)
  private var fmtp = InlineArray<128, Int32>(repeating: -1)
  private(set) var ptime: Int?
  private(set) var maxptime: Int?
  private(set) var rtcp: (port: UInt16, ip: IPAddress?)?

  init(_ media: MediaDescription) {
    let section = media.section
    self.section = section
    formatList = media.formatList
    let s = section.span
    var cursor = LineCursor(0..<s.count)
    while let (type, line) = cursor.next(s) {
      guard type == UInt8(ascii: "a"), let colon = s.first(UInt8(ascii: ":"), in: line) else { continue }
      let name = s.trim(line.lowerBound..<colon)
      let value = s.trim((colon + 1)..<line.upperBound)
      if s.equals("rtpmap", name) {
        if let (type, at) = PayloadTable.keyed(s, value), rtpmap[type] < 0 { rtpmap[type] = at }
      } else if s.equals("fmtp", name) {
        if let (type, at) = PayloadTable.keyed(s, value), fmtp[type] < 0 { fmtp[type] = at }
      } else if s.equals("ptime", name) {
        if ptime == nil { ptime = PayloadTable.milliseconds(s, value) }
      } else if s.equals("maxptime", name) {
        if maxptime == nil { maxptime = PayloadTable.milliseconds(s, value) }
      } else if s.equals("rtcp", name), rtcp == nil {
        let base = section.startIndex
        rtcp = PayloadTable.rtcp(section[(base + value.lowerBound)..<(base + value.upperBound)])
      }
    }
  }

  /// The formats in the order of the `m=` line: no number twice, none without a known encoding.
  func formats() -> [Codec] {
    let s = section.span
    let tokens = formatList.span
    var seen = InlineArray<128, Bool>(repeating: false)
    var list: [Codec] = []
    list.reserveCapacity(8)
    var at = 0
    while true {
      let token = tokens.token(at..<tokens.count)
      if token.isEmpty { return list }
      at = token.upperBound
      guard let type = tokens.decimal(token, upTo: 127), !seen[type] else { continue }
      seen[type] = true
      let number = UInt8(truncatingIfNeeded: type)
      let named = PayloadTable.rest(s, rtpmap[type]).flatMap { Codec(payloadType: number, rtpmap: s, $0) }
      guard var codec = named ?? Codec.assigned(number) else { continue }
      if let value = PayloadTable.rest(s, fmtp[type]) {
        let base = section.startIndex
        codec.fmtp = Array(section[(base + value.lowerBound)..<(base + value.upperBound)])
      }
      list.append(codec)
    }
  }

  /// From an offset to the end of its line.
  private static func rest(_ s: Span<UInt8>, _ offset: Int32) -> Range<Int>? {
    guard offset >= 0 else { return nil }
    let start = Int(offset)
    var end = start
    while end < s.count, s[end] != 0x0d, s[end] != 0x0a { end += 1 }
    return s.trim(start..<end)
  }

  /// `96 rest`: the payload type and where the rest starts; nil where there is no rest.
  private static func keyed(_ s: Span<UInt8>, _ value: Range<Int>) -> (Int, Int32)? {
    let number = s.token(value)
    guard let type = s.decimal(number, upTo: 127) else { return nil }
    let rest = s.trim(number.upperBound..<value.upperBound)
    return rest.isEmpty ? nil : (type, Int32(truncatingIfNeeded: rest.lowerBound))
  }

  /// Whole milliseconds above 0; a fraction (`a=ptime:2.5`, RFC 8866 §6.4) is cut off.
  private static func milliseconds(_ s: Span<UInt8>, _ value: Range<Int>) -> Int? {
    let whole = value.lowerBound..<(s.first(UInt8(ascii: "."), in: value) ?? value.upperBound)
    return s.decimal(whole, upTo: 10_000).flatMap { $0 > 0 ? $0 : nil }
  }

  /// `53020`, `53020 IN IP4 192.0.2.1` (RFC 3605 §2.1); an address that cannot be used is as if it were not there.
  private static func rtcp(_ value: Bytes) -> (UInt16, IPAddress?)? {
    var rest = value
    guard let port = rest.nextToken().decimal(upTo: 65535) else { return nil }
    return (UInt16(truncatingIfNeeded: port), ConnectionAddress(value: rest).ip)
  }
}
