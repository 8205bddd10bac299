public import NetCore

/// The INVITE server transaction: RFC 3261 §17.2.1 as corrected by RFC 6026 §7.1 (figure 7 there).
///
///                                  |INVITE
///                                  |pass INV to TU
///               INVITE             V send 100
///               send response+------------+
///                   +--------|            |--------+ 101-199 from TU
///                   |        | Proceeding |        | send response
///                   +------->|            |<-------+  (Transport Err.: inform TU)
///                            +------------+
///               300-699 from TU |    |2xx from TU
///               send response   |    |send response
///                +--------------+    +------------+
///                |                                |
///     INVITE     V          Timer G fires         |
///     send resp.+-----------+ send response       |
///        +------|           |--------+            |  INVITE: -
///        |      | Completed |        |            |  ACK: to TU
///        +----->|           |<-------+            V
///               +-----------+                +------------+
///     Timer H     |       | ACK              |  Accepted  |<--+ next copy of the 2xx
///     fires -     |       | -                |            |---+ until ACK (§13.3.1.4)
///        +--------+       V                  +------------+
///        |           +-----------+                |
///        |           | Confirmed |                | Timer L fires
///        |           +-----------+                | - (no ACK: inform TU)
///        |                | Timer I fires         |
///        V                V -                     V
///     +------------------------------------------------+
///     |                    Terminated                  |
///     +------------------------------------------------+
///
/// Added: the UAS core's retransmission of the 2xx (§13.3.1.4), which this server needs in every case, on any transport,
/// until the TU says that its ACK has come. Left out: further 2xx of a proxy's forks.
public struct InviteServerMachine: ~Copyable {
  private enum State {
    /// No final response yet; the latest provisional one answers copies of the INVITE.
    case proceeding(provisional: [UInt8])
    /// A failure is sent, and again by timer G and for copies of the INVITE, until its ACK.
    case completed(final: [UInt8], interval: Instant.Span)
    /// The ACK came: its copies, and late copies of the INVITE, are absorbed.
    case confirmed
    /// A 2xx is sent, and again until the ACK, which reaches the TU as a request of its own.
    case acceptedUnacknowledged(final: [UInt8], interval: Instant.Span)
    /// The same, acknowledged: copies of the INVITE are absorbed until timer L.
    case accepted
    case terminated
  }

  /// The name of the state, without what it holds.
  public enum Phase: UInt8, Sendable, CaseIterable { case proceeding, completed, confirmed, accepted, terminated }

  private var state: State
  private let reliable: Bool

  /// - Parameter trying: the 100 that has been sent.
  public init(trying: [UInt8], reliable: Bool) {
    state = .proceeding(provisional: trying)
    self.reliable = reliable
  }

  public var phase: Phase {
    switch state {
    case .proceeding: .proceeding
    case .completed: .completed
    case .confirmed: .confirmed
    case .acceptedUnacknowledged, .accepted: .accepted
    case .terminated: .terminated
    }
  }

  /// True while a 2xx waits for its ACK.
  public var awaitsAck: Bool {
    switch state {
    case .acceptedUnacknowledged: true
    case .proceeding, .completed, .confirmed, .accepted, .terminated: false
    }
  }

  public enum RequestAction {
    case send([UInt8])
    case absorb
  }

  /// A copy of the INVITE.
  public func request() -> RequestAction {
    switch state {
    case .proceeding(let provisional): .send(provisional)
    case .completed(let final, _): .send(final)
    case .confirmed, .acceptedUnacknowledged, .accepted, .terminated: .absorb
    }
  }

  public enum ProvisionalAction {
    case send
    /// There is a final response already.
    case refused
  }

  public mutating func provisional(_ bytes: [UInt8]) -> ProvisionalAction {
    switch phase {
    case .proceeding:
      state = .proceeding(provisional: bytes)
      return .send
    case .completed, .confirmed, .accepted, .terminated:
      return .refused
    }
  }

  public enum SuccessAction {
    /// Send it; again after `again`; timer L.
    case send(again: Instant.Span, timerL: Instant.Span)
    case refused
  }

  public mutating func success(_ bytes: [UInt8], _ timers: TransactionTimers) -> SuccessAction {
    switch phase {
    case .proceeding:
      state = .acceptedUnacknowledged(final: bytes, interval: timers.t1)
      return .send(again: timers.t1, timerL: timers.giveUp)
    case .completed, .confirmed, .accepted, .terminated:
      return .refused
    }
  }

  public enum FailureAction {
    /// Send it; timer G (unreliable only), timer H.
    case send(timerG: Instant.Span?, timerH: Instant.Span)
    case refused
  }

  public mutating func failure(_ bytes: [UInt8], _ timers: TransactionTimers) -> FailureAction {
    switch phase {
    case .proceeding:
      state = .completed(final: bytes, interval: timers.t1)
      return .send(timerG: reliable ? nil : timers.t1, timerH: timers.giveUp)
    case .completed, .confirmed, .accepted, .terminated:
      return .refused
    }
  }

  public enum RetransmitAction {
    case send([UInt8], again: Instant.Span)
    case nothing
  }

  /// Timer G: min(2*G, T2).
  public mutating func timerG(_ timers: TransactionTimers) -> RetransmitAction {
    switch state {
    case .completed(let final, let interval):
      let next = timers.doubled(interval)
      state = .completed(final: final, interval: next)
      return .send(final, again: next)
    case .proceeding, .acceptedUnacknowledged, .confirmed, .accepted, .terminated:
      return .nothing
    }
  }

  /// §13.3.1.4: the 2xx again, at T1 doubling up to T2, also on a reliable transport, as the next hop may not be the last.
  public mutating func successAgain(_ timers: TransactionTimers) -> RetransmitAction {
    switch state {
    case .acceptedUnacknowledged(let final, let interval):
      let next = timers.doubled(interval)
      state = .acceptedUnacknowledged(final: final, interval: next)
      return .send(final, again: next)
    case .proceeding, .completed, .confirmed, .accepted, .terminated:
      return .nothing
    }
  }

  public enum AckAction {
    /// The ACK of a failure: timers G and H stop; timer I, nil (reliable) is at once over.
    case confirm(timerI: Instant.Span?)
    /// The ACK of a 2xx that came with the branch of the INVITE, as RFC 2543 clients and some phones do: for the TU.
    case deliver
    case absorb
  }

  /// An ACK that matches this transaction (§17.2.3).
  public mutating func ack(_ timers: TransactionTimers) -> AckAction {
    switch phase {
    case .completed:
      if reliable {
        state = .terminated
        return .confirm(timerI: nil)
      }
      state = .confirmed
      return .confirm(timerI: timers.linger)
    case .accepted:
      return .deliver
    case .proceeding, .confirmed, .terminated:
      return .absorb
    }
  }

  public enum AcknowledgedAction {
    /// Stop sending the 2xx; timer L runs on.
    case stop
    case nothing
  }

  /// The TU has had the ACK of the 2xx.
  public mutating func acknowledged() -> AcknowledgedAction {
    guard awaitsAck else { return .nothing }
    state = .accepted
    return .stop
  }

  public enum TimerLAction {
    /// No ACK in 64*T1: the TU should end the dialog with a BYE (§13.3.1.4).
    case noAck
    case nothing
  }

  public mutating func timerL() -> TimerLAction {
    switch phase {
    case .accepted:
      let action: TimerLAction = awaitsAck ? .noAck : .nothing
      state = .terminated
      return action
    case .proceeding, .completed, .confirmed, .terminated:
      return .nothing
    }
  }

  /// Timers H and I. That a failure was never acknowledged changes nothing for the TU.
  public mutating func lingered() {
    switch phase {
    case .completed, .confirmed, .terminated: state = .terminated
    case .proceeding, .accepted: break
    }
  }

  public enum TransportErrorAction {
    /// The caller cannot be reached by this flow; the state stays (RFC 6026 §7.1), the response may find another way.
    case inform
    case nothing
  }

  public func transportError() -> TransportErrorAction {
    switch state {
    case .proceeding, .acceptedUnacknowledged: .inform
    case .completed, .confirmed, .accepted, .terminated: .nothing
    }
  }
}
