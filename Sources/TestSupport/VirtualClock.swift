public import NetCore

/// The time of a simulation: it moves only when somebody moves it.
public final class VirtualClock {
  public private(set) var now: Instant

  /// - Parameter now: any origin; not zero, so that nothing gets by with an uninitialised time.
  public init(now: Instant = Instant(nanoseconds: 1_000_000_000_000)) { self.now = now }

  /// Never backwards.
  public func advance(to instant: Instant) { now = max(now, instant) }
  public func advance(by span: Instant.Span) { now = now + span }
}

/// A small generator with a seed (SplitMix64), so that a run can be repeated.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// True with probability `p`.
  public mutating func chance(_ p: Double) -> Bool { Double(next() >> 11) < p * Double(1 << 53) }

  /// Evenly within the range.
  public mutating func span(_ range: ClosedRange<Instant.Span>) -> Instant.Span {
    let width = UInt64(range.upperBound.nanoseconds - range.lowerBound.nanoseconds) + 1
    return Instant.Span(nanoseconds: range.lowerBound.nanoseconds + Int64(next() % width))
  }
}
