internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NetCore
internal import Synchronization

/// The loops of a group and what they share, whatever drives them.
final class ShardLoops: Sendable {
  let mailboxes: [ShardMailbox]
  let counters: [ShardCounters]
  let tls: TLSStore
  var listeners: [ListenAddress] { sockets.listeners }

  private let configuration: ShardGroupConfiguration
  private let logger: Logger
  private let sockets: Sockets
  private let group: MultiThreadedEventLoopGroup
  let hosts = Mutex<[NIOLoopBound<ShardHost>]>([])
  private let isStopped = Atomic<Bool>(false)

  /// Binds the sockets and starts the threads.
  init(_ configuration: ShardGroupConfiguration, logger: Logger) throws(TransportError) {
    guard (1...255).contains(configuration.shards) else {
      throw TransportError(.configuration, "shards: \(configuration.shards) is not in 1…255")
    }
    self.configuration = configuration
    self.logger = logger
    tls = TLSStore(configuration.tls)
    sockets = try Sockets(configuration)
    let capacity = configuration.mailboxCapacity
    mailboxes = (0..<configuration.shards).map { _ in ShardMailbox(capacity: capacity) }
    counters = mailboxes.map { _ in ShardCounters() }
    group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.shards)
  }

  /// Makes every driver on its loop, and only then lets the first message in.
  func start(_ makeDriver: @escaping @Sendable (Int, any EventLoop) throws -> any LoopDriver) async throws {
    for (shard, loop) in group.makeIterator().enumerated() {
      let host = try await loop.submit {
        let host = ShardHost(
          shard: shard, listeners: self.listeners, configuration: self.configuration, mailboxes: self.mailboxes,
          counters: self.counters[shard], tls: self.tls, logger: self.logger, loop: loop,
          driver: try makeDriver(shard, loop))
        return NIOLoopBound(host, eventLoop: loop)
      }.get()
      hosts.withLock { $0.append(host) }
    }
    let hosts = self.hosts.withLock { $0 }
    for (shard, host) in hosts.enumerated() {
      try await host.eventLoop.flatSubmit { self.openDatagrams(host.value) }.get()
      mailboxes[shard].open { host.eventLoop.execute { host.value.mailboxWoke() } }
    }
    try await hosts[0].eventLoop.flatSubmit { self.openStreams(hosts) }.get()
  }

  private func openDatagrams(_ host: ShardHost) -> EventLoopFuture<Void> {
    host.ports = sockets.takeDatagrams(Int(host.shard)).enumerated().map { index, descriptor in
      descriptor.map {
        DatagramPort(
          descriptor: $0, listener: UInt8(index), local: listeners[index].endpoint,
          queueLimit: configuration.datagrams.sendQueue)
      }
    }
    return EventLoopFuture.andAllSucceed(host.ports.compactMap { $0.map(host.open) }, on: host.loop)
  }

  /// The first loop accepts for all, so that what it counts of each address needs no lock.
  private func openStreams(_ hosts: [NIOLoopBound<ShardHost>]) -> EventLoopFuture<Void> {
    let directory = Dictionary(uniqueKeysWithValues: hosts.map { (ObjectIdentifier($0.eventLoop), $0) })
    let first = hosts[0].value
    let ledger = AcceptLedger(configuration.streams)
    let accepting = sockets.takeStreams().map { index, descriptor in
      first.accept(on: descriptor, listener: UInt8(index), ledger: ledger, group: group, hosts: directory)
    }
    return EventLoopFuture.andAllSucceed(accepting, on: first.loop)
  }

  /// Once; a second call returns at once.
  func stop() async {
    guard !isStopped.exchange(true, ordering: .relaxed) else { return }
    for host in hosts.withLock({ $0 }) {
      let closing = host.eventLoop.flatSubmit {
        EventLoopFuture.andAllComplete(host.value.stop(), on: host.eventLoop)
      }
      try? await closing.get()
    }
    try? await group.shutdownGracefully()
  }
}
