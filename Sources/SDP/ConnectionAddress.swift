public import NetCore

/// What a `c=` line says (RFC 8866 §5.7), as far as it matters to one who has to send RTP there.
public enum ConnectionAddress: Hashable, Sendable {
  /// A literal unicast address, the unspecified one (hold by RFC 3264 §8.4) included.
  case unicast(IPAddress)
  /// A multicast or broadcast address: this server sends to none.
  case group(IPAddress)
  /// A host name. Legal, but resolving it would block a call on DNS at a stranger's wish, so it is not usable.
  case name(ArraySlice<UInt8>)
  /// Another network type, or not readable.
  case unreadable

  /// `IN IP4 192.0.2.1`, `IN IP4 224.2.1.1/127/3`, `IN IP6 2001:db8::1`. The address decides the family, not the
  /// `addrtype`: phones get it wrong.
  init(value: ArraySlice<UInt8>) {
    var rest = value
    let network = rest.nextToken()
    let type = rest.nextToken()
    let address = rest.nextToken().split(at: UInt8(ascii: "/")).before
    guard network.equals("IN"), type.equals("IP4") || type.equals("IP6"), address.isVisible else {
      self = .unreadable
      return
    }
    self.init(host: address)
  }

  init(host: ArraySlice<UInt8>) {
    guard let ip = IPAddress(bytes: host) else {
      self = .name(host)
      return
    }
    self = ip.isGroup ? .group(ip) : .unicast(ip)
  }

  /// The address to send to, if it is one.
  public var ip: IPAddress? {
    if case .unicast(let ip) = self { return ip }
    return nil
  }

  /// Why nothing can be sent there; nil for a unicast address.
  var error: SDPError? {
    switch self {
    case .unicast: nil
    case .group: .notAcceptable(330, "Multicast not available", "RFC 3261 §20.43")
    case .name: .incompatibleAddress("host name in c=")
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
