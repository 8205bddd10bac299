/// The transports of RFC 3261 §18 and RFC 7118, as a Via and a Contact name them.
public enum Transport: UInt8, Hashable, Sendable, CaseIterable {
  case udp, tcp, tls, ws, wss

  public var isReliable: Bool { self != .udp }
  /// Over TLS.
  public var isSecure: Bool { self == .tls || self == .wss }
  /// A WebSocket, which only a client opens (RFC 7118 §5).
  public var isWebSocket: Bool { self == .ws || self == .wss }
  /// Where a URI or a Via names none (RFC 3261 §19.1.2, RFC 7118 §5.2.3).
  public var defaultPort: UInt16 {
    switch self {
    case .udp, .tcp: 5060
    case .tls: 5061
    case .ws: 80
    case .wss: 443
    }
  }
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
  /// As the configuration, logs and records name it; see `uriParameter`.
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

extension Transport {
  /// What stands behind `transport=` in a URI that leads here. A WebSocket is `ws`, over TLS too: that is what the scheme
  /// `sips` says (RFC 7118 §5.2.1).
  public var uriParameter: String { self == .wss ? "ws" : parameterName }
}

/// The way a message came, and so the way back: a listening socket, for a stream the connection, and the peer.
public struct Flow: Hashable, Sendable {
  public var transport: Transport
  /// Index into the addresses that the server listens on.
  public var listener: UInt8
  /// As whom the peer must prove himself when a connection over TLS is opened for this flow.
  public var peer: PeerName
  /// Zero for UDP and for a stream that is still to be opened; else the connection's id, never used twice in a process.
  public var connection: UInt64
  public var remote: Endpoint
  public var local: Endpoint

  @inlinable
  public init(
    transport: Transport, listener: UInt8, peer: PeerName = .byAddress, connection: UInt64 = 0, remote: Endpoint,
    local: Endpoint
  ) {
    self.transport = transport
    self.listener = listener
    self.peer = peer
    self.connection = connection
    self.remote = remote
    self.local = local
  }
}
