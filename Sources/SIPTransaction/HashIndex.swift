/// From a `TransactionKey` to a slot: open addressing with linear probing, and removal that moves entries back, so that
/// there are no tombstones however many transactions come and go. The key is its own hash.
struct HashIndex {
  private struct Entry {
    var key: TransactionKey
    var slot: UInt32
  }

  private static let empty = UInt32.max

  private var entries: [Entry]
  private var mask: Int
  private(set) var count = 0

  init() {
    entries = Array(repeating: Entry(key: TransactionKey(a: 0, b: 0), slot: HashIndex.empty), count: 64)
    mask = 63
  }

  private func home(_ key: TransactionKey) -> Int { Int(truncatingIfNeeded: key.a) & mask }

  subscript(key: TransactionKey) -> UInt32? {
    var i = home(key)
    while entries[i].slot != HashIndex.empty {
      if entries[i].key == key { return entries[i].slot }
      i = (i + 1) & mask
    }
    return nil
  }

  /// Adds a key that is not there yet.
  mutating func insert(_ key: TransactionKey, slot: UInt32) {
    if (count + 1) * 4 > entries.count * 3 { grow() }
    var i = home(key)
    while entries[i].slot != HashIndex.empty { i = (i + 1) & mask }
    entries[i] = Entry(key: key, slot: slot)
    count += 1
  }

  mutating func remove(_ key: TransactionKey) {
    var hole = home(key)
    while entries[hole].key != key {
      if entries[hole].slot == HashIndex.empty { return }
      hole = (hole + 1) & mask
    }
    guard entries[hole].slot != HashIndex.empty else { return }
    count -= 1
    var i = (hole + 1) & mask
    while entries[i].slot != HashIndex.empty {
      // An entry may fill the hole unless its home lies behind the hole, up to where it stands.
      let distance = (i - home(entries[i].key)) & mask
      if distance >= (i - hole) & mask {
        entries[hole] = entries[i]
        hole = i
      }
      i = (i + 1) & mask
    }
    entries[hole] = Entry(key: TransactionKey(a: 0, b: 0), slot: HashIndex.empty)
  }

  private mutating func grow() {
    let old = entries
    entries = Array(
      repeating: Entry(key: TransactionKey(a: 0, b: 0), slot: HashIndex.empty), count: old.count * 2)
    mask = entries.count - 1
    count = 0
    for entry in old where entry.slot != HashIndex.empty { insert(entry.key, slot: entry.slot) }
  }
}
