/// One RTP payload format as a description names it. Its parameters, and a name that is not in `Encoding`, stay in the
/// body that they were read from.
public struct Codec: Sendable {
  /// 0…127.
  public var payloadType: UInt8
  public let encoding: Encoding
  public let channels: UInt8
  /// The RTP clock in Hz. G722 is 8000 whatever a phone writes (RFC 3551 §4.5.2).
  public let clockRate: UInt32
  /// The body, where one of the two ranges is not empty.
  let source: [UInt8]
  let nameRange: TextRange
  let fmtpRange: TextRange

  init(_ encoding: Encoding, _ payloadType: UInt8, _ clockRate: UInt32 = 8000, _ channels: UInt8 = 1) {
    self.payloadType = payloadType
    self.encoding = encoding
    self.channels = channels
    self.clockRate = clockRate
    source = []
    nameRange = .none
    fmtpRange = .none
  }

  /// The same format with its parameters in `source`.
  init(_ format: Codec, source: [UInt8], name: TextRange, fmtp: TextRange) {
    payloadType = format.payloadType
    encoding = format.encoding
    channels = format.channels
    clockRate = format.clockRate
    self.source = source
    nameRange = name
    fmtpRange = fmtp
  }

  /// `name` in any case; a channel count below 1 is 1.
  public init(payloadType: UInt8, name: String, clockRate: UInt32 = 8000, channels: UInt8 = 1, fmtp: [UInt8] = []) {
    let text = Array(name.utf8)
    let encoding = Encoding.read(text.span, 0..<text.count) ?? .other
    self.init(
      Codec(encoding, payloadType, clockRate, max(channels, 1)), source: text + fmtp,
      name: TextRange(0..<text.count), fmtp: TextRange(text.count..<text.count + fmtp.count))
  }

  public static let pcmu = Codec(.pcmu, 0)
  public static let pcma = Codec(.pcma, 8)
  public static let g722 = Codec(.g722, 9)
  public static let comfortNoise = Codec(.comfortNoise, 13)
  /// RFC 4733; 101 is what the field uses.
  public static func telephoneEvent(_ payloadType: UInt8 = 101) -> Codec {
    Codec(
      Codec(.telephoneEvent, payloadType), source: allEvents, name: .none, fmtp: TextRange(0..<allEvents.count))
  }
  private static let allEvents = Array("0-16".utf8)

  /// The encoding name in upper case: `PCMU`, `OPUS`, `TELEPHONE-EVENT`.
  public var name: String {
    switch encoding {
    case .pcmu: "PCMU"
    case .pcma: "PCMA"
    case .other: String(decoding: source[nameRange.range].map(\.asciiUppered), as: UTF8.self)
    default: "\(encoding.written)".uppercased()
    }
  }

  /// What follows the payload type in `a=fmtp`, as it came; nil where there is nothing.
  public var fmtp: ArraySlice<UInt8>? { fmtpRange.isEmpty ? nil : source[fmtpRange.range] }

  public var isTelephoneEvent: Bool { encoding == .telephoneEvent }
  public var isComfortNoise: Bool { encoding == .comfortNoise }
  var isAuxiliary: Bool { isTelephoneEvent || isComfortNoise }

  /// The formats that need no `a=rtpmap` (RFC 3551 §6, table 4).
  static func assigned(_ payloadType: UInt8) -> Codec? {
    switch payloadType {
    case 0: Codec(.pcmu, 0)
    case 3: Codec(.gsm, 3)
    case 4: Codec(.g723, 4)
    case 5: Codec(.dvi4, 5)
    case 6: Codec(.dvi4, 6, 16000)
    case 7: Codec(.lpc, 7)
    case 8: Codec(.pcma, 8)
    case 9: Codec(.g722, 9)
    case 10: Codec(.l16, 10, 44100, 2)
    case 11: Codec(.l16, 11, 44100)
    case 12: Codec(.qcelp, 12)
    case 13: Codec(.comfortNoise, 13)
    case 14: Codec(.mpa, 14, 90000)
    case 15: Codec(.g728, 15)
    case 16: Codec(.dvi4, 16, 11025)
    case 17: Codec(.dvi4, 17, 22050)
    case 18: Codec(.g729, 18)
    default: nil
    }
  }

  /// From what follows the payload type in `a=rtpmap`: `PCMU/8000`, `opus/48000/2`. A phone that leaves the clock out
  /// means 8000. Nil where the name is no token or a number is out of range. The name is at the front of `range`.
  init?(payloadType: UInt8, rtpmap s: Span<UInt8>, _ range: Range<Int>) {
    let slash = s.first(UInt8(ascii: "/"), in: range) ?? range.upperBound
    guard let encoding = Encoding.read(s, range.lowerBound..<slash) else { return nil }
    var rate = 8000
    var channels = 1
    if slash < range.upperBound {
      let second = s.first(UInt8(ascii: "/"), in: (slash + 1)..<range.upperBound) ?? range.upperBound
      let rateField = s.trim((slash + 1)..<second)
      if !rateField.isEmpty {
        guard let stated = s.decimal(rateField, upTo: 1_000_000), stated > 0 else { return nil }
        rate = stated
      }
      let channelField = s.trim(min(second + 1, range.upperBound)..<range.upperBound)
      if !channelField.isEmpty {
        guard let stated = s.decimal(channelField, upTo: 255) else { return nil }
        channels = max(stated, 1)
      }
    }
    self.init(
      encoding, payloadType, encoding == .g722 ? 8000 : UInt32(truncatingIfNeeded: rate),
      UInt8(truncatingIfNeeded: channels))
  }
}

extension Codec: Equatable {
  public static func == (a: Codec, b: Codec) -> Bool {
    a.payloadType == b.payloadType && a.hasSameName(as: b) && a.hasSameParameters(as: b)
  }

  /// Encoding, clock and channels.
  @inline(__always)
  func hasSameName(as other: borrowing Codec) -> Bool {
    guard encoding == other.encoding, clockRate == other.clockRate, channels == other.channels else { return false }
    return encoding != .other
      || source.span.equals(nameRange.range, other.source.span, other.nameRange.range)
  }

  @inline(__always)
  func hasSameParameters(as other: borrowing Codec) -> Bool {
    fmtpRange.count == other.fmtpRange.count && (fmtpRange.isEmpty || hasSameText(as: other))
  }

  private func hasSameText(as other: borrowing Codec) -> Bool {
    let (ours, theirs) = (source.span.extracting(fmtpRange.range), other.source.span.extracting(other.fmtpRange.range))
    for i in ours.indices where ours[i] != theirs[i] { return false }
    return true
  }
}
