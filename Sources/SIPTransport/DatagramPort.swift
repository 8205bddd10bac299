internal import Glibc
internal import NIOCore
internal import NetCore

/// One UDP socket of one shard. NIO reads it; this writes it.
///
/// NIO closes a datagram channel when a `sendmsg` fails with anything but EMSGSIZE or EHOSTUNREACH
/// (`PendingDatagramWritesManager`), so one Via with an address that has no route would take the server off the air.
/// Writing on a duplicate of the descriptor keeps each error with its datagram, and is cheaper. Without IP_RECVERR an
/// unconnected socket never reports ICMP errors of earlier datagrams (udp(7)).
final class DatagramPort {
  enum Outcome {
    case sent
    /// The system has no room now: kept, to be tried again by `retry`.
    case queued
    case dropped
    /// This datagram cannot be sent to that address: no route, a forbidden or impossible address, too long.
    case impossible
  }

  let listener: UInt8
  let local: Endpoint
  private let descriptor: CInt
  private let queueLimit: Int
  private var queue: CircularBuffer<([UInt8], Endpoint)> = []
  /// NIO's side, replaced should it ever close.
  var channel: (any Channel)?

  /// Takes over `descriptor`.
  init(descriptor: CInt, listener: UInt8, local: Endpoint, queueLimit: Int) {
    self.descriptor = descriptor
    self.listener = listener
    self.local = local
    self.queueLimit = queueLimit
  }

  deinit { _ = Glibc.close(descriptor) }

  /// A descriptor of the same socket for NIO to read and to close; nil when the process has no more.
  func duplicate() -> CInt? {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    return copy >= 0 ? copy : nil
  }

  var isBlocked: Bool { !queue.isEmpty }

  func send(_ bytes: [UInt8], to remote: Endpoint) -> Outcome {
    guard queue.isEmpty else { return enqueue(bytes, remote) }
    let outcome = attempt(bytes, remote)
    return outcome == .queued ? enqueue(bytes, remote) : outcome
  }

  /// Sends what waits until the system is full again; those that turn out to be impossible are dropped.
  func retry() -> (sent: Int, impossible: Int) {
    var sent = 0
    var impossible = 0
    while let (bytes, remote) = queue.first {
      switch attempt(bytes, remote) {
      case .sent: sent += 1
      case .queued: return (sent, impossible)
      case .dropped, .impossible: impossible += 1
      }
      queue.removeFirst()
    }
    return (sent, impossible)
  }

  private func enqueue(_ bytes: [UInt8], _ remote: Endpoint) -> Outcome {
    guard queue.count < queueLimit else { return .dropped }
    queue.append((bytes, remote))
    return .queued
  }

  private func attempt(_ bytes: [UInt8], _ remote: Endpoint) -> Outcome {
    let descriptor = self.descriptor
    while true {
      let result = unsafe bytes.withUnsafeBytes { data in
        unsafe remote.withSocketName { name, length in
          unsafe sendto(descriptor, data.baseAddress, data.count, Int32(MSG_NOSIGNAL), name, length)
        }
      }
      if result >= 0 { return .sent }
      switch errno {
      case EINTR: continue
      case EAGAIN, ENOBUFS, ENOMEM: return .queued
      default: return .impossible
      }
    }
  }
}
