internal import Logging
internal import NIOCore
internal import NetCore
internal import SIPMessage

/// One shard's loop: its sockets in, its driver, its sockets out. Every method runs on `loop`.
///
/// An input is a message, an item, a failure or a tick. After each the driver's outbox is drained; `endBatch`, once for
/// all inputs of a wake, flushes datagrams, streams and mailboxes and arms the one callback.
final class ShardHost {
  let shard: UInt8
  let shards: UInt8
  let loop: any EventLoop
  let listeners: [ListenAddress]
  let configuration: ShardGroupConfiguration
  let logger: Logger
  let counters: ShardCounters
  let mailboxes: [ShardMailbox]
  let driver: any LoopDriver
  let tls: TLSStore
  let bans: SourceBans

  /// By listener index; nil where that is a stream.
  var ports: [DatagramPort?] = []
  let buffer = DatagramBuffer()
  var load: LoadMeter
  var acceptors: [any Channel] = []
  var connections: ConnectionTable<StreamConnection>
  var handshakes = HandshakePace<HandshakePacer>()
  /// Connections written to in this batch.
  var dirty: [StreamConnection] = []
  /// What this batch has for other shards, by shard; `hasOutward` when there is any.
  var outward: [[Crossing]]
  var hasOutward = false
  /// Failures found while sending: inputs like others, but later, as the driver must not be called while it drains.
  var notes: [Note] = []
  enum Note {
    case failed(Flow)
    case closed(UInt64)
  }
  /// A datagram waits in a port for the end of the batch.
  var hasStaged = false
  private var isEndingBatch = false
  private(set) var isStopped = false

  /// The mailbox's last haul, and how far it is worked off.
  var inbox: [Crossing] = []
  var inboxNext = 0

  var timer = HostTimer()

  init(
    shard: Int, listeners: [ListenAddress], configuration: ShardGroupConfiguration, mailboxes: [ShardMailbox],
    counters: ShardCounters, tls: TLSStore, logger: Logger, loop: any EventLoop, driver: any LoopDriver
  ) {
    loop.preconditionInEventLoop()
    self.shard = UInt8(shard)
    shards = UInt8(mailboxes.count)
    self.listeners = listeners
    self.configuration = configuration
    self.mailboxes = mailboxes
    self.counters = counters
    self.tls = tls
    self.logger = logger
    self.loop = loop
    self.driver = driver
    bans = configuration.bans
    load = LoadMeter(configuration.datagrams)
    connections = ConnectionTable(shard: UInt8(shard))
    outward = Array(repeating: [], count: mailboxes.count)
  }

  // MARK: In

  /// A message from one of this loop's sockets: here or, by what it names, on another shard (ARCHITECTURE "A shard is
  /// named in every token"). What cannot be read is refused where it came in.
  func arrived(_ bytes: [UInt8], _ flow: Flow) {
    counters.received.bump()
    if !bans.isEmpty, bans.holds(flow.remote.ip, now: .now) { return counters.banned.bump() }
    guard shards > 1 else { return receive(bytes, flow) }
    let owner: UInt8
    switch MessageSkim.route(bytes, key: configuration.routingKey, shards: shards) {
    case .shard(let named): owner = named < shards ? named : shard
    case .key(let hash): owner = UInt8(truncatingIfNeeded: hash % UInt64(shards))
    case .unreadable: owner = shard
    }
    if owner == shard { return receive(bytes, flow) }
    counters.crossed.bump()
    cross(.arrived(bytes, flow), to: owner)
  }

  /// A message that is ours: parse, handle, drain.
  func receive(_ bytes: [UInt8], _ flow: Flow) {
    let message: Message
    do throws(ParseFailure) {
      message = try MessageParser.parse(bytes, flow: flow, limits: configuration.parserLimits)
    } catch {
      guard let reply = error.reply else { return counters.parseFailuresDropped.bump() }
      counters.parseFailuresAnswered.bump()
      return send(reply, error.replyFlow ?? flow)
    }
    driver.receive(message, now: .now)
    drain()
  }

  func drain() { driver.drain { bytes, flow in self.send(bytes, flow) } }

  func cross(_ crossing: Crossing, to other: UInt8) {
    outward[Int(other)].append(crossing)
    hasOutward = true
  }

  // MARK: The end of a batch

  /// All inputs of one wake are handled: tell the driver, pass on what it caused, arm the timer.
  func endBatch() {
    // A flush may complete a write, and that ends a batch too.
    guard !isEndingBatch, !isStopped else { return }
    isEndingBatch = true
    driver.endOfBatch(now: .now)
    drain()
    // Failures cause sends, and sends failures. What still goes on after some rounds waits for the loop's next turn.
    var rounds = 0
    while rounds < 4, hasStaged || hasOutward || !notes.isEmpty || !dirty.isEmpty {
      rounds += 1
      if hasStaged { flushDatagrams() }
      handleNotes()
      flushStreams()
      crossOver()
    }
    isEndingBatch = false
    if hasStaged || hasOutward || !notes.isEmpty || !dirty.isEmpty { continueLater { $0.endBatch() } }
    arm()
  }

  func continueLater(_ body: @escaping @Sendable (ShardHost) -> Void) {
    let bound = NIOLoopBound(self, eventLoop: loop)
    loop.execute { body(bound.value) }
  }

  private func handleNotes() {
    guard !notes.isEmpty else { return }
    let batch = notes
    notes = []
    for note in batch {
      switch note {
      case .failed(let flow): driver.flowFailed(flow, now: .now)
      case .closed(let id): driver.connectionClosed(id, now: .now)
      }
      drain()
    }
  }

  private func flushStreams() {
    guard !dirty.isEmpty else { return }
    let batch = dirty
    dirty = []
    for connection in batch { connection.flush() }
  }

  // MARK: The end

  /// Flushes and closes everything. The driver stays until the group lets go of it, after its loop has ended.
  func stop() -> [EventLoopFuture<Void>] {
    guard !isStopped else { return [] }
    endBatch()
    isStopped = true
    disarm()
    mailboxes[Int(shard)].close()
    var closing = acceptors.map { $0.close() }
    acceptors = []
    for port in ports { if let channel = port?.channel { closing.append(channel.close()) } }
    ports = []
    connections.forEach { $0.end(.shutdown) }
    dirty = []
    notes = []
    return closing
  }
}
