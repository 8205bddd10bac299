import NetCore
import SIPMessage
import SIPTransaction

/// What a leg has only while something is transferred.
final class LegTransfer {
  /// Whose phone it is, of a leg that came here from another call.
  var party: Party?
  /// Its place in the attempts of the call that it came from.
  var attempt: Int?
  /// The REFER that its phone sent, and what it is told of it.
  var referral: Referral?
  /// CSeq of its first REFER: later ones are told apart by `id` (RFC 3515 §2.4.6).
  var referrals = 0
  /// Its call goes on without it: what its phone still does concerns nobody else.
  var isLeaving = false
  /// Our REFER to its phone, and the task that waits for what comes of it.
  var request: ReferRequest?
  /// A REFER of its peer that was passed on to it: NOTIFY goes back with this `id`.
  var passed: PassedReferral?
}

/// Whose phone a leg speaks with: what he may do, and as whom he calls.
struct Party {
  /// Nil: somebody of whom nothing is known but an address.
  var context: String?
  var account: UserAccount?
  var trunk: String?
  var name: String
}

/// The subscription that a REFER makes (RFC 3515 §2.4.4): what is told to who sent it, one NOTIFY at a time so that none
/// overtakes another, and of several that wait only the newest.
final class Referral {
  /// In Event where it is not the first REFER of its dialog (§2.4.6).
  let id: UInt32?
  /// `Refer-Sub: false` (RFC 4488): nothing is told.
  let isSilent: Bool
  /// A NOTIFY without its response yet.
  var isSending = false
  /// The status that is told next.
  var waiting: Int?
  /// The last NOTIFY said `terminated`, or the phone wants no more.
  var isOver = false
  /// What happens to the leg once the outcome is told: nil: it stays in its call.
  var end: Call.Hangup?
  var timer: TimerHandle?

  init(id: UInt32?, isSilent: Bool) {
    self.id = id
    self.isSilent = isSilent
  }
}

/// A REFER of the server's own to a phone (`call:refer`).
final class ReferRequest {
  let task: Int
  var timer: TimerHandle?

  init(task: Int) { self.task = task }
}

struct PassedReferral {
  /// Who sent the REFER.
  var from: LegName
  /// Its CSeq there, in NOTIFY as `id` where the phone says one.
  var id: UInt32
}

/// What a call has only while, or after, it is transferred.
final class CallTransfer {
  /// How often whoever is in it was transferred: bounded, so that phones cannot send each other round for ever.
  var count = 0
  /// For the record: who transferred, and where to.
  var by: String?
  var target: String?
  /// The call was made by a transfer.
  var isMade = false
  /// A transfer of one of its two sides is under way.
  var pending: PendingTransfer?
  /// The call was made by a transfer that is not decided yet: where its caller came from.
  var origin: TransferOrigin?
  /// In the place of the leg that left: the end of a bridge whose other end is in another call.
  var half: Half?
  /// The same, not joined yet.
  var joining: Half?
  /// An `on.refer` that runs.
  var asking: ReferQuestion?

  static let mostTransfers = 10
}

/// Who is told how a transfer goes.
enum Transferor {
  /// A leg of this call.
  case leg(LegName)
  /// The phone behind the call's half: it is told by mailbox.
  case half
}

struct PendingTransfer {
  var order: TransferOrder
  var transferor: Transferor
  /// The call that the transferred leg is in meanwhile; of an attended transfer nil.
  var candidate: CallName?
}

struct CallName: Equatable {
  var slot: UInt32
  var generation: UInt32
}

/// Where the caller of a call that a transfer has made comes from, and goes back to if it fails.
struct TransferOrigin {
  var home: CallName
  /// His role there.
  var role: Leg.Role
}

extension Leg {
  /// What a transfer needs of the leg; made at the first need.
  var transferState: LegTransfer {
    if let transfer { return transfer }
    let new = LegTransfer()
    transfer = new
    return new
  }
  var isLeaving: Bool { transfer?.isLeaving ?? false }
}

extension Call {
  var transferState: CallTransfer {
    if let transfer { return transfer }
    let new = CallTransfer()
    transfer = new
    return new
  }
  var name: CallName { CallName(slot: slot, generation: generationOfSlot) }
  /// It was made by a transfer.
  var isTransferred: Bool { transfer?.isMade ?? false }
  /// Its caller is there already, and waits for whom he was transferred to.
  var isTransfer: Bool { transfer?.origin != nil }
}
