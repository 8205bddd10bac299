/// What a description may hold; beyond it the parser refuses (413). WebRTC with video stays below a third of each.
public struct SDPLimits: Hashable, Sendable {
  /// Octets of the whole body; 65535 at most, whatever this says.
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

/// A session description (RFC 8866), kept as the bytes it came in and where its sections stand in them; attributes are
/// read when asked for.
///
/// Liberal in what it takes: CRLF, LF or CR; any order inside a section; `v=`, `o=`, `s=`, `t=` may be missing;
/// unknown letters and lines that are not `x=…` are skipped. What must be right is what media depends on.
public struct SessionDescription: Sendable {
  public let bytes: [UInt8]
  let sections: [MediaSection]
  /// Where the session section ends.
  private let sessionEnd: Int

  public var media: [MediaDescription] { sections.map { MediaDescription(bytes: bytes, section: $0) } }

  /// `o=` (RFC 8866 §5.2).
  public struct Origin: Hashable, Sendable {
    public let username: ArraySlice<UInt8>
    /// Digits by the RFC; taken as they come.
    public let sessionID: ArraySlice<UInt8>
    public let version: ArraySlice<UInt8>
  }

  /// Of the session section.
  public var lines: DescriptionLines { DescriptionLines(bytes: bytes[..<sessionEnd]) }
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
    guard body.count <= min(limits.bytes, 65535) else { throw .tooLarge("Session description too large") }
    let bytes = Array(body)
    self.bytes = bytes
    var parser = SectionParser(limits: limits)
    var cursor = LineCursor(0..<bytes.count)
    while let (type, value) = cursor.next(bytes.span) { try parser.take(type, value, of: bytes) }
    guard !cursor.sawNUL else { throw .malformed("NUL in session description", "RFC 8866 §9") }
    guard parser.lineCount > 0 else { throw .malformed("No session description in the body", "RFC 8866 §5") }
    parser.endSection(at: bytes.count)
    sections = parser.sections
    sessionEnd = parser.sessionEnd
  }
}

/// Gathers the sections line by line; session-level `c=` and direction are what a section begins with.
private struct SectionParser {
  let limits: SDPLimits
  private(set) var sections: [MediaSection] = []
  private(set) var sessionEnd = 0
  private(set) var lineCount = 0
  private var attributeCount = 0
  private var sessionConnection: ConnectionAddress?
  private var sessionDirection: Direction?
  /// The section that is being read, with nothing but what it says itself.
  private var section: MediaSection?

  init(limits: SDPLimits) { self.limits = limits }

  mutating func take(_ type: UInt8, _ value: Range<Int>, of bytes: [UInt8]) throws(SDPError) {
    lineCount += 1
    guard lineCount <= limits.lines else { throw .tooLarge("Too many lines in session description") }
    switch type {
    case UInt8(ascii: "a"): try attribute(bytes.span, value)
    case UInt8(ascii: "m"):
      // The letter stands two octets before the value.
      endSection(at: value.lowerBound - 2)
      guard sections.count < limits.media else { throw .tooLarge("Too many m= lines in session description") }
      section = try MediaSection(bytes.span, value, limits: limits)
    case UInt8(ascii: "c"):
      // The first of several: more than one is hierarchical multicast (RFC 8866 §5.7).
      if section == nil {
        if sessionConnection == nil { sessionConnection = ConnectionAddress(bytes, value) }
      } else if section?.connection == nil {
        section?.connection = ConnectionAddress(bytes, value)
      }
    case UInt8(ascii: "v"):
      if section == nil, !bytes.span.equals("0", bytes.span.trim(value)) {
        throw SDPError(status: 488, warning: 399, text: "Unknown SDP version", section: "RFC 8866 §5.1")
      }
    default: break
    }
  }

  private mutating func attribute(_ s: Span<UInt8>, _ value: Range<Int>) throws(SDPError) {
    attributeCount += 1
    guard attributeCount <= limits.attributes else {
      throw .tooLarge("Too many attributes in session description")
    }
    guard let direction = Direction(s, attribute: value) else { return }
    // The first one counts: what contradicts it later is noise.
    if section == nil {
      sessionDirection = sessionDirection ?? direction
    } else if section?.direction == nil {
      section?.direction = direction
    }
  }

  /// The session section, or that of an `m=` line, ends at `end`.
  mutating func endSection(at end: Int) {
    guard var section else { return sessionEnd = end }
    section.body = TextRange(Int(section.body.start)..<end)
    section.connection = section.connection ?? sessionConnection
    section.direction = section.direction ?? sessionDirection
    sections.append(section)
    self.section = nil
  }
}

extension SessionDescription.Origin {
  init?(value: Bytes) {
    var rest = value
    username = rest.nextToken()
    sessionID = rest.nextToken()
    version = rest.nextToken()
    if version.isEmpty { return nil }
  }
}
