internal import NetCore

/// Where a loop's datagrams land, one after the other, before their bytes are copied out at their own length.
@safe final class DatagramBuffer {
  let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)
  let control = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)

  deinit {
    unsafe bytes.deallocate()
    unsafe control.deallocate()
  }

  func copy(_ count: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: count) { array, initialized in
      unsafe UnsafeMutableRawBufferPointer(array).copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
      initialized = count
    }
  }

  /// The destination in the control messages of a datagram. A `cmsghdr` is its length (8 octets, itself included), level
  /// and type (4 each), then data, the next one aligned to 8; an `in_pktinfo` has the address at 8, an `in6_pktinfo` at 0.
  func destination(_ family: IPAddress.Family, controlLength: Int) -> IPAddress? {
    let end = min(controlLength, unsafe control.count)
    var i = 0
    while i + 16 <= end {
      let length = unsafe Int(truncatingIfNeeded: control.load(fromByteOffset: i, as: UInt64.self))
      let level = unsafe control.load(fromByteOffset: i + 8, as: Int32.self)
      let type = unsafe control.load(fromByteOffset: i + 12, as: Int32.self)
      guard length >= 16, length <= end - i else { return nil }
      switch (family, level, type) {
      case (.v4, 0, 8) where length >= 28:
        return unsafe IPAddress(v4: UInt32(bigEndian: control.load(fromByteOffset: i + 24, as: UInt32.self)))
      case (.v6, 41, 50) where length >= 32:
        return unsafe IPAddress(
          high: UInt64(bigEndian: control.load(fromByteOffset: i + 16, as: UInt64.self)),
          low: UInt64(bigEndian: control.load(fromByteOffset: i + 24, as: UInt64.self)))
      default: i += (length + 7) & ~7
      }
    }
    return nil
  }
}
