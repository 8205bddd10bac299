import Media
import NetCore
import SDP
import SIPMessage
import SIPTransaction

/// The end of a bridge in one call, whose other end is the half of another call: in this shard or in another. Legs never
/// leave their shard; the two halves exchange what passes between their phones by mailbox, and the media plane joins
/// the ports by their lease.
///
///     asking ──ready──> joined ──over──> ·        the half that wants the join, and leads
///        └──ringing──> ringing ──ready──> joined
///     offered ──commit──> joined ──over──> ·      the half that was asked for it
///     ringing ──answer──> offered
///
/// Until `commit` nothing has happened to the asked call, until `ready` nothing to the asking one: whichever side ends
/// before, the other goes on as it was. Transfer makes them; whatever joins calls of two shards can: a pick-up from a
/// parking slot is a `join` that names a call.
final class Half {
  enum Stage { case asking, ringing, offered, joined }

  let name: HalfName
  unowned let call: Call
  /// The leg that the half talks for; nil while its call still rings whom it will be.
  var leg: Leg?
  var stage: Stage
  /// The other half, once it has spoken.
  var peer: HalfName?
  /// The other half's leg, as it last said.
  var view: MediaView?
  /// Settles the media where the two sides differ, and commands the bridge: the half that asked.
  let leads: Bool
  /// Whom the half replaces when it is joined.
  var replaced: LegName?
  /// Re-INVITEs of one side that are passed to the other: one at a time.
  var exchange = Exchange.none
  /// How often the media was offered anew since the join; see `settle`.
  var turns = 0
  /// The port changed since the phone was told an address.
  var hasMoved = false
  /// A phone that was on hold has been offered to talk; one that still will not is not asked again.
  var hasResumed = false
  /// The phone refused what the other side can do.
  var wasRefused = false
  /// Who transferred, for the record.
  var transferor = ""

  enum Exchange {
    case none
    /// Our phone has asked; the other side's answer is awaited.
    case asked
    /// The other side has asked; our phone's answer is awaited.
    case answering
    /// Our own offer to our phone, to settle what the two sides can do.
    case settling
  }

  init(name: HalfName, call: Call, leg: Leg?, stage: Stage, leads: Bool) {
    self.name = name
    self.call = call
    self.leg = leg
    self.stage = stage
    self.leads = leads
  }
}

/// The name of a half in any shard: a message to one that is gone finds nothing.
struct HalfName: Sendable, Hashable {
  var shard: UInt8
  var slot: UInt32
  var generation: UInt32
}

/// What one half must know of the other's leg: its port, and both descriptions of its session.
struct MediaView: Sendable {
  var port: MediaEndpointID
  var local: AudioStream?
  var remote: RemoteDescription?
}

/// What halves say to each other. Opaque outside of the engine.
public struct HalfMessage: Sendable {
  var to: HalfName
  var from: HalfName
  var body: Body

  enum Body: Sendable {
    /// To a shard: join with the other side of this dialog.
    case join(JoinRequest)
    /// To a joined half: the same, for the leg that stands there.
    case joinHere(JoinRequest)
    /// The other side rings.
    case ringing(Int)
    case ready(MediaView, who: String)
    case refused(Int)
    case commit(MediaView, who: String)
    /// A session has changed; `turn`: the other half may now settle what is left to settle.
    case media(MediaView, turn: Int?)
    case offer(RemoteDescription)
    case answer(RemoteDescription)
    case refuseOffer(Int)
    case withdrawOffer
    case info(PassedInfo, ServerTransactionID)
    case infoDone(ServerTransactionID, Int)
    case refer(TransferOrder)
    case referProgress(Int)
    case over(Call.Hangup)
  }
}

/// Which dialog is to be replaced, and who asks.
struct JoinRequest: Sendable {
  var replaces: Replaces
  /// The dialog's phone must be of the same context.
  var context: String
  /// A REFER within our own calls may hand over a call that rings; an INVITE may take one that rings him.
  var isReferral: Bool
  var transferor: String
  /// The tags were changed about once already.
  var isSwapped = false
}

/// An INFO (RFC 6086) or MESSAGE that crosses.
struct PassedInfo: Sendable {
  var method: Method
  /// Whole header lines that pass.
  var lines: [UInt8]
  var package: [UInt8]?
  var type: [UInt8]?
  var disposition: [UInt8]?
  var body: [UInt8]
}

/// The shard's halves, and messages that found a mailbox full.
struct TransferState {
  var halves = Slab<Half>()
  var unsent: [(message: HalfMessage, tries: Int)] = []
  var timer: TimerHandle?
  static let mostUnsent = 10_000
}
