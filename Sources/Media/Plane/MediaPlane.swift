import CNet
import Glibc
public import NetCore
import Synchronization

/// All RTP of the server: port pairs to lease, and threads that carry packets between them.
///
/// Commands go in without waiting and events come out through one callback, on a worker's thread, in batches. The
/// callback must not block; a shard puts them into its mailbox.
public final class MediaPlane: Sendable {
  private let configuration: MediaConfiguration
  private let pool: PortPool
  private let workers: [MediaWorker]
  private let helper: MediaHelper
  private let threads = Mutex<[MediaThread]>([])
  private let served: [IPAddress.Family]
  private let turn = Atomic<Int>(0)

  /// Port pairs that the ranges and the limit of open files allow.
  public var capacity: Int { pool.capacity }
  /// Pairs that the port ranges have; more than `capacity` where the limit of open files is in the way.
  public let pairsInRange: Int

  /// Raises the limit of open files and binds the first pairs, so that a wrong address is told at the start. Only `::1`
  /// may be missing, beside another address: the default configuration names it, and not every host has IPv6.
  ///
  /// `events` gets the owner given to `lease` and what happened to its endpoints.
  public init(
    _ configuration: MediaConfiguration, events: @escaping @Sendable (UInt32, [MediaEvent]) -> Void
  ) throws(MediaError) {
    let families = Set(configuration.addresses.map(\.family))
    guard !configuration.addresses.isEmpty, families.count == configuration.addresses.count else {
      throw MediaError(.configuration, "media.address needs one address, and at most one a family")
    }
    guard configuration.workers > 0, configuration.workers <= 256 else {
      throw MediaError(.configuration, "media needs between 1 and 256 workers")
    }
    let pairs = PortPool.pairs(in: configuration.ports)
    guard pairs > 0, configuration.ports.lowerBound > 0 else {
      throw MediaError(.configuration, "media.ports has no pair of an even port and the odd one above it")
    }
    pairsInRange = pairs * configuration.addresses.count
    let reserved = configuration.reservedDescriptors
    let limit = Int(clamping: cnet_raise_open_files(UInt64(2 * pairsInRange + reserved)))
    let capacity = min(pairsInRange, (limit - reserved) / 2)
    guard capacity > 0 else {
      throw MediaError(.system, "the limit of \(limit) open files leaves none for media")
    }
    self.configuration = configuration
    var workers: [MediaWorker] = []
    for index in 0..<configuration.workers {
      workers.append(
        try MediaWorker(index: index, capacity: capacity, gathering: configuration.gathering, deliver: events))
    }
    self.workers = workers
    helper = try MediaHelper()
    pool = try PortPool(
      configuration, capacity: capacity,
      homes: workers.map { PortPool.Home(slots: $0.ports.base, epoll: $0.epoll) })
    pool.fill()
    var served: [IPAddress.Family] = []
    for (index, address) in configuration.addresses.enumerated() {
      if pool.ready(family: index) > 0 {
        served.append(address.family)
      } else if address != IPAddress(high: 0, low: 1) || configuration.addresses.count == 1 {
        pool.close()
        throw MediaError(
          .address, "no port pair in \(configuration.ports) can be bound on \(address): not an address of this host?")
      }
    }
    self.served = served
  }

  deinit { shutdown() }

  /// Whether an address of the family is there to be leased.
  public func serves(_ family: IPAddress.Family) -> Bool {
    served.contains(family)
  }

  /// Starts the threads. Once.
  public func start() {
    threads.withLock { threads in
      guard threads.isEmpty else { return }
      helper.start(pool: pool, rings: workers.map(\.ring))
      for worker in workers {
        threads.append(
          MediaThread(name: "media-\(worker.index)") { [pool, helper] in worker.run(pool: pool, helper: helper) })
      }
    }
  }

  /// Stops the threads and closes the sockets; nothing is leased afterwards. Not from within the callback.
  public func shutdown() {
    threads.withLock { threads in
      for worker in workers { worker.ring.stop() }
      for thread in threads { thread.join() }
      threads.removeAll()
      helper.stop()
      pool.close()
    }
  }

  /// A port pair of the family, at once. `near` is an endpoint that it will be bridged with: the same worker has to carry
  /// both. Nil: no address of that family, or no pair is left (`usage.refused` counts).
  public func lease(owner: UInt32, family: IPAddress.Family, near: MediaEndpointID? = nil) -> MediaPort? {
    let now = MediaClock.now()
    let first: Int
    let tries: Int
    if let near {
      first = Int(near.worker)
      tries = 1
    } else {
      first = workers.count == 1 ? 0 : turn.wrappingAdd(1, ordering: .relaxed).oldValue
      tries = workers.count
    }
    for attempt in 0..<tries {
      let worker = (first &+ attempt) % workers.count
      guard let (lease, isLow) = pool.lease(worker: worker, family: family, now: now) else {
        // A release may be among what waits there.
        workers[worker].ring.nudge()
        continue
      }
      workers[worker].ring.open(slot: lease.slot, generation: lease.generation, owner: owner)
      if isLow { helper.fill() }
      return MediaPort(
        id: MediaEndpointID(worker: UInt16(worker), slot: lease.slot, generation: lease.generation),
        address: lease.address, rtpPort: lease.port)
    }
    return nil
  }

  /// In order for each worker, and without waiting.
  public func send(_ commands: [MediaCommand]) {
    guard !commands.isEmpty else { return }
    let all = commands.span
    for n in all.indices {
      guard case .release(let id) = all[n], Int(id.worker) < workers.count,
        Int(id.slot) < capacity
      else { continue }
      // From here on no event of it is delivered.
      _ = workers[Int(id.worker)].ports.base[Int(id.slot)].leased.compareExchange(
        expected: id.generation, desired: 0, ordering: .releasing)
    }
    if workers.count == 1 { return workers[0].ring.append(commands) }
    for worker in workers {
      let own = commands.lazy.filter { Int($0.endpoint.worker) == worker.index }
      if own.contains(where: { _ in true }) { worker.ring.append(own) }
    }
  }

  /// A snapshot for status and metrics.
  public var usage: MediaUsage {
    let pool = pool.usage
    var usage = MediaUsage(leased: pool.leased, bound: pool.bound, refused: pool.refused)
    for worker in workers {
      usage.relayed &+= worker.relayed.load(ordering: .relaxed)
      usage.generated &+= worker.generated.load(ordering: .relaxed)
      usage.strays &+= worker.strays.load(ordering: .relaxed)
    }
    return usage
  }
}

/// Where the media plane stands.
public struct MediaUsage: Sendable, Hashable {
  /// Pairs that are leased, and that are bound.
  public var leased: Int
  public var bound: Int
  /// Leases that were refused as no pair was left.
  public var refused: UInt64
  /// Packets since the start: relayed, made here, and received for no lease.
  public var relayed: UInt64 = 0
  public var generated: UInt64 = 0
  public var strays: UInt64 = 0
}
