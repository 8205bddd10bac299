/// A point on a monotonic clock, in nanoseconds since an arbitrary origin. Tests make their own; the server reads
/// `CLOCK_MONOTONIC` once an input.
public struct Instant: Hashable, Comparable, Sendable {
  public var nanoseconds: Int64

  @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public static let zero = Instant(nanoseconds: 0)
  public static let distantFuture = Instant(nanoseconds: .max)

  @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
  @inlinable public static func + (a: Instant, d: Span) -> Instant {
    Instant(nanoseconds: a.nanoseconds &+ d.nanoseconds)
  }
  @inlinable public static func - (a: Instant, b: Instant) -> Span { Span(nanoseconds: a.nanoseconds &- b.nanoseconds) }

  /// A length of time in nanoseconds; 64 bits, as `Swift.Duration` costs 128-bit arithmetic on every timer.
  public struct Span: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64
    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public static let zero = Span(nanoseconds: 0)
    @inlinable public static func milliseconds(_ n: Int64) -> Span { Span(nanoseconds: n &* 1_000_000) }
    @inlinable public static func seconds(_ n: Int64) -> Span { Span(nanoseconds: n &* 1_000_000_000) }
    /// Clamped to ±292 years; a NaN is zero.
    @_disfavoredOverload
    public static func seconds(_ n: Double) -> Span {
      guard n == n else { return .zero }
      let clamped = min(max(n, -9.2e9), 9.2e9)
      return Span(nanoseconds: Int64(clamped * 1_000_000_000))
    }
    @inlinable public var seconds: Double { Double(nanoseconds) / 1_000_000_000 }
    @inlinable public var milliseconds: Int64 { nanoseconds / 1_000_000 }
    @inlinable public static func < (a: Span, b: Span) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func + (a: Span, b: Span) -> Span { Span(nanoseconds: a.nanoseconds &+ b.nanoseconds) }
    @inlinable public static func - (a: Span, b: Span) -> Span { Span(nanoseconds: a.nanoseconds &- b.nanoseconds) }
    @inlinable public static func * (a: Span, n: Int64) -> Span { Span(nanoseconds: a.nanoseconds &* n) }
  }
}
