import NetCore
import SIPMessage
import SIPTransaction

/// One message on its way to a user's bindings, to a trunk or to an address.
final class MessageDelivery {
  /// Who wants to know what came of it.
  enum Origin {
    case request(ServerTransactionID)
    /// A task of a script that waits for it.
    case task(slot: UInt32, generation: UInt32)
    /// One that waited for its user, and is told apart by its id.
    case stored(id: Int64)
    /// `req:deliver`: the sender and the script both.
    case script(ServerTransactionID, slot: UInt32, generation: UInt32)
  }

  let slot: UInt32
  let generation: UInt32
  let message: TextMessage
  /// The user of ours who is to have it; nil for a trunk or an address, for whom nothing is kept.
  let user: [UInt8]?
  let origin: Origin
  /// Attempts that have no final response.
  var pending = 0
  var failures: [Int] = []
  /// Somebody took it.
  var isTaken = false
  /// The origin has been told.
  var isSettled = false
  /// It was stored because nobody had answered in time.
  var held: Int64?
  var timer: TimerHandle?

  init(slot: UInt32, generation: UInt32, message: TextMessage, user: [UInt8]?, origin: Origin) {
    self.slot = slot
    self.generation = generation
    self.message = message
    self.user = user
    self.origin = origin
  }

  /// Nobody is there, or nobody who answers: later it may be otherwise. Every other failure is the phone's own word.
  static func isAbsence(_ status: Int) -> Bool {
    switch status {
    case 401, 407, 408, 410, 430, 480, 481, 486, 500..<600: true
    default: false
    }
  }
}
