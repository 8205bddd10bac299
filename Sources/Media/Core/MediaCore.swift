import NetCore

/// The media plane of one worker without its sockets: packets and commands in, packets and events out, on whatever
/// clock the caller has. Each input changes the state once; the caller then takes what has come of it.
///
/// - `receive`, `receiveControl`: a datagram, rewritten in place; the answer is the slot that it leaves from.
/// - `apply`: a command.
/// - `poll`: what is due of its own accord, packet by packet.
/// - `events`, `released`, `reconnect`, `loads`: taken by the caller after each of them.
struct MediaCore: ~Copyable {
  let slots: UnsafeMutablePointer<StreamState>
  let capacity: Int
  let worker: UInt16

  var events: [(owner: UInt32, event: MediaEvent)] = []
  /// Whether one of `events` may be of an endpoint that is released before it is taken, and then is not to be told.
  var hasPerishable = false
  /// Slots whose lease has ended.
  var released: [UInt32] = []
  /// Slots whose sockets have to be disconnected, so that anybody can be heard again.
  var reconnect: [UInt32] = []
  /// Files that someone has to read; the answer is `loaded`.
  var loads: [(key: UInt64, paths: [String])] = []

  var generators: [Generator] = []
  var cursor = 0
  /// When a generator is due next.
  var nextTick = Instant.distantFuture
  /// When the first watch can run out.
  var nextScan = Instant.distantFuture
  var watched: [UInt32] = []
  var reports: [UInt32] = []

  /// Leases that run.
  var leases = 0
  /// Packets that were sent on or made, and that were received on no lease.
  var relayed: UInt64 = 0
  var generatedPackets: UInt64 = 0
  var strays: UInt64 = 0

  private var random: SplitMix
  private var nextKey: UInt64 = 1
  let cname: [UInt8]
  /// Unix time at the clock's origin, in nanoseconds, for the NTP timestamps of sender reports.
  let wallOffset: Int64

  /// `slots` is memory for `capacity` states, which the caller owns and which is all zero or has been a core's before.
  init(
    slots: UnsafeMutablePointer<StreamState>, capacity: Int, worker: UInt16 = 0, seed: UInt64, wallOffset: Int64 = 0
  ) {
    self.slots = slots
    self.capacity = capacity
    self.worker = worker
    random = SplitMix(state: seed)
    self.wallOffset = wallOffset
    // RFC 7022 §4.2: a random name, of 64 bits here, that says nothing about the host.
    let digits = Array("0123456789abcdef".utf8)
    let word = random.next()
    cname = stride(from: 60, through: 0, by: -4).map { digits[Int(word >> UInt64($0) & 15)] }
    reports.reserveCapacity(64)
  }

  mutating func nextRandom() -> UInt64 { random.next() }

  mutating func newKey() -> UInt64 {
    nextKey += 1
    return 1 << 63 | nextKey
  }

  /// When `poll` has something to do next; `distantFuture` when no generator and no watch is active.
  var deadline: Instant { min(nextTick, nextScan) }
  var hasReports: Bool { !reports.isEmpty }

  func id(_ slot: Int) -> MediaEndpointID {
    MediaEndpointID(worker: worker, slot: UInt32(truncatingIfNeeded: slot), generation: slots[slot].generation)
  }

  /// The slot of an endpoint that is leased still.
  func slot(_ id: MediaEndpointID) -> Int? {
    guard id.worker == worker, id.slot < UInt32(capacity), id.generation != 0,
      slots[Int(id.slot)].generation == id.generation
    else { return nil }
    return Int(id.slot)
  }

  mutating func emit(_ slot: Int, _ event: MediaEvent) {
    events.append((slots[slot].owner, event))
    if !event.outlivesRelease { hasPerishable = true }
  }

  /// A lease begins. The generation is the pool's.
  mutating func open(slot: UInt32, generation: UInt32, owner: UInt32, now: Instant) {
    precondition(Int(slot) < capacity)
    let numbers = nextRandom()
    // The first sequence number leaves room above: some receivers take an early wrap for a restart.
    let sent = SendStream(
      ssrc: UInt32(truncatingIfNeeded: nextRandom()), sequence: UInt16(truncatingIfNeeded: numbers) >> 1,
      timestamp: UInt32(truncatingIfNeeded: numbers >> 32))
    var state = StreamState(sent: sent)
    state.generation = generation
    state.owner = owner
    state.lastHeard = now
    slots[Int(slot)] = state
    leases += 1
  }
}

/// For SSRCs, first sequence numbers and intervals (RFC 3550 §5.1, §8.1). The seed is the caller's secret.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
