extension Codec {
  /// True where both ends would understand the same packets, whatever numbers they use: same encoding, clock and
  /// channels, and no difference in the parameters that change the bit stream.
  public func isSameFormat(as other: Codec) -> Bool {
    guard clockRate == other.clockRate, channels == other.channels, name == other.name else { return false }
    for parameter in bitstreamParameters {
      if Codec.parameter(parameter, in: fmtp) != Codec.parameter(parameter, in: other.fmtp) { return false }
    }
    return true
  }

  /// The entry of `list` that is the same format: of several the one with the same fmtp, then the one with the same
  /// number, then the first.
  public func match(in list: [Codec]) -> Codec? {
    var best: Codec?
    var bestScore = 0
    for candidate in list where isSameFormat(as: candidate) {
      let score = 1 + (candidate.fmtp == fmtp ? 4 : 0) + (candidate.payloadType == payloadType ? 2 : 0)
      if score > bestScore {
        best = candidate
        bestScore = score
      }
    }
    return best
  }

  /// RFC 4867 §8.1 (octet-align, crc, interleaving, robust-sorting), RFC 5577 §4.2.1 and the like (bitrate),
  /// RFC 3640 §4.1 (mode, config).
  private var bitstreamParameters: [StaticString] {
    switch name {
    case "AMR", "AMR-WB": ["octet-align", "crc", "interleaving", "robust-sorting"]
    case "G7221", "SIREN14", "SIREN7", "G719": ["bitrate"]
    case "MPEG4-GENERIC", "MP4A-LATM": ["mode", "config"]
    default: []
    }
  }

  /// The value of one `name=value` in an fmtp, lower-cased; `0` is the same as absent.
  private static func parameter(_ name: StaticString, in fmtp: [UInt8]?) -> [UInt8] {
    guard let fmtp else { return [] }
    for part in fmtp.split(separator: UInt8(ascii: ";")) {
      let (key, value) = part.trimmed.split(at: UInt8(ascii: "="))
      guard key.trimmed.equals(name), let value = value?.trimmed else { continue }
      return value.elementsEqual([0x30]) ? [] : value.map(\.asciiLowered)
    }
    return []
  }
}
