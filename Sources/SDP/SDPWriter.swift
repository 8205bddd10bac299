import NetCore

extension OutputSpan<UInt8> {
  mutating func append(_ text: StaticString) {
    let start = unsafe text.utf8Start
    for i in 0..<text.utf8CodeUnitCount { append(unsafe start[i]) }
  }

  mutating func append(_ s: Span<UInt8>, _ range: TextRange) {
    for i in range.range { append(s[i]) }
  }

  mutating func append(decimal value: UInt64) {
    guard value >= 1000 else { return append(short: UInt32(truncatingIfNeeded: value)) }
    // Three digits at a time, the lowest first.
    var groups = InlineArray<7, UInt32>(repeating: 0)
    var count = 0
    var rest = value
    while rest >= 1000 {
      groups[count] = UInt32(truncatingIfNeeded: rest % 1000)
      rest /= 1000
      count += 1
    }
    append(short: UInt32(truncatingIfNeeded: rest))
    while count > 0 {
      count -= 1
      append(digits: groups[count])
    }
  }

  /// Below 1000.
  private mutating func append(short value: UInt32) {
    if value >= 100 { return append(digits: value) }
    if value >= 10 { append(0x30 &+ UInt8(truncatingIfNeeded: value / 10)) }
    append(0x30 &+ UInt8(truncatingIfNeeded: value % 10))
  }

  /// Three digits.
  private mutating func append(digits value: UInt32) {
    append(0x30 &+ UInt8(truncatingIfNeeded: value / 100))
    append(0x30 &+ UInt8(truncatingIfNeeded: value / 10 % 10))
    append(0x30 &+ UInt8(truncatingIfNeeded: value % 10))
  }

  mutating func append(_ address: IPAddress) {
    guard address.family == .v4 else {
      for octet in address.description.utf8 { append(octet) }
      return
    }
    append(decimal: address.low >> 24 & 0xff)
    append(UInt8(ascii: "."))
    append(decimal: address.low >> 16 & 0xff)
    append(UInt8(ascii: "."))
    append(decimal: address.low >> 8 & 0xff)
    append(UInt8(ascii: "."))
    append(decimal: address.low & 0xff)
  }
}

/// Writes descriptions of our own: the session section of RFC 8866 §5 with nothing but what is mandatory, then the
/// `m=` sections. The same input gives the same bytes.
enum SDPWriter {
  /// As many sections as `layout` has, in its order: the audio at its index, the others refused. Without a layout the
  /// audio is alone.
  ///
  /// - Parameter keepsProtocol: the audio has the proto that it has in `layout`, as an answer must (RFC 3264 §6).
  static func write(
    _ audio: AudioStream, _ identity: SessionIdentity, in layout: SessionDescription?, keepsProtocol: Bool = false
  ) -> [UInt8] {
    // All that is written but texts of others, with its numbers and addresses at their longest.
    var capacity = audio.rtp.ip.family == .v4 ? 200 : 248
    let formats = audio.formats.all.span
    for i in formats.indices { capacity += formats[i].room }
    if let layout {
      for section in layout.sections { capacity += 16 + section.length }
    }
    return [UInt8](capacity: capacity) { out in
      writeSession(identity, audio.rtp.ip, to: &out)
      guard let layout else { return writeAudio(audio, proto: .none, of: [], to: &out) }
      for i in layout.sections.indices {
        let section = layout.sections[i]
        if i == audio.mediaIndex {
          writeAudio(audio, proto: keepsProtocol ? section.protocolName : .none, of: layout.bytes, to: &out)
        } else {
          writeRefused(section, of: layout.bytes, to: &out)
        }
      }
    }
  }

  private static func writeSession(
    _ identity: SessionIdentity, _ address: IPAddress, to out: inout OutputSpan<UInt8>
  ) {
    let family: StaticString = address.family == .v4 ? "IN IP4 " : "IN IP6 "
    out.append("v=0\r\no=- ")
    out.append(decimal: identity.id)
    out.append(0x20)
    out.append(decimal: identity.version)
    out.append(0x20)
    out.append(family)
    out.append(address)
    out.append("\r\ns=-\r\nc=")
    out.append(family)
    out.append(address)
    out.append("\r\nt=0 0\r\n")
  }

  /// RTCP is on the port above: formats in this order, then what they mean.
  private static func writeAudio(
    _ audio: AudioStream, proto: TextRange, of bytes: [UInt8], to out: inout OutputSpan<UInt8>
  ) {
    out.append("m=audio ")
    out.append(decimal: UInt64(audio.rtp.port))
    out.append(0x20)
    if proto.isEmpty { out.append("RTP/AVP") } else { out.append(bytes.span, proto) }
    let formats = audio.formats.all.span
    for i in formats.indices {
      out.append(0x20)
      out.append(decimal: UInt64(formats[i].payloadType))
    }
    out.append("\r\n")
    for i in formats.indices { describe(formats[i], to: &out) }
    attribute("a=ptime:", audio.ptime, to: &out)
    attribute("a=maxptime:", audio.maxptime, to: &out)
    out.append("a=")
    out.append(audio.direction.name)
    out.append("\r\n")
  }

  private static func describe(_ codec: borrowing Codec, to out: inout OutputSpan<UInt8>) {
    out.append("a=rtpmap:")
    out.append(decimal: UInt64(codec.payloadType))
    out.append(0x20)
    if codec.encoding == .other {
      for i in codec.nameRange.range { out.append(codec.source[i].asciiUppered) }
    } else {
      out.append(codec.encoding.written)
    }
    out.append(UInt8(ascii: "/"))
    out.append(decimal: UInt64(codec.clockRate))
    if codec.channels > 1 {
      out.append(UInt8(ascii: "/"))
      out.append(decimal: UInt64(codec.channels))
    }
    out.append("\r\n")
    guard !codec.fmtpRange.isEmpty else { return }
    out.append("a=fmtp:")
    out.append(decimal: UInt64(codec.payloadType))
    out.append(0x20)
    for i in codec.fmtpRange.range {
      let c = codec.source[i]
      // No codec may start a line of its own.
      out.append(c == 0x0d || c == 0x0a || c == 0 ? 0x20 : c)
    }
    out.append("\r\n")
  }

  private static func attribute(_ name: StaticString, _ value: UInt16?, to out: inout OutputSpan<UInt8>) {
    guard let value, value > 0 else { return }
    out.append(name)
    out.append(decimal: UInt64(value))
    out.append("\r\n")
  }

  /// A section with port 0: media, proto and formats as they came, as a rejected stream has to look (RFC 3264 §6).
  private static func writeRefused(_ section: MediaSection, of bytes: [UInt8], to out: inout OutputSpan<UInt8>) {
    let s = bytes.span
    out.append("m=")
    out.append(s, section.kindName)
    out.append(" 0 ")
    out.append(s, section.protocolName)
    var format = s.token(section.formatList.range)
    if format.isEmpty { out.append(" 0") }
    while !format.isEmpty {
      out.append(0x20)
      out.append(s, TextRange(format))
      format = s.token(format.upperBound..<section.formatList.range.upperBound)
    }
    out.append("\r\n")
  }
}

extension Codec {
  /// Octets that its lines take at most, and its number in the `m=` line.
  fileprivate var room: Int {
    40 + encoding.written.utf8CodeUnitCount + nameRange.count + (fmtpRange.isEmpty ? 0 : 16 + fmtpRange.count)
  }
}
