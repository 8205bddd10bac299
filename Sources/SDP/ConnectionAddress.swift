public import NetCore

/// What a `c=` line says (RFC 8866 §5.7), as far as it matters to one who has to send RTP there.
public enum ConnectionAddress: Hashable, Sendable {
  /// A literal unicast address, the unspecified one (hold by RFC 3264 §8.4) included.
  case unicast(IPAddress)
  /// A multicast or broadcast address: this server sends to none.
  case group(IPAddress)
  /// A host name. Legal, but resolving it would block a call on DNS at a stranger's wish, so it is not usable.
  case name
  /// Another network type, or not readable.
  case unreadable

  /// `IN IP4 192.0.2.1`, `IN IP4 224.2.1.1/127/3`, `IN IP6 2001:db8::1`. The address decides the family, not the
  /// `addrtype`: phones get it wrong.
  init(_ bytes: [UInt8], _ value: Range<Int>) {
    let s = bytes.span
    let network = s.token(value)
    let type = s.token(network.upperBound..<value.upperBound)
    let last = s.token(type.upperBound..<value.upperBound)
    let host = last.lowerBound..<(s.first(UInt8(ascii: "/"), in: last) ?? last.upperBound)
    guard s.equals("IN", network), s.equals("IP4", type) || s.equals("IP6", type), s.isVisible(host) else {
      self = .unreadable
      return
    }
    guard let ip = IPAddress(bytes: bytes[host]) else {
      self = .name
      return
    }
    self = ip.isGroup ? .group(ip) : .unicast(ip)
  }

  /// The address to send to, if it is one.
  public var ip: IPAddress? {
    if case .unicast(let ip) = self { return ip }
    return nil
  }

  /// Why nothing can be sent to what is no unicast address.
  var error: SDPError {
    switch self {
    case .unicast, .name: .incompatibleAddress("host name in c=")
    case .group: .notAcceptable(330, "Multicast not available", "RFC 3261 §20.43")
    case .unreadable: .notAcceptable(300, "Incompatible network protocol", "RFC 8866 §5.7")
    }
  }
}

extension IPAddress {
  /// Multicast (RFC 5771, RFC 4291 §2.7) or the IPv4 limited broadcast.
  var isGroup: Bool {
    switch family {
    case .v4: low >> 28 == 0xe || low == 0xffff_ffff
    case .v6: high >> 56 == 0xff
    }
  }
}
