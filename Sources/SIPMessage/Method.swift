/// The methods that the server knows by name (RFC 3261, 3262, 3311, 3428, 3515, 3903, 6086, 6665); all others are
/// `unknown` and keep their name in `Message.methodName`.
public enum Method: UInt8, Sendable, CaseIterable {
  case invite, ack, bye, cancel, register, options, info, prack, update, subscribe, notify, publish, message, refer
  case unknown

  /// Method names are case-sensitive (RFC 3261 §7.1).
  public init(_ name: Bytes) { self.init(name.span, 0, name.count) }

  init(_ s: Span<UInt8>, _ start: Int, _ end: Int) {
    guard end &- start >= 3, end &- start <= 9 else {
      self = .unknown
      return
    }
    let candidate: Method
    switch (s[start], s[start &+ 1]) {
    case (UInt8(ascii: "I"), UInt8(ascii: "N")): candidate = end &- start == 6 ? .invite : .info
    case (UInt8(ascii: "A"), _): candidate = .ack
    case (UInt8(ascii: "B"), _): candidate = .bye
    case (UInt8(ascii: "C"), _): candidate = .cancel
    case (UInt8(ascii: "R"), UInt8(ascii: "E")): candidate = end &- start == 8 ? .register : .refer
    case (UInt8(ascii: "O"), _): candidate = .options
    case (UInt8(ascii: "P"), UInt8(ascii: "R")): candidate = .prack
    case (UInt8(ascii: "P"), _): candidate = .publish
    case (UInt8(ascii: "U"), _): candidate = .update
    case (UInt8(ascii: "S"), _): candidate = .subscribe
    case (UInt8(ascii: "N"), _): candidate = .notify
    case (UInt8(ascii: "M"), _): candidate = .message
    default: candidate = .unknown
    }
    let text = candidate.name
    guard candidate != .unknown, text.utf8CodeUnitCount == end &- start else {
      self = .unknown
      return
    }
    for k in 0..<text.utf8CodeUnitCount where s[start &+ k] != text[octet: k] {
      self = .unknown
      return
    }
    self = candidate
  }

  /// As it is written in a request line; empty for `unknown`.
  public var name: StaticString {
    switch self {
    case .invite: "INVITE"
    case .ack: "ACK"
    case .bye: "BYE"
    case .cancel: "CANCEL"
    case .register: "REGISTER"
    case .options: "OPTIONS"
    case .info: "INFO"
    case .prack: "PRACK"
    case .update: "UPDATE"
    case .subscribe: "SUBSCRIBE"
    case .notify: "NOTIFY"
    case .publish: "PUBLISH"
    case .message: "MESSAGE"
    case .refer: "REFER"
    case .unknown: ""
    }
  }
}
