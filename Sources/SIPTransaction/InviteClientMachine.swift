public import NetCore

/// The INVITE client transaction: RFC 3261 §17.1.1 as corrected by RFC 6026 §7.2 (figure 5 there).
///
///                                    |INVITE from TU
///                  Timer A fires     |INVITE sent      Timer B fires
///                  Reset A,          V                 or Transport Err.
///                  INVITE sent +-----------+           inform TU
///                    +---------|           |--------------------------+
///                    |         |  Calling  |                          |
///                    +-------->|           |-----------+              |
///     300-699                  +-----------+ 2xx       |              |
///     ACK sent,                   |  | 1xx  2xx to TU  |              |
///     resp. to TU                 |  | 1xx to TU       |              |
///     +---------------------------+  V                 |              |
///     |  1xx                   +-----------+           |              |
///     |  1xx to TU  +----------|           |---------->| 2xx          |
///     |             +--------->|Proceeding |           | 2xx to TU    |
///     |<-----------------------|           |           |              |
///     |                        +-----------+           |              |
///     V                                                V              |
///     +-----------+ 300-699: ACK sent           +-----------+ 2xx     |
///     | Completed | (once more)                 | Accepted  | to TU   |
///     +-----------+                             +-----------+         |
///        | Timer D fires or Transport Err.         | Timer M fires    |
///        V                                         V                  V
///     +---------------------------------------------------------------+
///     |                           Terminated                          |
///     +---------------------------------------------------------------+
///
/// Added: CANCEL (§9.1), which waits for the first provisional response and, once sent, leaves 64*T1 for a final one.
/// Left out: timer C, which is a proxy's, and in Proceeding the TU's business. A 2xx after a failure is not delivered.
public struct InviteClientMachine: ~Copyable {
  private enum State {
    /// The INVITE is sent, nothing was heard. `cancel`: headers of the CANCEL that waits for a provisional response.
    case calling(request: [UInt8], interval: Instant.Span, cancel: [UInt8]?)
    /// A provisional response came: no retransmission and no time limit. The INVITE is kept to make ACK or CANCEL from.
    case proceeding(request: [UInt8], cancelled: Bool)
    /// A failure was acknowledged; the ACK is kept to answer copies of the failure.
    case completed(ack: [UInt8])
    /// A 2xx came; every further one goes to the TU, which acknowledges it. `ack`: what it sent for the first; empty
    /// before it did.
    case accepted(ack: [UInt8])
    case terminated
  }

  /// The name of the state, without what it holds.
  public enum Phase: UInt8, Sendable, CaseIterable { case calling, proceeding, completed, accepted, terminated }

  private var state: State
  private var reliable: Bool

  /// - Parameter request: the INVITE as it is sent, with one Via: ours.
  public init(request: [UInt8], reliable: Bool, timers: TransactionTimers) {
    state = .calling(request: request, interval: timers.t1, cancel: nil)
    self.reliable = reliable
  }

  public var phase: Phase {
    switch state {
    case .calling: .calling
    case .proceeding: .proceeding
    case .completed: .completed
    case .accepted: .accepted
    case .terminated: .terminated
    }
  }

  /// What the first sending takes: timer A (unreliable transports only) and timer B.
  public struct Start {
    public var timerA: Instant.Span?
    public var timerB: Instant.Span
  }

  public func start(_ timers: TransactionTimers) -> Start {
    Start(timerA: reliable ? nil : timers.t1, timerB: timers.giveUp)
  }

  /// The stream that carried the INVITE is gone before anything was heard: it starts anew over UDP, in its UDP form
  /// (§18.1.1). Nil where it is too late for that.
  mutating func fallBack(to request: [UInt8], _ timers: TransactionTimers) -> Start? {
    switch state {
    case .calling(_, _, let cancel):
      reliable = false
      state = .calling(request: request, interval: timers.t1, cancel: cancel)
      return start(timers)
    case .proceeding, .completed, .accepted, .terminated: return nil
    }
  }

  public enum TimerAAction {
    case retransmit([UInt8], again: Instant.Span)
    case nothing
  }

  /// §17.1.1.2: the interval doubles without an upper bound other than timer B.
  public mutating func timerA() -> TimerAAction {
    switch state {
    case .calling(let request, let interval, let cancel):
      state = .calling(request: request, interval: interval * 2, cancel: cancel)
      return .retransmit(request, again: interval * 2)
    case .proceeding, .completed, .accepted, .terminated:
      return .nothing
    }
  }

  public enum TimeoutAction {
    /// The TU is told, and the transaction is over.
    case timeout
    case nothing
  }

  public mutating func timerB() -> TimeoutAction {
    switch phase {
    case .calling:
      state = .terminated
      return .timeout
    case .proceeding, .completed, .accepted, .terminated:
      return .nothing
    }
  }

  /// §9.1: no final response within 64*T1 of the CANCEL; the INVITE counts as cancelled.
  public mutating func cancelledTooLong() -> TimeoutAction {
    switch phase {
    case .proceeding:
      state = .terminated
      return .timeout
    case .calling, .completed, .accepted, .terminated:
      return .nothing
    }
  }

  public enum ProvisionalAction {
    /// The first: stop timers A and B, and hand it to the TU.
    case proceed
    /// The first, and a CANCEL has waited for it: made from `request`, with these headers more.
    case proceedAndCancel(request: [UInt8], headers: [UInt8], wait: Instant.Span)
    /// To the TU.
    case deliver
    case absorb
  }

  public mutating func provisional(_ timers: TransactionTimers) -> ProvisionalAction {
    switch state {
    case .calling(let request, _, let headers?):
      state = .proceeding(request: request, cancelled: true)
      return .proceedAndCancel(request: request, headers: headers, wait: timers.giveUp)
    case .calling(let request, _, nil):
      state = .proceeding(request: request, cancelled: false)
      return .proceed
    case .proceeding:
      return .deliver
    case .completed, .accepted, .terminated:
      return .absorb
    }
  }

  public enum SuccessAction {
    /// The first 2xx: to the TU; timer M starts.
    case accept(timerM: Instant.Span)
    /// A further one, of this or another fork: to the TU (RFC 6026 §7.2).
    case deliver
    case absorb
  }

  public mutating func success(_ timers: TransactionTimers) -> SuccessAction {
    switch phase {
    case .calling, .proceeding:
      state = .accepted(ack: [])
      return .accept(timerM: timers.giveUp)
    case .accepted:
      return .deliver
    case .completed, .terminated:
      return .absorb
    }
  }

  /// The TU's ACK of a 2xx, kept for its copies: it needs nothing else of a call that is over.
  public mutating func acknowledged(_ ack: [UInt8]) {
    switch state {
    case .accepted: state = .accepted(ack: ack)
    case .calling, .proceeding, .completed, .terminated: break
    }
  }

  /// That ACK; nil before it was sent, and in every other state.
  public var ack: [UInt8]? {
    switch state {
    case .accepted(let ack): ack.isEmpty ? nil : ack
    case .calling, .proceeding, .completed, .terminated: nil
    }
  }

  /// The INVITE, until its final response.
  public var request: [UInt8]? {
    switch state {
    case .calling(let request, _, _), .proceeding(let request, _): request
    case .completed, .accepted, .terminated: nil
    }
  }

  public enum FailureAction {
    /// The first: ACK it, hand it to the TU, and linger for timer D; nil (reliable) is at once over.
    case complete(ack: [UInt8], timerD: Instant.Span?)
    /// A copy: only the ACK goes out again (§17.1.1.2).
    case acknowledgeAgain([UInt8])
    case absorb
  }

  /// - Parameter makeAck: makes the ACK of §17.1.1.3 from the INVITE.
  public mutating func failure(_ timers: TransactionTimers, makeAck: ([UInt8]) -> [UInt8]) -> FailureAction {
    switch state {
    case .calling(let request, _, _), .proceeding(let request, _):
      let ack = makeAck(request)
      if reliable {
        state = .terminated
        return .complete(ack: ack, timerD: nil)
      }
      state = .completed(ack: ack)
      return .complete(ack: ack, timerD: timers.d)
    case .completed(let ack):
      return .acknowledgeAgain(ack)
    case .accepted, .terminated:
      return .absorb
    }
  }

  public enum CancelAction {
    /// Send a CANCEL made from `request` now, and give the INVITE 64*T1 for its final response.
    case send(request: [UInt8], wait: Instant.Span)
    /// Nothing was heard yet: it goes out with the first provisional response.
    case later
    /// There is a final response, or a CANCEL, already.
    case nothing
  }

  public mutating func cancel(headers: [UInt8], _ timers: TransactionTimers) -> CancelAction {
    switch state {
    case .calling(let request, let interval, nil):
      state = .calling(request: request, interval: interval, cancel: headers)
      return .later
    case .proceeding(let request, false):
      state = .proceeding(request: request, cancelled: true)
      return .send(request: request, wait: timers.giveUp)
    case .calling, .proceeding, .completed, .accepted, .terminated:
      return .nothing
    }
  }

  /// Timers D and M.
  public mutating func lingered() {
    switch phase {
    case .completed, .accepted, .terminated: state = .terminated
    case .calling, .proceeding: break
    }
  }

  public enum TransportErrorAction {
    /// There is no final response yet: the TU is told (§17.1.4), and the transaction is over.
    case inform
    /// It is over; the TU has its final response.
    case terminate
    case nothing
  }

  public mutating func transportError() -> TransportErrorAction {
    switch phase {
    case .calling, .proceeding:
      state = .terminated
      return .inform
    case .completed:
      state = .terminated
      return .terminate
    case .accepted, .terminated:
      // In Accepted nothing is sent here; timer M ends it.
      return .nothing
    }
  }
}
