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
///
/// What a batch of inputs has to send leaves in one go at its end: a peer that sleeps is woken by the first datagram and
/// finds the others, where datagrams that trickle would wake it for each (measured: half of a send is that wake).
final class DatagramPort {
  /// What `flush` came to.
  struct Flushed {
    var sent = 0
    /// Flows of datagrams that cannot be sent to their address: no route, a forbidden or impossible address, too long.
    var impossible: [Flow] = []
  }

  let listener: UInt8
  let local: Endpoint
  let descriptor: CInt
  private let queueLimit: Int
  private var queue: CircularBuffer<Waiting> = []
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

  // MARK: Out

  private struct Waiting {
    var bytes: [UInt8]
    var flow: Flow
  }
  private enum Outcome { case sent, noRoom, impossible }

  /// The system had no room for the first that waits.
  private(set) var isBlocked = false
  /// As many as the system's buffer surely holds wait for `flush`.
  var isFull: Bool { !isBlocked && queue.count >= 64 }

  /// Keeps a datagram for `flush`; false: too many wait, it is dropped. `flow.local`: the address to send from where this
  /// port has more than one. An answer comes from the address that the request went to (RFC 3581 §4), or no NAT lets it
  /// through.
  func stage(_ bytes: [UInt8], _ flow: Flow) -> Bool {
    guard queue.count < queueLimit else { return false }
    queue.append(Waiting(bytes: bytes, flow: flow))
    return true
  }

  /// Sends what waits, in order, until the system is full.
  func flush() -> Flushed {
    var flushed = Flushed()
    isBlocked = false
    while let waiting = queue.first {
      switch attempt(waiting) {
      case .sent: flushed.sent += 1
      case .noRoom:
        isBlocked = true
        return flushed
      case .impossible: flushed.impossible.append(waiting.flow)
      }
      queue.removeFirst()
    }
    return flushed
  }

  private func attempt(_ waiting: Waiting) -> Outcome {
    let wanted = waiting.flow.local.ip
    var source = isWildcard && wanted.family == local.ip.family && !wanted.isUnspecified ? wanted : nil
    while true {
      let result =
        if let source {
          sendMessage(waiting.bytes, waiting.flow.remote, source)
        } else {
          sendTo(waiting.bytes, waiting.flow.remote)
        }
      if result >= 0 { return .sent }
      switch errno {
      case EINTR: continue
      case EAGAIN, ENOBUFS, ENOMEM: return .noRoom
      // Not an address of this machine (any more): the system chooses.
      case EINVAL where source != nil, ENETUNREACH where source != nil: source = nil
      default: return .impossible
      }
    }
  }

  private func sendTo(_ bytes: [UInt8], _ remote: Endpoint) -> Int {
    let descriptor = self.descriptor
    return unsafe bytes.withUnsafeBytes { data in
      unsafe remote.withSocketName { name, length in
        unsafe sendto(descriptor, data.baseAddress, data.count, Int32(MSG_NOSIGNAL), name, length)
      }
    }
  }
}
