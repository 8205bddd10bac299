/// Which way media flows, seen from the one who wrote the description (RFC 8866 §6.7).
public enum Direction: UInt8, Hashable, Sendable, CaseIterable {
  case sendrecv, sendonly, recvonly, inactive

  public init(sends: Bool, receives: Bool) {
    self = sends ? (receives ? .sendrecv : .sendonly) : (receives ? .recvonly : .inactive)
  }

  /// True where the writer sends media.
  public var sends: Bool { self == .sendrecv || self == .sendonly }
  /// True where the writer wants media.
  public var receives: Bool { self == .sendrecv || self == .recvonly }
  /// The same flow seen from the other end.
  public var reversed: Direction { Direction(sends: receives, receives: sends) }
  /// True where the writer does not want to hear anything: he has put the other on hold (RFC 3264 §8.4).
  public var isHold: Bool { !receives }

  /// What an answer may say to an offer of this direction, as near to `wanted` as RFC 3264 §6.1 allows.
  public func answer(wanting wanted: Direction = .sendrecv) -> Direction {
    Direction(sends: receives && wanted.sends, receives: sends && wanted.receives)
  }

  /// The attribute's name.
  public var name: StaticString {
    switch self {
    case .sendrecv: "sendrecv"
    case .sendonly: "sendonly"
    case .recvonly: "recvonly"
    case .inactive: "inactive"
    }
  }

  init?(_ s: Span<UInt8>, attribute value: Range<Int>) {
    let name = s.trim(value)
    // All four have eight letters.
    guard name.count == 8 else { return nil }
    if s.equals("sendrecv", name) {
      self = .sendrecv
    } else if s.equals("sendonly", name) {
      self = .sendonly
    } else if s.equals("recvonly", name) {
      self = .recvonly
    } else if s.equals("inactive", name) {
      self = .inactive
    } else {
      return nil
    }
  }
}
