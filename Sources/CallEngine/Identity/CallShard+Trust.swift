import SIPMessage

/// What a callee may be told of a caller (RFC 3325 §2.3, §7).
enum CalleeTrust {
  /// A phone of ours: whatever nobody asked to be kept from it.
  case phone
  /// A trunk inside the trust domain: everything, with the wish for privacy.
  case trusted
  /// Anybody else: the From, and no assertion.
  case stranger
}

extension CallShard {
  /// Whoever is let in without credentials is as good as his word: a trunk unless it is configured otherwise, and whom
  /// an access rule lets in. A user is known by his credentials, and what he says of others counts for nothing.
  func isTrusted(_ call: Call) -> Bool {
    if let trunk = call.trunk { return directory.trunk(named: trunk)?.isTrusted ?? false }
    return call.account == nil
  }

  func trust(in target: DialTarget) -> CalleeTrust {
    switch target.place {
    case .user, .binding: .phone
    case .trunk(let name, _): directory.trunk(named: name)?.isTrusted ?? false ? .trusted : .stranger
    case .uri: .stranger
    }
  }

  func identity(of call: Call, target: DialTarget, _ trust: CalleeTrust) -> CallerIdentity.Outgoing {
    CallerIdentity.outgoing(
      invite: call.invite, account: call.account, trusted: isTrusted(call), domain: settings.domain,
      override: target.from, asserted: target.asserted, privacy: target.privacy, calleeIsTrusted: trust == .trusted,
      calleeIsStranger: trust == .stranger,
      readsRemotePartyID: call.trunk.flatMap { directory.trunk(named: $0) }?.remotePartyID ?? false)
  }

  /// Identity headers of an INVITE, and the history of the call where the callee may know it.
  func writeIdentity(
    _ writer: inout MessageWriter, _ caller: CallerIdentity.Outgoing, _ target: DialTarget, _ call: Call,
    _ trust: CalleeTrust, changes: HeaderChanges
  ) {
    for value in caller.assertedIdentities { writer.header(.pAssertedIdentity, value[...]) }
    if let privacy = caller.privacy { writer.header(.privacy, privacy[...]) }
    if trust == .trusted, case .trunk(let name, _) = target.place, directory.trunk(named: name)?.remotePartyID ?? false,
      let known = caller.assertedIdentities.first
    {
      // draft-ietf-sip-privacy-04: what carriers used before RFC 3325, and some still read.
      writer.header(
        .remotePartyID,
        (known + Array(";party=calling;screen=yes;privacy=\(caller.isHidden ? "full" : "off")".utf8))[...])
    }
    let forwardings = target.forwardings.isEmpty ? call.forwardings : target.forwardings
    guard trust != .stranger, !forwardings.isEmpty || call.invite.has(.diversion) || call.invite.has(.historyInfo)
    else { return }
    writeHistory(&writer, target, call, trust, forwardings, changes: changes)
  }

  private func writeHistory(
    _ writer: inout MessageWriter, _ target: DialTarget, _ call: Call, _ trust: CalleeTrust,
    _ forwardings: [Forwarding], changes: HeaderChanges
  ) {
    let believed = isTrusted(call)
    if !changes.replaces(named: Array("Diversion".utf8)) {
      let passed = believed ? call.invite.values(.diversion) : []
      for value in DiversionHeader.values(passed: passed, forwardings, shown: trust == .phone) {
        writer.header(.diversion, value[...])
      }
    }
    // RFC 7044 §10.1: who wants privacy for the history, or for himself, has it end where trust ends.
    let isPrivate = call.invite.has(.privacy) && Privacy(call.invite).hidesHistory
    if !changes.replaces(named: Array("History-Info".utf8)), trust == .trusted || !isPrivate {
      let passed = believed ? call.invite.values(.historyInfo) : []
      let uri: [UInt8]
      switch target.place {
      case .user(let user), .binding(let user, _), .trunk(_, let user):
        uri = Array("sip:".utf8) + user + Array("@\(settings.domain)".utf8)
      case .uri(let bytes): uri = bytes
      }
      for value in HistoryHeader.values(passed: passed, forwardings, target: uri) {
        writer.header(.historyInfo, value[...])
      }
    }
  }

  /// RFC 3323 §4.2 `user`: what else of the caller's own words could say who he is does not go on, unless the script
  /// has put it there.
  func hideDetails(_ changes: inout HeaderChanges) {
    for name in ["Subject", "Call-Info"] where !changes.replaces(named: Array(name.utf8)) {
      changes.remove(Array(name.utf8))
    }
  }
}
