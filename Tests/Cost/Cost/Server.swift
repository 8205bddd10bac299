import CallEngine
import Glibc
import Logging
import Media
import NetCore
import SIPDigest
import SIPMessage
import SIPTransaction
import Synchronization

/// One shard over the services that it has in the server, less sockets, media threads and the database.
struct Server {
  static let address = Endpoint(IPAddress(v4: 0x7f00_0001), 5060)
  static let caller = Endpoint(IPAddress(v4: 0x7f00_0002), 5070)
  /// A caller who must authenticate.
  static let stranger = Endpoint(IPAddress(v4: 0x7f00_0003), 5070)
  static let callee = Endpoint(IPAddress(v4: 0x7f00_0008), 5080)
  static let domain = "nightjar.test"

  let shard: CallShard
  let records = CountedRecords()
  let bindings = BindingTable()
  let ports = Ports()

  init(users: ClosedRange<Int> = 1000...1999, dialplan: String = Server.dialplan) {
    var settings = EngineSettings(
      listeners: [.init(transport: .udp, local: Server.address)], domain: Server.domain,
      ownAddresses: [Server.address.ip])
    settings.mediaFamilies = [.v4]
    let directory = Directory(
      users: users.map { number in
        UserAccount(
          name: "\(number)", context: "internal",
          ha1: HA1(user: "\(number)", realm: Server.domain, password: "secret"))
      },
      access: [AccessRule(source: SourceNetwork("127.0.0.2/32")!, context: "public", authenticate: false)],
      trunks: [])
    var logger = Logger(label: "cost") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .info
    let services = EngineServices(
      bindings: bindings, journal: NoJournal(),
      authenticator: DigestAuthenticator(DigestRealm(name: Server.domain), key: Array("sixteen octets!!".utf8)),
      records: records, keyValue: KeyValueStore(), media: ports, counters: EngineCounters(), trace: TraceHub(),
      peers: ShardPeers(count: 1), logger: logger, wallClock: { Wall.read() })
    do {
      let script = try DialplanLoader.load(
        source: Array(dialplan.utf8), name: "dialplan.lua", directory: nil, limits: settings.limits,
        surroundings: .init(
          keyValue: services.keyValue, logger: logger, wallClock: services.wallClock, generation: 1),
        runsLoadHandlers: true)
      let generation = Generation(number: 1, vm: VMHandoff(script), directory: directory, settings: settings)
      shard = CallShard(
        shard: 0, services: services, generation: generation, now: .zero, timers: TransactionTimers())
    } catch {
      fatalError("\(error)")
    }
  }

  /// The one that `Scripts/bench` measures with.
  static let dialplan = """
    local internal = router {
      { "^(1%d+)$", function(call, number)
          local r = call:dial("sip:" .. number .. "@127.0.0.8:5080", { ringback = "180", timeout = 30 })
          if not r.ok then call:reject { from = r } end
        end },
      default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
    }
    on.invite(internal)
    """
}

enum Wall {
  static let milliseconds = Atomic<Int64>(1_760_000_000_000)
  /// When the engine last asked for the time, and how long before that it had asked last, in nanoseconds.
  static let asked = Atomic<Int>(0)
  static let step = Atomic<Int>(0)

  static func read() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let now = time.tv_sec * 1_000_000_000 + time.tv_nsec
    step.store(now - asked.exchange(now, ordering: .relaxed), ordering: .relaxed)
    return milliseconds.load(ordering: .relaxed)
  }
}

/// Keeps the records that are still to be made, as the queue of the writer does.
final class CountedRecords: RecordSink {
  private let kept = Mutex<[PendingRecord]>([])
  /// Else they are dropped, as the server's writer has them for a moment only.
  let keeps = Atomic<Bool>(false)
  func append(_ record: PendingRecord) {
    if keeps.load(ordering: .relaxed) { kept.withLock { $0.append(record) } }
  }
  func take() -> [PendingRecord] {
    kept.withLock { kept in
      let all = kept
      kept.removeAll(keepingCapacity: true)
      return all
    }
  }
}

struct NoJournal: BindingJournal {
  func record(_ changes: [BindingChange]) {}
}

/// Ports without sockets: what a lease costs the media plane is measured there.
final class Ports: MediaGateway {
  private struct State {
    var free: [UInt32] = []
    var made: UInt32 = 0
    var events: [MediaEvent] = []
  }
  private let state = Mutex(State())

  func lease(owner: UInt32, family: IPAddress.Family, near: MediaEndpointID?) -> MediaPort? {
    state.withLock { state in
      let slot: UInt32
      if let old = state.free.popLast() {
        slot = old
      } else {
        slot = state.made
        state.made += 1
      }
      return MediaPort(
        id: MediaEndpointID(worker: 0, slot: slot, generation: 1), address: Server.address.ip,
        rtpPort: UInt16(10_000 + 2 * (slot % 20_000)))
    }
  }

  func send(_ commands: [MediaCommand]) {
    state.withLock { state in
      for command in commands {
        switch command {
        case .statistics(let id, let token): state.events.append(.statistics(id, token: token, MediaStatistics()))
        case .release(let id): state.free.append(id.slot)
        default: break
        }
      }
    }
  }

  func takeEvents() -> [MediaEvent] {
    state.withLock { state in
      let events = state.events
      state.events.removeAll(keepingCapacity: true)
      return events
    }
  }
}
