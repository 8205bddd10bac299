extension OfferAnswerSDP {
  /// How packets change their payload type on the way: from the numbers in `from`, a description that was *sent to*
  /// the leg they come from, to the numbers in `to`, what the leg they go to said (RFC 3264 §5.1: one is sent the
  /// numbers that one wrote). What has no entry has no counterpart.
  ///
  /// - Parameter alias: what the sending leg itself said. Phones that answer with numbers of their own often send them
  ///   too; those are taken as well where they collide with none of `from`.
  public static func payloadMap(
    from: AudioStream, to: AudioStream, alias: AudioStream? = nil
  ) -> [UInt8: UInt8] {
    var map: [UInt8: UInt8] = [:]
    for source in [from, alias].compactMap(\.self) {
      for (codecs, targets) in [(source.codecs, to.codecs), (source.auxiliary, to.auxiliary)] {
        for codec in codecs where map[codec.payloadType] == nil {
          map[codec.payloadType] = codec.match(in: targets)?.payloadType
        }
      }
    }
    return map
  }

  /// Each format that `offered` has too, under the number it has there; parameters as they were answered.
  static func renumbered(_ answered: [Codec], as offered: [Codec]) -> [Codec] {
    var list: [Codec] = []
    for codec in answered {
      guard let number = codec.match(in: offered)?.payloadType,
        !list.contains(where: { $0.payloadType == number })
      else { continue }
      var copy = codec
      copy.payloadType = number
      list.append(copy)
    }
    return list
  }

  /// Events and comfort noise that fit the clock of a codec that is there (RFC 4733 §2.1, RFC 3389 §4); all, where none
  /// does.
  static func auxiliary(_ list: [Codec], for codecs: [Codec]) -> [Codec] {
    let fitting = list.filter { entry in codecs.contains { $0.clockRate == entry.clockRate } }
    return fitting.isEmpty ? list : fitting
  }
}

/// Payload numbers that a leg already knows must keep their meaning for the whole session (RFC 3264 §8.3.2).
enum Renumbering {
  static func keep(_ known: [Codec], for formats: [Codec]) -> [Codec] {
    var taken = Set(known.map(\.payloadType))
    var used: Set<UInt8> = []
    var list: [Codec] = []
    for codec in formats {
      let number: UInt8
      if let match = codec.match(in: known), !used.contains(match.payloadType) {
        number = match.payloadType
      } else if !taken.contains(codec.payloadType) {
        number = codec.payloadType
      } else if let free = (UInt8(96)...127).first(where: { candidate in
        !taken.contains(candidate) && !formats.contains { $0.payloadType == candidate }
      }) {
        number = free
      } else {
        continue
      }
      taken.insert(number)
      used.insert(number)
      var copy = codec
      copy.payloadType = number
      list.append(copy)
    }
    return list
  }
}

/// The `codecs` list of a dial target.
enum CodecFilter {
  static func apply(_ names: [String]?, to codecs: [Codec]) throws(SDPError) -> [Codec] {
    guard let names else { return codecs }
    var list: [Codec] = []
    for name in names {
      let wanted = Array(name.utf8)[...]
      for codec in codecs where accepts(codec, wanted.trimmed) && !list.contains(codec) { list.append(codec) }
    }
    guard !list.isEmpty else { throw .noCommonCodec }
    return list
  }

  /// `NAME`, `NAME/CLOCK` or `NAME/CLOCK/CHANNELS`.
  private static func accepts(_ codec: Codec, _ wanted: Bytes) -> Bool {
    let (name, rest) = wanted.split(at: UInt8(ascii: "/"))
    guard EncodingName.upper(name.span, 0..<name.count) == codec.name else { return false }
    guard let rest else { return true }
    let (rate, channels) = rest.split(at: UInt8(ascii: "/"))
    guard rate.decimal(upTo: 1_000_000) == codec.clockRate else { return false }
    return channels == nil || channels?.decimal(upTo: 255) == codec.channels
  }
}
