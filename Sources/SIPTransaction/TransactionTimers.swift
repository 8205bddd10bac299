public import NetCore

/// The base values of RFC 3261 table 4, from which every timer of a transaction follows.
public struct TransactionTimers: Sendable {
  /// An estimate of the round-trip time.
  public var t1: Instant.Span = .milliseconds(500)
  /// The longest interval between retransmissions of a non-INVITE request or an INVITE response.
  public var t2: Instant.Span = .milliseconds(4000)
  /// How long a message may stay in the network.
  public var t4: Instant.Span = .milliseconds(5000)

  public init() {}

  public init(t1: Instant.Span, t2: Instant.Span, t4: Instant.Span) {
    self.t1 = t1
    self.t2 = t2
    self.t4 = t4
  }

  /// Timers B, F, H, J, L and M, the wait for a final response after a CANCEL (§9.1) and for an ACK to a 2xx (§13.3.1.4).
  public var giveUp: Instant.Span { t1 * 64 }
  /// Timer D: "at least 32 seconds for unreliable transports" (§17.1.1.2).
  public var d: Instant.Span { max(.milliseconds(32_000), t1 * 64) }
  /// Timers I and K.
  public var linger: Instant.Span { t4 }
  /// The interval after `interval` where it doubles up to T2 (timers E and G, and the 2xx of §13.3.1.4).
  public func doubled(_ interval: Instant.Span) -> Instant.Span { min(interval * 2, t2) }
}

/// What a timer of the transaction table stands for: the letters of RFC 3261 table 4 and RFC 6026 §8.
public enum TransactionTimer: UInt8, Sendable, CaseIterable {
  // Client transactions.
  case a, b, d, e, f, k, m
  /// A cancelled INVITE that got no final response in 64*T1 (§9.1).
  case cancelled
  // Server transactions.
  case g, h, i, j, l
  /// The next copy of a 2xx that no ACK has answered (§13.3.1.4). The RFC gives it no letter.
  case success

  var isServer: Bool {
    switch self {
    case .a, .b, .d, .e, .f, .k, .m, .cancelled: false
    case .g, .h, .i, .j, .l, .success: true
    }
  }
}
