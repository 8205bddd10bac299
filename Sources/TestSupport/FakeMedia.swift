public import CallEngine
public import Media
public import NetCore
internal import Synchronization

/// A media plane without sockets: it leases ports, keeps every command, and says what a test makes it say. It is strict:
/// a command that names an endpoint nobody holds is a `violation`.
public final class FakeMedia: MediaGateway {
  /// A port pair that is, or was, leased.
  public struct Lease: Sendable {
    public var port: MediaPort
    /// The shard that asked for it.
    public var owner: UInt32
  }

  private struct State {
    var leased: [MediaEndpointID: Lease] = [:]
    var history: [Lease] = []
    var commands: [MediaCommand] = []
    var events: [(owner: UInt32, event: MediaEvent)] = []
    var violations: [String] = []
    var capacity = 10_000
    var answersStatistics = true
    var packets: UInt64 = 50
  }
  private let state = Mutex(State())
  private let addresses: [IPAddress]

  public init(addresses: [IPAddress]) { self.addresses = addresses }

  // MARK: MediaGateway

  public func lease(owner: UInt32, family: IPAddress.Family, near: MediaEndpointID?) -> MediaPort? {
    state.withLock { state in
      guard let address = addresses.first(where: { $0.family == family }), state.leased.count < state.capacity else {
        return nil
      }
      let slot = UInt32(state.history.count)
      // Both ends of a bridge are of one worker, so that a bridge across two of them is seen.
      let id = MediaEndpointID(worker: near?.worker ?? UInt16(slot % 2), slot: slot, generation: slot + 1)
      let port = MediaPort(id: id, address: address, rtpPort: UInt16(20_000 + 2 * (slot % 20_000)))
      let lease = Lease(port: port, owner: owner)
      state.leased[id] = lease
      state.history.append(lease)
      return port
    }
  }

  public func send(_ commands: [MediaCommand]) {
    state.withLock { state in
      for command in commands {
        state.commands.append(command)
        for id in command.endpoints where state.leased[id] == nil {
          state.violations.append("a command for an endpoint that is not leased: \(command)")
        }
        if case .bridge(let a, let b, _, _) = command, a.worker != b.worker || a == b {
          state.violations.append("a bridge that cannot be: \(command)")
        }
        if case .statistics(let id, let token) = command, state.answersStatistics, let lease = state.leased[id] {
          var counted = MediaStatistics()
          counted.packetsIn = state.packets
          counted.packetsOut = state.packets
          state.events.append((lease.owner, .statistics(id, token: token, counted)))
        }
        if case .release(let id) = command { state.leased[id] = nil }
      }
    }
  }

  // MARK: what tests do

  /// Queues an event for the shard that holds its endpoint; of an endpoint that is given back nothing is delivered.
  public func emit(_ event: MediaEvent) {
    state.withLock { state in
      guard let lease = state.leased[event.endpoint] else { return }
      state.events.append((lease.owner, event))
    }
  }

  /// How many ports there are in all; 0: none is left.
  public var capacity: Int {
    get { state.withLock { $0.capacity } }
    set { state.withLock { $0.capacity = newValue } }
  }

  /// Whether `statistics` is answered; a plane that died does not.
  public var answersStatistics: Bool {
    get { state.withLock { $0.answersStatistics } }
    set { state.withLock { $0.answersStatistics = newValue } }
  }

  // MARK: what tests ask

  public var commands: [MediaCommand] { state.withLock { $0.commands } }
  public func forgetCommands() { state.withLock { $0.commands = [] } }
  /// Endpoints that are leased now: none once every call is over.
  public var leased: [Lease] { state.withLock { state in state.history.filter { state.leased[$0.port.id] != nil } } }
  /// Every lease in order.
  public var leases: [Lease] { state.withLock { $0.history } }
  /// What no correct engine does.
  public var violations: [String] { state.withLock { $0.violations } }
  /// The lease whose RTP port an SDP names.
  public func lease(rtpPort: UInt16) -> Lease? { leases.last { $0.port.rtpPort == rtpPort } }

  func takeEvents() -> [(owner: UInt32, event: MediaEvent)] {
    state.withLock { state in
      defer { state.events = [] }
      return state.events
    }
  }
  var hasEvents: Bool { state.withLock { !$0.events.isEmpty } }
}

extension MediaCommand {
  /// The endpoints that it names.
  public var endpoints: [MediaEndpointID] {
    switch self {
    case .remote(let id, _, _, _, _, _, _), .unbridge(let id), .play(let id, _, _), .stopPlaying(let id),
      .echo(let id, _),
      .watch(let id, _), .statistics(let id, _), .release(let id):
      [id]
    case .bridge(let a, let b, _, _): [a, b]
    case .ringback(let to, _, let from, _, _): [to] + from
    }
  }

  /// Its case, for tests that look at the order only.
  public var name: String {
    switch self {
    case .remote: "remote"
    case .bridge: "bridge"
    case .unbridge: "unbridge"
    case .ringback: "ringback"
    case .play: "play"
    case .stopPlaying: "stopPlaying"
    case .echo: "echo"
    case .watch: "watch"
    case .statistics: "statistics"
    case .release: "release"
    }
  }
}
