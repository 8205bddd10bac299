import NetCore

/// How many requests of strangers each source has left: a bucket a source that fills with time. One a shard, without a
/// lock, in a fixed table: 2,048 sets of four; where all four are taken the one that has rested longest goes.
struct RequestMeter {
  enum Verdict { case pass, refuse, drop }

  private struct Bucket {
    /// Of a free one: no source, as those of IPv6 end in zeros.
    var source = IPAddress(high: .max, low: .max)
    var left = 0.0
    var at = Instant.zero
    /// When the last 503 went there.
    var refusedAt = Instant.zero
  }

  private static let sets = 2048
  private static let ways = 4
  private var buckets: [Bucket] = []
  private let key: (UInt64, UInt64)

  init(key: (UInt64, UInt64)) { self.key = key }

  /// Takes one. Past the limit a source is told so once a second, and otherwise dropped: an answer to each would be as
  /// much work, and sent to whomever a forged address belongs to; a phone sends again.
  mutating func spend(_ ip: IPAddress, rate: Double, burst: Double, now: Instant) -> Verdict {
    let i = place(ip.source, burst: burst, now: now)
    let elapsed = (now - buckets[i].at).seconds
    buckets[i].left = min(burst, buckets[i].left + elapsed * rate)
    buckets[i].at = now
    if buckets[i].left >= 1 {
      buckets[i].left -= 1
      return .pass
    }
    guard now - buckets[i].refusedAt >= .seconds(1 as Int64) else { return .drop }
    buckets[i].refusedAt = now
    return .refuse
  }

  /// Gives one back: its sender has proved who he is.
  mutating func refund(_ ip: IPAddress, burst: Double) {
    let source = ip.source
    guard !buckets.isEmpty, let i = find(source) else { return }
    buckets[i].left = min(burst, buckets[i].left + 1)
  }

  private func first(_ source: IPAddress) -> Int {
    var hash = (source.low ^ key.0) &* 0x9e37_79b9_7f4a_7c15
    hash = (hash ^ hash >> 32 ^ source.high ^ key.1) &* 0xbf58_476d_1ce4_e5b9
    return Int((hash >> 40) % UInt64(RequestMeter.sets)) * RequestMeter.ways
  }

  private func find(_ source: IPAddress) -> Int? {
    let start = first(source)
    for i in start..<(start + RequestMeter.ways) where buckets[i].source == source { return i }
    return nil
  }

  private mutating func place(_ source: IPAddress, burst: Double, now: Instant) -> Int {
    if buckets.isEmpty {
      buckets = Array(repeating: Bucket(), count: RequestMeter.sets * RequestMeter.ways)
    }
    if let found = find(source) { return found }
    let start = first(source)
    var oldest = start
    for i in start..<(start + RequestMeter.ways) where buckets[i].at < buckets[oldest].at { oldest = i }
    buckets[oldest] = Bucket(source: source, left: burst, at: now)
    return oldest
  }
}
