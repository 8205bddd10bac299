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

  public let kind: Kind
  public let kindName: ArraySlice<UInt8>
  /// Zero: rejected, or ended (RFC 3264 §6 and §8.2).
  public let port: UInt16
  public let protocolName: ArraySlice<UInt8>
  public let profile: Profile
  /// The format list as it was written; see `formats`.
  public let formatList: ArraySlice<UInt8>
  /// Of this section, else of the session; nil where neither has one.
  public internal(set) var connection: ConnectionAddress?
  /// Of this section, else of the session; `sendrecv` where neither says (RFC 8866 §6.7).
  public internal(set) var direction: Direction
  /// The lines after `m=`.
  public internal(set) var section: ArraySlice<UInt8>

  public var formats: [ArraySlice<UInt8>] {
    var rest = formatList
    var list: [ArraySlice<UInt8>] = []
    while true {
      let token = rest.nextToken()
      if token.isEmpty { return list }
      list.append(token)
    }
  }

  public var lines: DescriptionLines { DescriptionLines(bytes: section) }
  public var attributes: AttributeLines { AttributeLines(lines: lines) }

  /// Reads the value of an `m=` line.
  init(value: Bytes, limits: SDPLimits) throws(SDPError) {
    var rest = value
    let kindName = rest.nextToken()
    let portField = rest.nextToken().split(at: UInt8(ascii: "/")).before
    let protocolName = rest.nextToken()
    guard kindName.isVisible, protocolName.isVisible else {
      throw .malformed("m= line without media or proto", "RFC 8866 §5.14")
    }
    guard let port = portField.decimal(upTo: 65535) else {
      throw .malformed("m= line without a valid port", "RFC 8866 §5.14")
    }
    self.kindName = kindName
    self.kind = Kind(kindName)
    self.port = UInt16(truncatingIfNeeded: port)
    self.protocolName = protocolName
    self.profile = Profile(protocolName)
    formatList = rest.trimmed
    connection = nil
    direction = .sendrecv
    section = []
    var count = 0
    while true {
      let token = rest.nextToken()
      if token.isEmpty { break }
      guard token.isVisible else { throw .malformed("m= line with an unreadable format", "RFC 8866 §5.14") }
      count += 1
      guard count <= limits.formats else { throw .tooLarge("Too many formats in an m= line") }
    }
  }
}

extension MediaDescription.Kind {
  init(_ name: Bytes) {
    if name.equals("audio") {
      self = .audio
    } else if name.equals("video") {
      self = .video
    } else if name.equals("image") {
      self = .image
    } else if name.equals("text") {
      self = .text
    } else if name.equals("application") {
      self = .application
    } else if name.equals("message") {
      self = .message
    } else {
      self = .other
    }
  }
}

extension MediaDescription.Profile {
  init(_ name: Bytes) {
    if name.equals("RTP/AVP") || name.equals("RTP/AVPF") {
      self = .rtp
    } else if name.equals("RTP/SAVP") || name.equals("RTP/SAVPF") || name.equals("UDP/TLS/RTP/SAVP")
      || name.equals("UDP/TLS/RTP/SAVPF")
    {
      self = .secureRTP
    } else {
      self = .other
    }
  }
}
