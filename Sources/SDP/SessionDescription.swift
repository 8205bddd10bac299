/// What a description may hold; beyond it the parser refuses (413). WebRTC with video stays below a third of each.
public struct SDPLimits: Hashable, Sendable {
  /// Octets of the whole body.
  public var bytes = 32768
  /// Lines of any kind.
  public var lines = 2048
  public var attributes = 1024
  /// `m=` lines.
  public var media = 32
  /// Formats of one `m=` line.
  public var formats = 128

  public init() {}
}

/// A session description (RFC 8866), kept as the bytes it came in: sections are slices of one compact copy, and
/// attributes are read when asked for.
///
/// Liberal in what it takes: CRLF, LF or CR; any order inside a section; `v=`, `o=`, `s=`, `t=` may be missing;
/// unknown letters and lines that are not `x=…` are skipped. What must be right is what media depends on.
public struct SessionDescription: Sendable {
  public let bytes: [UInt8]
  /// The session section.
  public let section: ArraySlice<UInt8>
  /// Of the session section.
  public let connection: ConnectionAddress?
  public let media: [MediaDescription]

  /// `o=` (RFC 8866 §5.2).
  public struct Origin: Hashable, Sendable {
    public let username: ArraySlice<UInt8>
    /// Digits by the RFC; taken as they come.
    public let sessionID: ArraySlice<UInt8>
    public let version: ArraySlice<UInt8>
    public let address: ConnectionAddress
  }

  public var lines: DescriptionLines { DescriptionLines(bytes: section) }
  public var attributes: AttributeLines { AttributeLines(lines: lines) }
  /// Nil where there is none, or it has not even a version.
  public var origin: Origin? {
    lines.first { $0.type == UInt8(ascii: "o") }.flatMap { Origin(value: $0.value) }
  }
  /// The value of `s=`, or nil.
  public var sessionName: ArraySlice<UInt8>? { lines.first { $0.type == UInt8(ascii: "s") }?.value }

  /// - Throws: 400 for what cannot be a description or has a broken `m=` line, 413 beyond `limits`, 488 for a version
  ///   other than 0 (RFC 8866 §5.1).
  public init(parsing body: ArraySlice<UInt8>, limits: SDPLimits = SDPLimits()) throws(SDPError) {
    guard body.count <= limits.bytes else { throw .tooLarge("Session description too large") }
    let bytes = Array(body)
    self.bytes = bytes
    var parser = SectionParser(limits: limits)
    var cursor = LineCursor(0..<bytes.count)
    while let (type, value) = cursor.next(bytes.span) { try parser.take(type, value, of: bytes) }
    guard !cursor.sawNUL else { throw .malformed("NUL in session description", "RFC 8866 §9") }
    try parser.finish(in: bytes)
    section = parser.session
    connection = parser.connection
    media = parser.media
  }
}

/// Gathers the sections line by line; session-level `c=` and direction are handed down at the end.
private struct SectionParser {
  let limits: SDPLimits
  var media: [MediaDescription] = []
  var connection: ConnectionAddress?
  var session: Bytes = []
  private var sessionDirection: Direction?
  /// Where each media section starts and the `m=` line before it.
  private var starts: [(line: Int, body: Int)] = []
  private var directions: [Direction?] = []
  private var lineCount = 0
  private var attributeCount = 0

  init(limits: SDPLimits) { self.limits = limits }

  mutating func take(_ type: UInt8, _ value: Range<Int>, of bytes: [UInt8]) throws(SDPError) {
    lineCount += 1
    guard lineCount <= limits.lines else { throw .tooLarge("Too many lines in session description") }
    switch type {
    case UInt8(ascii: "m"): try beginMedia(bytes[value])
    case UInt8(ascii: "a"): try attribute(bytes.span, value)
    case UInt8(ascii: "c"):
      // The first of several: more than one is hierarchical multicast (RFC 8866 §5.7).
      if media.isEmpty {
        if connection == nil { connection = ConnectionAddress(value: bytes[value]) }
      } else if media[media.count - 1].connection == nil {
        media[media.count - 1].connection = ConnectionAddress(value: bytes[value])
      }
    case UInt8(ascii: "v"):
      if media.isEmpty, !bytes.span.equals("0", bytes.span.trim(value)) {
        throw SDPError(status: 488, warning: 399, text: "Unknown SDP version", section: "RFC 8866 §5.1")
      }
    default: break
    }
  }

  private mutating func beginMedia(_ value: Bytes) throws(SDPError) {
    guard media.count < limits.media else { throw .tooLarge("Too many m= lines in session description") }
    media.append(try MediaDescription(value: value, limits: limits))
    starts.append((line: value.startIndex - 2, body: value.endIndex))
    directions.append(nil)
  }

  private mutating func attribute(_ s: Span<UInt8>, _ value: Range<Int>) throws(SDPError) {
    attributeCount += 1
    guard attributeCount <= limits.attributes else {
      throw .tooLarge("Too many attributes in session description")
    }
    guard let direction = Direction(s, attribute: value) else { return }
    // The first one counts: what contradicts it later is noise.
    if media.isEmpty {
      sessionDirection = sessionDirection ?? direction
    } else if directions[directions.count - 1] == nil {
      directions[directions.count - 1] = direction
    }
  }

  mutating func finish(in bytes: [UInt8]) throws(SDPError) {
    guard lineCount > 0 else { throw .malformed("No session description in the body", "RFC 8866 §5") }
    session = bytes[..<(starts.first?.line ?? bytes.count)]
    for i in media.indices {
      let end = i + 1 < starts.count ? starts[i + 1].line : bytes.count
      media[i].section = bytes[starts[i].body..<end]
      media[i].connection = media[i].connection ?? connection
      media[i].direction = directions[i] ?? sessionDirection ?? .sendrecv
    }
  }
}

extension SessionDescription.Origin {
  init?(value: Bytes) {
    var rest = value
    username = rest.nextToken()
    sessionID = rest.nextToken()
    version = rest.nextToken()
    address = ConnectionAddress(value: rest)
    if version.isEmpty { return nil }
  }
}
