public import LuaRuntime
import NetCore
import Synchronization

/// What scripts share across calls, shards and generations. Striped; a lock is never held over anything but its table.
public final class KeyValueStore: Sendable {
  private struct Entry {
    var value: LuaValue
    var expires: Int64
  }
  private final class Stripe: Sendable {
    let table = Mutex<[[UInt8]: Entry]>([:])
  }
  private let stripes: [Stripe]
  /// Keys a stripe holds at most; a script cannot fill the server's memory by it.
  private let capacity: Int

  public init(stripes: Int = 16, keys: Int = 1_000_000) {
    self.stripes = (0..<max(1, stripes)).map { _ in Stripe() }
    capacity = max(1, keys / max(1, stripes))
  }

  public enum Failure: Error { case full, notANumber }

  private func stripe(_ key: [UInt8]) -> Stripe {
    var hasher = Hasher()
    hasher.combine(key)
    return stripes[Int(UInt(bitPattern: hasher.finalize()) % UInt(stripes.count))]
  }

  public func get(_ key: [UInt8], nowMilliseconds now: Int64) -> LuaValue {
    stripe(key).table.withLock { table in
      guard let entry = table[key] else { return .null }
      if entry.expires <= now {
        table[key] = nil
        return .null
      }
      return entry.value
    }
  }

  /// `ttl` in milliseconds; nil is for ever.
  public func set(_ key: [UInt8], _ value: LuaValue, ttl: Int64?, nowMilliseconds now: Int64) throws(Failure) {
    try change(key, now) { _ in (value, ttl ?? .max) }
  }

  public func delete(_ key: [UInt8]) { stripe(key).table.withLock { $0[key] = nil } }

  /// Adds to a number (absent is 0) and gives the sum; the time to live starts with the first.
  public func increment(_ key: [UInt8], by n: Int64, ttl: Int64?, nowMilliseconds now: Int64) throws(Failure) -> Int64 {
    var sum: Int64? = 0
    try change(key, now) { entry in
      guard let entry else {
        sum = n
        return (.integer(n), ttl)
      }
      guard case .integer(let old) = entry else {
        sum = nil
        return nil
      }
      let new = old &+ n
      sum = new
      return (.integer(new), nil)
    }
    guard let sum else { throw .notANumber }
    return sum
  }

  /// Sets `new` where the key holds `old` (null: is absent); says whether it did.
  public func compareAndSwap(
    _ key: [UInt8], old: LuaValue, new: LuaValue, ttl: Int64?, nowMilliseconds now: Int64
  ) throws(Failure) -> Bool {
    var swapped = false
    try change(key, now) { entry in
      guard (entry ?? .null) == old else { return nil }
      swapped = true
      return (new, ttl)
    }
    return swapped
  }

  /// `body` gets the live value and gives the new one (nil: leave as it is). A time to live of nil keeps the old one.
  private func change(
    _ key: [UInt8], _ now: Int64, _ body: (LuaValue?) -> (LuaValue, Int64?)?
  ) throws(Failure) {
    let full = stripe(key).table.withLock { table -> Bool in
      var live = table[key]
      if let entry = live, entry.expires <= now { live = nil }
      guard let (value, ttl) = body(live?.value) else { return false }
      if live == nil, table.count >= capacity {
        for (k, e) in table where e.expires <= now { table[k] = nil }
        if table.count >= capacity { return true }
      }
      if value == .null {
        table[key] = nil
        return false
      }
      table[key] = Entry(
        value: value, expires: ttl.map { $0 > .max - now ? .max : now + max(0, $0) } ?? live?.expires ?? .max)
      return false
    }
    if full { throw .full }
  }
}
