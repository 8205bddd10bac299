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
  let role: Role
  unowned let call: Call
  var phase = Phase.early
  var flow: Flow
  var dialog: Dialog?

  /// The INVITE of the peer that waits for our final response: the initial one, or a re-INVITE.
  var serverInvite: ServerTransactionID?
  /// Our INVITE that waits for the peer's final response.
  var clientInvite: ClientTransactionID?
  /// The last 2xx we sent, until its ACK has come.
  var unacknowledged: ServerTransactionID?
  /// A callee whom we gave up: his 2xx is acknowledged and ended at once.
  var isCancelled = false

  // Media and its description.
  var port: MediaPort?
  /// What we last described to the peer, and the identity of our session towards him.
  var description: LocalDescription
  /// What the peer last described.
  var remote: RemoteDescription?
  var localSDP: [UInt8]? { description.bytes.isEmpty ? nil : description.bytes }
  var localAudio: AudioStream? { description.audio }
  var remoteAudio: AudioStream? { remote?.audio }
  /// True where `localSDP` is an offer of ours that the peer's ACK must answer.
  var awaitsAnswer = false

  /// The offer of a re-INVITE that the other leg has still to answer.
  var proposed: RemoteDescription?
  /// What was described before our own re-INVITE, should it be refused.
  var saved: LocalDescription?
  /// The caller is to be offered the callee's codec once his ACK is here.
  var wantsReoffer = false
  /// A BYE that waits for the ACK to our 2xx (RFC 3261 §15), with its Reason.
  var byeReason: Reason?

  // Of a callee's leg.
  var attempt: Int?
  var leaf: DialTree.Leaf?
  var timer: TimerHandle?
  var reinviteTimer: TimerHandle?
  /// Views of the INVITE as it was sent: From and Call-ID of the dialog-to-be. Nil once there is the dialog.
  var local: Dialog.Invitation?
  /// A phone that registered: requests go where its REGISTER came from.
  var isBinding = false

  init(token: Token, role: Role, call: Call, flow: Flow, session: UInt64) {
    self.token = token
    self.role = role
    self.call = call
    self.flow = flow
    description = LocalDescription(id: session)
  }

  var isLive: Bool { phase != .ended }
  /// Our tag as it is written.
  var tag: Bytes { dialog?.localTag ?? token.hex[...] }
  var name: LegName { LegName(slot: token.slot, generation: token.generation) }
}

/// A leg as transactions, which outlive it, know it: two numbers that find nothing once it is over, so that nothing of
/// a call is kept for them.
struct LegName {
  var slot: UInt32
  var generation: UInt32

  /// A name of no leg: no slot has this generation.
  static let none = LegName(slot: 0, generation: 0)
}
