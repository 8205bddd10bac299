public import Logging
public import Media
public import NetCore
public import NextHop
public import SIPDigest

/// What all shards share: leaf tables, and doors to what runs on other threads. Nothing here blocks.
public struct EngineServices: Sendable {
  public var bindings: BindingTable
  public var journal: any BindingJournal
  public var authenticator: DigestAuthenticator
  public var records: any RecordSink
  public var keyValue: KeyValueStore
  public var media: any MediaGateway
  public var counters: EngineCounters
  public var trace: TraceHub
  public let trunks = TrunkTable()
  public let hunts = HuntTable()
  /// Where names lead (RFC 3263); answers come as `ShardInput.resolved`.
  public var hops: HopTable
  /// The other shards' mailboxes.
  public var peers: ShardPeers
  public var logger: Logger
  /// Wall clock in milliseconds since 1970; virtual in tests.
  public var wallClock: @Sendable () -> Int64
  /// Who guesses passwords, and who is banned for it.
  public var abuse = AbuseGuard()

  public init(
    bindings: BindingTable, journal: any BindingJournal, authenticator: DigestAuthenticator, records: any RecordSink,
    keyValue: KeyValueStore, media: any MediaGateway, counters: EngineCounters, trace: TraceHub,
    peers: ShardPeers, logger: Logger, wallClock: @escaping @Sendable () -> Int64, hops: HopTable = HopTable()
  ) {
    self.bindings = bindings
    self.journal = journal
    self.authenticator = authenticator
    self.records = records
    self.keyValue = keyValue
    self.media = media
    self.counters = counters
    self.trace = trace
    self.hops = hops
    self.peers = peers
    self.logger = logger
    self.wallClock = wallClock
  }
}

/// The door to the media plane: leases are immediate, commands are queued in order, events come back as inputs.
public protocol MediaGateway: Sendable {
  func lease(owner: UInt32, family: IPAddress.Family, near: MediaEndpointID?) -> MediaPort?
  func send(_ commands: [MediaCommand])
}

extension MediaPlane: MediaGateway {}
