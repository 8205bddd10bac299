import NetCore
import SIPMessage

/// One of the two machines of a server, changed in place.
enum ServerMachine: ~Copyable {
  case invite(InviteServerMachine)
  case nonInvite(NonInviteServerMachine)

  mutating func withInvite<R>(_ body: (inout InviteServerMachine) -> R) -> R? {
    switch consume self {
    case .invite(var machine):
      let result = body(&machine)
      self = .invite(machine)
      return result
    case .nonInvite(let machine):
      self = .nonInvite(machine)
      return nil
    }
  }

  mutating func withNonInvite<R>(_ body: (inout NonInviteServerMachine) -> R) -> R? {
    switch consume self {
    case .nonInvite(var machine):
      let result = body(&machine)
      self = .nonInvite(machine)
      return result
    case .invite(let machine):
      self = .invite(machine)
      return nil
    }
  }
}

/// A server transaction: its machine and what the table needs to find, answer and time it.
struct ServerTransaction: ~Copyable {
  var machine: ServerMachine
  /// Until the final response is sent; what lingers after that must not hold a message.
  var request: Message?
  let flow: Flow
  let key: TransactionKey
  /// Its place among the requests that a merged one is recognised by (RFC 3261 §8.2.2.2).
  var mergeKey: TransactionKey?
  /// For a request without the magic cookie: the hash of the To tag that we answered with (§17.2.3).
  var legacyTag: TransactionKey?
  let isLegacy: Bool
  /// Timer G, or the next 2xx.
  var again = TimerHandle.none
  /// The timer that ends the state: H, I, J, L.
  var end = TimerHandle.none
}

/// One of the machines of a client.
enum ClientMachine: ~Copyable {
  /// The branch is given out, the request not yet sent.
  case reserved
  case invite(InviteClientMachine)
  case nonInvite(NonInviteClientMachine)

  mutating func withInvite<R>(_ body: (inout InviteClientMachine) -> R) -> R? {
    switch consume self {
    case .invite(var machine):
      let result = body(&machine)
      self = .invite(machine)
      return result
    case .nonInvite(let machine):
      self = .nonInvite(machine)
      return nil
    case .reserved:
      self = .reserved
      return nil
    }
  }

  mutating func withNonInvite<R>(_ body: (inout NonInviteClientMachine) -> R) -> R? {
    switch consume self {
    case .nonInvite(var machine):
      let result = body(&machine)
      self = .nonInvite(machine)
      return result
    case .invite(let machine):
      self = .invite(machine)
      return nil
    case .reserved:
      self = .reserved
      return nil
    }
  }
}

extension ClientMachine {
  /// Of an INVITE with a 2xx.
  var ack: [UInt8]? {
    switch self {
    case .invite(let machine): machine.ack
    case .nonInvite: nil
    case .reserved: nil
    }
  }
}

extension ClientMachine {
  /// What was sent, until its final response.
  var request: [UInt8]? {
    switch self {
    case .invite(let machine): machine.request
    case .nonInvite(let machine): machine.request
    case .reserved: nil
    }
  }
}

/// A client transaction. A CANCEL is one of its own, found through its INVITE, whose branch it shares (§9.1).
struct ClientTransaction: ~Copyable {
  var machine = ClientMachine.reserved
  var method = Method.unknown
  let random: UInt64
  /// Nil as long as nothing was sent.
  var flow: Flow?
  /// Of a request that went by TCP for its length.
  var datagram: DatagramForm?
  /// Of an INVITE the slot of its CANCEL, of a CANCEL that of its INVITE; `.max` for none.
  var partner = UInt32.max
  /// Timer A or E.
  var again = TimerHandle.none
  /// The timer that ends the state: B, D, F, K, M.
  var end = TimerHandle.none

  init(random: UInt64) { self.random = random }
}
