/// Numbered places for values that cannot be copied: a place that is freed is used again under a new generation, so that
/// a number that somebody kept too long finds nothing instead of a stranger.
///
/// Places live in blocks that never move, so growing copies nothing, and a machine is changed where it lies.
@safe struct Slab<Element: ~Copyable>: ~Copyable {
  private struct Place: ~Copyable {
    var generation: UInt32 = 1
    var nextFree: UInt32 = .max
    var element: Element?
  }

  private static var blockSize: Int { 256 }

  private var blocks: [UnsafeMutablePointer<Place>] = unsafe []
  private var firstFree: UInt32 = .max
  private(set) var count = 0
  /// Never more places than this; at most 2²⁴ - 1, which is what a `Token` can name.
  let limit: Int

  init(limit: Int) {
    self.limit = min(max(limit, 0), 0xff_ffff)
  }

  deinit {
    for i in unsafe blocks.indices {
      unsafe blocks[i].deinitialize(count: Self.blockSize)
      unsafe blocks[i].deallocate()
    }
  }

  private var capacity: Int { unsafe blocks.count * Self.blockSize }

  private func place(_ slot: UInt32) -> UnsafeMutablePointer<Place> {
    precondition(Int(slot) < capacity, "no such slot")
    return unsafe blocks[Int(slot >> 8)] + Int(slot & 255)
  }

  /// The slot of the new element, nil when there are `limit` already.
  mutating func insert(_ element: consuming Element) -> UInt32? {
    guard count < limit else { return nil }
    if firstFree == .max { grow() }
    let slot = firstFree
    let place = unsafe place(slot)
    unsafe firstFree = place.pointee.nextFree
    unsafe place.pointee.element = consume element
    count += 1
    return slot
  }

  private mutating func grow() {
    let base = UInt32(capacity)
    let block = UnsafeMutablePointer<Place>.allocate(capacity: Self.blockSize)
    for i in 0..<Self.blockSize {
      unsafe (block + i).initialize(to: Place(element: nil))
      unsafe block[i].nextFree = i + 1 < Self.blockSize ? base + UInt32(i) + 1 : .max
    }
    unsafe blocks.append(block)
    firstFree = base
  }

  /// Frees a slot in use: its element ends here, and its generation with it.
  mutating func remove(_ slot: UInt32) {
    let place = unsafe place(slot)
    guard unsafe place.pointee.element != nil else { preconditionFailure("slot freed twice") }
    unsafe place.pointee.element = nil
    // Zero is no generation: a table hands it out for what it could not create.
    let next = unsafe place.pointee.generation &+ 1
    unsafe place.pointee.generation = next == 0 ? 1 : next
    unsafe place.pointee.nextFree = firstFree
    firstFree = slot
    count -= 1
  }

  func generation(of slot: UInt32) -> UInt32 { unsafe place(slot).pointee.generation }

  func contains(_ slot: UInt32, generation: UInt32) -> Bool {
    guard Int(slot) < capacity else { return false }
    let place = unsafe place(slot)
    return unsafe place.pointee.generation == generation && place.pointee.element != nil
  }

  func isOccupied(_ slot: UInt32) -> Bool {
    guard Int(slot) < capacity else { return false }
    return unsafe place(slot).pointee.element != nil
  }

  /// The element of a slot in use.
  subscript(slot: UInt32) -> Element {
    _read { yield unsafe place(slot).pointee.element! }
    _modify { yield unsafe &place(slot).pointee.element! }
  }

  /// One past the highest slot ever used: for the few walks over everything.
  var slots: Range<UInt32> { 0..<UInt32(capacity) }
}
