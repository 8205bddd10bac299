internal import Glibc
internal import NetCore

/// A socket that is bound before any loop runs, so that a bad address stops the start with one clear error and the
/// drivers are made knowing their ports. Closes what it still holds.
struct BoundSocket: ~Copyable {
  let descriptor: CInt
  /// With the port that was really bound.
  let address: ListenAddress

  /// Binds for UDP (`sharing`: SO_REUSEPORT, one socket a shard), or binds and listens for a stream transport.
  init(_ wanted: ListenAddress, sharing: Bool = false, datagrams: DatagramOptions, backlog: Int32)
    throws(TransportError)
  {
    let isDatagram = !wanted.transport.isReliable
    let family = wanted.endpoint.ip.family == .v4 ? AF_INET : AF_INET6
    let kind = Int32((isDatagram ? SOCK_DGRAM : SOCK_STREAM).rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let made = socket(family, kind | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard made >= 0 else { throw TransportError.system("open", wanted) }
    // A throwing init of a ~Copyable type does not run deinit: close by hand.
    func give(_ doing: String) -> TransportError {
      let error = TransportError.system(doing, wanted)
      _ = Glibc.close(made)
      return error
    }
    // So that `0.0.0.0:5060` and `[::]:5060` can both be listed.
    if family == AF_INET6 { Self.set(made, IPPROTO_IPV6.asInt32, IPV6_V6ONLY, 1) }
    if isDatagram {
      Self.set(made, SOL_SOCKET, SO_RCVBUF, Int32(clamping: datagrams.receiveBuffer))
      Self.set(made, SOL_SOCKET, SO_SNDBUF, Int32(clamping: datagrams.sendBuffer))
      // As root, past the system's limit.
      Self.set(made, SOL_SOCKET, SO_RCVBUFFORCE, Int32(clamping: datagrams.receiveBuffer))
      if sharing { Self.set(made, SOL_SOCKET, SO_REUSEPORT, 1) }
    } else {
      Self.set(made, SOL_SOCKET, SO_REUSEADDR, 1)
    }
    guard unsafe wanted.endpoint.withSocketName({ unsafe bind(made, $0, $1) }) == 0 else { throw give("listen on") }
    if !isDatagram {
      guard Glibc.listen(made, backlog) == 0 else { throw give("listen on") }
    }
    guard let bound = Endpoint(localNameOf: made) else { throw give("listen on") }
    descriptor = made
    address = ListenAddress(wanted.transport, bound)
  }

  deinit { _ = Glibc.close(descriptor) }

  /// Gives the descriptor away: it is the caller's to close.
  consuming func release() -> CInt {
    let descriptor = self.descriptor
    discard self
    return descriptor
  }

  private static func set(_ descriptor: CInt, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    _ = unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}

extension Int {
  fileprivate var asInt32: Int32 { Int32(truncatingIfNeeded: self) }
}
