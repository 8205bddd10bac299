import NetCore
import SIPMessage

/// The event packages that the notifier speaks (RFC 6665 §7.2), each with the one form of its state.
enum EventPackage: UInt8, CaseIterable, Sendable {
  /// RFC 3680: a user's bindings.
  case reg
  /// RFC 4235: a user's calls, for busy lamps.
  case dialog
  /// RFC 3842: how many voice messages wait.
  case messageSummary
  /// RFC 3856: whether he can be had.
  case presence

  /// For Allow-Events.
  static let all: StaticString = "reg, dialog, message-summary, presence"

  var name: StaticString {
    switch self {
    case .reg: "reg"
    case .dialog: "dialog"
    case .messageSummary: "message-summary"
    case .presence: "presence"
    }
  }

  var contentType: StaticString {
    switch self {
    case .reg: "application/reginfo+xml"
    case .dialog: "application/dialog-info+xml"
    case .messageSummary: "application/simple-message-summary"
    case .presence: "application/pidf+xml"
    }
  }

  /// Between two notifications of one subscription at least (RFC 3680 §4.10, RFC 3856 §6.10: five seconds; RFC 4235
  /// §3.10 and RFC 3842 §3.10: one).
  var interval: Instant.Span {
    switch self {
    case .reg, .presence: .seconds(5)
    case .dialog, .messageSummary: .seconds(1)
    }
  }

  /// A user's calls are part of this package's state.
  var showsCalls: Bool { self == .dialog || self == .presence }

  /// Of an Event header's value, `presence;id=7`. Names are compared octet by octet (RFC 6665 §8.2.1).
  init?(event value: Bytes?) {
    guard let value, value.count <= 128 else { return nil }
    let name = value.prefix { $0 != UInt8(ascii: ";") }.trimmedBlanks
    guard let known = EventPackage.allCases.first(where: { name.elementsEqual($0.name.description.utf8) }) else {
      return nil
    }
    self = known
  }

  /// Whether an Accept header takes the package's type; without one it does (RFC 6665 §3.1.3).
  func isAccepted(by message: Message) -> Bool {
    guard message.has(.accept) else { return true }
    let own = contentType.description.utf8
    return message.values(.accept).contains { value in
      let type = value.prefix { $0 != UInt8(ascii: ";") }.trimmedBlanks.map(\.asciiLower)
      return type.elementsEqual(own) || type.elementsEqual("*/*".utf8) || type.elementsEqual("application/*".utf8)
    }
  }
}

extension Message {
  /// A header field that has no name of its own in `HeaderName`; nothing is allocated, and a message without unknown
  /// fields is not searched.
  func unnamed(_ name: StaticString) -> Bytes? {
    guard has(.other) else { return nil }
    for line in headers where line.name == .other {
      let written = line.nameBytes
      guard written.count == name.utf8CodeUnitCount else { continue }
      if written.lazy.map(\.asciiLower).elementsEqual(name.description.utf8.lazy.map(\.asciiLower)) {
        return line.value
      }
    }
    return nil
  }

  /// The seconds of Expires; nil without one (RFC 3261 §20.19: what cannot be read is as if absent).
  var expiresSeconds: Int? {
    guard let text = first(.expires)?.trimmedBlanks, !text.isEmpty, text.count <= 10 else { return nil }
    var value = 0
    for c in text {
      guard (0x30...0x39).contains(c) else { return nil }
      value = value * 10 + Int(c - 0x30)
    }
    return min(value, Int(UInt32.max))
  }
}
