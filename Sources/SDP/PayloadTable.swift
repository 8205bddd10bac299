import NetCore

/// What the attributes of an audio section say about its payload types, gathered in one pass.
struct PayloadTable {
  private let section: Bytes
  private let formatList: Bytes
  /// Where the text after the payload type starts in `section`, by payload type; −1: none. Offsets instead of slices
  /// keep the table on the stack.
  private var rtpmap = InlineArray<128, Int32>(repeating: -1)
  private var fmtp = InlineArray<128, Int32>(repeating: -1)
  private(set) var ptime: Int?
  private(set) var maxptime: Int?
  private(set) var rtcp: (port: UInt16, ip: IPAddress?)?

  init(_ media: MediaDescription) {
    section = media.section
    formatList = media.formatList
    for attribute in media.attributes {
      guard let value = attribute.value else { continue }
      let name = attribute.name
      if name.equals("rtpmap") {
        if let (type, at) = PayloadTable.keyed(value), rtpmap[type] < 0 { rtpmap[type] = at }
      } else if name.equals("fmtp") {
        if let (type, at) = PayloadTable.keyed(value), fmtp[type] < 0 { fmtp[type] = at }
      } else if name.equals("ptime") {
        ptime = ptime ?? PayloadTable.milliseconds(value)
      } else if name.equals("maxptime") {
        maxptime = maxptime ?? PayloadTable.milliseconds(value)
      } else if name.equals("rtcp") {
        rtcp = rtcp ?? PayloadTable.rtcp(value)
      }
    }
  }

  /// The formats in the order of the `m=` line: no number twice, none without a known encoding.
  func formats() -> [Codec] {
    var seen = InlineArray<128, Bool>(repeating: false)
    var list: [Codec] = []
    var rest = formatList
    while true {
      let token = rest.nextToken()
      if token.isEmpty { return list }
      guard let type = token.decimal(upTo: 127), !seen[type] else { continue }
      seen[type] = true
      let number = UInt8(truncatingIfNeeded: type)
      let named = text(at: rtpmap[type]).flatMap { Codec(payloadType: number, rtpmap: $0) }
      guard var codec = named ?? Codec.assigned(number) else { continue }
      codec.fmtp = text(at: fmtp[type]).map(Array.init)
      list.append(codec)
    }
  }

  /// From an offset to the end of its line.
  private func text(at offset: Int32) -> Bytes? {
    guard offset >= 0 else { return nil }
    let start = Int(offset)
    var end = start
    while end < section.endIndex, section[end] != 0x0d, section[end] != 0x0a { end += 1 }
    return section[start..<end].trimmed
  }

  /// `96 rest`: the payload type and where the rest starts; nil where there is no rest.
  private static func keyed(_ value: Bytes) -> (Int, Int32)? {
    var rest = value
    guard let type = rest.nextToken().decimal(upTo: 127) else { return nil }
    rest = rest.trimmed
    return rest.isEmpty ? nil : (type, Int32(truncatingIfNeeded: rest.startIndex))
  }

  /// Whole milliseconds above 0; a fraction (`a=ptime:2.5`, RFC 8866 §6.4) is cut off.
  private static func milliseconds(_ value: Bytes) -> Int? {
    value.split(at: UInt8(ascii: ".")).before.decimal(upTo: 10_000).flatMap { $0 > 0 ? $0 : nil }
  }

  /// `53020`, `53020 IN IP4 192.0.2.1` (RFC 3605 §2.1); an address that cannot be used is as if it were not there.
  private static func rtcp(_ value: Bytes) -> (UInt16, IPAddress?)? {
    var rest = value
    guard let port = rest.nextToken().decimal(upTo: 65535) else { return nil }
    return (UInt16(truncatingIfNeeded: port), ConnectionAddress(value: rest).ip)
  }
}
