import NetCore

/// At most `rate` a second, with bursts of one second's worth.
struct TokenBucket: Sendable {
  private var tokens = 0.0
  private var filled: Instant?

  /// - Parameter now: of any shard; they differ by little, and time that goes back fills nothing.
  mutating func take(rate: Double, now: Instant) -> Bool {
    let size = max(1, rate)
    if let filled {
      tokens = min(size, tokens + rate * max(0, (now - filled).seconds))
      self.filled = max(filled, now)
    } else {
      tokens = size
      filled = now
    }
    // A sum of many small fills may miss the whole by a rounding.
    guard tokens > 1 - 1e-6 else { return false }
    tokens -= 1
    return true
  }
}
