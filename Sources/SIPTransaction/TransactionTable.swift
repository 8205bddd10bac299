public import NetCore
public import SIPMessage

/// All transactions of one shard: RFC 3261 §17 and §9, RFC 6026.
///
/// It does no I/O and reads no clock. An input (`receive`, `respond`, `send`, `cancel`, `fire` …) changes machines, and
/// leaves what the transaction user has to know in `events` and what is to be sent in `outbox`; the shard drains both
/// before the next input. Timers live in the shard's wheel, under kind 0.
///
/// A server transaction is found by a keyed hash of its Via; a client transaction by the token in our own branch, which
/// names its slot, so a response is matched without a hash.
public struct TransactionTable: ~Copyable {
  /// For the transaction user, in order. Empty it with `removeAll(keepingCapacity: true)`.
  public var events: [TransactionEvent] = []
  /// To be sent, in order.
  public var outbox: [Outgoing] = []
  public internal(set) var counts = TransactionCounts()
  /// What becomes of requests that are too long for a datagram.
  public var large = LargeRequests()
  /// The request that the last 401 or 407 answers, kept for `takeChallenged`.
  var challenged: (id: ClientTransactionID, request: Outgoing)?

  let shard: UInt8
  let timers: TransactionTimers
  let limits: TransactionLimits
  let key: (UInt64, UInt64)
  var mint: TokenMint

  var servers: Slab<ServerTransaction>
  var serverIndex = HashIndex()
  var mergeIndex = HashIndex()
  var serverFlows = FlowIndex()
  var clients: Slab<ClientTransaction>
  var clientFlows = FlowIndex()
  /// Client transactions that could not be made, to be reported when they are sent.
  static let noSlot: UInt32 = 0xff_ffff

  /// - Parameters:
  ///   - shard: written into every branch.
  ///   - seed: secret, 128 random bits; what makes hash keys and tokens unforeseeable, and a test repeatable.
  public init(
    shard: UInt8, timers: TransactionTimers = .init(), limits: TransactionLimits = .init(),
    seed: (UInt64, UInt64)? = nil
  ) {
    var system = SystemRandomNumberGenerator()
    let seed = seed ?? (system.next(), system.next())
    self.shard = shard
    self.timers = timers
    self.limits = limits
    key = seed
    mint = TokenMint(key: (seed.0 ^ 0x5bd1_e995_9e37_79b9, seed.1 ^ 0xc2b2_ae3d_27d4_eb4f))
    // CANCELs and requests in dialogs may use a quarter more (TransactionLimits).
    servers = Slab(limit: limits.serverTransactions + limits.serverTransactions / 4)
    clients = Slab(limit: limits.clientTransactions)
  }

  /// How many transactions are in which state. A walk over everything: not for the hot path.
  public func census() -> TransactionCensus {
    var census = TransactionCensus()
    for slot in servers.slots where servers.isOccupied(slot) {
      switch servers[slot].machine {
      case .invite(let machine): census.inviteServers[machine.phase, default: 0] += 1
      case .nonInvite(let machine): census.nonInviteServers[machine.phase, default: 0] += 1
      }
    }
    for slot in clients.slots where clients.isOccupied(slot) {
      switch clients[slot].machine {
      case .reserved: census.reserved += 1
      case .invite(let machine): census.inviteClients[machine.phase, default: 0] += 1
      case .nonInvite(let machine): census.nonInviteClients[machine.phase, default: 0] += 1
      }
    }
    return census
  }

  /// A message that `MessageParser` accepted.
  public mutating func receive(_ message: Message, now: Instant, wheel: inout TimerWheel) {
    if message.isRequest {
      receiveRequest(message, now: now, wheel: &wheel)
    } else {
      receiveResponse(message, now: now, wheel: &wheel)
    }
  }

  /// Whether a request belongs to a transaction that is there: as a copy, or a CANCEL as that of its INVITE.
  public func knows(_ request: Message) -> Bool {
    serverIndex[TransactionKey.server(request, asInvite: request.method == .cancel, key: key)] != nil
  }

  /// A To-tag for an answer without a transaction: the same for every copy of the request (§8.2.7).
  public func statelessTag(of request: Message) -> Bytes {
    Token(shard: shard, slot: Self.noSlot, generation: 0, random: TransactionKey.server(request, key: key).b).hex[...]
  }

  /// Exchanges `events` for an array that has been worked off, so that neither is allocated anew.
  /// - Returns: false, and nothing is exchanged, where there is nothing to do.
  public mutating func takeEvents(_ worked: inout [TransactionEvent]) -> Bool {
    guard !events.isEmpty else { return false }
    worked.removeAll(keepingCapacity: true)
    swap(&events, &worked)
    return true
  }

  /// A tag that names this shard and no slot, for responses that the table writes itself.
  mutating func mintTag() -> [UInt8] {
    Token(shard: shard, slot: Self.noSlot, generation: 0, random: mint.next()).hex
  }

  mutating func emit(_ bytes: [UInt8], _ flow: Flow) { outbox.append(Outgoing(bytes: bytes, flow: flow)) }

  func token(_ timer: TransactionTimer, _ slot: UInt32, _ generation: UInt32) -> TimerToken {
    TimerToken(kind: 0, which: timer.rawValue, slot: slot, generation: generation)
  }
}
