internal import NetCore

/// A stream's other end: the key by which a send without a connection id finds a connection that is open already
/// (RFC 3261 §18.1.1).
struct RemoteKey: Hashable, Sendable {
  var transport: Transport
  var remote: Endpoint
  /// As whom the other end has proved himself, or must: a connection to one name is none to another (RFC 5923 §4).
  var peer: PeerName

  /// The shard that knows who holds a connection to this remote, and that opens one.
  func home(of shards: UInt8) -> UInt8 {
    guard shards > 1 else { return 0 }
    var h = remote.ip.high ^ (remote.ip.low &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(remote.port)
    h = (h ^ (h >> 32)) &* 0xD6E8_FEB8_6659_FD93
    return UInt8(truncatingIfNeeded: (h >> 40) % UInt64(shards))
  }
}

/// What a connection's id says: who opened it (one bit), generation (31 bits, from 1), slot (24), owning shard (8). Never
/// zero; used again only after 2³¹ connections in one slot.
enum ConnectionID {
  static func make(shard: UInt8, slot: Int, generation: UInt32, isOutbound: Bool) -> UInt64 {
    (isOutbound ? 1 << 63 : 0) | UInt64(generation) << 32 | UInt64(slot) << 8 | UInt64(shard)
  }
  /// We opened it, so that another can take its place.
  static func isOutbound(_ id: UInt64) -> Bool { id >> 63 == 1 }
  static func generation(_ id: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: id >> 32) & 0x7fff_ffff }
  static func shard(_ id: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: id) }
  static func slot(_ id: UInt64) -> Int { Int(id >> 8 & 0xff_ffff) }
}

/// The connections of one loop: by id without hashing, and by remote those whose home this shard is.
struct ConnectionTable<Connection: AnyObject> {
  private struct Slot {
    var generation: UInt32
    var connection: Connection?
    /// The last one here was dropped for what its peer did.
    var wasDropped = false
  }

  private var slots: [Slot] = []
  private var free: [Int] = []
  private var byRemote: [RemoteKey: UInt64] = [:]
  private let shard: UInt8
  private(set) var count = 0

  init(shard: UInt8) { self.shard = shard }

  /// Nil when 2²⁴ are open.
  mutating func insert(_ connection: Connection, isOutbound: Bool) -> UInt64? {
    let slot: Int
    if let reused = free.popLast() {
      slot = reused
      slots[slot].generation = slots[slot].generation == 0x7fff_ffff ? 1 : slots[slot].generation + 1
      slots[slot].connection = connection
    } else {
      guard slots.count < 1 << 24 else { return nil }
      slot = slots.count
      slots.append(Slot(generation: 1, connection: connection))
    }
    count += 1
    return ConnectionID.make(
      shard: shard, slot: slot, generation: slots[slot].generation, isOutbound: isOutbound)
  }

  subscript(id: UInt64) -> Connection? {
    let slot = ConnectionID.slot(id)
    guard ConnectionID.shard(id) == shard, slot < slots.count,
      slots[slot].generation == ConnectionID.generation(id)
    else { return nil }
    return slots[slot].connection
  }

  /// Whether another connection may take the place of one that is gone: not while it is known that the peer misused it, or
  /// who never reads would be connected to for every message that waits for him.
  func mayReopen(_ id: UInt64) -> Bool {
    let slot = ConnectionID.slot(id)
    guard slot < slots.count, slots[slot].generation == ConnectionID.generation(id) else { return true }
    return !slots[slot].wasDropped
  }

  /// Harmless when it is gone.
  mutating func remove(_ id: UInt64, isDropped: Bool = false) {
    guard self[id] != nil else { return }
    slots[ConnectionID.slot(id)].connection = nil
    slots[ConnectionID.slot(id)].wasDropped = isDropped
    free.append(ConnectionID.slot(id))
    count -= 1
  }

  func forEach(_ body: (Connection) -> Void) {
    for slot in slots { if let connection = slot.connection { body(connection) } }
  }

  func id(to key: RemoteKey) -> UInt64? { byRemote[key] }
  mutating func register(_ id: UInt64, to key: RemoteKey) { byRemote[key] = id }
  /// A later connection to the same remote stays.
  mutating func unregister(_ id: UInt64, to key: RemoteKey) {
    if byRemote[key] == id { byRemote[key] = nil }
  }
}
