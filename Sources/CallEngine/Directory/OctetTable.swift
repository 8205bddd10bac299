import SIPMessage

/// Values by a name in octets: open addressing over a dense list, so that a look-up hashes the octets where they are and
/// makes no String, and a hundred thousand names take little memory. Removal moves entries; an index holds until then.
struct OctetTable<Value> {
  private(set) var entries: [(key: [UInt8], value: Value)] = []
  /// Index into `entries` and one; zero is free.
  private var slots: [UInt32] = []

  var count: Int { entries.count }

  /// FNV-1a from a start that differs in each process, its high bits mixed in.
  static func hash(_ key: Bytes) -> UInt64 {
    let s = key.span
    var hash = octetTableSeed
    for i in s.indices { hash = (hash ^ UInt64(s[i])) &* 0x0000_0100_0000_01b3 }
    return hash ^ hash >> 32
  }

  func find(_ key: Bytes) -> Int? {
    guard let slot = slot(of: key) else { return nil }
    return Int(slots[slot]) &- 1
  }

  subscript(index: Int) -> Value {
    get { entries[index].value }
    _modify { yield &entries[index].value }
  }

  /// Adds a key that is not there yet.
  mutating func insert(_ key: [UInt8], _ value: Value) {
    if (entries.count &+ 1) &* 4 > slots.count &* 3 { grow() }
    entries.append((key, value))
    place(entries.count)
  }

  mutating func remove(at index: Int) {
    free(slot(of: entries[index].key[...])!)
    let last = entries.count &- 1
    if index < last {
      slots[slot(of: entries[last].key[...])!] = UInt32(index &+ 1)
      entries.swapAt(index, last)
    }
    entries.removeLast()
  }

  private var mask: Int { slots.count &- 1 }

  private func home(_ key: Bytes) -> Int { Int(truncatingIfNeeded: OctetTable.hash(key)) & mask }

  private func slot(of key: Bytes) -> Int? {
    guard !slots.isEmpty else { return nil }
    var i = home(key)
    while slots[i] != 0 {
      if entries[Int(slots[i]) &- 1].key[...] == key { return i }
      i = (i &+ 1) & mask
    }
    return nil
  }

  /// Puts the entry of that index and one into its slot.
  private mutating func place(_ number: Int) {
    var i = home(entries[number &- 1].key[...])
    while slots[i] != 0 { i = (i &+ 1) & mask }
    slots[i] = UInt32(number)
  }

  /// Moves back what stands behind, so that there are no tombstones however many names come and go.
  private mutating func free(_ slot: Int) {
    var hole = slot
    var i = (hole &+ 1) & mask
    while slots[i] != 0 {
      // An entry may fill the hole unless its home lies behind the hole, up to where it stands.
      if (i &- home(entries[Int(slots[i]) &- 1].key[...])) & mask >= (i &- hole) & mask {
        slots[hole] = slots[i]
        hole = i
      }
      i = (i &+ 1) & mask
    }
    slots[hole] = 0
  }

  private mutating func grow() {
    slots = Array(repeating: 0, count: max(8, slots.count &* 2))
    for number in 0..<entries.count { place(number &+ 1) }
  }
}

extension OctetTable: Sendable where Value: Sendable {}

private let octetTableSeed = UInt64.random(in: .min ... .max)
