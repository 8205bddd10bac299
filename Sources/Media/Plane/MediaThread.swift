import CNet
import Glibc
import NetCore

/// A thread of our own: RTP does not share one with anything that may block.
final class MediaThread: @unchecked Sendable {
  private var handle = pthread_t()

  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  init(name: String, _ body: @escaping @Sendable () -> Void) {
    let start = Unmanaged.passRetained(Start(name, body))
    let error = pthread_create(
      &handle, nil,
      { pointer in
        guard let pointer else { return nil }
        let start = Unmanaged<Start>.fromOpaque(pointer).takeRetainedValue()
        cnet_name_thread(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    precondition(error == 0, "pthread_create: \(String(cString: strerror(error)))")
  }

  func join() { pthread_join(handle, nil) }
}

enum MediaClock {
  static func now() -> Instant { Instant(nanoseconds: cnet_monotonic_time()) }

  /// Unix time less `now`, in nanoseconds.
  static func wallOffset() -> Int64 { cnet_wall_time() - cnet_monotonic_time() }
}
