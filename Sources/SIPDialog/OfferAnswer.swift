/// The offer/answer state of one dialog: RFC 3264 §4, RFC 3311 §5.2, RFC 6337.
///
///                        offer received
///               +--------------------------------+
///               |      answer sent / refused     |
///               |    +----------------------+    |
///               |    |                      v    |
///          +-------------+                +--------+
///          | RemoteOffer |                |  Idle  |
///          +-------------+                +--------+
///                                           ^   |
///          +------------+  answer received  |   |
///          |            |  / refused        |   |
///          | LocalOffer |-------------------+   |
///          |            |<----------------------+
///          +------------+      offer sent
///
/// In which messages offers and answers may travel (RFC 6337 table 1) the caller knows; SDP in an unreliable provisional
/// response is a preview of the answer, and moves nothing. An offer that fails leaves the session as it was.
public struct OfferAnswer: ~Copyable {
  private enum State {
    /// No offer is open. `established`: an answer has been given before, so there is a session to change.
    case idle(established: Bool)
    /// Ours awaits its answer.
    case localOffer(established: Bool)
    /// Theirs awaits our answer.
    case remoteOffer(established: Bool)
  }

  /// The name of the state, without what it holds.
  public enum Phase: UInt8, Sendable, CaseIterable { case idle, localOffer, remoteOffer }

  private var state = State.idle(established: false)

  public init() {}

  public var phase: Phase {
    switch state {
    case .idle: .idle
    case .localOffer: .localOffer
    case .remoteOffer: .remoteOffer
    }
  }

  /// An offer has been answered before.
  public var isEstablished: Bool {
    switch state {
    case .idle(let established), .localOffer(let established), .remoteOffer(let established): established
    }
  }

  public enum SendOfferAction {
    case send
    /// One is open: wait for it to be answered (RFC 3264 §4).
    case wait
  }

  /// We want to make an offer.
  public mutating func sendOffer() -> SendOfferAction {
    switch state {
    case .idle(let established):
      state = .localOffer(established: established)
      return .send
    case .localOffer, .remoteOffer:
      return .wait
    }
  }

  public enum ReceiveOfferAction {
    case accept
    /// Ours is open: glare, 491 (RFC 3261 §14.2, RFC 3311 §5.2).
    case requestPending
    /// Theirs is open: 500 with a Retry-After of 0 to 10 seconds, chosen at random (the same).
    case retryLater
  }

  /// A request came with an offer.
  public mutating func receiveOffer() -> ReceiveOfferAction {
    switch state {
    case .idle(let established):
      state = .remoteOffer(established: established)
      return .accept
    case .localOffer:
      return .requestPending
    case .remoteOffer:
      return .retryLater
    }
  }

  public enum SendAnswerAction {
    case send
    /// Nothing is open: it was answered already, or withdrawn.
    case nothingToAnswer
  }

  /// We answer, in a 2xx, a reliable provisional response, a PRACK or an ACK.
  public mutating func sendAnswer() -> SendAnswerAction {
    switch state {
    case .remoteOffer:
      state = .idle(established: true)
      return .send
    case .idle, .localOffer:
      return .nothingToAnswer
    }
  }

  public enum ReceiveAnswerAction {
    case accept
    /// In an unreliable provisional response: what the answer will be (RFC 6337 §3.1.1). Early media may follow it.
    case preview
    /// The answer came before; a copy of it says nothing new (RFC 3261 §13.2.1).
    case ignore
  }

  /// SDP came that can be an answer.
  /// - Parameter reliable: in a 2xx, in a provisional response that is acknowledged (RFC 3262), a PRACK or an ACK.
  public mutating func receiveAnswer(reliable: Bool) -> ReceiveAnswerAction {
    switch state {
    case .localOffer:
      guard reliable else { return .preview }
      state = .idle(established: true)
      return .accept
    case .idle, .remoteOffer:
      return .ignore
    }
  }

  /// The request that carried the open offer failed, was refused, or ended without an answer: the session is as before.
  public mutating func offerFailed() {
    switch state {
    case .localOffer(let established), .remoteOffer(let established): state = .idle(established: established)
    case .idle: break
    }
  }
}
