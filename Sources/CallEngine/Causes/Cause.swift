/// Why a call ended, as ITU-T Q.850 numbers it.
public struct Cause: Hashable, Sendable {
  /// 1…127.
  public let value: UInt8

  /// Nil outside 1…127.
  public init?(_ number: Int) {
    guard number >= 1, number <= 127 else { return nil }
    value = UInt8(truncatingIfNeeded: number)
  }

  private init(value: UInt8) { self.value = value }

  public static let unallocatedNumber = Cause(value: 1)
  public static let noRouteDestination = Cause(value: 3)
  public static let normalClearing = Cause(value: 16)
  public static let userBusy = Cause(value: 17)
  public static let noUserResponse = Cause(value: 18)
  public static let noAnswer = Cause(value: 19)
  public static let subscriberAbsent = Cause(value: 20)
  public static let callRejected = Cause(value: 21)
  public static let redirection = Cause(value: 23)
  public static let exchangeRoutingError = Cause(value: 25)
  public static let normalUnspecified = Cause(value: 31)
  public static let noCircuitAvailable = Cause(value: 34)
  public static let networkOutOfOrder = Cause(value: 38)
  public static let temporaryFailure = Cause(value: 41)
  public static let switchCongestion = Cause(value: 42)
  public static let incompatibleDestination = Cause(value: 88)
  public static let recoveryOnTimerExpiry = Cause(value: 102)
  public static let protocolError = Cause(value: 111)
  public static let interworking = Cause(value: 127)

  /// The name that a dialplan uses: `USER_BUSY`. A number that Q.850 does not define is `CAUSE_` and the number.
  public var name: String { CauseNames.entry(value)?.name ?? "CAUSE_\(value)" }
  /// Q.850's own words: `User busy`.
  public var text: String { CauseNames.entry(value)?.text ?? "Cause \(value)" }

  /// By its name in any case; nil for one that does not exist (see `nearestName`).
  public init?(name: String) {
    let wanted = name.uppercased()
    if let entry = CauseNames.all.first(where: { $0.name == wanted }) ?? CauseNames.aliases[wanted] {
      self.init(value: entry.value)
      return
    }
    guard wanted.hasPrefix("CAUSE_"), let number = Int(wanted.dropFirst(6)) else { return nil }
    self.init(number)
  }

  /// The known name that a misspelt one is nearest to; nil where none is near enough to be meant.
  public static func nearestName(to name: String) -> String? {
    nearest(name.uppercased(), among: CauseNames.all.lazy.map(\.name))
  }
}

extension Cause: CustomStringConvertible {
  public var description: String { "\(value) \(name)" }
}

/// The candidate with the fewest edits away from `word`, if that is at most a third of its letters. Case matters.
public func nearest(_ word: String, among candidates: some Sequence<String>) -> String? {
  let letters = Array(word.utf8.prefix(64))
  var best: String?
  var bestDistance = max(1, letters.count / 3) + 1
  for candidate in candidates {
    let distance = editDistance(letters, Array(candidate.utf8.prefix(64)))
    if distance < bestDistance {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    row.reserveCapacity(b.count + 1)
    for j in b.indices {
      var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
      row.append(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.count]
}
