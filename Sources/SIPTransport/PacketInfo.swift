internal import Glibc
internal import NetCore

// A wildcard socket tells and is told which of its addresses is meant by control messages: IP_PKTINFO (ip(7)) and
// IPV6_PKTINFO (RFC 3542 §6). A `cmsghdr` is its length (8 octets, itself included), level and type (4 each), then
// data; the next one is aligned to 8. An `in_pktinfo` is an interface, the local address at 4, the destination at 8;
// an `in6_pktinfo` is the address, then an interface.

private enum PacketInfo {
  static let v4 = (level: Int32(0), type: Int32(8))
  static let v6 = (level: Int32(41), type: Int32(50))

  /// The destination of a datagram that was received.
  @unsafe static func destination(_ family: IPAddress.Family, _ control: UnsafeRawBufferPointer) -> IPAddress? {
    var i = 0
    while i + 16 <= control.count {
      let length = unsafe Int(truncatingIfNeeded: control.load(fromByteOffset: i, as: UInt64.self))
      let level = unsafe control.load(fromByteOffset: i + 8, as: Int32.self)
      let type = unsafe control.load(fromByteOffset: i + 12, as: Int32.self)
      guard length >= 16, length <= control.count - i else { return nil }
      switch family {
      case .v4 where (level, type) == v4 && length >= 28:
        return unsafe IPAddress(v4: UInt32(bigEndian: control.load(fromByteOffset: i + 24, as: UInt32.self)))
      case .v6 where (level, type) == v6 && length >= 32:
        return unsafe IPAddress(
          high: UInt64(bigEndian: control.load(fromByteOffset: i + 16, as: UInt64.self)),
          low: UInt64(bigEndian: control.load(fromByteOffset: i + 24, as: UInt64.self)))
      case .v4, .v6: i += (length + 7) & ~7
      }
    }
    return nil
  }

  /// Writes the control message that has a datagram sent from `source`; how many octets of `control` it takes.
  @unsafe static func write(_ source: IPAddress, into control: UnsafeMutableRawBufferPointer) -> Int {
    func head(_ length: Int, _ kind: (level: Int32, type: Int32)) {
      unsafe control.storeBytes(of: UInt64(length), as: UInt64.self)
      unsafe control.storeBytes(of: kind.level, toByteOffset: 8, as: Int32.self)
      unsafe control.storeBytes(of: kind.type, toByteOffset: 12, as: Int32.self)
    }
    switch source.family {
    case .v4:
      head(28, v4)
      unsafe control.storeBytes(of: 0, toByteOffset: 16, as: UInt32.self)
      let address = UInt32(truncatingIfNeeded: source.low).bigEndian
      unsafe control.storeBytes(of: address, toByteOffset: 20, as: UInt32.self)
      unsafe control.storeBytes(of: 0, toByteOffset: 24, as: UInt64.self)
      return 32
    case .v6:
      head(36, v6)
      unsafe control.storeBytes(of: source.high.bigEndian, toByteOffset: 16, as: UInt64.self)
      unsafe control.storeBytes(of: source.low.bigEndian, toByteOffset: 24, as: UInt64.self)
      unsafe control.storeBytes(of: 0, toByteOffset: 32, as: UInt64.self)
      return 40
    }
  }
}

extension DatagramPort {
  /// recvmsg(2), with the address that the datagram was sent to; NIO has asked for it (`receivePacketInfo`).
  func receiveMessage(
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
        if count >= 0 {
          let size = unsafe min(Int(header.msg_controllen), buffer.control.count)
          found = unsafe PacketInfo.destination(family, UnsafeRawBufferPointer(rebasing: buffer.control[..<size]))
        }
        return count
      }
    }
    destination = found
    return count
  }

  /// sendmsg(2) from one of the socket's addresses.
  func sendMessage(_ bytes: [UInt8], _ remote: Endpoint, _ source: IPAddress) -> Int {
    let descriptor = self.descriptor
    var control: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
    return unsafe withUnsafeMutableBytes(of: &control) { control in
      let size = unsafe PacketInfo.write(source, into: control)
      return unsafe bytes.withUnsafeBytes { payload in
        unsafe remote.withSocketName { name, length in
          var data = unsafe iovec(
            iov_base: UnsafeMutableRawPointer(mutating: payload.baseAddress), iov_len: payload.count)
          return unsafe withUnsafeMutablePointer(to: &data) { data in
            var header = unsafe msghdr()
            unsafe header.msg_name = UnsafeMutableRawPointer(mutating: name)
            unsafe header.msg_namelen = length
            unsafe header.msg_iov = data
            unsafe header.msg_iovlen = 1
            unsafe header.msg_control = control.baseAddress
            unsafe header.msg_controllen = size
            return unsafe sendmsg(descriptor, &header, Int32(MSG_NOSIGNAL))
          }
        }
      }
    }
  }
}
