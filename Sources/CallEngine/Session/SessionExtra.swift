import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

/// What a leg keeps while something is under way that most legs never see: a change of the session, 100rel, a callee's
/// early dialogs. Given back when it is over.
final class SessionExtra {
  // A change: a re-INVITE or an UPDATE of the peer, or ours.

  /// The peer's offer that the other leg has still to answer.
  var proposed: RemoteDescription?
  /// Our description before our open offer.
  var saved: LocalDescription?
  /// The peer's UPDATE that waits for our final response.
  var serverUpdate: ServerTransactionID?
  /// Our UPDATE that waits for the peer's.
  var clientUpdate: ClientTransactionID?
  /// Our re-INVITE was cancelled, or took too long: what comes of it concerns nobody any more.
  var isWithdrawn = false
  /// The end of our patience with the peer's answer to our re-INVITE or UPDATE.
  var changeTimer: TimerHandle?

  // 100rel towards the caller (RFC 3262 §3).

  var reliable = ReliableSender()
  var reliableTimer: TimerHandle?
  /// Reliable responses that wait for the PRACK of the one before.
  var queue: [Provisional] = []
  /// The 200 that waits for a PRACK.
  var acceptance: Acceptance?

  // A callee's early dialogs (RFC 3262 §4), one a fork behind his proxy.

  var early: [EarlyDialog] = []
  /// How often his INVITE was sent anew with a longer session timer.
  var intervalRetries = 0

  var isIdle: Bool {
    proposed == nil && saved == nil && serverUpdate == nil && clientUpdate == nil && !isWithdrawn
      && changeTimer == nil && !reliable.isUsed && acceptance == nil && early.isEmpty && intervalRetries == 0
  }

  struct Provisional {
    var status: Int
    var sdp: [UInt8]?
  }

  struct Acceptance {
    var sdp: [UInt8]?
    var headers: [(name: [UInt8], value: [UInt8])]
  }
}

/// A dialog that a reliable provisional response of a callee has made. The unreliable ones make none: nothing is sent in
/// them, and their 2xx brings all that there is to know.
final class EarlyDialog {
  var dialog: Dialog
  var received = ReliableReceiver()
  var offers = OfferAnswer()
  /// What he has answered for good, or offered since.
  var remote: RemoteDescription?

  init(_ dialog: consuming Dialog) {
    self.dialog = dialog
    // Our INVITE made the offer.
    _ = offers.sendOffer()
  }

  /// Proxies do not fork to more.
  static let limit = 8
}
