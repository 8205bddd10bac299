extension Codec {
  /// True where both ends would understand the same packets, whatever numbers they use: same encoding, clock and
  /// channels, and no difference in the parameters that change the bit stream.
  @inline(__always)
  public func isSameFormat(as other: borrowing Codec) -> Bool {
    hasSameName(as: other) && (!encoding.hasBitstreamParameters || hasSameBitstream(as: other))
  }

  private func hasSameBitstream(as other: borrowing Codec) -> Bool {
    let theirs = other.fmtp
    return encoding.bitstreamParameters.allSatisfy { Codec.parameter($0, in: fmtp) == Codec.parameter($0, in: theirs) }
  }

  /// The entry of `list` that is the same format: of several the one with the same fmtp, then the one with the same
  /// number, then the first.
  public func match(in list: ArraySlice<Codec>) -> Codec? {
    index(in: list.span).map { list[list.startIndex + $0] }
  }

  func index(in list: Span<Codec>) -> Int? {
    var best: Int?
    var bestScore = 0
    for i in list.indices where isSameFormat(as: list[i]) {
      let score = 1 + (hasSameParameters(as: list[i]) ? 4 : 0) + (list[i].payloadType == payloadType ? 2 : 0)
      if score == 7 { return i }
      if score > bestScore {
        best = i
        bestScore = score
      }
    }
    return best
  }

  /// The value of one `name=value` in an fmtp, lower-cased; `0` is the same as absent.
  private static func parameter(_ name: StaticString, in fmtp: ArraySlice<UInt8>?) -> [UInt8] {
    guard let fmtp else { return [] }
    for part in fmtp.split(separator: UInt8(ascii: ";")) {
      let (key, value) = part.trimmed.split(at: UInt8(ascii: "="))
      guard key.trimmed.equals(name), let value = value?.trimmed else { continue }
      return value.elementsEqual([0x30]) ? [] : value.map(\.asciiLowered)
    }
    return []
  }
}

extension Encoding {
  fileprivate var hasBitstreamParameters: Bool {
    switch self {
    case .amr, .amrWB, .g7221, .siren14, .siren7, .g719, .mpeg4Generic, .mp4aLATM: true
    default: false
    }
  }

  /// RFC 4867 §8.1 (octet-align, crc, interleaving, robust-sorting), RFC 5577 §4.2.1 and the like (bitrate),
  /// RFC 3640 §4.1 (mode, config).
  fileprivate var bitstreamParameters: [StaticString] {
    switch self {
    case .amr, .amrWB: ["octet-align", "crc", "interleaving", "robust-sorting"]
    case .g7221, .siren14, .siren7, .g719: ["bitrate"]
    case .mpeg4Generic, .mp4aLATM: ["mode", "config"]
    default: []
    }
  }
}
