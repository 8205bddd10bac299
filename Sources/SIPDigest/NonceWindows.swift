internal import Synchronization

/// Which nonce counts of a nonce have been used: a replayed request is refused, one that was overtaken on the way is not
/// (RFC 7616 §5.12). Only nonces that somebody has proved a password with are in it, so strangers cannot fill it.
///
/// Memory is fixed. A nonce has a set of at most eight places to be in; where all are taken the oldest goes, and the set
/// remembers how old it was: a nonce no younger than that, and not found, may have been used, and is refused as stale.
final class NonceWindows: Sendable {
  private struct Entry {
    var random: UInt64 = 0
    /// The second it was made in; below zero for a free place.
    var issued: Int64 = -1
    /// The highest count used, and bit `k` for `highest - k`.
    var highest: UInt32 = 0
    var used: UInt64 = 0
  }

  private struct Sets {
    var entries: [Entry]
    /// Of each set, the youngest nonce that had to go.
    var horizon: [Int64]
  }

  private final class Stripe: Sendable {
    let sets: Mutex<Sets>

    init(sets count: Int, ways: Int) {
      sets = Mutex(
        Sets(entries: .init(repeating: Entry(), count: count * ways), horizon: .init(repeating: -1, count: count)))
    }
  }

  private let stripes: [Stripe]
  private let setsEach: Int
  private let ways: Int

  init(capacity: Int) {
    precondition(capacity > 0, "a nonce table needs room")
    ways = min(8, capacity)
    let sets = max(1, capacity / ways)
    let count = min(64, sets)
    let each = (sets + count - 1) / count
    setsEach = each
    let ways = ways
    stripes = (0..<count).map { _ in Stripe(sets: each, ways: ways) }
  }

  /// Marks `count` of the nonce as used; false if it was used already, is 64 or more below the highest, or cannot be known.
  func use(_ nonce: Nonce, count: UInt32) -> Bool {
    let stripe = stripes[Int(nonce.random % UInt64(stripes.count))]
    let set = Int((nonce.random / UInt64(stripes.count)) % UInt64(setsEach))
    return stripe.sets.withLock { sets in
      let places = (set * ways)..<((set + 1) * ways)
      for i in places where sets.entries[i].issued == nonce.issued && sets.entries[i].random == nonce.random {
        return NonceWindows.mark(count, in: &sets.entries[i])
      }
      guard nonce.issued > sets.horizon[set] else { return false }
      var oldest = places.lowerBound
      for i in places where sets.entries[i].issued < sets.entries[oldest].issued { oldest = i }
      // A free place is older than all. Of the same second, which of the two was used before could not be told.
      guard nonce.issued > sets.entries[oldest].issued else { return false }
      sets.horizon[set] = max(sets.horizon[set], sets.entries[oldest].issued)
      sets.entries[oldest] = Entry(random: nonce.random, issued: nonce.issued, highest: count, used: 1)
      return true
    }
  }

  private static func mark(_ count: UInt32, in entry: inout Entry) -> Bool {
    if count > entry.highest {
      let ahead = count - entry.highest
      entry.used = (ahead < 64 ? entry.used << UInt64(ahead) : 0) | 1
      entry.highest = count
      return true
    }
    let behind = entry.highest - count
    guard behind < 64, entry.used & (1 << UInt64(behind)) == 0 else { return false }
    entry.used |= 1 << UInt64(behind)
    return true
  }
}
