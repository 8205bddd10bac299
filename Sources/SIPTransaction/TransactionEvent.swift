public import NetCore
public import SIPMessage

/// Names a server transaction of one table; a name that outlives its transaction names nothing.
public struct ServerTransactionID: Hashable, Sendable {
  public let slot: UInt32
  public let generation: UInt32
}

/// Names a client transaction of one table.
public struct ClientTransactionID: Hashable, Sendable {
  public let slot: UInt32
  public let generation: UInt32
}

/// Bytes to send, and where.
public struct Outgoing: Sendable {
  public var bytes: [UInt8]
  public var flow: Flow

  public init(bytes: [UInt8], flow: Flow) {
    self.bytes = bytes
    self.flow = flow
  }
}

/// What the transaction user sees.
public enum TransactionEvent: Sendable {
  /// A new request, neither ACK nor CANCEL. An INVITE has had its 100 (Trying).
  case request(ServerTransactionID, Message)
  /// A CANCEL, not answered yet, and the INVITE it names if that is here: `answerCancel` answers it, and the TU answers
  /// the INVITE with 487 if it has no final response.
  case cancel(ServerTransactionID, Message, of: ServerTransactionID?)
  /// An ACK for a 2xx. Where it has the branch of the INVITE, that one's 2xx has been stopped; else the TU finds the
  /// dialog by the To tag and calls `acknowledged`.
  case ack(Message)
  /// A provisional response, or the final one; to an INVITE every 2xx again (RFC 6026 §7.2).
  case response(ClientTransactionID, Message)
  /// Timer B or F, or 64*T1 after a CANCEL: no final response will come.
  case timeout(ClientTransactionID)
  /// The flow failed before a final response.
  case transportError(ClientTransactionID)
  /// The flow of a request that awaits its final response, or of a 2xx that awaits its ACK, is gone. The transaction
  /// stays (RFC 6026 §7.1).
  case serverTransportError(ServerTransactionID)
  /// 64*T1 without an ACK to our 2xx: the TU should send BYE (RFC 3261 §13.3.1.4).
  case noAck(ServerTransactionID)
  /// A response that belongs to no transaction; it has been counted, and is dropped (RFC 6026 §7.2, §8.6).
  case strayResponse(Message)
}

/// Bounds of a table.
public struct TransactionLimits: Sendable {
  /// Requests beyond this many server transactions get a stateless 503. Requests within a dialog and CANCELs have a
  /// quarter more, so that a server that is full can still end calls.
  public var serverTransactions = 200_000
  /// Beyond this many, a client transaction fails at once with a transport error.
  public var clientTransactions = 400_000
  /// The Retry-After of that 503, in seconds.
  public var retryAfter = 5

  public init() {}
}

/// What a table did since it was made, and what it holds.
public struct TransactionCounts: Sendable, Equatable {
  /// Client transactions in any state, reserved ones and CANCELs included.
  public internal(set) var clients = 0
  /// Server transactions in any state.
  public internal(set) var servers = 0
  /// Requests that were answered from, or absorbed by, a transaction that was there.
  public internal(set) var requestRetransmissions = 0
  /// Final responses that were not delivered, as the TU had one.
  public internal(set) var responseRetransmissions = 0
  /// Our own messages, sent again by timers A, E, G, or for want of an ACK.
  public internal(set) var retransmitted = 0
  /// Requests answered with 482 (§8.2.2.2).
  public internal(set) var merged = 0
  /// Requests answered with 503 without a transaction.
  public internal(set) var overloaded = 0
  /// Responses without a transaction.
  public internal(set) var stray = 0
  /// ACKs that came when nothing awaited them.
  public internal(set) var uselessAcks = 0

  public init() {}
}

/// How many transactions are in which state: a walk over the table, for tests and for `status`.
public struct TransactionCensus: Sendable, Equatable {
  public internal(set) var inviteClients: [InviteClientMachine.Phase: Int] = [:]
  public internal(set) var nonInviteClients: [NonInviteClientMachine.Phase: Int] = [:]
  public internal(set) var inviteServers: [InviteServerMachine.Phase: Int] = [:]
  public internal(set) var nonInviteServers: [NonInviteServerMachine.Phase: Int] = [:]
  /// Client slots that were reserved and not yet sent.
  public internal(set) var reserved = 0

  public init() {}
}
