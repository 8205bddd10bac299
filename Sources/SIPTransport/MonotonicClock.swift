internal import Glibc
public import NIOCore
public import NetCore

extension Instant {
  /// `CLOCK_MONOTONIC` now. NIO's `NIODeadline` counts the same clock, so the two convert without an offset.
  public static var now: Instant {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
  }

  /// The same point of time for NIO; a time before the clock's origin is the origin.
  public var deadline: NIODeadline { .uptimeNanoseconds(UInt64(max(0, nanoseconds))) }
}
