/// The transports of RFC 3261 §18 and RFC 7118, as a Via and a Contact name them.
public enum Transport: UInt8, Hashable, Sendable, CaseIterable {
  case udp, tcp, tls, ws, wss

  public var isReliable: Bool { self != .udp }
  /// The token of a Via header, as in `SIP/2.0/UDP`.
  public var viaName: String {
    switch self {
    case .udp: "UDP"
    case .tcp: "TCP"
    case .tls: "TLS"
    case .ws: "WS"
    case .wss: "WSS"
    }
  }
  /// The `transport=` parameter of a URI.
  public var parameterName: String {
    switch self {
    case .udp: "udp"
    case .tcp: "tcp"
    case .tls: "tls"
    case .ws: "ws"
    case .wss: "wss"
    }
  }
}

/// The way a message came, and so the way back: a listening socket, for a stream the connection, and the peer.
public struct Flow: Hashable, Sendable {
  public var transport: Transport
  /// Index into the addresses that the server listens on.
  public var listener: UInt8
  /// Zero for UDP and for a stream that is still to be opened; else the connection's id, never used twice in a process.
  public var connection: UInt64
  public var remote: Endpoint
  public var local: Endpoint

  @inlinable
  public init(transport: Transport, listener: UInt8, connection: UInt64 = 0, remote: Endpoint, local: Endpoint) {
    self.transport = transport
    self.listener = listener
    self.connection = connection
    self.remote = remote
    self.local = local
  }
}
