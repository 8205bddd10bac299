/// One RTP payload format as a description names it.
public struct Codec: Sendable, Hashable {
  /// 0…127.
  public var payloadType: UInt8
  /// The encoding name in upper case: `PCMU`, `OPUS`, `TELEPHONE-EVENT`.
  public var name: String
  /// The RTP clock in Hz. G722 is 8000 whatever a phone writes (RFC 3551 §4.5.2).
  public var clockRate: Int
  public var channels: Int
  /// What follows the payload type in `a=fmtp`, as it came.
  public var fmtp: [UInt8]?

  /// `name` is upper-cased; a channel count below 1 is 1.
  public init(payloadType: UInt8, name: String, clockRate: Int = 8000, channels: Int = 1, fmtp: [UInt8]? = nil) {
    self.payloadType = payloadType
    self.name = name.uppercased()
    self.clockRate = clockRate
    self.channels = max(channels, 1)
    self.fmtp = fmtp
  }

  public static let pcmu = Codec(payloadType: 0, name: "PCMU")
  public static let pcma = Codec(payloadType: 8, name: "PCMA")
  public static let g722 = Codec(payloadType: 9, name: "G722")
  public static let comfortNoise = Codec(payloadType: 13, name: "CN")
  /// RFC 4733; 101 is what the field uses.
  public static func telephoneEvent(_ payloadType: UInt8 = 101) -> Codec {
    Codec(payloadType: payloadType, name: "TELEPHONE-EVENT", fmtp: Array("0-16".utf8))
  }

  public var isTelephoneEvent: Bool { name == "TELEPHONE-EVENT" }
  public var isComfortNoise: Bool { name == "CN" }
  /// Redundancy and error-correction formats carry other payload numbers inside (RFC 2198, RFC 4588), so a server that
  /// renumbers must leave them out.
  var isWrapper: Bool {
    switch name {
    case "RED", "RTX", "ULPFEC", "PARITYFEC", "FLEXFEC-03", "T140": true
    default: false
    }
  }

  /// The formats that need no `a=rtpmap` (RFC 3551 §6, table 4).
  static func assigned(_ payloadType: UInt8) -> Codec? {
    func codec(_ name: String, _ rate: Int = 8000, _ channels: Int = 1) -> Codec {
      Codec(known: name, payloadType, rate, channels)
    }
    return switch payloadType {
    case 0: codec("PCMU")
    case 3: codec("GSM")
    case 4: codec("G723")
    case 5: codec("DVI4")
    case 6: codec("DVI4", 16000)
    case 7: codec("LPC")
    case 8: codec("PCMA")
    case 9: codec("G722")
    case 10: codec("L16", 44100, 2)
    case 11: codec("L16", 44100)
    case 12: codec("QCELP")
    case 13: codec("CN")
    case 14: codec("MPA", 90000)
    case 15: codec("G728")
    case 16: codec("DVI4", 11025)
    case 17: codec("DVI4", 22050)
    case 18: codec("G729")
    default: nil
    }
  }

  init(known name: String, _ payloadType: UInt8, _ clockRate: Int, _ channels: Int) {
    self.payloadType = payloadType
    self.name = name
    self.clockRate = clockRate
    self.channels = channels
  }

  /// From what follows the payload type in `a=rtpmap`: `PCMU/8000`, `opus/48000/2`. A phone that leaves the clock out
  /// means 8000. Nil where the name is no token or a number is out of range.
  init?(payloadType: UInt8, rtpmap s: Span<UInt8>, _ range: Range<Int>) {
    let slash = s.first(UInt8(ascii: "/"), in: range) ?? range.upperBound
    let after = min(slash + 1, range.upperBound)..<range.upperBound
    let second = s.first(UInt8(ascii: "/"), in: after) ?? range.upperBound
    let rateField = s.trim(after.lowerBound..<second)
    let channelField = s.trim(min(second + 1, range.upperBound)..<range.upperBound)
    guard let name = EncodingName.upper(s, range.lowerBound..<slash) else { return nil }
    guard let rate = rateField.isEmpty ? 8000 : s.decimal(rateField, upTo: 1_000_000), rate > 0 else { return nil }
    guard let channels = channelField.isEmpty ? 1 : s.decimal(channelField, upTo: 255) else { return nil }
    self.init(known: name, payloadType, name == "G722" ? 8000 : rate, max(channels, 1))
  }
}

/// Encoding names are matched without regard to case (RFC 8866 §6.6), but some phones only know the registered
/// spelling: that is what is written.
enum EncodingName {
  private static let common: [(upper: String, written: StaticString)] = [
    ("PCMU", "PCMU"), ("PCMA", "PCMA"), ("TELEPHONE-EVENT", "telephone-event"), ("G722", "G722"), ("OPUS", "opus"),
    ("G729", "G729"), ("CN", "CN"), ("ILBC", "iLBC"), ("SPEEX", "speex"), ("GSM", "GSM"), ("G7221", "G7221"),
    ("MPEG4-GENERIC", "mpeg4-generic"), ("RED", "red"), ("ULPFEC", "ulpfec"), ("T140", "t140"),
  ]

  /// Nil where it is no token of at most 32 octets.
  static func upper(_ s: Span<UInt8>, _ name: Range<Int>) -> String? {
    for entry in common where s.equals(entry.written, name) { return entry.upper }
    // Annexes A and B are said in fmtp; the bit stream is G729 (RFC 3551 §4.5.6).
    if s.equals("G729A", name) || s.equals("G729AB", name) || s.equals("G729B", name) { return "G729" }
    guard !name.isEmpty, name.count <= 32 else { return nil }
    var bytes: [UInt8] = []
    for i in name {
      guard s[i] > 0x20, s[i] < 0x7f else { return nil }
      bytes.append(s[i].asciiUppered)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func append(_ name: String, to bytes: inout [UInt8]) {
    for entry in common where entry.upper == name {
      bytes.append(entry.written)
      return
    }
    bytes.append(contentsOf: name.utf8)
  }
}
