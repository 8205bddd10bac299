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
}
