public import NetCore

/// The non-INVITE client transaction: RFC 3261 §17.1.2, figure 6.
///
///                                   |Request from TU
///                                   |send request
///               Timer E             V
///               send request  +-----------+
///                   +---------|           |-------------------+
///                   |         |  Trying   |  Timer F          |
///                   +-------->|           |  or Transport Err.|
///                             +-----------+  inform TU        |
///                200-699         |  |                         |
///                resp. to TU     |  |1xx                      |
///                +---------------+  |resp. to TU              |
///                |                  |                         |
///                |   Timer E        V       Timer F           |
///                |   send req +-----------+ or Transport Err. |
///                |  +---------|           | inform TU         |
///                |  |         |Proceeding |------------------>|
///                |  +-------->|           |-----+             |
///                |            +-----------+     |1xx          |
///                |              |      ^        |resp to TU   |
///                | 200-699      |      +--------+             |
///                | resp. to TU  |                             |
///                |              V                             |
///                |            +-----------+                   |
///                |            |           |                   |
///                |            | Completed |                   |
///                |            |           |                   |
///                +----------->|           |                   |
///                             +-----------+                   |
///                               |   Timer K                   |
///                               V                             |
///                             +-----------+                   |
///                             | Terminated|<------------------+
///                             +-----------+
public struct NonInviteClientMachine: ~Copyable {
  private enum State {
    /// The request is sent, and sent again at `interval`; nothing was heard.
    case trying(request: [UInt8], interval: Instant.Span)
    /// A provisional response came: sent again at T2 only.
    case proceeding(request: [UInt8])
    /// A final response came: its copies are absorbed.
    case completed
    case terminated
  }

  /// The name of the state, without what it holds.
  public enum Phase: UInt8, Sendable, CaseIterable { case trying, proceeding, completed, terminated }

  private var state: State
  private var reliable: Bool

  public init(request: [UInt8], reliable: Bool, timers: TransactionTimers) {
    state = .trying(request: request, interval: timers.t1)
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

  /// The request, until its final response.
  public var request: [UInt8]? {
    switch state {
    case .trying(let request, _), .proceeding(let request): request
    case .completed, .terminated: nil
    }
  }

  /// What the first sending takes: timer E (unreliable transports only) and timer F.
  public struct Start {
    public var timerE: Instant.Span?
    public var timerF: Instant.Span
  }

  public func start(_ timers: TransactionTimers) -> Start {
    Start(timerE: reliable ? nil : timers.t1, timerF: timers.giveUp)
  }

  /// The stream that carried the request is gone before anything was heard: it starts anew over UDP, in its UDP form
  /// (§18.1.1). Nil where it is too late for that.
  mutating func fallBack(to request: [UInt8], _ timers: TransactionTimers) -> Start? {
    switch phase {
    case .trying:
      reliable = false
      state = .trying(request: request, interval: timers.t1)
      return start(timers)
    case .proceeding, .completed, .terminated: return nil
    }
  }

  public enum TimerEAction {
    case retransmit([UInt8], again: Instant.Span)
    case nothing
  }

  /// §17.1.2.2: in Trying the interval doubles up to T2, in Proceeding it is T2.
  public mutating func timerE(_ timers: TransactionTimers) -> TimerEAction {
    switch state {
    case .trying(let request, let interval):
      let next = timers.doubled(interval)
      state = .trying(request: request, interval: next)
      return .retransmit(request, again: next)
    case .proceeding(let request):
      return .retransmit(request, again: timers.t2)
    case .completed, .terminated:
      return .nothing
    }
  }

  public enum TimeoutAction {
    /// The TU is told, and the transaction is over.
    case timeout
    case nothing
  }

  public mutating func timerF() -> TimeoutAction {
    switch phase {
    case .trying, .proceeding:
      state = .terminated
      return .timeout
    case .completed, .terminated:
      return .nothing
    }
  }

  public enum ProvisionalAction { case deliver, absorb }

  /// Timer E runs on as it is set, and takes T2 when it fires; timer F is not touched.
  public mutating func provisional() -> ProvisionalAction {
    switch state {
    case .trying(let request, _), .proceeding(let request):
      state = .proceeding(request: request)
      return .deliver
    case .completed, .terminated:
      return .absorb
    }
  }

  public enum FinalAction {
    /// To the TU; the transaction absorbs copies for timer K, nil (reliable) is at once over.
    case complete(timerK: Instant.Span?)
    case absorb
  }

  public mutating func final(_ timers: TransactionTimers) -> FinalAction {
    switch phase {
    case .trying, .proceeding:
      if reliable {
        state = .terminated
        return .complete(timerK: nil)
      }
      state = .completed
      return .complete(timerK: timers.linger)
    case .completed, .terminated:
      return .absorb
    }
  }

  public mutating func timerK() {
    switch phase {
    case .completed, .terminated: state = .terminated
    case .trying, .proceeding: break
    }
  }

  public enum TransportErrorAction { case inform, nothing }

  public mutating func transportError() -> TransportErrorAction {
    switch phase {
    case .trying, .proceeding:
      state = .terminated
      return .inform
    case .completed, .terminated:
      return .nothing
    }
  }
}
