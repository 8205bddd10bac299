import NetCore

/// The servers of a leg's target that are still to be tried: only where DNS gave several, and until one has answered.
final class HopList {
  var others: [Flow]
  /// Which one is being tried, from 1.
  var number: UInt8 = 1
  /// It has said something, if only 100.
  var isHeard = false

  init(_ others: [Flow]) { self.others = others }
}

/// The INVITE to a server that was given up for another one, and where it went. An object, as there are few of them and
/// many `RequestOwner`.
final class GivenUpServer {
  let sent: SentInvite
  let flow: Flow

  init(sent: SentInvite, flow: Flow) {
    self.sent = sent
    self.flow = flow
  }
}
