internal import Synchronization

/// Counters since the start, of one shard or summed.
public struct TransportStatistics: Sendable, Equatable {
  /// Messages taken from UDP and TCP, good or bad; messages given to the kernel or to a connection's buffer.
  public var received: UInt64 = 0
  public var sent: UInt64 = 0
  /// Unreadable messages that were answered, and those that were only counted.
  public var parseFailuresAnswered: UInt64 = 0
  public var parseFailuresDropped: UInt64 = 0
  /// Datagrams of a few bytes, and CRLF on streams (RFC 5626 §3.5.1).
  public var keepAlives: UInt64 = 0
  /// Messages that went to another shard's mailbox; wakes of a shard by its mailbox.
  public var crossed: UInt64 = 0
  public var wakes: UInt64 = 0
  /// A full mailbox: requests answered 503, messages dropped, items refused.
  public var overloadRejected: UInt64 = 0
  public var overloadDropped: UInt64 = 0
  public var itemsRefused: UInt64 = 0
  /// Sends the system refused for good, and datagrams dropped as its buffer stayed full.
  public var sendFailures: UInt64 = 0
  public var sendDrops: UInt64 = 0
  public var connectionsAccepted: UInt64 = 0
  public var connectionsOpened: UInt64 = 0
  public var connectionsClosed: UInt64 = 0
  /// Over a limit of `StreamOptions`; connects that failed.
  public var connectionsRefused: UInt64 = 0
  public var connectFailures: UInt64 = 0
  /// TLS handshakes that failed, either way; requests for a WebSocket that got an HTTP error.
  public var handshakeFailures: UInt64 = 0
  public var upgradesRefused: UInt64 = 0
  /// Messages of banned sources, which nobody has read.
  public var banned: UInt64 = 0
  /// Dropped for not reading, for silence, for bytes that are not SIP.
  public var slowReaders: UInt64 = 0
  public var idleTimeouts: UInt64 = 0
  public var framingErrors: UInt64 = 0

  public init() {}

  static func + (a: TransportStatistics, b: TransportStatistics) -> TransportStatistics {
    var sum = a
    for field in TransportStatistics.fields { sum[keyPath: field] &+= b[keyPath: field] }
    return sum
  }

  private static var fields: [WritableKeyPath<TransportStatistics, UInt64>] {
    [
      \.received, \.sent, \.parseFailuresAnswered, \.parseFailuresDropped, \.keepAlives, \.crossed, \.wakes,
      \.overloadRejected, \.overloadDropped, \.itemsRefused, \.sendFailures, \.sendDrops, \.connectionsAccepted,
      \.connectionsOpened, \.connectionsClosed, \.connectionsRefused, \.connectFailures, \.banned,
      \.handshakeFailures, \.upgradesRefused, \.slowReaders, \.idleTimeouts, \.framingErrors,
    ]
  }
}

/// One shard's counters: written by its loop alone, read by anyone.
final class ShardCounters: Sendable {
  let received = Atomic<UInt64>(0)
  let sent = Atomic<UInt64>(0)
  let parseFailuresAnswered = Atomic<UInt64>(0)
  let parseFailuresDropped = Atomic<UInt64>(0)
  let keepAlives = Atomic<UInt64>(0)
  let crossed = Atomic<UInt64>(0)
  let wakes = Atomic<UInt64>(0)
  let overloadRejected = Atomic<UInt64>(0)
  let overloadDropped = Atomic<UInt64>(0)
  let sendFailures = Atomic<UInt64>(0)
  let sendDrops = Atomic<UInt64>(0)
  let connectionsAccepted = Atomic<UInt64>(0)
  let connectionsOpened = Atomic<UInt64>(0)
  let connectionsClosed = Atomic<UInt64>(0)
  let connectionsRefused = Atomic<UInt64>(0)
  let connectFailures = Atomic<UInt64>(0)
  let handshakeFailures = Atomic<UInt64>(0)
  let upgradesRefused = Atomic<UInt64>(0)
  let banned = Atomic<UInt64>(0)
  let slowReaders = Atomic<UInt64>(0)
  let idleTimeouts = Atomic<UInt64>(0)
  let framingErrors = Atomic<UInt64>(0)
  /// The exception: any thread may post an item.
  let itemsRefused = Atomic<UInt64>(0)

  var snapshot: TransportStatistics {
    var s = TransportStatistics()
    s.received = received.load(ordering: .relaxed)
    s.sent = sent.load(ordering: .relaxed)
    s.parseFailuresAnswered = parseFailuresAnswered.load(ordering: .relaxed)
    s.parseFailuresDropped = parseFailuresDropped.load(ordering: .relaxed)
    s.keepAlives = keepAlives.load(ordering: .relaxed)
    s.crossed = crossed.load(ordering: .relaxed)
    s.wakes = wakes.load(ordering: .relaxed)
    s.overloadRejected = overloadRejected.load(ordering: .relaxed)
    s.overloadDropped = overloadDropped.load(ordering: .relaxed)
    s.itemsRefused = itemsRefused.load(ordering: .relaxed)
    s.sendFailures = sendFailures.load(ordering: .relaxed)
    s.sendDrops = sendDrops.load(ordering: .relaxed)
    s.connectionsAccepted = connectionsAccepted.load(ordering: .relaxed)
    s.connectionsOpened = connectionsOpened.load(ordering: .relaxed)
    s.connectionsClosed = connectionsClosed.load(ordering: .relaxed)
    s.connectionsRefused = connectionsRefused.load(ordering: .relaxed)
    s.connectFailures = connectFailures.load(ordering: .relaxed)
    s.handshakeFailures = handshakeFailures.load(ordering: .relaxed)
    s.upgradesRefused = upgradesRefused.load(ordering: .relaxed)
    s.banned = banned.load(ordering: .relaxed)
    s.slowReaders = slowReaders.load(ordering: .relaxed)
    s.idleTimeouts = idleTimeouts.load(ordering: .relaxed)
    s.framingErrors = framingErrors.load(ordering: .relaxed)
    return s
  }
}

extension Atomic where Value == UInt64 {
  /// Adds without a locked instruction: right only where one thread writes.
  func bump(by n: Int = 1) { store(load(ordering: .relaxed) &+ UInt64(n), ordering: .relaxed) }
}
