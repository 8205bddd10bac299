/// The methods that the server knows by name (RFC 3261, 3262, 3311, 3428, 3515, 3903, 6086, 6665); all others are
/// `unknown` and keep their name in `Message.methodName`.
public enum Method: UInt8, Sendable, CaseIterable {
  case invite, ack, bye, cancel, register, options, info, prack, update, subscribe, notify, publish, message, refer
  case unknown

  /// Method names are case-sensitive (RFC 3261 §7.1).
  public init(_ name: Bytes) { self.init(name.span, 0, name.count) }

  init(_ s: Span<UInt8>, _ start: Int, _ end: Int) {
    switch s.rawWord(start, end) {
    case Word.exact("INVITE"): self = .invite
    case Word.exact("ACK"): self = .ack
    case Word.exact("BYE"): self = .bye
    case Word.exact("CANCEL"): self = .cancel
    case Word.exact("REGISTER"): self = .register
    case Word.exact("OPTIONS"): self = .options
    case Word.exact("INFO"): self = .info
    case Word.exact("PRACK"): self = .prack
    case Word.exact("UPDATE"): self = .update
    case Word.exact("NOTIFY"): self = .notify
    case Word.exact("PUBLISH"): self = .publish
    case Word.exact("MESSAGE"): self = .message
    case Word.exact("REFER"): self = .refer
    // One octet more than a word has.
    case 0 where end &- start == 9 && s.rawWord(start, start &+ 8) == Word.exact("SUBSCRIB") && s[end &- 1] == 0x45:
      self = .subscribe
    default: self = .unknown
    }
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
