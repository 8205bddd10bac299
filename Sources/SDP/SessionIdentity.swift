/// Our own `o=` of one dialog: the id stays, the version counts the descriptions that differ (RFC 3264 §8).
public struct SessionIdentity: Hashable, Sendable {
  /// Below 2^62, as peers keep it in a signed 64-bit number (RFC 3264 §5).
  public let id: UInt64
  public var version: UInt64

  /// `id` is a random number; its two top bits are dropped. The version starts at 1.
  public init(id: UInt64, version: UInt64 = 1) {
    self.id = id & (1 << 62 - 1)
    self.version = version & (1 << 62 - 1)
  }

  public var next: SessionIdentity { SessionIdentity(id: id, version: version &+ 1) }
}

/// True where two descriptions of ours differ at most in their `o=` line.
public func sameSession(_ a: [UInt8], _ b: [UInt8]) -> Bool {
  let (left, right) = (OriginLine.range(in: a), OriginLine.range(in: b))
  return a[..<left.lowerBound] == b[..<right.lowerBound] && a[left.upperBound...] == b[right.upperBound...]
}

/// The description last sent in one dialog: keeps the version right, so that an unchanged one goes out as the very
/// same bytes (RFC 3264 §8, RFC 6337 §5.2.5).
public struct LocalDescription: Sendable {
  public private(set) var identity: SessionIdentity
  /// What was last sent; empty before the first.
  public private(set) var bytes: [UInt8] = []
  /// The audio in it.
  public private(set) var audio: AudioStream?

  public init(id: UInt64) { identity = SessionIdentity(id: id) }

  /// Takes a description built with `identity` and returns the one to send: the last one where nothing but `o=`
  /// differs, else this one with the version that follows.
  @discardableResult
  public mutating func update(_ built: BuiltDescription) -> [UInt8] {
    if bytes.isEmpty {
      bytes = built.bytes
    } else if !sameSession(bytes, built.bytes) {
      identity = identity.next
      bytes = OriginLine.restamp(built.bytes, identity)
    }
    audio = built.audio
    return bytes
  }

  /// An offer of ours was refused, and the session is what it was (RFC 3264 §8). The version that the refused offer had
  /// is not used again for another description.
  public mutating func revert(to earlier: LocalDescription) {
    precondition(earlier.identity.id == identity.id, "a description of another dialog")
    bytes = earlier.bytes
    audio = earlier.audio
  }
}

/// What the peer of one dialog last described, and the first usable audio in it.
public struct RemoteDescription: Sendable {
  public let session: SessionDescription
  public let audio: AudioStream

  /// - Throws: what keeps the body from being used; see `SessionDescription` and `OfferAnswerSDP.audio`.
  public init(parsing body: ArraySlice<UInt8>) throws(SDPError) {
    session = try SessionDescription(parsing: body)
    audio = try OfferAnswerSDP.audio(in: session)
  }
}

enum OriginLine {
  /// The `o=` line with its line end; where there is none, empty at the start.
  static func range(in bytes: [UInt8]) -> Range<Int> {
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0a).map { $0 + 1 } ?? bytes.count
      if bytes[start] == UInt8(ascii: "o") { return start..<end }
      if bytes[start] == UInt8(ascii: "m") { break }
      start = end
    }
    return 0..<0
  }

  /// The same description under another identity: `o=- id version IN …`.
  static func restamp(_ bytes: [UInt8], _ identity: SessionIdentity) -> [UInt8] {
    let line = range(in: bytes)
    guard !line.isEmpty else { return bytes }
    let s = bytes.span
    let user = s.token((line.lowerBound + 2)..<line.upperBound)
    let id = s.token(user.upperBound..<line.upperBound)
    let version = s.token(id.upperBound..<line.upperBound)
    return [UInt8](capacity: bytes.count + 44) { out in
      let s = bytes.span
      for i in 0..<user.upperBound { out.append(s[i]) }
      out.append(0x20)
      out.append(decimal: identity.id)
      out.append(0x20)
      out.append(decimal: identity.version)
      for i in version.upperBound..<s.count { out.append(s[i]) }
    }
  }
}
