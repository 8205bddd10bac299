public import Logging
internal import NIOCore
internal import NIOPosix
internal import NetCore
internal import Synchronization

/// N shards: N event loops, each with its sockets, its driver and a mailbox. See `ShardDriver`.
public final class ShardGroup<Driver: ShardDriver>: Sendable {
  /// With the ports that were bound; `Flow.listener` is an index into it.
  public var listeners: [ListenAddress] { loops.listeners }
  public var shards: Int { queues.count }

  private let loops: ShardLoops
  private let queues: [ItemQueue<Driver.Item>]

  /// Binds every address, makes a driver on each loop, then reads. Throws `TransportError`, or what `makeDriver`
  /// threw; nothing is left open then.
  public static func start(
    _ configuration: ShardGroupConfiguration, logger: Logger = Logger(label: "sip.transport"),
    makeDriver: @escaping @Sendable (ShardSeat<Driver.Item>) throws -> Driver
  ) async throws -> ShardGroup {
    let loops = try ShardLoops(configuration, logger: logger)
    let queues = zip(loops.mailboxes, loops.counters).map { ItemQueue<Driver.Item>($0, $1) }
    do {
      try await loops.start { shard, loop in
        let seat = ShardSeat<Driver.Item>(
          shard: UInt8(shard), shards: UInt8(queues.count), listeners: loops.listeners,
          post: { item, shard in queues.indices.contains(shard) && queues[shard].post(item) })
        return DriverSlot(try makeDriver(seat), queues[shard])
      }
    } catch {
      await loops.stop()
      throw error
    }
    return ShardGroup(loops, queues)
  }

  private init(_ loops: ShardLoops, _ queues: [ItemQueue<Driver.Item>]) {
    self.loops = loops
    self.queues = queues
  }

  /// Hands an item to a shard, from any thread. False, and counted, when its mailbox is full or the group has stopped.
  public func post(_ item: Driver.Item, to shard: Int) -> Bool {
    queues.indices.contains(shard) && queues[shard].post(item)
  }

  /// Connections that are opened from now on use these; those that are open keep what they have.
  public func use(_ contexts: TLSContexts) { loops.tls.replace(contexts) }

  /// The sum over all shards.
  public var statistics: TransportStatistics { loops.counters.map(\.snapshot).reduce(TransportStatistics(), +) }

  public func statistics(of shard: Int) -> TransportStatistics {
    loops.counters.indices.contains(shard) ? loops.counters[shard].snapshot : TransportStatistics()
  }

  /// Writes what waits, closes every socket and ends the loops. Calls are the drivers' affair: post them an item first.
  /// A second call does nothing.
  public func stop() async { await loops.stop() }
}
