import NetCore

/// Whether a trunk answers: an OPTIONS now and then (RFC 3261 §11). Any answer but 408 and 503 is one. Down after several
/// misses in a row, up again with the first answer. Without I/O and clock.
struct PingMachine {
  private(set) var isUp = true
  private var misses = 0

  /// How long an answer may take. Within it the transaction has sent the OPTIONS four times over UDP.
  static let patience = Instant.Span.seconds(4 as Int64)
  /// A trunk that missed one is asked again soon, as long as it is not down.
  private static let again = Instant.Span.seconds(5 as Int64)

  struct Verdict: Equatable {
    /// Nil: it stays as it was.
    var change: Bool?
    var next: Instant.Span
  }

  /// - Parameter status: nil where no answer came in time.
  mutating func result(_ status: Int?, plan: TrunkPlan) -> Verdict {
    let missed = status == nil || status == 408 || status == 503
    guard missed else {
      misses = 0
      let change = !isUp
      isUp = true
      return Verdict(change: change ? true : nil, next: plan.ping)
    }
    misses += 1
    if isUp, misses >= plan.downAfter {
      isUp = false
      return Verdict(change: false, next: plan.ping)
    }
    return Verdict(change: nil, next: isUp ? min(plan.ping, PingMachine.again) : plan.ping)
  }
}
