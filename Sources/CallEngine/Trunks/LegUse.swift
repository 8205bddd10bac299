import NetCore
import NextHop
import SIPTransaction

/// What a leg holds while it lives besides ports and a dialog: a place among a trunk's calls, with the right to its
/// credentials, and its count in a hunt. Legs of plain calls have none.
final class LegUse {
  let trunk: Trunk?
  private let status: TrunkStatus?
  private let isIncoming: Bool
  /// What a hunt counts it by, where that is no trunk.
  private let counted: [UInt8]?
  private let hunts: HuntTable
  private var isOver = false

  /// The servers of the trunk's own host: the only ones that its credentials are sent to.
  let servers: [Hop]
  /// Header lines that our last INVITE proved itself with, for its ACK (RFC 3261 §22.1), and its CSeq.
  var proof: (cseq: UInt32, lines: [UInt8])?
  /// Requests that have answered a challenge for the second time and do not answer a third.
  var lastAttempts: [ClientTransactionID] = []

  init(
    trunk: Trunk?, status: TrunkStatus?, isIncoming: Bool, servers: [Hop], counted: [UInt8]?, hunts: HuntTable
  ) {
    self.trunk = trunk
    self.status = status
    self.isIncoming = isIncoming
    self.servers = servers
    self.counted = counted
    self.hunts = hunts
    if let counted { hunts.add(1, to: counted) }
  }

  /// The leg is over; a second time does nothing.
  func end() {
    guard !isOver else { return }
    isOver = true
    status?.release(incoming: isIncoming)
    if let counted { hunts.add(-1, to: counted) }
  }
}
