import NetCore

/// What the attributes of an audio section say, gathered in one pass. Of each the first one counts.
struct AudioAttributes {
  /// Where the text after the payload type stands, by payload type. Ranges keep the tables on the stack.
  private var rtpmap = InlineArray<128, TextRange>(repeating: .none)
  private var fmtp = InlineArray<128, TextRange>(repeating: .none)
  private(set) var ptime: UInt16?
  private(set) var maxptime: UInt16?
  private(set) var rtcp: (port: UInt16, ip: IPAddress?)?

  init(_ section: TextRange, of bytes: [UInt8]) {
    let s = bytes.span
    var cursor = LineCursor(section.range)
    while let (type, line) = cursor.next(s) {
      guard type == UInt8(ascii: "a"), let colon = s.first(UInt8(ascii: ":"), in: line) else { continue }
      let name = s.trim(line.lowerBound..<colon)
      let value = s.trim((colon + 1)..<line.upperBound)
      if s.equals("rtpmap", name) {
        if let (type, rest) = AudioAttributes.keyed(s, value), rtpmap[type].isEmpty { rtpmap[type] = rest }
      } else if s.equals("fmtp", name) {
        if let (type, rest) = AudioAttributes.keyed(s, value), fmtp[type].isEmpty { fmtp[type] = rest }
      } else if s.equals("ptime", name) {
        if ptime == nil { ptime = AudioAttributes.milliseconds(s, value) }
      } else if s.equals("maxptime", name) {
        if maxptime == nil { maxptime = AudioAttributes.milliseconds(s, value) }
      } else if s.equals("rtcp", name), rtcp == nil {
        rtcp = AudioAttributes.rtcp(bytes, value)
      }
    }
  }

  /// The formats in the order of the `m=` line: no number twice, none without a known encoding, no wrapper.
  func formats(_ list: TextRange, of bytes: [UInt8]) -> FormatList {
    let s = bytes.span
    var seen = PayloadSet()
    var formats = FormatList()
    formats.reserve(FormatList.usual(list.count))
    let end = list.range.upperBound
    var token = s.token(list.range)
    while !token.isEmpty {
      if let type = s.decimal(token, upTo: 127) {
        let number = UInt8(truncatingIfNeeded: type)
        if !seen.contains(number), let codec = codec(number, of: bytes), !codec.encoding.isWrapper {
          formats.append(codec)
        }
        seen.insert(number)
      }
      token = s.token(token.upperBound..<end)
    }
    return formats
  }

  /// By its rtpmap; without one that can be read, by its number (RFC 3551 §6).
  private func codec(_ type: UInt8, of bytes: [UInt8]) -> Codec? {
    let map = rtpmap[Int(type)]
    let fmtp = fmtp[Int(type)]
    let named = map.isEmpty ? nil : Codec(payloadType: type, rtpmap: bytes.span, map.range)
    guard let codec = named ?? Codec.assigned(type) else { return nil }
    let hasOwnName = codec.encoding == .other
    if !hasOwnName, fmtp.isEmpty { return codec }
    return Codec(codec, source: bytes, name: hasOwnName ? Codec.name(bytes.span, map) : .none, fmtp: fmtp)
  }

  /// `96 rest`: the payload type and the rest; nil where there is none.
  private static func keyed(_ s: Span<UInt8>, _ value: Range<Int>) -> (Int, TextRange)? {
    let number = s.token(value)
    guard let type = s.decimal(number, upTo: 127) else { return nil }
    let rest = s.trim(number.upperBound..<value.upperBound)
    return rest.isEmpty ? nil : (type, TextRange(rest))
  }

  /// Whole milliseconds above 0; a fraction (`a=ptime:2.5`, RFC 8866 §6.4) is cut off.
  private static func milliseconds(_ s: Span<UInt8>, _ value: Range<Int>) -> UInt16? {
    let whole = value.lowerBound..<(s.first(UInt8(ascii: "."), in: value) ?? value.upperBound)
    guard let number = s.decimal(whole, upTo: 10_000), number > 0 else { return nil }
    return UInt16(truncatingIfNeeded: number)
  }

  /// `53020`, `53020 IN IP4 192.0.2.1` (RFC 3605 §2.1); an address that cannot be used is as if it were not there.
  private static func rtcp(_ bytes: [UInt8], _ value: Range<Int>) -> (UInt16, IPAddress?)? {
    let number = bytes.span.token(value)
    guard let port = bytes.span.decimal(number, upTo: 65535) else { return nil }
    let rest = number.upperBound..<value.upperBound
    return (UInt16(truncatingIfNeeded: port), rest.isEmpty ? nil : ConnectionAddress(bytes, rest).ip)
  }
}

extension FormatList {
  /// How many formats a list of so many octets has at least room for: `0 8 101` has three.
  fileprivate static func usual(_ octets: Int) -> Int { min(octets / 3 + 1, 16) }
}

extension Codec {
  /// The name in the text of an rtpmap.
  fileprivate static func name(_ s: Span<UInt8>, _ map: TextRange) -> TextRange {
    TextRange(map.range.lowerBound..<(s.first(UInt8(ascii: "/"), in: map.range) ?? map.range.upperBound))
  }
}
