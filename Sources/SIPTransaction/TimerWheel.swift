public import NetCore

/// A hierarchical timing wheel: arm, cancel and fire are O(1), whatever the number of timers.
///
/// A busy shard keeps about 200,000 timers alive, nearly all of which are cancelled (a response stops timers A and B) or
/// are of the same few lengths, so a heap would pay its logarithm for nothing. Three rings of 256 buckets hold ticks
/// of 2²² ns (about 4.2 ms): the first ring spans 1.07 s, the second 275 s, the third 19.5 hours; a timer further away
/// waits in the third ring and is placed again when its bucket comes up. A tick of 4 ms also gathers timers that are due
/// nearly together into one wake-up. Timers fire late by less than a tick, and never early.
///
/// Scheme 6/7 of Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987).
public struct TimerWheel: ~Copyable {
  private struct Node {
    var token: TimerToken
    var tick: Int64
    var next: UInt32
    var previous: UInt32
    var generation: UInt32
    /// Where it hangs: ring * 256 + bucket; `unlinked` when it is free.
    var bucket: UInt32
  }

  private static let tickBits: Int64 = 22
  private static let none = UInt32.max
  private static let unlinked = UInt32.max

  private var nodes: [Node] = []
  private var freeHead = TimerWheel.none
  private var heads = [UInt32](repeating: TimerWheel.none, count: 3 * 256)
  /// One bit a bucket: the next busy one is found by counting zeros.
  private var occupied = [UInt64](repeating: 0, count: 3 * 4)
  /// Every timer before this tick has fired.
  private var current: Int64

  /// How many timers are armed.
  public private(set) var count = 0

  public init(now: Instant) {
    current = now.nanoseconds >> TimerWheel.tickBits
  }

  /// A timer that fires at `at`, or at the next tick if that is past.
  public mutating func arm(_ token: TimerToken, at: Instant) -> TimerHandle {
    let whole = at.nanoseconds >> TimerWheel.tickBits
    let fraction = at.nanoseconds & (1 << TimerWheel.tickBits - 1)
    let tick = max(fraction == 0 ? whole : whole + 1, current + 1)
    let index: UInt32
    if freeHead != TimerWheel.none {
      index = freeHead
      freeHead = nodes[Int(index)].next
      nodes[Int(index)].token = token
      nodes[Int(index)].tick = tick
    } else {
      index = UInt32(nodes.count)
      nodes.append(
        Node(token: token, tick: tick, next: 0, previous: 0, generation: 1, bucket: TimerWheel.unlinked))
    }
    count += 1
    link(index)
    return TimerHandle(index: index, generation: nodes[Int(index)].generation)
  }

  /// Idempotent: a handle of a timer that fired, or was cancelled before, does nothing.
  public mutating func cancel(_ handle: TimerHandle) {
    guard handle.index < UInt32(nodes.count), nodes[Int(handle.index)].generation == handle.generation,
      nodes[Int(handle.index)].bucket != TimerWheel.unlinked
    else { return }
    unlink(handle.index)
    release(handle.index)
  }

  /// The next timer that is due at `now`, oldest tick first; nil when there is none left. Taken one at a time, so that
  /// what the caller does for one timer may still cancel another that is due in the same tick.
  public mutating func popExpired(now: Instant) -> TimerToken? {
    let target = now.nanoseconds >> TimerWheel.tickBits
    while true {
      let head = heads[Int(current & 255)]
      if head != TimerWheel.none, nodes[Int(head)].tick <= target {
        unlink(head)
        let token = nodes[Int(head)].token
        release(head)
        return token
      }
      guard let next = nextTick(after: current), next <= target else {
        // Nothing hangs in a bucket that starts before `target`, so no bucket is skipped.
        current = max(current, target)
        return nil
      }
      current = next
      if next & 255 == 0 { cascade() }
    }
  }

  /// All timers due at `now`, in order, to a closure that does not touch the wheel.
  public mutating func advance(to now: Instant, _ fired: (TimerToken) -> Void) {
    while let token = popExpired(now: now) { fired(token) }
  }

  /// All timers due at `now`, in order.
  public mutating func expired(now: Instant) -> [TimerToken] {
    var tokens: [TimerToken] = []
    advance(to: now) { tokens.append($0) }
    return tokens
  }

  /// When to call `popExpired` next: for a timer within the first ring that is its own tick, for a later one the start of
  /// its bucket, so it may be early and is never late. Nil without timers.
  public var nextDeadline: Instant? {
    guard count > 0 else { return nil }
    let tick = heads[Int(current & 255)] != TimerWheel.none ? current : nextTick(after: current)
    guard let tick else { return nil }
    return Instant(nanoseconds: tick > Int64.max >> TimerWheel.tickBits ? .max : tick << TimerWheel.tickBits)
  }

  // MARK: Rings

  private mutating func link(_ index: UInt32) {
    let tick = nodes[Int(index)].tick
    let distance = tick - current
    let bucket: Int
    if distance < 256 {
      bucket = Int(tick & 255)
    } else if distance < 1 << 16 {
      bucket = 256 + Int(tick >> 8 & 255)
    } else {
      let reachable = min(tick, current + (1 << 24 - 1))
      bucket = 512 + Int(reachable >> 16 & 255)
    }
    let head = heads[bucket]
    nodes[Int(index)].bucket = UInt32(bucket)
    // At the tail: the previous of the head is the tail, so timers of one tick fire in the order they were armed.
    if head == TimerWheel.none {
      nodes[Int(index)].next = index
      nodes[Int(index)].previous = index
      heads[bucket] = index
      occupied[bucket >> 6] |= 1 << UInt64(bucket & 63)
    } else {
      let tail = nodes[Int(head)].previous
      nodes[Int(index)].next = head
      nodes[Int(index)].previous = tail
      nodes[Int(tail)].next = index
      nodes[Int(head)].previous = index
    }
  }

  private mutating func unlink(_ index: UInt32) {
    let node = nodes[Int(index)]
    let bucket = Int(node.bucket)
    if node.next == index {
      heads[bucket] = TimerWheel.none
      occupied[bucket >> 6] &= ~(1 << UInt64(bucket & 63))
    } else {
      nodes[Int(node.previous)].next = node.next
      nodes[Int(node.next)].previous = node.previous
      if heads[bucket] == index { heads[bucket] = node.next }
    }
    nodes[Int(index)].bucket = TimerWheel.unlinked
  }

  private mutating func release(_ index: UInt32) {
    nodes[Int(index)].generation &+= 1
    nodes[Int(index)].next = freeHead
    freeHead = index
    count -= 1
  }

  /// `current` has come to a multiple of 256: what hangs in the bucket of the next ring belongs into a finer one now.
  private mutating func cascade() {
    if current & 0xffff == 0 { empty(512 + Int(current >> 16 & 255)) }
    empty(256 + Int(current >> 8 & 255))
  }

  private mutating func empty(_ bucket: Int) {
    // A timer beyond the last ring may land in the same bucket again, so only what hangs there now is moved.
    guard heads[bucket] != TimerWheel.none else { return }
    let last = nodes[Int(heads[bucket])].previous
    while true {
      let index = heads[bucket]
      unlink(index)
      link(index)
      if index == last { return }
    }
  }

  /// The earliest tick after `tick` at which a timer fires or a bucket has to be moved to a finer ring.
  private func nextTick(after tick: Int64) -> Int64? {
    var best: Int64?
    for ring in 0..<3 {
      let shift = Int64(ring * 8)
      let position = tick >> shift
      guard let steps = distanceToOccupied(ring: ring, from: Int(position & 255)) else { continue }
      let candidate = (position + Int64(steps)) << shift
      best = best.map { min($0, candidate) } ?? candidate
    }
    return best
  }

  /// 1...256 buckets round the ring, the one that we stand on last: what hangs there is a whole turn away.
  private func distanceToOccupied(ring: Int, from position: Int) -> Int? {
    let base = ring * 4
    let start = (position + 1) & 255
    for step in 0...4 {
      let wordIndex = (start >> 6 + step) & 3
      var word = occupied[base + wordIndex]
      if step == 0 { word &= ~0 << UInt64(start & 63) }
      if step == 4 { word &= ~(~0 << UInt64(start & 63)) }
      if word != 0 {
        let bucket = wordIndex << 6 + word.trailingZeroBitCount
        return (bucket - start) & 255 + 1
      }
    }
    return nil
  }
}
