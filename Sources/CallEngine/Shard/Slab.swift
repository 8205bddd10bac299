/// Slots that are used again, each with a generation that tells an old name from a new one. O(1), no hashing.
struct Slab<Element> {
  private struct Slot {
    var generation: UInt32
    var element: Element?
  }
  private var slots: [Slot] = []
  private var free: [UInt32] = []
  private(set) var count = 0

  /// The name that the next `insert` will give.
  mutating func reserve() -> (slot: UInt32, generation: UInt32) {
    if let slot = free.popLast() {
      return (slot, slots[Int(slot)].generation)
    }
    slots.append(Slot(generation: 1, element: nil))
    return (UInt32(slots.count - 1), 1)
  }

  mutating func fill(_ slot: UInt32, _ element: Element) {
    slots[Int(slot)].element = element
    count += 1
  }

  /// A name that was reserved and is not used after all.
  mutating func release(_ slot: UInt32) { free.append(slot) }

  func get(_ slot: UInt32, _ generation: UInt32) -> Element? {
    guard Int(slot) < slots.count, slots[Int(slot)].generation == generation else { return nil }
    return slots[Int(slot)].element
  }

  /// Whatever lives in a slot now.
  func at(_ slot: UInt32) -> Element? { Int(slot) < slots.count ? slots[Int(slot)].element : nil }

  mutating func remove(_ slot: UInt32, _ generation: UInt32) {
    guard Int(slot) < slots.count, slots[Int(slot)].generation == generation, slots[Int(slot)].element != nil else {
      return
    }
    slots[Int(slot)].element = nil
    slots[Int(slot)].generation &+= 1
    free.append(slot)
    count -= 1
  }

  /// Those in use, in slot order. For snapshots, not for the way of a message.
  var elements: [Element] { slots.compactMap(\.element) }
}
