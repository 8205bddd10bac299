/// A datagram that is RTP (RFC 3550 §5.1), read and rewritten in place.
struct RTPPacket {
  let bytes: UnsafeMutableRawPointer
  let count: Int
  /// Where the payload starts: after the CSRC list and the header extension.
  let payloadOffset: Int
  /// Without padding; never negative.
  let payloadCount: Int

  static let headerSize = 12

  /// Nil for what fails the checks of RFC 3550 §A.1. RTCP types in the place of the payload type are refused (§5.1 of
  /// RFC 5761), as RTCP has a port of its own here.
  @inline(__always) init?(_ bytes: UnsafeMutableRawPointer, _ count: Int) {
    guard count >= Self.headerSize else { return nil }
    let first = bytes.load(as: UInt8.self)
    guard first >> 6 == 2 else { return nil }
    let second = bytes.load(fromByteOffset: 1, as: UInt8.self)
    if second >= 192 && second <= 223 { return nil }
    self.bytes = bytes
    self.count = count
    if first & 0x3f == 0 {
      payloadOffset = Self.headerSize
      payloadCount = count - Self.headerSize
      return
    }
    var offset = Self.headerSize + 4 * Int(first & 0x0f)
    if first & 0x10 != 0 {
      guard offset + 4 <= count else { return nil }
      let words = bytes.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self).bigEndian
      offset += 4 + 4 * Int(words)
    }
    var end = count
    if first & 0x20 != 0 {
      let padding = Int(bytes.load(fromByteOffset: count - 1, as: UInt8.self))
      guard padding > 0 else { return nil }
      end -= padding
    }
    guard offset <= end else { return nil }
    payloadOffset = offset
    payloadCount = end - offset
  }

  /// A header of our own at the start of a buffer that has room for it.
  init(writing bytes: UnsafeMutableRawPointer, payloadCount: Int) {
    self.bytes = bytes
    self.count = Self.headerSize + payloadCount
    self.payloadOffset = Self.headerSize
    self.payloadCount = payloadCount
    bytes.storeBytes(of: 0x80, as: UInt8.self)
  }

  @inline(__always) var marker: Bool { bytes.load(fromByteOffset: 1, as: UInt8.self) & 0x80 != 0 }
  @inline(__always) var payloadType: UInt8 { bytes.load(fromByteOffset: 1, as: UInt8.self) & 0x7f }
  @inline(__always) var sequence: UInt16 { bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian }
  @inline(__always) var timestamp: UInt32 { bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self).bigEndian }
  @inline(__always) var ssrc: UInt32 { bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self).bigEndian }
  @inline(__always) var payload: UnsafeMutableRawPointer { bytes + payloadOffset }

  /// Everything that a relay changes.
  @inline(__always)
  func rewrite(marker: Bool, payloadType: UInt8, sequence: UInt16, timestamp: UInt32, ssrc: UInt32) {
    bytes.storeBytes(of: payloadType | (marker ? 0x80 : 0), toByteOffset: 1, as: UInt8.self)
    bytes.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
    bytes.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
    bytes.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
  }
}
