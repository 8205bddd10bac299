import NetCore

extension [UInt8] {
  mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { unsafe append(contentsOf: $0) }
  }

  mutating func append(decimal value: UInt64) {
    guard value >= 10 else { return append(0x30 &+ UInt8(truncatingIfNeeded: value)) }
    let start = count
    var rest = value
    while rest > 0 {
      append(0x30 &+ UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    }
    self[start...].reverse()
  }

  mutating func append(_ address: IPAddress) {
    guard address.family == .v4 else { return append(contentsOf: address.description.utf8) }
    for shift in stride(from: UInt64(24), through: 0, by: -8) {
      append(decimal: address.low >> shift & 0xff)
      if shift > 0 { append(UInt8(ascii: ".")) }
    }
  }
}

/// Writes descriptions of our own: the session section of RFC 8866 §5 with nothing but what is mandatory, then the
/// `m=` sections. The same input gives the same bytes.
struct SDPWriter {
  private(set) var bytes: [UInt8] = []

  init(session: SessionIdentity, address: IPAddress) {
    bytes.reserveCapacity(512)
    let family: StaticString = address.family == .v4 ? "IN IP4 " : "IN IP6 "
    bytes.append("v=0\r\no=- ")
    bytes.append(decimal: session.id)
    bytes.append(" ")
    bytes.append(decimal: session.version)
    bytes.append(" ")
    bytes.append(family)
    bytes.append(address)
    bytes.append("\r\ns=-\r\nc=")
    bytes.append(family)
    bytes.append(address)
    bytes.append("\r\nt=0 0\r\n")
  }

  /// An audio section on `port`, RTCP on the port above: formats in this order, then what they mean.
  mutating func audio(
    port: UInt16, protocolName: Bytes? = nil, formats: [Codec], ptime: Int?, maxptime: Int? = nil,
    direction: Direction
  ) {
    bytes.append("m=audio ")
    bytes.append(decimal: UInt64(port))
    bytes.append(" ")
    if let protocolName { bytes.append(contentsOf: protocolName) } else { bytes.append("RTP/AVP") }
    for codec in formats {
      bytes.append(" ")
      bytes.append(decimal: UInt64(codec.payloadType))
    }
    bytes.append("\r\n")
    for codec in formats { describe(codec) }
    attribute("ptime:", ptime)
    attribute("maxptime:", maxptime)
    bytes.append("a=")
    bytes.append(direction.name)
    bytes.append("\r\n")
  }

  private mutating func describe(_ codec: Codec) {
    bytes.append("a=rtpmap:")
    bytes.append(decimal: UInt64(codec.payloadType))
    bytes.append(" ")
    EncodingName.append(codec.name, to: &bytes)
    bytes.append("/")
    bytes.append(decimal: UInt64(max(codec.clockRate, 0)))
    if codec.channels > 1 {
      bytes.append("/")
      bytes.append(decimal: UInt64(codec.channels))
    }
    bytes.append("\r\n")
    guard let fmtp = codec.fmtp, !fmtp.isEmpty else { return }
    bytes.append("a=fmtp:")
    bytes.append(decimal: UInt64(codec.payloadType))
    bytes.append(" ")
    bytes.append(contentsOf: fmtp.lazy.map { $0 == 0x0d || $0 == 0x0a || $0 == 0 ? 0x20 : $0 })
    bytes.append("\r\n")
  }

  private mutating func attribute(_ name: StaticString, _ value: Int?) {
    guard let value, value > 0 else { return }
    bytes.append("a=")
    bytes.append(name)
    bytes.append(decimal: UInt64(value))
    bytes.append("\r\n")
  }

  /// A section with port 0: media, proto and formats as they came, as a rejected stream has to look (RFC 3264 §6).
  mutating func refused(_ media: MediaDescription) {
    bytes.append("m=")
    bytes.append(contentsOf: media.kindName)
    bytes.append(" 0 ")
    bytes.append(contentsOf: media.protocolName)
    var empty = true
    for format in media.formats {
      bytes.append(" ")
      bytes.append(contentsOf: format)
      empty = false
    }
    if empty { bytes.append(" 0") }
    bytes.append("\r\n")
  }
}
