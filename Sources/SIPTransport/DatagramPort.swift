internal import Glibc
internal import NIOCore
internal import NetCore

/// One UDP socket of one shard, read and written with system calls of our own on a duplicate of NIO's descriptor.
///
/// Written: NIO closes a datagram channel when a `sendmsg` fails with anything but EMSGSIZE or EHOSTUNREACH
/// (`PendingDatagramWritesManager`), so one Via with an address that has no route would take the server off the air.
/// Here each error stays with its datagram. Without IP_RECVERR an unconnected socket never reports the ICMP errors of
/// earlier datagrams (udp(7)).
///
/// Read: NIO makes text of every peer's address (`SocketAddress`) and allocates for it, a third of its cost a datagram.
/// So NIO reads the first datagram of a wake, which is how the loop learns of it, and this the rest.
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

  // MARK: In

  /// A datagram with its sender and, on a wildcard address, the address that it was sent to.
  struct Datagram {
    var bytes: [UInt8]
    var remote: Endpoint
    var destination: IPAddress?
  }

  /// Listens on every address of its family: only the kernel knows which one a datagram was for.
  var isWildcard: Bool { local.ip.isUnspecified }

  /// The next datagram that waits; nil when none does.
  func receive(_ buffer: DatagramBuffer) -> Datagram? {
    while true {
      var remote: Endpoint?
      var destination: IPAddress?
      let count = isWildcard ? receiveMessage(buffer, &remote, &destination) : receiveFrom(buffer, &remote)
      if count >= 0, let remote {
        return Datagram(bytes: buffer.copy(count), remote: remote, destination: destination)
      }
      guard count < 0, errno == EINTR || errno == ECONNREFUSED else { return nil }
    }
  }

  private func receiveFrom(_ buffer: DatagramBuffer, _ remote: inout Endpoint?) -> Int {
    let descriptor = self.descriptor
    return unsafe Endpoint.fromSocketName(&remote) { name, length in
      unsafe recvfrom(descriptor, buffer.bytes.baseAddress, buffer.bytes.count, 0, name, &length)
    }
  }

  /// recvmsg(2) with IP_PKTINFO or IPV6_PKTINFO, which NIO has switched on (`receivePacketInfo`).
  private func receiveMessage(
    _ buffer: DatagramBuffer, _ remote: inout Endpoint?, _ destination: inout IPAddress?
  ) -> Int {
    let descriptor = self.descriptor
    let family = local.ip.family
    var found: IPAddress?
    let count = unsafe Endpoint.fromSocketName(&remote) { name, length in
      var data = unsafe iovec(iov_base: buffer.bytes.baseAddress, iov_len: buffer.bytes.count)
      return unsafe withUnsafeMutablePointer(to: &data) { data in
        var header = unsafe msghdr()
        unsafe header.msg_name = UnsafeMutableRawPointer(name)
        unsafe header.msg_namelen = length
        unsafe header.msg_iov = data
        unsafe header.msg_iovlen = 1
        unsafe header.msg_control = buffer.control.baseAddress
        unsafe header.msg_controllen = buffer.control.count
        let count = unsafe recvmsg(descriptor, &header, 0)
        unsafe length = header.msg_namelen
        if count >= 0 { found = unsafe buffer.destination(family, controlLength: Int(header.msg_controllen)) }
        return count
      }
    }
    destination = found
    return count
  }

  // MARK: Out

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

