import CNet

/// Where a leg's RTP may come from, and where ours goes (symmetric RTP, RFC 4961; RFC 7362 §4 on latching).
///
///     armed ── a packet from the signalled address ──────────────► locked on it
///       │
///       └──── two packets in sequence from one other source ──────► locked on that, until the signalled address speaks
///
///     locked ──── two packets of the same stream from the same host by another port, the old one silent ──► locked
///
/// While it is locked nobody else is heard: a stranger cannot take over a stream that flows. A new offer or answer arms
/// it again. A NAT that gives the phone another port in mid-call is followed (`rebind`); one that gives it another
/// address is not, without a re-INVITE.
struct Latch {
  /// As the SDP says.
  private(set) var signalled = SocketAddress.none
  /// Where we send; none where it cannot be known yet.
  private(set) var destination = SocketAddress.none
  /// Who is heard; none while armed.
  private(set) var source = SocketAddress.none
  /// Whether the destination follows the source.
  private var follows = true

  /// While armed: who was heard before and may go on without proof, as the signalled address has not changed.
  private var trusted = SocketAddress.none
  /// While armed: who was heard under the last signalled address. He is heard till the new one speaks, and never
  /// latched on: his last packets cross the re-INVITE.
  private var leaving = SocketAddress.none
  private var candidate = SocketAddress.none
  private var candidateSSRC: UInt32 = 0
  private var candidateSequence: UInt16 = 0
  /// The last source that was found for a signalled address: after a hold with c=0.0.0.0 the same NAT mapping returns.
  private var knownSignalled = SocketAddress.none
  private var knownSource = SocketAddress.none

  enum Verdict {
    case accepted
    /// Accepted, and what comes from here on has a new source.
    case moved
    case rejected
  }

  var isLocked: Bool { !source.isNone }
  var isElsewhere: Bool { isLocked && source != signalled }

  mutating func rearm(signalled new: SocketAddress, follows: Bool) {
    if new == signalled {
      if isLocked { trusted = source }
      leaving = .none
    } else {
      let heard = isLocked ? source : trusted
      if !heard.isNone { leaving = heard }
      trusted = .none
      destination = new
      if !new.isNone, new == knownSignalled, follows {
        destination = knownSource
        trusted = knownSource
        leaving = .none
      }
    }
    signalled = new
    self.follows = follows
    if !follows { destination = new }
    source = .none
    candidate = .none
  }

  @inline(__always)
  mutating func accept(_ from: SocketAddress, ssrc: UInt32, sequence: UInt16) -> Verdict {
    if from == source { return .accepted }
    return decide(from, ssrc: ssrc, sequence: sequence)
  }

  private mutating func decide(_ from: SocketAddress, ssrc: UInt32, sequence: UInt16) -> Verdict {
    if isLocked {
      // A stranger may have been first. The address that the signalling vouches for takes its place back, once.
      guard from == signalled, isElsewhere else { return .rejected }
      return lock(from)
    }
    if from == signalled || from == trusted { return lock(from) }
    if from == leaving { return .accepted }
    // One spoofed datagram shall not be enough (RFC 3550 §A.1: MIN_SEQUENTIAL is 2).
    if from == candidate, ssrc == candidateSSRC, sequence == candidateSequence &+ 1 { return lock(from) }
    candidate = from
    candidateSSRC = ssrc
    candidateSequence = sequence
    return .rejected
  }

  /// A packet that `accept` has rejected, of the stream that was heard last (its SSRC, and numbers that go on), when
  /// nothing has come from the locked source for a while. Whoever can send that from the same host, and has silenced
  /// the phone there, sits in its way anyhow. Two in sequence are needed, as at first.
  mutating func rebind(_ from: SocketAddress, ssrc: UInt32, sequence: UInt16) -> Verdict {
    guard isLocked, follows, from.sameHost(as: source) else { return .rejected }
    if from == candidate, ssrc == candidateSSRC, sequence == candidateSequence &+ 1 { return lock(from) }
    candidate = from
    candidateSSRC = ssrc
    candidateSequence = sequence
    return .rejected
  }

  private mutating func lock(_ from: SocketAddress) -> Verdict {
    source = from
    candidate = .none
    trusted = .none
    leaving = .none
    knownSignalled = signalled
    knownSource = from
    guard follows, destination != from else { return .accepted }
    destination = from
    return .moved
  }
}

/// The same for RTCP, which proves itself by the host that RTP is heard from.
struct ControlLatch {
  private(set) var destination = SocketAddress.none
  private var signalled = SocketAddress.none
  private var isLocked = false

  /// `rtp` gives the port below where the SDP has no `a=rtcp` (RFC 3550 §11).
  mutating func rearm(signalled new: SocketAddress, rtp: SocketAddress) {
    var new = new
    if new.isNone, !rtp.isNone, rtp.port < .max {
      new = rtp
      new.port += 1
    }
    if new != signalled { destination = new }
    signalled = new
    isLocked = false
  }

  /// RTP was found elsewhere: RTCP is most likely one port above.
  mutating func follow(_ rtp: SocketAddress) {
    guard !isLocked, rtp.port < .max else { return }
    destination = rtp
    destination.port += 1
  }

  mutating func accept(_ from: SocketAddress, rtp: SocketAddress, follows: Bool) -> Bool {
    if from == destination || from == signalled {
      isLocked = true
      if follows { destination = from }
      return true
    }
    guard !isLocked, !rtp.isNone, from.sameHost(as: rtp) else { return false }
    isLocked = true
    if follows { destination = from }
    return true
  }
}
