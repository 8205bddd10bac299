public import NetCore
public import SIPMessage

/// What a shard's loop drives: the calls of one shard, without sockets. One instance a loop, made on its loop by the
/// group's factory, called there only, and so not Sendable.
///
/// After each input the host calls `drain`, and it flushes once for all inputs that one read brought.
public protocol ShardDriver: AnyObject, SendableMetatype {
  /// What reaches the shard from other threads: control, media events, a reload.
  associatedtype Item: Sendable

  func receive(_ message: Message, now: Instant)
  /// What was sent on `flow` cannot have arrived: a refused or lost connection, or an address that the system cannot
  /// send to. `flow` is the one that was given to `send`. RFC 3261 §18.4.
  func flowFailed(_ flow: Flow, now: Instant)
  /// A connection is gone, whoever closed it. Every shard is told once.
  func connectionClosed(_ id: UInt64, now: Instant)
  func post(_ item: Item, now: Instant)
  /// `nextDeadline` has come, or nearly.
  func tick(now: Instant)
  /// When `tick` is wanted next: may be too early, never too late. Nil: no timer runs.
  var nextDeadline: Instant? { get }
  /// Hands every message that waits to `send`, and forgets it. `send` never calls back into the driver.
  func drain(_ send: ([UInt8], Flow) -> Void)
  /// The inputs of one wake are over: the place to pass on what is cheaper in one piece (media commands, records).
  func endOfBatch(now: Instant)
}

extension ShardDriver {
  public func endOfBatch(now: Instant) {}
}

/// A driver's place in its group, known before the first message.
public struct ShardSeat<Item: Sendable>: Sendable {
  public let shard: UInt8
  public let shards: UInt8
  /// The addresses listened on, with the ports that were really bound; a `Flow.listener` is an index into it.
  public let listeners: [ListenAddress]
  /// Posts an item to a shard, one's own included, from any thread; false when it is full or stopped.
  public let post: @Sendable (Item, Int) -> Bool
}
