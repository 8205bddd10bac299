import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

/// One side of a call: a dialog of its own towards one phone or trunk, and the port pair that its media uses.
///
///     early ──2xx──> confirmed ──BYE──> ended
///       └──3xx–6xx, CANCEL, time-out──> ended
final class Leg {
  enum Role { case caller, callee }
  enum Phase { case early, confirmed, ended }

  /// Our tag in its dialog; its slot leads back here without a hash.
  let token: Token
  var role: Role
  var phase = Phase.early
  /// Whose offer is open in the dialog.
  var offers = OfferAnswer()
  // What is small stands where padding would be: there are as many legs as a server can hold.
  /// The caller is to be offered the callee's codec once his ACK is here.
  var wantsReoffer = false
  /// Whose early media is heard: a hash of the To-tag of a callee's 18x, as a proxy behind may fork; 0 for nobody's.
  var earlyTag: UInt32 = 0
  unowned var call: Call
  var flow: Flow
  var dialog: Dialog?

  /// The INVITE of the peer that waits for our final response: the initial one, or a re-INVITE.
  var serverInvite: ServerTransactionID?
  /// Our INVITE that waits for the peer's final response.
  var clientInvite: ClientTransactionID?
  /// The last 2xx we sent, until its ACK has come.
  var unacknowledged: ServerTransactionID?
  /// The CSeq number of its ACK.
  var ackCSeq: UInt32 = 0
  /// A callee whom we gave up: his 2xx is acknowledged and ended at once.
  var isCancelled = false
  /// A phone that registered: requests go where its REGISTER came from.
  var isBinding = false
  /// No proxy stands between us and the phone: where its messages come from, it is.
  var isDirect = false
  /// Its Contact is being looked up: ACK and BYE wait for that.
  var isLocating = false
  /// Whether the peer takes UPDATE; nil: not looked up yet.
  var allowsUpdate: Bool?

  // Media and its description.
  var port: MediaPort?
  /// What we last described to the peer, and the identity of our session towards him.
  var description: LocalDescription
  /// What the peer last described.
  var remote: RemoteDescription?
  var localSDP: [UInt8]? { description.bytes.isEmpty ? nil : description.bytes }
  var localAudio: AudioStream? { description.audio }
  var remoteAudio: AudioStream? { remote?.audio }

  /// What was agreed of refreshing the session, and the timer of the next refresh or of the end (RFC 4028).
  var session = SessionTimer()
  var sessionTimer: TimerHandle?

  /// Only where it is needed: most legs never have one.
  private(set) var extra: SessionExtra?
  /// A BYE that waits for the ACK to our 2xx (RFC 3261 §15), with its Reason.
  var byeReason: Reason?

  /// A trunk's leg, or one that a hunt counts.
  var use: LegUse?

  // Of a callee's leg.
  private var attemptIndex: Int32 = -1
  var leaf: DialTree.Leaf?
  var timer: TimerHandle?
  var reinviteTimer: TimerHandle?
  /// The INVITE as it was sent; nil once there is the dialog.
  var sent: SentInvite?
  /// The user whose phone a callee's leg rings.
  var calledUser: [UInt8]?
  /// The Info-Packages that the peer takes (RFC 6086 §5.2.2); nil where he says nothing.
  var recvInfo: [UInt8]?
  /// Other servers of the same target (RFC 3263 §4.3).
  var hops: HopList?
  /// Hash of the tag in a callee's last 18x, for whoever answers in his place (RFC 3891); 0: none came.
  var ringingTag: UInt64 = 0
  /// Only while something is transferred.
  var transfer: LegTransfer?

  init(token: Token, role: Role, call: Call, flow: Flow, session: UInt64) {
    self.token = token
    self.role = role
    self.call = call
    self.flow = flow
    description = LocalDescription(id: session)
  }

  /// `extra`, made where there is none.
  var extras: SessionExtra {
    if let extra { return extra }
    let new = SessionExtra()
    extra = new
    return new
  }

  /// Gives `extra` back if nothing of it is needed any more.
  func trimExtra() {
    if let extra, extra.isIdle { self.extra = nil }
  }

  /// The offer of a re-INVITE or UPDATE that the other leg has still to answer.
  var proposed: RemoteDescription? {
    get { extra?.proposed }
    set {
      if newValue != nil || extra != nil { extras.proposed = newValue }
      trimExtra()
    }
  }

  /// What was described before our own offer, should it be refused.
  var saved: LocalDescription? {
    get { extra?.saved }
    set {
      if newValue != nil || extra != nil { extras.saved = newValue }
      trimExtra()
    }
  }

  /// Its place in the call's attempts.
  var attempt: Int? {
    get { attemptIndex < 0 ? nil : Int(attemptIndex) }
    set { attemptIndex = newValue.map { Int32(truncatingIfNeeded: $0) } ?? -1 }
  }

  var isLive: Bool { phase != .ended }
  /// FNV-1a; never 0.
  static func hash(ofTag tag: Bytes) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for octet in tag { hash = (hash ^ UInt64(octet)) &* 0x100_0000_01b3 }
    return hash | 1
  }
  /// Our tag as it is written.
  var tag: Bytes { dialog?.localTag ?? token.hex[...] }
  var name: LegName { LegName(slot: token.slot, generation: token.generation) }
}

/// Where the parts of our INVITE are that the dialog-to-be consists of. The octets are those that its transaction sends.
struct SentInvite {
  var bytes: [UInt8]
  var from: Range<UInt32>
  /// The last octets of From.
  var tagLength: UInt8
  var callID: Range<UInt32>
  /// In To, which has no more than it.
  var requestURI: Range<UInt32>
  /// Above 1 where it went out again: with credentials, or with a longer session timer.
  var cseq: UInt32 = 1

  /// - Parameter flow: where it was sent.
  func invitation(flow: Flow) -> Dialog.Invitation {
    func view(_ range: Range<UInt32>) -> Bytes { bytes[Int(range.lowerBound)..<Int(range.upperBound)] }
    let from = view(from)
    return Dialog.Invitation(
      callID: view(callID), from: from, localTag: from.suffix(Int(tagLength)), cseq: cseq,
      requestURI: view(requestURI), flow: flow)
  }
}

/// A leg as transactions, which outlive it, know it: two numbers that find nothing once it is over, so that nothing of
/// a call is kept for them.
struct LegName: Equatable {
  var slot: UInt32
  var generation: UInt32

  /// A name of no leg: no slot has this generation.
  static let none = LegName(slot: 0, generation: 0)
}
