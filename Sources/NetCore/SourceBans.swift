internal import Synchronization

extension IPAddress {
  /// What limits and bans go by: an IPv4 address, or the /64 of an IPv6 one, as whoever has one address of it has all.
  public var source: IPAddress {
    guard family == .v6 else { return self }
    let plain = unmapped
    return plain.family == .v4 ? plain : IPAddress(high: high, low: 0)
  }
}

/// Sources of which nothing is read for a time. One for all shards, asked once for each datagram and stream message
/// before it is parsed: a relaxed load as long as nobody is banned.
public final class SourceBans: Sendable {
  public struct Ban: Sendable, Equatable {
    public var source: IPAddress
    public var until: Instant
    /// As on the system's clock, for people: milliseconds since 1970.
    public var sinceMilliseconds: Int64
  }

  /// More sources are not kept; who comes later finds the one that ends first gone.
  public static let capacity = 65_536

  private let count = Atomic<Int>(0)
  private let bans = Mutex<[IPAddress: Ban]>([:])

  public init() {}

  public var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

  /// An expired ban is forgotten when it is next asked for.
  public func holds(_ ip: IPAddress, now: Instant) -> Bool {
    guard !isEmpty else { return false }
    let source = ip.source
    return bans.withLock { bans in
      guard let ban = bans[source] else { return false }
      if ban.until > now { return true }
      bans[source] = nil
      count.store(bans.count, ordering: .relaxed)
      return false
    }
  }

  public func add(_ ip: IPAddress, until: Instant, sinceMilliseconds: Int64, now: Instant) {
    let source = ip.source
    bans.withLock { bans in
      if bans.count >= SourceBans.capacity, bans[source] == nil {
        bans = bans.filter { $0.value.until > now }
        if bans.count >= SourceBans.capacity, let first = bans.min(by: { $0.value.until < $1.value.until }) {
          bans[first.key] = nil
        }
      }
      bans[source] = Ban(source: source, until: until, sinceMilliseconds: sinceMilliseconds)
      count.store(bans.count, ordering: .relaxed)
    }
  }

  /// - Returns: whether there was one.
  @discardableResult
  public func remove(_ ip: IPAddress) -> Bool {
    let source = ip.source
    return bans.withLock { bans in
      let was = bans.removeValue(forKey: source) != nil
      count.store(bans.count, ordering: .relaxed)
      return was
    }
  }

  /// Ends those that `isGone` says yes to; how many they were.
  @discardableResult
  public func removeAll(where isGone: (IPAddress) -> Bool = { _ in true }) -> Int {
    bans.withLock { bans in
      let before = bans.count
      bans = bans.filter { !isGone($0.key) }
      count.store(bans.count, ordering: .relaxed)
      return before - bans.count
    }
  }

  /// Those that hold, the one that ends first in front.
  public func list(now: Instant) -> [Ban] {
    bans.withLock { bans in bans.values.filter { $0.until > now } }.sorted { $0.until < $1.until }
  }
}
