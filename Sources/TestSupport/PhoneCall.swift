internal import NetCore
public import SIPDialog
public import SIPMessage
internal import SIPTransaction

/// One call of a `ScriptedPhone`, in or out.
public final class PhoneCall {
  public enum State: UInt8, Sendable { case calling, ringing, answered, ended }

  public let isOutgoing: Bool
  public internal(set) var state = State.calling
  /// Of an outgoing call every status that its INVITE got, copies of the 2xx left out; of an incoming one what we sent.
  public internal(set) var statuses: [Int] = []
  /// Bodies that came: of provisional responses and the 2xx, or of the INVITE; then of re-INVITEs and their responses.
  public internal(set) var bodies: [[UInt8]] = []
  /// The final response of an outgoing INVITE; the INVITE of an incoming call.
  public internal(set) var message: Message?
  public internal(set) var dialog: Dialog?
  /// The ACK of our 2xx came, or that of theirs was sent.
  public internal(set) var isAcknowledged = false
  /// The BYE that ended it, if it came from the other side.
  public internal(set) var bye: Message?
  /// What our BYE, or the last re-INVITE, got: a status, 408 for a timeout.
  public internal(set) var byeStatus: Int?
  public internal(set) var reinviteStatus: Int?
  /// A CANCEL came.
  public internal(set) var wasCancelled = false

  public let callID: [UInt8]
  let localTag: [UInt8]

  // Outgoing.
  var target = ""
  var headers: [String] = []
  var body: [UInt8] = []
  var cseq: UInt32 = 1
  /// The last INVITE made no offer, so that the ACK carries an answer (RFC 3261 §13.2.1).
  var answersInACK = false
  var client: ClientTransactionID?
  var credentials: [String] = []
  /// What our PRACKs got.
  public internal(set) var prackStatuses: [Int] = []
  /// PRACKs that came for our responses.
  public internal(set) var pracks: [Message] = []
  var received = ReliableReceiver()
  var reliable = ReliableSender()
  // Incoming.
  var server: ServerTransactionID?
  var steps: ArraySlice<PhoneStep> = []
  // Both: re-INVITEs and what else goes on in the dialog.
  var reinvite: ClientTransactionID?
  var reinviteCSeq: UInt32 = 0
  var byeTransaction: ClientTransactionID?
  var serverReinvite: ServerTransactionID?

  init(isOutgoing: Bool, callID: [UInt8], localTag: [UInt8]) {
    self.isOutgoing = isOutgoing
    self.callID = callID
    self.localTag = localTag
  }

  /// The last status of the INVITE.
  public var status: Int? { statuses.last }
}
