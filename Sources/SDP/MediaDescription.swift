/// One `m=` line and what belongs to it (RFC 8866 §5.14).
public struct MediaDescription: Sendable {
  public enum Kind: UInt8, Hashable, Sendable { case audio, video, image, text, application, message, other }
  /// The transport of the `proto` field, as far as this server tells them apart.
  public enum Profile: UInt8, Hashable, Sendable {
    /// `RTP/AVP` and, with feedback nobody has to send, `RTP/AVPF` (RFC 4585 §4).
    case rtp
    /// `RTP/SAVP`, `RTP/SAVPF` and the DTLS forms `UDP/TLS/RTP/…`.
    case secureRTP
    case other
  }

  let bytes: [UInt8]
  let section: MediaSection

  public var kind: Kind { section.kind }
  public var kindName: ArraySlice<UInt8> { bytes[section.kindName.range] }
  /// Zero: rejected, or ended (RFC 3264 §6 and §8.2).
  public var port: UInt16 { section.port }
  public var protocolName: ArraySlice<UInt8> { bytes[section.protocolName.range] }
  public var profile: Profile { section.profile }
  /// The format list as it was written; see `formats`.
  public var formatList: ArraySlice<UInt8> { bytes[section.formatList.range] }
  /// Of this section, else of the session; nil where neither has one.
  public var connection: ConnectionAddress? { section.connection }
  /// Of this section, else of the session; `sendrecv` where neither says (RFC 8866 §6.7).
  public var direction: Direction { section.direction ?? .sendrecv }

  public var formats: [ArraySlice<UInt8>] { formatList.split { $0.isBlank } }

  /// The lines after `m=`.
  public var lines: DescriptionLines { DescriptionLines(bytes: bytes[section.body.range]) }
  public var attributes: AttributeLines { AttributeLines(lines: lines) }
}

/// Where the parts of a section stand in the body, and what they come to.
struct MediaSection: Sendable {
  let kind: MediaDescription.Kind
  let profile: MediaDescription.Profile
  let port: UInt16
  /// The first one said counts: what contradicts it later is noise.
  var direction: Direction?
  let kindName: TextRange
  let protocolName: TextRange
  let formatList: TextRange
  /// The lines after `m=`.
  var body: TextRange
  var connection: ConnectionAddress?

  /// Octets of its names and formats.
  var length: Int { kindName.count + protocolName.count + formatList.count }

  /// Reads the value of an `m=` line.
  init(_ s: Span<UInt8>, _ value: Range<Int>, limits: SDPLimits) throws(SDPError) {
    let end = value.upperBound
    let kindName = s.token(value)
    let portToken = s.token(kindName.upperBound..<end)
    let protocolName = s.token(portToken.upperBound..<end)
    guard s.isVisible(kindName), s.isVisible(protocolName) else {
      throw .malformed("m= line without media or proto", "RFC 8866 §5.14")
    }
    let portField = portToken.lowerBound..<(s.first(UInt8(ascii: "/"), in: portToken) ?? portToken.upperBound)
    guard let port = s.decimal(portField, upTo: 65535) else {
      throw .malformed("m= line without a valid port", "RFC 8866 §5.14")
    }
    var format = s.token(protocolName.upperBound..<end)
    let formats = format.lowerBound
    var lastFormat = formats
    var count = 0
    while !format.isEmpty {
      guard s.isVisible(format) else { throw .malformed("m= line with an unreadable format", "RFC 8866 §5.14") }
      count += 1
      guard count <= limits.formats else { throw .tooLarge("Too many formats in an m= line") }
      lastFormat = format.upperBound
      format = s.token(lastFormat..<end)
    }
    kind = MediaDescription.Kind(s, kindName)
    profile = MediaDescription.Profile(s, protocolName)
    self.port = UInt16(truncatingIfNeeded: port)
    self.kindName = TextRange(kindName)
    self.protocolName = TextRange(protocolName)
    formatList = TextRange(formats..<lastFormat)
    body = TextRange(end..<end)
  }
}

extension MediaDescription.Kind {
  init(_ s: Span<UInt8>, _ name: Range<Int>) {
    if s.equals("audio", name) {
      self = .audio
    } else if s.equals("video", name) {
      self = .video
    } else if s.equals("image", name) {
      self = .image
    } else if s.equals("text", name) {
      self = .text
    } else if s.equals("application", name) {
      self = .application
    } else if s.equals("message", name) {
      self = .message
    } else {
      self = .other
    }
  }
}

extension MediaDescription.Profile {
  init(_ s: Span<UInt8>, _ name: Range<Int>) {
    if s.equals("RTP/AVP", name) || s.equals("RTP/AVPF", name) {
      self = .rtp
    } else if s.equals("RTP/SAVP", name) || s.equals("RTP/SAVPF", name) || s.equals("UDP/TLS/RTP/SAVP", name)
      || s.equals("UDP/TLS/RTP/SAVPF", name)
    {
      self = .secureRTP
    } else {
      self = .other
    }
  }
}
