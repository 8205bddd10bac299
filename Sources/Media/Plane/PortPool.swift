import CNet
import Glibc
import NetCore
import Synchronization

/// The port pairs of all workers. A pair is bound once and keeps its slot and its sockets; a lease takes one that is
/// ready, and a release puts it to rest until nothing has come to it for a while.
///
///     unbound ──► ready ──► leased ──► resting ──► leased …
///
/// Its lock is a leaf, held for a few queue operations; and for making sockets only where nothing is ready.
final class PortPool: Sendable {
  struct Lease {
    var slot: UInt32
    var generation: UInt32
    var address: IPAddress
    var port: UInt16
  }

  /// What a worker contributes: where its slots lie and who waits for their packets.
  struct Home: Sendable {
    // Written here under the lock before a slot is handed out, read by the worker afterwards.
    nonisolated(unsafe) let slots: UnsafeMutablePointer<PortSlot>
    let epoll: Int32
  }

  private struct Family {
    let address: IPAddress
    let index: UInt8
    /// Pairs that were tried, of all.
    var tried = 0
    let count: Int
    let firstPort: Int
    /// Ports are handed out in an order that a stranger cannot guess at once: `start + n × stride`.
    let start: Int
    let stride: Int
    /// Held by somebody else when they were tried, as a rule.
    var skipped: [UInt16] = []
    var ready: [Queue<UInt32>]
    var resting: [Queue<(slot: UInt32, since: Instant)>]

    var nextPort: UInt16 { UInt16(firstPort + 2 * ((start + tried * stride) % count)) }
  }

  private struct State {
    var families: [Family] = []
    /// Slots in use a worker.
    var slots: [Int]
    var generations: [[UInt32]]
    var bound = 0
    var leased = 0
    var refused: UInt64 = 0
    var isClosed = false
  }

  let capacity: Int
  private let homes: [Home]
  private let configuration: MediaConfiguration
  private let state: Mutex<State>

  /// Pairs that one family has in a range of ports.
  static func pairs(in ports: ClosedRange<UInt16>) -> Int {
    let first = (Int(ports.lowerBound) + 1) & ~1
    return max(0, (Int(ports.upperBound) - first + 1) / 2)
  }

  init(_ configuration: MediaConfiguration, capacity: Int, homes: [Home]) throws(MediaError) {
    self.configuration = configuration
    self.capacity = capacity
    self.homes = homes
    var state = State(
      slots: Array(repeating: 0, count: homes.count), generations: Array(repeating: [], count: homes.count))
    let pairs = Self.pairs(in: configuration.ports)
    for (index, address) in configuration.addresses.enumerated() {
      var stride = Int.random(in: 1...max(1, pairs - 1))
      while Self.gcd(stride, pairs) != 1 { stride = stride % pairs + 1 }
      state.families.append(
        Family(
          address: address, index: UInt8(index), count: pairs,
          firstPort: (Int(configuration.ports.lowerBound) + 1) & ~1,
          start: Int.random(in: 0..<pairs), stride: stride, ready: Array(repeating: Queue(), count: homes.count),
          resting: Array(repeating: Queue(), count: homes.count)))
    }
    self.state = Mutex(state)
  }

  private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }

  struct Usage {
    var leased: Int
    var bound: Int
    var refused: UInt64
  }

  var usage: Usage {
    state.withLock { Usage(leased: $0.leased, bound: $0.bound, refused: $0.refused) }
  }

  /// Nil when no pair of the family is left for the worker. `isLow`: time to call `fill`.
  func lease(worker: Int, family: IPAddress.Family, now: Instant) -> (lease: Lease, isLow: Bool)? {
    state.withLock { state in
      guard !state.isClosed, let index = state.families.firstIndex(where: { $0.address.family == family }) else {
        return nil
      }
      guard let slot = takeSlot(&state, index, worker, now) else {
        state.refused &+= 1
        return nil
      }
      var generation = state.generations[worker][Int(slot)] &+ 1
      if generation == 0 { generation = 1 }
      state.generations[worker][Int(slot)] = generation
      state.leased += 1
      homes[worker].slots[Int(slot)].leased.store(generation, ordering: .releasing)
      let lease = Lease(
        slot: slot, generation: generation, address: state.families[index].address,
        port: homes[worker].slots[Int(slot)].port)
      let isLow = state.families[index].ready[worker].count < configuration.ahead / 2 && canBind(state, index)
      return (lease, isLow)
    }
  }

  private func takeSlot(_ state: inout State, _ index: Int, _ worker: Int, _ now: Instant) -> UInt32? {
    for _ in 0..<4 {
      guard let oldest = state.families[index].resting[worker].first, now - oldest.since >= configuration.quarantine,
        let (slot, _) = state.families[index].resting[worker].popFirst()
      else { break }
      // Somebody still sends there: it rests again, from his last packet on.
      let stray = Instant(nanoseconds: homes[worker].slots[Int(slot)].strayAt.load(ordering: .relaxed))
      if stray <= oldest.since || now - stray >= configuration.quarantine { return slot }
      state.families[index].resting[worker].append((slot, stray))
    }
    if let slot = state.families[index].ready[worker].popFirst() { return slot }
    return bind(&state, index, worker)
  }

  /// The worker has let go of these.
  func rest(worker: Int, _ slots: [UInt32], now: Instant) {
    state.withLock { state in
      for slot in slots {
        let family = Int(homes[worker].slots[Int(slot)].familyIndex)
        state.families[family].resting[worker].append((slot, now))
      }
      state.leased -= slots.count
    }
  }

  /// Binds ahead. The sockets are made outside of the lock, so that no lease waits for them.
  func fill() {
    for worker in homes.indices {
      for index in configuration.addresses.indices {
        while let port = state.withLock({ next(&$0, index, worker) }) {
          let sockets = open(configuration.addresses[index], port)
          let goesOn = state.withLock { state in
            guard let slot = adopt(&state, sockets, index, worker, port) else { return isTaken(sockets) }
            state.families[index].ready[worker].append(slot)
            return true
          }
          if !goesOn { break }
        }
      }
    }
  }

  private func next(_ state: inout State, _ index: Int, _ worker: Int) -> UInt16? {
    guard state.families[index].ready[worker].count < configuration.ahead, !state.isClosed else { return nil }
    return nextPort(&state, index)
  }

  /// Pairs that are ready for an address: what `fill` achieved.
  func ready(family index: Int) -> Int {
    state.withLock { state in state.families[index].ready.reduce(0) { $0 + $1.count } }
  }

  private func canBind(_ state: State, _ index: Int) -> Bool {
    state.bound < capacity && state.families[index].tried < state.families[index].count
  }

  /// The next port to try; it counts as bound until `adopt` says that it is not.
  private func nextPort(_ state: inout State, _ index: Int) -> UInt16? {
    guard canBind(state, index) else { return nil }
    defer {
      state.families[index].tried += 1
      state.bound += 1
    }
    return state.families[index].nextPort
  }

  private func bind(_ state: inout State, _ index: Int, _ worker: Int) -> UInt32? {
    while let port = nextPort(&state, index) {
      let sockets = open(configuration.addresses[index], port)
      if let slot = adopt(&state, sockets, index, worker, port) { return slot }
      if !isTaken(sockets) { return nil }
    }
    // The last resort: those that were held by somebody else may be free by now.
    for _ in 0..<min(8, state.families[index].skipped.count) where state.bound < capacity {
      let port = state.families[index].skipped.removeFirst()
      state.bound += 1
      if let slot = adopt(&state, open(configuration.addresses[index], port), index, worker, port) { return slot }
    }
    return nil
  }

  private typealias Sockets = Result<(rtp: Int32, control: Int32), BindFailure>

  private enum BindFailure: Error {
    /// By another process: the next one may do.
    case portTaken
    /// No descriptor is left, or the address is not ours.
    case impossible

    init(_ error: Int32) { self = error == EADDRINUSE || error == EACCES ? .portTaken : .impossible }
  }

  private func isTaken(_ sockets: Sockets) -> Bool {
    if case .failure(.portTaken) = sockets { true } else { false }
  }

  private func open(_ ip: IPAddress, _ port: UInt16) -> Sockets {
    var address = cnet_address(Endpoint(ip, port))
    let rtp = cnet_udp_socket(&address, Int32(configuration.dscp), 0)
    guard rtp >= 0 else { return .failure(BindFailure(-rtp)) }
    address.port += 1
    let control = cnet_udp_socket(&address, Int32(configuration.dscp), 0)
    guard control >= 0 else {
      Glibc.close(rtp)
      return .failure(BindFailure(-control))
    }
    return .success((rtp, control))
  }

  /// Gives a pair its slot. Nil: there is none, and the port is put aside.
  private func adopt(
    _ state: inout State, _ sockets: Sockets, _ index: Int, _ worker: Int, _ port: UInt16
  ) -> UInt32? {
    let slot = state.slots[worker]
    if case .success(let pair) = sockets {
      if !state.isClosed, listen(pair.rtp, UInt64(slot) << 1, worker),
        listen(pair.control, UInt64(slot) << 1 | 1, worker)
      {
        (homes[worker].slots + slot).initialize(
          to: PortSlot(
            rtp: pair.rtp, control: pair.control, port: port, familyIndex: state.families[index].index))
        state.slots[worker] += 1
        state.generations[worker].append(0)
        return UInt32(slot)
      }
      Glibc.close(pair.rtp)
      Glibc.close(pair.control)
    }
    state.families[index].skipped.append(port)
    state.bound -= 1
    return nil
  }

  private func listen(_ descriptor: Int32, _ mark: UInt64, _ worker: Int) -> Bool {
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: mark))
    return epoll_ctl(homes[worker].epoll, EPOLL_CTL_ADD, descriptor, &event) == 0
  }

  /// Nothing is leased afterwards. The workers must have ended.
  func close() {
    state.withLock { state in
      guard !state.isClosed else { return }
      state.isClosed = true
      for (worker, count) in state.slots.enumerated() {
        for slot in 0..<count {
          Glibc.close(homes[worker].slots[slot].rtp)
          Glibc.close(homes[worker].slots[slot].control)
        }
      }
    }
  }
}
