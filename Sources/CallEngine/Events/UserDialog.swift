import SIPDialog
import SIPMessage

/// A call of a user as those who watch him may see it (RFC 4235 §4.1): without Call-ID and tags, which would let them
/// take the call over, and with the other side's name only as his privacy allows.
struct UserDialog: Hashable, Sendable {
  enum State: UInt8, Sendable { case trying, early, confirmed }
  enum Direction: UInt8, Sendable { case initiator, recipient }

  /// Says nothing of the leg that it is made from.
  var id: UInt64
  var direction: Direction
  var state: State
  /// The other side: display name, empty for none, and URI; nil where it wants privacy.
  var remote: Party?

  struct Party: Hashable, Sendable {
    var display: [UInt8]
    var uri: [UInt8]
  }

  /// In a call, and not only being rung.
  var isTalking: Bool { state == .confirmed || direction == .initiator }
}

extension CallShard {
  /// To be called at each change of a leg's state: one load while nobody watches anybody.
  func note(_ leg: Leg) {
    if services.events.hub.isWatched { show(leg) }
  }

  private func show(_ leg: Leg) {
    guard let user = leg.user else { return }
    let key = EventHub.DialogKey(shard: shard, slot: leg.token.slot, generation: leg.token.generation)
    services.events.hub.set(dialog(of: leg), at: key, of: user, peers: services.peers)
  }

  /// Tells of the calls that a user has in this shard: somebody begins to watch him.
  func collect(_ user: [UInt8]) {
    for call in calls.elements {
      if call.account?.octets == user { show(call.caller) }
      for leg in call.callees where leg.user == user { show(leg) }
    }
  }

  private func dialog(of leg: Leg) -> UserDialog? {
    guard leg.isLive, !leg.isCancelled, leg.call.hangup == nil else { return nil }
    var hasher = Hasher()
    hasher.combine(leg.token)
    return UserDialog(
      id: UInt64(UInt(bitPattern: hasher.finalize())),
      direction: leg.role == .caller ? .initiator : .recipient, state: state(of: leg), remote: party(of: leg))
  }

  private func state(of leg: Leg) -> UserDialog.State {
    if leg.phase == .confirmed { return .confirmed }
    let call = leg.call
    switch leg.role {
    case .caller: return leg.localSDP != nil || call.dial?.firstRing != nil ? .early : .trying
    case .callee:
      guard let attempt = leg.attempt, call.attempts.indices.contains(attempt) else { return .trying }
      return call.attempts[attempt].provisional.count == 0 ? .trying : .early
    }
  }

  /// Of a caller whom he called; of a callee who calls him, in the words that he himself was told.
  private func party(of leg: Leg) -> UserDialog.Party? {
    switch leg.role {
    case .caller:
      guard !Privacy(leg.call.invite).hidesCaller, let user = leg.call.invite.requestURI.decodedUser else { return nil }
      return UserDialog.Party(display: [], uri: settings.address(of: user))
    case .callee:
      let from = leg.dialog?.localAddress ?? leg.sent?.invitation(flow: leg.flow).from
      guard let from, let address = try? NameAddress(parsing: from), !CallerName(address).isAnonymous else {
        return nil
      }
      return UserDialog.Party(display: Array((address.displayName ?? "").utf8), uri: Array(address.uri.bytes))
    }
  }
}

extension Leg {
  /// The user of ours whose leg this is; nil for trunks, addresses and callers without an account.
  var user: [UInt8]? { role == .caller ? call.account?.octets : calledUser }
}

extension EngineSettings {
  /// `sip:user@domain` of a user of ours.
  func address(of user: some Sequence<UInt8>) -> [UInt8] {
    var uri = Array("sip:".utf8)
    uri.appendUser(user)
    uri.append(UInt8(ascii: "@"))
    uri += domainOctets
    return uri
  }
}
