public import CallEngine
internal import LuaRuntime
public import NetCore
internal import NextHop
internal import SIPDigest
internal import SIPMessage
internal import SIPTransaction
internal import Synchronization

/// The whole server less its sockets, on a simulated network: one or several `CallShard`s over the services that they
/// share, a dialplan given as text, and a media plane that only pretends.
///
/// Datagrams arrive at the loop of the first shard, as with one socket; `MessageSkim` says whose they are, and those of
/// another shard cross by a queue, which is worked off with the next poll.
public final class ServerNode: SimulatedNode {
  /// A user that can authenticate.
  public struct User: Sendable {
    public var name: String
    public var password: String
    public var context: String
    public var callerName: String?
    public var callerNumber: String?

    public init(
      _ name: String, password: String = "secret", context: String = "internal", callerName: String? = nil,
      callerNumber: String? = nil
    ) {
      self.name = name
      self.password = password
      self.context = context
      self.callerName = callerName
      self.callerNumber = callerNumber
    }
  }

  public static let domain = "nightjar.example"
  /// In none of the networks that phones of tests live in.
  public static let address = Endpoint(IPAddress(v4: 0xc633_6401), 5060)  // 198.51.100.1
  static let mediaAddress = IPAddress(v4: 0xc633_6402)  // 198.51.100.2
  private static let skimKey: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)

  public let shards: [CallShard]
  public let media: FakeMedia
  public let records = RecordedCalls()
  public let journal = RecordedBindings()
  public let log = RecordedLog()
  public let dns = FakeDNS()
  public let services: EngineServices
  public private(set) var settings: EngineSettings
  public private(set) var directory: Directory
  /// Number of the generation that new calls run.
  public private(set) var generation = 0
  /// VMs that the shards have handed out to be closed.
  public private(set) var retired: [VMHandoff] = []
  /// What arrived and could not be parsed.
  public private(set) var unreadable = 0

  private let clock: VirtualClock
  private let wall = VirtualWallClock()
  private var crossing: [(shard: Int, message: Message)] = []
  private var replies: [Datagram] = []
  /// What shards posted to each other.
  private let posted = Posted()

  /// A server at `address` of `network`.
  /// - Parameters:
  ///   - script: the dialplan; errors in it trap, as a test's script is the test's own.
  ///   - open: networks whose callers need no credentials, and get the context `public`.
  ///   - configure: changes the settings of every generation.
  public init(
    script: String, shards count: Int = 1, users: [User] = [], open: [String] = [], trunks: [Trunk] = [],
    on network: SimulatedNetwork, configure: (inout EngineSettings) -> Void = { _ in }
  ) {
    clock = network.clock
    var settings = EngineSettings(
      listeners: [.init(transport: .udp, local: ServerNode.address)], domain: ServerNode.domain,
      ownAddresses: [ServerNode.address.ip])
    settings.mediaFamilies = [.v4]
    configure(&settings)
    self.settings = settings
    directory = Directory(
      users: users.map { user in
        UserAccount(
          name: user.name, context: user.context, callerName: user.callerName, callerNumber: user.callerNumber,
          ha1: HA1(user: user.name, realm: ServerNode.domain, password: user.password))
      },
      access: open.compactMap { SourceNetwork($0) }.map {
        AccessRule(source: $0, context: "public", authenticate: false)
      },
      trunks: trunks)
    media = FakeMedia(addresses: [ServerNode.mediaAddress])
    let wall = self.wall
    wall.follow(network.clock.now)
    services = EngineServices(
      bindings: BindingTable(), journal: journal,
      authenticator: DigestAuthenticator(
        DigestRealm(name: ServerNode.domain), key: Array("sixteen octets!!".utf8)),
      records: records, keyValue: KeyValueStore(), media: media, counters: EngineCounters(), trace: TraceHub(),
      peers: ShardPeers(count: count), logger: log.logger(), wallClock: { wall.milliseconds },
      hops: HopTable(seed: 1))
    let first = ServerNode.load(script, 1, count, directory, settings, services)
    let services = self.services
    let now = network.clock.now
    shards = first.enumerated().map { index, generation in
      CallShard(
        shard: UInt8(index), services: services, generation: generation, now: now, timers: TransactionTimers())
    }
    generation = 1
    services.peers.connect { [posted] input, shard in
      guard (0..<count).contains(shard), !posted.isFull.load(ordering: .relaxed) else { return false }
      posted.add(shard, input)
      return true
    }
    services.hops.connect(
      ask: { [dns] in dns.ask($0) },
      deliver: { [posted] in posted.add(Int($0.asker.shard), .resolved($0.asker, $0.result)) })
    network.attach(self, at: ServerNode.address)
  }

  private static func load(
    _ script: String, _ number: Int, _ shards: Int, _ directory: Directory, _ settings: EngineSettings,
    _ services: EngineServices
  ) -> [Generation] {
    (0..<shards).map { shard in
      do {
        let loaded = try DialplanLoader.load(
          source: Array(script.utf8), name: "dialplan.lua", directory: nil, limits: settings.limits,
          surroundings: .init(
            keyValue: services.keyValue, logger: services.logger, wallClock: services.wallClock, generation: number),
          runsLoadHandlers: shard == 0)
        return Generation(number: number, vm: VMHandoff(loaded), directory: directory, settings: settings)
      } catch {
        preconditionFailure("the dialplan of a test cannot be loaded: \(error)")
      }
    }
  }

  // MARK: what tests do

  /// A new generation for every shard, between two inputs.
  public func reload(_ script: String, configure: (inout EngineSettings) -> Void = { _ in }) {
    configure(&settings)
    generation += 1
    for (shard, new) in ServerNode.load(script, generation, shards.count, directory, settings, services).enumerated() {
      shards[shard].handle(.adopt(new), now: clock.now)
    }
  }

  /// Mailboxes of shards take nothing.
  public var mailboxesAreFull: Bool {
    get { posted.isFull.load(ordering: .relaxed) }
    set { posted.isFull.store(newValue, ordering: .relaxed) }
  }

  /// An input to every shard.
  public func handle(_ input: ShardInput) {
    for shard in shards { shard.handle(input, now: clock.now) }
  }

  // MARK: what tests ask

  public var callCount: Int { shards.reduce(0) { $0 + $1.callCount } }
  public var transactionCount: Int { shards.reduce(0) { $0 + $1.transactionCount } }
  public var snapshots: [ShardSnapshot] {
    let kept = Kept()
    handle(.snapshot { kept.add($0) })
    return kept.all
  }

  private final class Kept: Sendable {
    private let snapshots = Mutex<[ShardSnapshot]>([])
    func add(_ snapshot: ShardSnapshot) { snapshots.withLock { $0.append(snapshot) } }
    var all: [ShardSnapshot] { snapshots.withLock { $0 } }
  }

  private final class Posted: Sendable {
    private let inputs = Mutex<[(shard: Int, input: ShardInput)]>([])
    let isFull = Atomic<Bool>(false)
    func add(_ shard: Int, _ input: ShardInput) { inputs.withLock { $0.append((shard, input)) } }
    var isEmpty: Bool { inputs.withLock { $0.isEmpty } }
    func take() -> [(shard: Int, input: ShardInput)] {
      inputs.withLock { inputs in
        defer { inputs = [] }
        return inputs
      }
    }
  }

  // MARK: SimulatedNode

  public func receive(_ bytes: [UInt8], from: Endpoint, to: Endpoint, at now: Instant) {
    wall.follow(now)
    let target: Int
    switch MessageSkim.route(bytes, key: ServerNode.skimKey, shards: UInt8(shards.count)) {
    case .shard(let shard): target = Int(shard)
    case .key(let key): target = Int(key % UInt64(shards.count))
    case .unreadable: target = 0
    }
    let message: Message
    do {
      message = try MessageParser.parse(bytes, flow: Flow(transport: .udp, listener: 0, remote: from, local: to))
    } catch {
      unreadable += 1
      if let reply = error.reply, let flow = error.replyFlow {
        replies.append(Datagram(bytes: reply, from: to, to: flow.remote))
      }
      return
    }
    if target == 0 {
      shards[0].receive(message, now: now)
    } else {
      crossing.append((target, message))
    }
  }

  public func poll(_ now: Instant) -> [Datagram] {
    wall.follow(now)
    var out = replies
    replies = []
    repeat {
      let arrived = crossing
      crossing = []
      for (shard, message) in arrived { shards[shard].receive(message, now: now) }
      for (question, answer) in dns.takeAnswers(now: now) { services.hops.answered(question, answer, now: now) }
      for (owner, event) in media.takeEvents() { shards[Int(owner)].handle(.media([event]), now: now) }
      for (shard, input) in posted.take() { shards[shard].handle(input, now: now) }
      for shard in shards {
        if let deadline = shard.nextDeadline, deadline <= now { shard.tick(now: now) }
        shard.drain { out.append(Datagram(bytes: $0.bytes, from: $0.flow.local, to: $0.flow.remote)) }
        shard.endOfBatch()
        while let vm = shard.takeRetired() { retired.append(vm) }
      }
    } while media.hasEvents || !posted.isEmpty
    return out
  }

  public var nextDeadline: Instant? {
    if media.hasEvents || !crossing.isEmpty || !posted.isEmpty { return clock.now }
    return (shards.compactMap(\.nextDeadline) + [dns.nextDeadline].compactMap(\.self)).min()
  }
}
