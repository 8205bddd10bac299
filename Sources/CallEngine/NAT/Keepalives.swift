public import NetCore
import SIPMessage

/// `sip.nat` of the configuration.
public struct KeepaliveSettings: Sendable, Equatable {
  public enum Method: Sendable {
    /// CRLF CRLF over UDP: it keeps the NAT's mapping, and nobody answers.
    case crlf
    /// OPTIONS, which says whether the phone still lives.
    case options
  }

  /// Between two to one phone; zero: none.
  public var interval = Instant.Span.zero
  public var method = Method.crlf

  public init(interval: Instant.Span = .zero, method: Method = .crlf) {
    self.interval = interval
    self.method = method
  }
}

/// Whose turn it is. A cursor goes round the table of bindings once in an interval, a few users at a time, so that a
/// hundred thousand phones cost no timer each and no burst.
struct Keepalives {
  /// RFC 5626 §3.5.1.
  static let ping: [UInt8] = [13, 10, 13, 10]
  /// So many OPTIONS in a row that nobody answers end a binding.
  static let mostFailures = 3

  var isArmed = false
  var cursor = BindingTable.Cursor()
  /// Users that are due, in parts of one.
  private var due = 0.0
  /// OPTIONS in a row without any answer, by user and contact; only of those that have failed.
  var failures: [[UInt8]: Int] = [:]

  /// How long a turn is: short where there are many, and an idle server sleeps.
  static func turn(users: Int) -> Instant.Span {
    users == 0 ? .milliseconds(5000) : users <= 500 ? .milliseconds(1000) : .milliseconds(100)
  }

  /// How many users have their turn now.
  mutating func take(users: Int, turn: Instant.Span, interval: Instant.Span) -> Int {
    due = min(due + Double(users) * turn.seconds / max(interval.seconds, 0.1), Double(users))
    let count = due.rounded(.down)
    due -= count
    return Int(count)
  }
}

extension Binding {
  /// The phone does not know its own address: the Contact is no literal address, or another one than where the REGISTER
  /// came from. Behind a proxy (Path) that is the proxy's affair.
  var isBehindNAT: Bool {
    guard path.isEmpty, let uri = try? URI(parsing: contact) else { return false }
    guard let ip = IPAddress(bytes: uri.host) else { return true }
    if flow.transport.isReliable { return ip != flow.remote.ip.unmapped }
    return Endpoint(ip, uri.port ?? 5060) != Endpoint(flow.remote.ip.unmapped, flow.remote.port)
  }
}
