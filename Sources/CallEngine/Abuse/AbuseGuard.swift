public import NetCore
internal import Synchronization

/// Who guesses passwords, over all shards: wrong credentials add up by source and are forgotten with time; too many, and
/// nothing is read from there for a while.
///
/// Phones behind one NAT share an address, and one of them may have a wrong password for days. So each user who proves
/// his password from there lifts what the source may get wrong by two: he is told by one of 64 bits, so whoever has an
/// account of his own gains no more than that by it.
///
/// A failure counts only where the nonce was made for that very source (`NonceMint`), which a sender of forged addresses
/// never sees: nobody can have another one banned.
public final class AbuseGuard: Sendable {
  public let bans = SourceBans()
  private let banned = Atomic<Int>(0)
  private let refused = Atomic<Int>(0)
  private let dropped = Atomic<Int>(0)

  /// Sources under suspicion; the one with the oldest failure goes first.
  static let capacity = 4096

  private struct Suspect {
    var failures: Double
    var at: Instant
    /// A bit for each user who has proved his password meanwhile.
    var users: UInt64 = 0
  }

  private let suspects = Mutex<[IPAddress: Suspect]>([:])
  private let isQuiet = Atomic<Bool>(true)

  public init() {}

  /// Since the start: bans; requests of strangers past the limit, answered 503 or dropped.
  public var counts: (bans: Int, refused: Int, dropped: Int) {
    (banned.load(ordering: .relaxed), refused.load(ordering: .relaxed), dropped.load(ordering: .relaxed))
  }

  func count(dropped isDropped: Bool) {
    if isDropped {
      dropped.wrappingAdd(1, ordering: .relaxed)
    } else {
      refused.wrappingAdd(1, ordering: .relaxed)
    }
  }

  /// Wrong credentials from `ip`.
  /// - Returns: true where this was the one too many, and the source is banned from now on.
  func failed(_ ip: IPAddress, _ settings: AbuseSettings, now: Instant, wallMilliseconds: Int64) -> Bool {
    guard settings.banFailures > 0, !settings.neverBanned.contains(where: { $0.contains(ip.unmapped) }) else {
      return false
    }
    let source = ip.source
    let isTooMany = suspects.withLock { suspects in
      if suspects.count >= AbuseGuard.capacity, suspects[source] == nil,
        let oldest = suspects.min(by: { $0.value.at < $1.value.at })
      {
        suspects[oldest.key] = nil
      }
      var one = suspects[source] ?? Suspect(failures: 0, at: now)
      let forgotten = (now - one.at).seconds * Double(settings.banFailures) / max(1, settings.banWindow.seconds)
      one.failures = max(0, one.failures - forgotten) + 1
      if one.failures <= 1 { one.users = 0 }
      one.at = now
      // Rounded, as the time between two has forgotten a little.
      let isTooMany = Int(one.failures.rounded()) >= settings.banFailures + 2 * one.users.nonzeroBitCount
      suspects[source] = isTooMany ? nil : one
      isQuiet.store(suspects.isEmpty, ordering: .relaxed)
      return isTooMany
    }
    guard isTooMany else { return false }
    bans.add(source, until: now + settings.banDuration, sinceMilliseconds: wallMilliseconds, now: now)
    banned.wrappingAdd(1, ordering: .relaxed)
    return true
  }

  /// A user has proved his password from `ip`: one relaxed load where nobody is under suspicion.
  func succeeded(_ ip: IPAddress, user: [UInt8]) {
    guard !isQuiet.load(ordering: .relaxed) else { return }
    let source = ip.source
    suspects.withLock { suspects in
      guard suspects[source] != nil else { return }
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      for octet in user { hash = (hash ^ UInt64(octet)) &* 0x0000_0100_0000_01b3 }
      hash = (hash ^ hash >> 32) &* 0xbf58_476d_1ce4_e5b9
      suspects[source]?.users |= 1 << (hash >> 58)
    }
  }
}
