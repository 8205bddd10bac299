public import NetCore

/// Whose INVITE is under way in a dialog: RFC 3261 §14. With or without an offer in it, there is one at a time.
///
///     Idle --we send--> Sending --its final response (and ACK)--> Idle
///     Idle --one comes--> Receiving --our final response--> Idle
public struct InviteTurn: ~Copyable {
  private enum State {
    case idle
    /// Our INVITE has no final response yet.
    case sending
    /// The peer's INVITE has no final response from us yet.
    case receiving
  }

  private var state: State

  /// - Parameter initial: the INVITE that makes the dialog is under way.
  public init(initial role: Dialog.Role) {
    switch role {
    case .uas: state = .receiving
    case .uac: state = .sending
    }
  }

  public var isIdle: Bool {
    switch state {
    case .idle: true
    case .sending, .receiving: false
    }
  }

  public enum SendAction {
    case send
    /// §14.1: not while another INVITE is in progress in either direction.
    case wait
  }

  public mutating func send() -> SendAction {
    switch state {
    case .idle:
      state = .sending
      return .send
    case .sending, .receiving:
      return .wait
    }
  }

  public enum ReceiveAction {
    case accept
    /// Ours is under way: 491 (§14.2).
    case requestPending
    /// An earlier one of theirs is: 500 with a Retry-After of 0 to 10 seconds, chosen at random (§14.2).
    case retryLater
  }

  public mutating func receive() -> ReceiveAction {
    switch state {
    case .idle:
      state = .receiving
      return .accept
    case .sending:
      return .requestPending
    case .receiving:
      return .retryLater
    }
  }

  /// The final response was sent or received, or none will come.
  public mutating func ended() { state = .idle }

  /// How long to wait after a 491 before trying again (§14.1): who chose the Call-ID of the dialog 2.1 to 4 s, the other
  /// one 0 to 2 s, in steps of 10 ms, so that the two do not meet again.
  public static func retryDelay(ownsCallID: Bool, random: UInt64) -> Instant.Span {
    ownsCallID ? .milliseconds(2_100 + 10 * Int64(random % 191)) : .milliseconds(10 * Int64(random % 201))
  }
}
