public import NetCore

/// The non-INVITE server transaction: RFC 3261 §17.2.2, figure 8.
///
///                                |Request received
///                                |pass to TU
///                                V
///                          +-----------+
///                          |           |
///                          | Trying    |-------------+
///                          |           |             |
///                          +-----------+             |200-699 from TU
///                                |                   |send response
///                                |1xx from TU        |
///                                |send response      |
///                                |                   |
///             Request            V      1xx from TU  |
///             send response+-----------+send response|
///                 +--------|           |--------+    |
///                 |        | Proceeding|        |    |
///                 +------->|           |<-------+    |
///          +<--------------|           |             |
///          |Trnsprt Err    +-----------+             |
///          |Inform TU            |                   |
///          |                     |200-699 from TU    |
///          |                     |send response      |
///          |  Request            V                   |
///          |  send response+-----------+             |
///          |      +--------|           |             |
///          |      |        | Completed |<------------+
///          |      +------->|           |
///          +<--------------|           |
///          |Trnsprt Err    +-----------+
///          |Inform TU            |
///          |                     |Timer J fires
///          |                     |-
///          |                     V
///          |               +-----------+
///          +-------------->| Terminated|
///                          +-----------+
///
/// Left out: informing the TU of a transport error, of which it could make nothing.
public struct NonInviteServerMachine: ~Copyable {
  private enum State {
    /// Nothing was answered: copies of the request are absorbed.
    case trying
    /// The latest provisional response answers copies.
    case proceeding(provisional: [UInt8])
    /// The final response answers copies.
    case completed(final: [UInt8])
    case terminated
  }

  /// The name of the state, without what it holds.
  public enum Phase: UInt8, Sendable, CaseIterable { case trying, proceeding, completed, terminated }

  private var state: State
  private let reliable: Bool

  public init(reliable: Bool) {
    state = .trying
    self.reliable = reliable
  }

  public var phase: Phase {
    switch state {
    case .trying: .trying
    case .proceeding: .proceeding
    case .completed: .completed
    case .terminated: .terminated
    }
  }

  public enum RequestAction {
    case send([UInt8])
    case absorb
  }

  /// A copy of the request.
  public func request() -> RequestAction {
    switch state {
    case .proceeding(let provisional): .send(provisional)
    case .completed(let final): .send(final)
    case .trying, .terminated: .absorb
    }
  }

  public enum ProvisionalAction { case send, refused }

  public mutating func provisional(_ bytes: [UInt8]) -> ProvisionalAction {
    switch phase {
    case .trying, .proceeding:
      state = .proceeding(provisional: bytes)
      return .send
    case .completed, .terminated:
      return .refused
    }
  }

  public enum FinalAction {
    /// Send it; timer J, nil (reliable) is at once over.
    case send(timerJ: Instant.Span?)
    case refused
  }

  public mutating func final(_ bytes: [UInt8], _ timers: TransactionTimers) -> FinalAction {
    switch phase {
    case .trying, .proceeding:
      if reliable {
        state = .terminated
        return .send(timerJ: nil)
      }
      state = .completed(final: bytes)
      return .send(timerJ: timers.giveUp)
    case .completed, .terminated:
      return .refused
    }
  }

  public mutating func timerJ() {
    switch phase {
    case .completed, .terminated: state = .terminated
    case .trying, .proceeding: break
    }
  }
}
