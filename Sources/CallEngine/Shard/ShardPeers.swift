internal import Synchronization

/// The mailboxes of all shards. Made before there are any, so it is connected once they are.
public final class ShardPeers: Sendable {
  /// How many shards there are.
  public let count: Int

  /// A closure by itself in a `Mutex` would gain a layer each time it is read, as generic code sees it by another
  /// calling convention and writes back what it saw.
  private struct Door {
    let post: @Sendable (ShardInput, Int) -> Bool
  }
  private let door = Mutex<Door?>(nil)

  public init(count: Int) { self.count = count }

  /// - Parameter body: gives an input to the shard of that number; false when its mailbox is full or it has stopped.
  public func connect(_ body: @escaping @Sendable (ShardInput, Int) -> Bool) { door.withLock { $0 = Door(post: body) } }

  /// Hands an input to a shard, one's own included, from any thread: it is worked off in a later turn.
  /// - Returns: false when that shard has no room, or none are connected yet.
  @discardableResult
  public func post(_ input: ShardInput, to shard: Int) -> Bool {
    door.withLock { $0 }?.post(input, shard) ?? false
  }

  /// Hands an input to every shard, one's own included.
  public func postToAll(_ input: ShardInput) {
    for shard in 0..<count { post(input, to: shard) }
  }
}
