/// The known name that a misspelt one most likely meant.
public enum NearestName {
  /// - Returns: nil when nothing is near: more than a third of the letters would have to change.
  public static func of(_ name: String, among known: some Sequence<String>) -> String? {
    // A key is short; this bounds the work for a value somebody pasted.
    guard name.count <= 64 else { return nil }
    let wanted = Array(name.lowercased())
    var best: (name: String, distance: Int)?
    for candidate in known {
      let distance = distance(wanted, Array(candidate.lowercased()))
      let limit = max(1, max(wanted.count, candidate.count) / 3)
      if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
  }

  /// Insertions, deletions, changes and swaps of neighbours (optimal string alignment).
  private static func distance(_ a: [Character], _ b: [Character]) -> Int {
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in 1...a.count {
      var row = [i]
      for j in 1...b.count {
        let changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
        var cost = min(changed, last[j] + 1, row[j - 1] + 1)
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { cost = min(cost, before[j - 2] + 1) }
        row.append(cost)
      }
      before = last
      last = row
    }
    return last[b.count]
  }
}
