import CallEngine
import Foundation
import Logging
import LuaRuntime
import Media
import NetCore
import NextHop
import SIPDigest
import SIPMessage
import SIPTransaction
import SIPTransport
import Storage
import Synchronization

/// The running server: sockets, shards, media and storage put together, and what can be asked of them from outside.
final class ServerRuntime: Sendable {
  let started = ContinuousClock.now
  let log: LogSettings
  let logger: Logger
  let services: EngineServices
  let database: Database
  let bindingStore: BindingStore
  let recordStore: RecordStore
  let media: MediaPlane
  let names: NameService
  let group: ShardGroup<EngineDriver>
  let loader: GenerationLoader
  let state: Mutex<State>
  /// One reload, or change of users, at a time.
  let reloads = SerialGate()

  struct State {
    var configuration: ServerConfiguration
    var generation: Int
    var directory: Directory
    var isDraining = false
    /// A number that no generation has had, a failed one included.
    var nextGeneration: Int
  }

  private init(
    log: LogSettings, logger: Logger, services: EngineServices, database: Database, bindingStore: BindingStore,
    recordStore: RecordStore, media: MediaPlane, names: NameService, group: ShardGroup<EngineDriver>,
    loader: GenerationLoader, state: State
  ) {
    self.log = log
    self.logger = logger
    self.services = services
    self.database = database
    self.bindingStore = bindingStore
    self.recordStore = recordStore
    self.media = media
    self.names = names
    self.group = group
    self.loader = loader
    self.state = Mutex(state)
  }

  /// Opens everything; from its return on the server answers.
  static func start(_ configuration: ServerConfiguration) async throws -> ServerRuntime {
    let log = LogSettings(configuration.log)
    let logger = log.logger(label: "nightjar")
    let wallClock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    let database = try Database.open(Database.Location(configuration.storage))
    let accounts = try await UserAdministration(database: database, configuration: configuration).accounts()
    let directory = try EnginePlan.directory(configuration, accounts: accounts)
    let bindings = BindingTable()
    let now = wallClock() / 1000
    bindings.load(
      try await database.bindings(nowSeconds: now).compactMap { stored in
        reachable(stored.binding, by: configuration.sip.listen).map { (stored.user, $0) }
      })
    let bindingStore = BindingStore(database: database, logger: logger)
    var recordSettings = RecordStore.Settings()
    recordSettings.csv = configuration.records.csv
    recordSettings.jsonLines = configuration.records.json
    recordSettings.keepDays = configuration.records.keepDays
    let recordStore = RecordStore(database: database, settings: recordSettings, wallClock: wallClock, logger: logger)

    let shards = configuration.sip.shards > 0 ? configuration.sip.shards : defaultShards
    let peers = ShardPeers(count: shards)
    let media = try MediaPlane(
      MediaConfiguration(addresses: configuration.media.addresses, ports: configuration.media.ports)
    ) { owner, events in
      peers.post(.media(events), to: Int(owner))
    }
    let keyValue = KeyValueStore()
    let services = EngineServices(
      bindings: bindings, journal: bindingStore,
      authenticator: DigestAuthenticator(
        realm: configuration.sip.domain, algorithms: configuration.sip.algorithms,
        key: (0..<32).map { _ in UInt8.random(in: 0...255) }),
      records: recordStore, keyValue: keyValue, media: media, counters: EngineCounters(), trace: TraceHub(),
      peers: peers, logger: logger, wallClock: wallClock, hops: HopTable(cacheCapacity: configuration.dns.cache))
    let loader = GenerationLoader(keyValue: keyValue, logger: logger, wallClock: wallClock)

    // The listeners' real ports are known once they are bound; a script is loaded before, so that a broken one opens
    // no socket.
    let planned = configuration.sip.listen.map { ListenAddress($0.transport, $0.endpoint) }
    let first = try await loader.load(
      number: 1, configuration: configuration, directory: directory,
      settings: EnginePlan.settings(configuration, listeners: planned), shards: shards)
    let tls = try TLSPlan.contexts(configuration, listening: configuration.sip.listen)
    if let tls { TLSPlan.report(tls, logger) }
    let generations = GenerationShelf(first)
    media.start()
    if media.capacity < media.pairsInRange {
      logger.warning(
        "the limit of open files leaves fewer media ports than media.ports has",
        metadata: ["pairs": "\(media.capacity)", "configured": "\(media.pairsInRange)"])
    }
    var transport = EnginePlan.transport(configuration, listen: planned, shards: shards, tls: tls)
    transport.bans = services.abuse.bans
    let group = try await ShardGroup<EngineDriver>.start(transport, logger: logger) { seat in
      var generation = generations.take(Int(seat.shard))
      generation.settings = EnginePlan.settings(configuration, listeners: seat.listeners)
      let shard = CallShard(
        shard: seat.shard, services: services, generation: generation, now: .now, timers: TransactionTimers())
      return EngineDriver(shard: shard, bury: ServerRuntime.bury)
    }
    let names = NameService(services.hops, configuration.dns, peers: peers)
    peers.connect { [weak group] input, shard in group?.post(input, to: shard) ?? false }
    return ServerRuntime(
      log: log, logger: logger, services: services, database: database, bindingStore: bindingStore,
      recordStore: recordStore, media: media, names: names, group: group, loader: loader,
      state: State(configuration: configuration, generation: first[0].number, directory: directory, nextGeneration: 2))
  }

  /// A binding from before the restart, with the listener that leads to it today; nil where none does.
  private static func reachable(_ binding: Binding, by listen: [ServerConfiguration.Listener]) -> Binding? {
    let flow = binding.flow
    // A WebSocket is opened by its client only, and the one that this came by is gone.
    guard !flow.transport.isWebSocket else { return nil }
    let listener =
      listen.firstIndex { $0.transport == flow.transport && $0.endpoint == flow.local }
      ?? listen.firstIndex { $0.transport == flow.transport && $0.endpoint.ip.family == flow.remote.ip.family }
    guard let listener else { return nil }
    var binding = binding
    binding.flow.listener = UInt8(listener)
    return binding
  }

  /// On one or two cores one shard is cheapest: a trunk is one 4-tuple, so a second one means a second thread to wake
  /// for half of its messages.
  static var defaultShards: Int { max(1, ProcessInfo.processInfo.activeProcessorCount / 2) }

  private static let graveyard = DispatchQueue(label: "nightjar.retired", qos: .background)

  @Sendable private static func bury(_ vm: VMHandoff) {
    graveyard.async { vm.take()?.shutdown() }
  }

  func stop() async {
    await group.stop()
    names.stop()
    media.shutdown()
    bindingStore.close()
    recordStore.close()
  }
}

/// Hands each shard the generation that was loaded for it.
final class GenerationShelf: Sendable {
  private let generations: [Generation]
  init(_ generations: [Generation]) { self.generations = generations }
  func take(_ shard: Int) -> Generation { generations[shard] }
}
