internal import Glibc
internal import NIOCore
internal import NetCore

// `sockaddr_in` and `sockaddr_in6` are read and written by offset (ip(7), ipv6(7)): family 0…1, port 2…3, an IPv4
// address 4…7, an IPv6 address 8…23, the last three in network order. Their members belong to a C module that NIO does
// not export.

extension Endpoint {
  /// Nil for a Unix domain socket. A zone (RFC 4007) is lost.
  init?(_ address: SocketAddress) {
    switch address {
    case .v4(let v4):
      var name = v4.address
      self = unsafe withUnsafeBytes(of: &name) { unsafe Endpoint(v4Name: $0) }
    case .v6(let v6):
      var name = v6.address
      self = unsafe withUnsafeBytes(of: &name) { unsafe Endpoint(v6Name: $0) }
    case .unixDomainSocket: return nil
    }
  }

  @unsafe fileprivate init(v4Name name: UnsafeRawBufferPointer) {
    self = unsafe Endpoint(
      IPAddress(v4: UInt32(bigEndian: name.load(fromByteOffset: 4, as: UInt32.self))),
      UInt16(bigEndian: name.load(fromByteOffset: 2, as: UInt16.self)))
  }

  @unsafe fileprivate init(v6Name name: UnsafeRawBufferPointer) {
    self = unsafe Endpoint(
      IPAddress(
        high: UInt64(bigEndian: name.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
        low: UInt64(bigEndian: name.loadUnaligned(fromByteOffset: 16, as: UInt64.self))),
      UInt16(bigEndian: name.load(fromByteOffset: 2, as: UInt16.self)))
  }

  /// The local name of a socket; nil when the system does not say or it is neither IPv4 nor IPv6.
  init?(localNameOf descriptor: CInt) {
    var name = SocketName.empty
    var length = socklen_t(MemoryLayout<SocketName.Storage>.size)
    let found = unsafe withUnsafeMutableBytes(of: &name) { bytes -> Endpoint? in
      guard unsafe getsockname(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length) == 0
      else { return nil }
      switch unsafe Int32(bytes.load(as: UInt16.self)) {
      case AF_INET: return unsafe Endpoint(v4Name: UnsafeRawBufferPointer(bytes))
      case AF_INET6: return unsafe Endpoint(v6Name: UnsafeRawBufferPointer(bytes))
      default: return nil
      }
    }
    guard let found else { return nil }
    self = found
  }

  /// Runs a system call that fills in a peer's name (recvfrom, recvmsg), and says whose it was.
  static func fromSocketName<R>(
    _ remote: inout Endpoint?, _ body: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> R
  ) -> R {
    var name = SocketName.empty
    var length = socklen_t(MemoryLayout<SocketName.Storage>.size)
    return unsafe withUnsafeMutableBytes(of: &name) { bytes in
      let result = unsafe body(bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
      switch unsafe Int32(bytes.load(as: UInt16.self)) {
      case AF_INET: remote = unsafe Endpoint(v4Name: UnsafeRawBufferPointer(bytes))
      case AF_INET6: remote = unsafe Endpoint(v6Name: UnsafeRawBufferPointer(bytes))
      default: remote = nil
      }
      return result
    }
  }

  /// The `sockaddr` of this endpoint, for the length of one system call.
  func withSocketName<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var name = SocketName.empty
    let length = unsafe withUnsafeMutableBytes(of: &name) { bytes -> Int in
      unsafe bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
      switch ip.family {
      case .v4:
        unsafe bytes.storeBytes(of: UInt16(AF_INET), as: UInt16.self)
        unsafe bytes.storeBytes(of: UInt32(truncatingIfNeeded: ip.low).bigEndian, toByteOffset: 4, as: UInt32.self)
        return 16
      case .v6:
        unsafe bytes.storeBytes(of: UInt16(AF_INET6), as: UInt16.self)
        unsafe bytes.storeBytes(of: ip.high.bigEndian, toByteOffset: 8, as: UInt64.self)
        unsafe bytes.storeBytes(of: ip.low.bigEndian, toByteOffset: 16, as: UInt64.self)
        return 28
      }
    }
    return unsafe withUnsafeBytes(of: &name) { bytes in
      unsafe body(bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(length))
    }
  }

  /// For NIO's bootstraps; not on a message's way, as it allocates.
  var socketAddress: SocketAddress? { try? SocketAddress(ipAddress: ip.description, port: Int(port)) }
}

private enum SocketName {
  /// Room for a `sockaddr_in6`, aligned.
  typealias Storage = (UInt64, UInt64, UInt64, UInt64)
  static var empty: Storage { (0, 0, 0, 0) }
}
