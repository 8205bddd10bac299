/// ITU-T G.711. Samples are 16 bits wide, as everywhere else; the laws use the upper 14 and 13.
enum G711 {
  static let silence: (pcmu: UInt8, pcma: UInt8) = (0xff, 0xd5)

  static func silenceByte(_ law: G711Law) -> UInt8 { law == .pcmu ? silence.pcmu : silence.pcma }

  static func encode(_ sample: Int16, _ law: G711Law) -> UInt8 {
    law == .pcmu ? encodeMu(sample) : encodeA(sample)
  }

  static func decode(_ byte: UInt8, _ law: G711Law) -> Int16 { law == .pcmu ? decodeMu(byte) : decodeA(byte) }

  static func encodeMu(_ sample: Int16) -> UInt8 {
    let bias = 132
    let sign: UInt8 = sample < 0 ? 0x80 : 0
    let magnitude = min(Int(sample.magnitude), 32635) + bias
    // The segment is the place of the highest bit; 132 puts it at bit 7 or above.
    let segment = Int.bitWidth - 1 - magnitude.leadingZeroBitCount - 7
    let mantissa = (magnitude >> (segment + 3)) & 0x0f
    return ~(sign | UInt8(segment << 4) | UInt8(mantissa))
  }

  static func decodeMu(_ byte: UInt8) -> Int16 {
    let bits = ~byte
    let segment = Int(bits >> 4) & 7
    let magnitude = ((Int(bits & 0x0f) << 3 + 132) << segment) - 132
    return Int16(bits & 0x80 != 0 ? -magnitude : magnitude)
  }

  static func encodeA(_ sample: Int16) -> UInt8 {
    let sign: UInt8 = sample >= 0 ? 0x80 : 0
    let magnitude = sample >= 0 ? Int(sample) : -(Int(sample) + 1)
    let value: UInt8
    if magnitude < 256 {
      value = UInt8(magnitude >> 4)
    } else {
      let segment = Int.bitWidth - 1 - magnitude.leadingZeroBitCount - 7
      value = UInt8(segment << 4) | UInt8((magnitude >> (segment + 3)) & 0x0f)
    }
    return (value | sign) ^ 0x55
  }

  static func decodeA(_ byte: UInt8) -> Int16 {
    let bits = byte ^ 0x55
    let segment = Int(bits >> 4) & 7
    var magnitude = Int(bits & 0x0f) << 4 + 8
    if segment > 0 { magnitude = (magnitude + 256) << (segment - 1) }
    return Int16(bits & 0x80 != 0 ? magnitude : -magnitude)
  }

  /// Absolute values of all codes, first µ-law's 256, then A-law's.
  private static let magnitudes: [UInt16] =
    (0...255).map { decodeMu($0).magnitude } + (0...255).map { decodeA($0).magnitude }

  /// Mean absolute value below which a packet counts as silence: −55 dBm0, under which lies the noise of a quiet line.
  static let silenceThreshold = 40

  static func isSilent(_ payload: UnsafeRawBufferPointer, _ law: G711Law) -> Bool {
    guard !payload.isEmpty else { return true }
    let base = law == .pcmu ? 0 : 256
    let sum = magnitudes.withUnsafeBufferPointer { table in
      payload.reduce(0) { $0 &+ Int(table[base + Int($1)]) }
    }
    return sum < silenceThreshold &* payload.count
  }
}
