import Glibc
import Synchronization

/// The sockets of one slot, and the two words of it that more than one thread touches. The rest is written by the pool
/// before the slot is handed out, and never again.
struct PortSlot: ~Copyable {
  let rtp: Int32
  let control: Int32
  let port: UInt16
  let familyIndex: UInt8
  /// The generation that the owner holds; zero from the moment he has released it.
  let leased = Atomic<UInt32>(0)
  /// When the last packet came that belonged to no lease, in nanoseconds.
  let strayAt = Atomic<Int64>(.min)
}

/// Memory for the slots of one worker: addresses that never move, pages that exist once they are used.
struct SlotMemory<Element: ~Copyable>: ~Copyable, @unchecked Sendable {
  let base: UnsafeMutablePointer<Element>
  private let size: Int

  init(capacity: Int) throws(MediaError) {
    size = max(capacity, 1) * MemoryLayout<Element>.stride
    let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let memory, memory != MAP_FAILED else {
      throw MediaError("memory for \(capacity) media slots", error: errno)
    }
    base = memory.bindMemory(to: Element.self, capacity: capacity)
  }

  deinit { munmap(base, size) }
}
