// Copies without the generic machinery of `append(contentsOf:)`, which costs many times the octets of a header.
extension OutputSpan where Element == UInt8 {
  @inline(__always) mutating func append(octets: Span<UInt8>) {
    unsafe octets.withUnsafeBytes { unsafe append(raw: $0) }
  }

  @inline(__always) mutating func append(_ text: StaticString) {
    unsafe append(raw: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  @inline(__always) private mutating func append(raw: UnsafeRawBufferPointer) {
    precondition(raw.count <= freeCapacity)
    unsafe withUnsafeMutableBufferPointer { target, count in
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(target)[count...])
      unsafe rest.copyMemory(from: raw)
      count &+= raw.count
    }
  }

  @inline(__always) mutating func appendLineEnd() {
    append(0x0d)
    append(0x0a)
  }

  /// Decimal; takes up to 20 octets.
  mutating func append(number: UInt64) {
    var rest = number
    var digits = InlineArray<20, UInt8>(repeating: 0)
    var k = 20
    repeat {
      k &-= 1
      digits[k] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while rest > 0
    while k < 20 {
      append(digits[k])
      k &+= 1
    }
  }
}

extension [UInt8] {
  mutating func append(octets: Span<UInt8>) {
    append(addingCapacity: octets.count) { $0.append(octets: octets) }
  }
}
