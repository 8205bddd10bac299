import Foundation
import Glibc

/// Tells systemd how the daemon stands (sd_notify(3), `Type=notify` or `notify-reload`). Without `$NOTIFY_SOCKET` it
/// does nothing; a socket that is gone is nobody's concern.
public struct SystemdNotifier: Sendable {
  private let socket: String?

  public init() { self.init(socket: ProcessInfo.processInfo.environment["NOTIFY_SOCKET"]) }

  /// - Parameter socket: As `$NOTIFY_SOCKET`: a path, or an abstract name after `@`.
  public init(socket: String?) {
    self.socket = socket.flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
  }

  public func ready(status: String? = nil) { notify(["READY=1"] + line(status)) }

  /// To be followed by `ready` when the reload has ended, either way.
  public func reloading() {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    notify(["RELOADING=1", "MONOTONIC_USEC=\(Int64(now.tv_sec) &* 1_000_000 &+ Int64(now.tv_nsec) / 1000)"])
  }

  public func stopping(status: String? = nil) { notify(["STOPPING=1"] + line(status)) }

  /// One line of prose for `systemctl status`.
  public func status(_ text: String) { notify(line(text)) }

  private func line(_ status: String?) -> [String] {
    status.map { ["STATUS=" + $0.replacing("\n", with: " ")] } ?? []
  }

  private func notify(_ lines: [String]) {
    guard let socket else { return }
    try? UnixSocket.send(Array(lines.joined(separator: "\n").utf8), toDatagramSocket: socket)
  }
}
