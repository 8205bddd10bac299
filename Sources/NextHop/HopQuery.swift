public import NetCore
public import SIPMessage

/// A place to send a request to.
public struct Hop: Hashable, Sendable {
  public var transport: Transport
  public var endpoint: Endpoint

  public init(_ transport: Transport, _ endpoint: Endpoint) {
    self.transport = transport
    self.endpoint = endpoint
  }
}

/// Which transports and address families the server can send by: those that it listens on.
public struct Reach: Hashable, Sendable {
  /// For each transport up to two families, the preferred first: 2 bits each, 1 is IPv4, 2 is IPv6.
  private var families = SIMD8<UInt8>()

  public init() {}

  public mutating func add(_ transport: Transport, _ family: IPAddress.Family) {
    let bits: UInt8 = family == .v4 ? 1 : 2
    let slot = Int(transport.rawValue)
    let old = families[slot]
    if old == 0 {
      families[slot] = bits
    } else if old >> 2 == 0, old != bits {
      families[slot] = old | bits << 2
    }
  }

  /// In the order in which the listeners are configured.
  public func families(of transport: Transport) -> [IPAddress.Family] {
    let bits = families[Int(transport.rawValue)]
    return [bits & 3, bits >> 2].compactMap { $0 == 0 ? nil : $0 == 1 ? .v4 : .v6 }
  }

  public func has(_ transport: Transport) -> Bool { families[Int(transport.rawValue)] != 0 }

  public func has(_ transport: Transport, _ family: IPAddress.Family) -> Bool {
    let bits = families[Int(transport.rawValue)]
    let wanted: UInt8 = family == .v4 ? 1 : 2
    return bits & 3 == wanted || bits >> 2 == wanted
  }
}

/// What RFC 3263 §4 starts from: the host, port and transport of a URI.
public struct HopQuery: Hashable, Sendable {
  public enum Host: Hashable, Sendable {
    case literal(IPAddress)
    case name(DNSName)
  }
  public var host: Host
  public var port: UInt16?
  public var transport: Transport?
  /// A `sips:` URI: TLS on every hop (RFC 3261 §26.2.2).
  public var isSecure: Bool
  public var reach: Reach

  public init(host: Host, port: UInt16? = nil, transport: Transport? = nil, isSecure: Bool = false, reach: Reach) {
    self.host = host
    self.port = port
    self.transport = transport
    self.isSecure = isSecure
    self.reach = reach
  }

  /// Of a SIP or SIPS URI; its `maddr` is the host (RFC 3263 §4). Nil: another scheme, a host that is no name, or a
  /// transport that we do not know.
  public init?(_ uri: URI, reach: Reach) {
    guard uri.scheme == .sip || uri.scheme == .sips else { return nil }
    var host = uri.host
    if case .some(.some(let address)) = uri.parameter("maddr") { host = address }
    if let ip = IPAddress(bytes: host) {
      self.host = .literal(ip)
    } else if let name = DNSName(host) {
      self.host = .name(name)
    } else {
      return nil
    }
    if case .some(let named) = uri.parameter("transport") {
      guard let named, let transport = Transport(token: named) else { return nil }
      self.transport = transport
    }
    port = uri.port
    isSecure = uri.scheme == .sips
    self.reach = reach
  }

  /// What there is to know without DNS: the one hop of a literal address; nil for a name, and where nothing of ours
  /// leads there.
  public var literalHop: Hop? {
    guard case .literal(let ip) = host, let transport = settledTransport ?? defaultTransport, allows(transport),
      reach.has(transport, ip.family)
    else { return nil }
    return Hop(transport, Endpoint(ip, port ?? transport.defaultPort))
  }

  /// The transport that the URI names. A `sips:` URI over TCP is TLS (RFC 3261 §26.2.2), over UDP it is nothing.
  var settledTransport: Transport? {
    guard isSecure, let transport else { return transport }
    return transport == .tcp ? .tls : transport
  }

  /// RFC 3263 §4.1, for a literal address and for a port: UDP, or TLS for a `sips:` URI.
  var defaultTransport: Transport? { isSecure ? .tls : .udp }

  /// Usable at all: a `sips:` URI is served by what is encrypted, and by us only where we listen on it.
  func allows(_ transport: Transport) -> Bool {
    guard reach.has(transport) else { return false }
    switch transport {
    case .udp, .tcp: return !isSecure
    case .tls: return true
    // A server opens no WebSocket (RFC 7118 §5): a phone's is reached by the flow it came in.
    case .ws, .wss: return false
    }
  }
}
