public import Logging
internal import NIOCore
internal import NIOPosix
internal import NetCore
internal import Synchronization

/// N shards: N event loops, each with its sockets, its driver and a mailbox. See `ShardDriver`.
public final class ShardGroup<Driver: ShardDriver>: Sendable {
  /// With the ports that were bound; `Flow.listener` is an index into it.
  public let listeners: [ListenAddress]
  public var shards: Int { mailboxes.count }

  private let loops: MultiThreadedEventLoopGroup
  private let hosts: [NIOLoopBound<ShardHost<Driver>>]
  private let mailboxes: [ShardMailbox<Driver.Item>]
  private let counters: [ShardCounters]
  private let isStopping = Atomic<Bool>(false)

  /// Binds every address, makes a driver on each loop, then reads. Throws `TransportError`, or what `makeDriver`
  /// threw; nothing is left open then.
  public static func start(
    _ configuration: ShardGroupConfiguration, logger: Logger = Logger(label: "sip.transport"),
    makeDriver: @escaping @Sendable (ShardSeat<Driver.Item>) throws -> Driver
  ) async throws -> ShardGroup {
    let shards = configuration.shards
    guard (1...255).contains(shards) else {
      throw TransportError(.configuration, "shards: \(shards) is not in 1…255")
    }
    let sockets = try Sockets(configuration)
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: shards)
    do {
      return try await ShardGroup(configuration, loops: loops, sockets: sockets, logger: logger, makeDriver: makeDriver)
    } catch {
      try? await loops.shutdownGracefully()
      throw error
    }
  }

  private init(
    _ configuration: ShardGroupConfiguration, loops: MultiThreadedEventLoopGroup, sockets: Sockets, logger: Logger,
    makeDriver: @escaping @Sendable (ShardSeat<Driver.Item>) throws -> Driver
  ) async throws {
    let mailboxes = (0..<configuration.shards).map { _ in
      ShardMailbox<Driver.Item>(capacity: configuration.mailboxCapacity)
    }
    let counters = mailboxes.map { _ in ShardCounters() }
    let listeners = sockets.listeners
    let post: @Sendable (Driver.Item, Int) -> Bool = { item, shard in
      guard mailboxes.indices.contains(shard) else { return false }
      if mailboxes[shard].post(item) { return true }
      counters[shard].itemsRefused.wrappingAdd(1, ordering: .relaxed)
      return false
    }
    var hosts: [NIOLoopBound<ShardHost<Driver>>] = []
    for (shard, loop) in loops.makeIterator().enumerated() {
      let seat = ShardSeat(
        shard: UInt8(shard), shards: UInt8(configuration.shards), listeners: listeners, eventLoop: loop, post: post)
      let host = try await loop.submit {
        let driver = try makeDriver(seat)
        let host = ShardHost(
          seat: seat, configuration: configuration, mailboxes: mailboxes, counters: counters[shard], logger: logger,
          driver: driver)
        return NIOLoopBound(host, eventLoop: loop)
      }.get()
      hosts.append(host)
    }
    self.listeners = listeners
    self.loops = loops
    self.hosts = hosts
    self.mailboxes = mailboxes
    self.counters = counters
    try await open(sockets, configuration)
  }

  private func open(_ sockets: Sockets, _ configuration: ShardGroupConfiguration) async throws {
    for (shard, bound) in hosts.enumerated() {
      let descriptors = sockets.takeDatagrams(shard)
      let listeners = self.listeners
      try await bound.eventLoop.flatSubmit {
        let host = bound.value
        host.ports = descriptors.enumerated().map { index, descriptor in
          descriptor.map {
            DatagramPort(
              descriptor: $0, listener: UInt8(index), local: listeners[index].endpoint,
              queueLimit: configuration.datagrams.sendQueue)
          }
        }
        return EventLoopFuture.andAllSucceed(host.ports.compactMap { $0.map(host.open) }, on: host.loop)
      }.get()
      mailboxes[shard].open { bound.eventLoop.execute { bound.value.drainMailbox() } }
      bound.eventLoop.execute { bound.value.arm() }
    }
    let directory = Dictionary(uniqueKeysWithValues: hosts.map { (ObjectIdentifier($0.eventLoop), $0) })
    let first = hosts[0]
    let streams = sockets.takeStreams()
    let loops = self.loops
    try await first.eventLoop.flatSubmit {
      let ledger = AcceptLedger(configuration.streams)
      let accepting = streams.map { index, descriptor in
        first.value.accept(on: descriptor, listener: UInt8(index), ledger: ledger, group: loops, hosts: directory)
      }
      return EventLoopFuture.andAllSucceed(accepting, on: first.eventLoop)
    }.get()
  }

  /// Hands an item to a shard, from any thread. False, and counted, when its mailbox is full or the group has stopped.
  public func post(_ item: Driver.Item, to shard: Int) -> Bool {
    guard mailboxes.indices.contains(shard) else { return false }
    if mailboxes[shard].post(item) { return true }
    counters[shard].itemsRefused.wrappingAdd(1, ordering: .relaxed)
    return false
  }

  /// The sum over all shards.
  public var statistics: TransportStatistics { counters.map(\.snapshot).reduce(TransportStatistics(), +) }

  public func statistics(of shard: Int) -> TransportStatistics {
    counters.indices.contains(shard) ? counters[shard].snapshot : TransportStatistics()
  }

  /// Writes what waits, closes every socket and ends the loops. Calls are the drivers' affair: post them an item first.
  /// A second call does nothing.
  public func stop() async {
    guard !isStopping.exchange(true, ordering: .relaxed) else { return }
    for bound in hosts {
      let closing = bound.eventLoop.flatSubmit {
        EventLoopFuture.andAllComplete(bound.value.stop(), on: bound.eventLoop)
      }
      try? await closing.get()
    }
    try? await loops.shutdownGracefully()
  }
}
