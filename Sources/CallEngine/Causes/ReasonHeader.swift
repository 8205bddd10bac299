/// One value of a Reason header (RFC 3326 §2): why a request was sent, or by RFC 6432 why a response.
public struct ReasonHeader: Hashable, Sendable {
  public enum Namespace: Hashable, Sendable {
    case q850
    case sip
    /// Another protocol, lower-cased.
    case other([UInt8])
  }

  public var namespace: Namespace
  /// `cause=`: a Q.850 number or a SIP status; nil where there is none.
  public var number: Int?
  /// `text=`, unquoted.
  public var text: [UInt8]?

  public init(_ namespace: Namespace, number: Int?, text: [UInt8]? = nil) {
    self.namespace = namespace
    self.number = number
    self.text = text
  }

  /// `Q.850;cause=17;text="User busy"`; `text` replaces Q.850's words.
  public init(_ cause: Cause, text: String? = nil) {
    self.init(.q850, number: Int(cause.value), text: Array((text ?? cause.text).utf8.prefix(256)))
  }

  /// To the legs that lost a fork (RFC 3326 §3.1).
  public static let completedElsewhere = ReasonHeader(
    .sip, number: 200, text: Array("Call completed elsewhere".utf8))

  /// The header's value; the text is quoted, and what could end the line becomes a space.
  public var value: [UInt8] {
    var bytes: [UInt8] =
      switch namespace {
      case .q850: Array("Q.850".utf8)
      case .sip: Array("SIP".utf8)
      case .other(let name): name.filter(\.isReasonToken)
      }
    if let number { bytes += Array(";cause=\(number)".utf8) }
    if let text {
      bytes += Array(";text=".utf8)
      bytes.appendQuoted(text)
    }
    return bytes
  }

  /// Everything that one or more Reason lines say, in their order; what cannot be read is left out.
  public static func parse(_ lines: some Sequence<ArraySlice<UInt8>>) -> [ReasonHeader] {
    var list: [ReasonHeader] = []
    for line in lines {
      for part in line.splitOutsideQuotes(UInt8(ascii: ",")).prefix(16) {
        if let reason = ReasonHeader(parsing: part) { list.append(reason) }
      }
    }
    return list
  }

  /// The Q.850 cause in Reason lines, if one has it.
  public static func cause(in lines: some Sequence<ArraySlice<UInt8>>) -> Cause? {
    for reason in parse(lines) where reason.namespace == .q850 {
      if let cause = reason.number.flatMap(Cause.init(_:)) { return cause }
    }
    return nil
  }

  init?(parsing value: ArraySlice<UInt8>) {
    let parts = value.splitOutsideQuotes(UInt8(ascii: ";"))
    guard let name = parts.first?.trimmedBlanks, !name.isEmpty, name.allSatisfy(\.isReasonToken) else { return nil }
    let lowered = name.map(\.asciiLower)
    namespace = lowered == Array("q.850".utf8) ? .q850 : lowered == Array("sip".utf8) ? .sip : .other(lowered)
    for part in parts.dropFirst().prefix(16) {
      guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let key = part[..<equals].trimmedBlanks.map(\.asciiLower)
      let value = part[(equals + 1)...].trimmedBlanks
      if key == Array("cause".utf8), number == nil {
        number = value.count <= 6 ? Int(String(decoding: value, as: UTF8.self)).flatMap { $0 >= 0 ? $0 : nil } : nil
      } else if key == Array("text".utf8), text == nil {
        text = value.unquoted
      }
    }
  }
}

extension Cause {
  /// The Q.850 cause of one Reason line; nil where it has none.
  public init?(reasonHeader line: ArraySlice<UInt8>) {
    guard let cause = ReasonHeader.cause(in: CollectionOfOne(line)) else { return nil }
    self = cause
  }

  /// The value of a Reason header; `text` replaces Q.850's words.
  public func reasonHeader(text: String? = nil) -> [UInt8] { ReasonHeader(self, text: text).value }
}

extension UInt8 {
  /// RFC 3261 §25.1 `token`.
  var isReasonToken: Bool {
    switch self {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "%"), UInt8(ascii: "*"): true
    case UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "`"), UInt8(ascii: "'"), UInt8(ascii: "~"): true
    default: false
    }
  }

  var asciiLower: UInt8 { self >= 0x41 && self <= 0x5a ? self | 0x20 : self }
}
