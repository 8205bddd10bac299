public import NetCore
public import SIPMessage

/// What a group of shards listens on and how much it lets in.
public struct ShardGroupConfiguration: Sendable {
  /// A `Flow.listener` is an index into this list. Port 0 takes a free port; see `ShardGroup.listeners`.
  public var listen: [ListenAddress]
  /// Event loops, 1…255, each with a driver of its own. One is cheapest while one core is enough: a message that comes
  /// to another shard's socket wakes two threads.
  public var shards: Int
  /// Key of the SipHash that spreads Call-IDs over the shards; random unless a test wants to know the outcome.
  public var routingKey: (UInt64, UInt64) = (.random(in: .min ... .max), .random(in: .min ... .max))
  public var parserLimits = ParserLimits()
  /// Messages, and apart from them items, that may wait for one shard.
  public var mailboxCapacity = 4096
  /// Ticks come at most this often, so a timer may be late by as much. SIP's shortest timer is 500 ms; a tick a
  /// millisecond would cost more than the timers do.
  public var timerGranularity = Instant.Span.milliseconds(10)
  public var datagrams = DatagramOptions()
  public var streams = StreamOptions()
  /// Needed to listen on TLS or secure WebSockets, and to connect by TLS.
  public var tls: TLSContexts?
  /// Nothing is read from these, and no connection taken.
  public var bans = SourceBans()

  public init(listen: [ListenAddress], shards: Int = 1) {
    self.listen = listen
    self.shards = shards
  }
}

/// UDP sockets.
public struct DatagramOptions: Sendable {
  /// Datagrams taken from one socket before other work has its turn.
  public var turn = 256
  /// From this many datagrams a second on, a shard wakes by the clock, once a `busyTick`, and no longer for each of them:
  /// a wake costs more than a message. 0: never.
  public var busyRate = 500
  /// What that adds to a message's way at most.
  public var busyTick = Instant.Span.milliseconds(2)
  /// `SO_RCVBUF` and `SO_SNDBUF` in bytes; the system may grant less.
  public var receiveBuffer = 4 << 20
  public var sendBuffer = 4 << 20
  /// Datagrams kept while the system has no room (`EAGAIN`); more are dropped and counted.
  public var sendQueue = 1024

  public init() {}
}

/// Connections of TCP, TLS and WebSockets, in both directions unless it says otherwise.
public struct StreamOptions: Sendable {
  /// To connect, with the TLS handshake.
  public var connectTimeout = Instant.Span.milliseconds(5_000)
  /// From accept to the end of the first message or keep-alive, a TLS handshake and the request for a WebSocket included;
  /// and from the first octet of a later message to its last.
  public var messageTimeout = Instant.Span.milliseconds(10_000)
  /// Without a byte in either direction. Longer than the longest registration, or a phone behind NAT that refreshes
  /// only by REGISTER would be cut off in between.
  public var idleTimeout = Instant.Span.milliseconds(3_900_000)
  /// A peer that takes no byte for so long while some wait is dropped.
  public var writeTimeout = Instant.Span.milliseconds(15_000)
  /// Bytes that may wait for one peer; one more and the peer is dropped.
  public var writeBufferLimit = 1 << 20
  /// Inbound connections in all, and from one address.
  public var maxConnections = 20_000
  public var maxConnectionsPerAddress = 1_000
  public var backlog: Int32 = 1024
  /// Web pages that may open a WebSocket, as their `Origin` says: `https://phone.example.com`, in lower case. Empty: any.
  public var webSocketOrigins: [String] = []

  public init() {}
}
