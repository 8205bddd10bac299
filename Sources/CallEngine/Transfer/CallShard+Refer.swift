import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// REFER within a dialog (RFC 3515): who may, what the script says of it, and the way into the transfer.
extension CallShard {
  /// Whose phone a leg speaks with.
  func party(of leg: Leg) -> Party {
    if let party = leg.transfer?.party { return party }
    let call = leg.call
    if leg.role == .caller {
      let name = call.account?.name ?? String(decoding: call.invite.from.uri.decodedUser ?? [], as: UTF8.self)
      return Party(context: call.context, account: call.account, trunk: call.trunk, name: name)
    }
    guard let attempt = leg.attempt, call.attempts.indices.contains(attempt),
      let target = target(call.attempts[attempt].target)
    else { return Party(name: "") }
    switch target.place {
    case .user(let user), .binding(let user, _):
      let account = directory.user(user[...])
      return Party(context: account?.context, account: account, name: String(decoding: user, as: UTF8.self))
    case .trunk(let name, let number):
      return Party(
        context: directory.trunk(named: name)?.context, trunk: name, name: String(decoding: number, as: UTF8.self))
    case .uri(let uri):
      let user = (try? URI(parsing: uri[...]))?.decodedUser ?? uri
      let name = String(decoding: user, as: UTF8.self)
      switch directory.admission(of: leg.flow.remote.ip) {
      case .trunk(let trunk, let context): return Party(context: context, trunk: trunk, name: name)
      case .open(let context): return Party(context: context, name: name)
      case .challenge: return Party(name: name)
      }
    }
  }

  /// The REFER of a phone in a call. It is answered here, or by the script's `on.refer`, or by whom it is passed on to.
  func refer(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    let call = leg.call
    let target: ReferTarget
    do throws(ReferTarget.Refusal) {
      target = try ReferTarget(message)
    } catch {
      return reply(id, message, error.status, error.text)
    }
    guard leg.phase == .confirmed, call.hangup == nil, !leg.isLeaving else {
      return reply(id, message, 403, "Nobody to transfer")
    }
    // One transfer at a time: the second REFER may come again when the first is decided.
    if isTransferring(call) || leg.transfer?.referral?.isOver == false { return reply(id, message, 491) }
    guard counterpart(leg) != nil || call.transfer?.half != nil else {
      return reply(id, message, 403, "Nobody to transfer")
    }
    guard (call.transfer?.count ?? 0) < CallTransfer.mostTransfers else {
      return reply(id, message, 482, "Transferred too often")
    }
    let question = ReferQuestion(request: id, leg: leg.name, target: target)
    if call.dial?.options.referHandling == .pass { return pass(question) }
    let asks = call.dial?.options.referHandling == .ask
    guard asks || call.script.hasRefer else { return decide(question, .go) }
    ask(question, call, leg, ofDial: asks)
  }

  /// REFER outside of a dialog: nobody's call is touched by whoever knows no more than an address. Who authenticates is
  /// told that it is not done here, a stranger is challenged.
  func strayRefer(_ id: ServerTransactionID, _ message: Message) {
    guard admit(id, message) != nil else { return }
    reply(id, message, 403, "REFER is for calls")
  }

  /// A transfer of this call is under way: its two sides are not what they will be.
  func isTransferring(_ call: Call) -> Bool {
    guard let transfer = call.transfer else { return false }
    return transfer.pending != nil || transfer.origin != nil || transfer.asking != nil || transfer.joining != nil
  }

  /// What becomes of a REFER.
  enum ReferVerdict {
    case go
    /// Somewhere else: a number or a URI, which the dialplan routes.
    case redirect([UInt8])
    case refuse(Int, String?)
    case pass
  }

  func decide(_ question: ReferQuestion, _ verdict: ReferVerdict) {
    guard let message = table.request(of: question.request) else { return }
    guard let leg = leg(question.leg), leg.phase == .confirmed, leg.call.hangup == nil else {
      return reply(question.request, message, 481)
    }
    var target = question.target
    switch verdict {
    case .go: break
    case .refuse(let status, let text): return reply(question.request, message, status, text, tag: leg.tag)
    case .pass: return pass(question)
    case .redirect(let to):
      target.replaces = nil
      target.uri = CallShard.uri(of: String(decoding: to, as: UTF8.self), domain: settings.domain)
    }
    let party = party(of: leg)
    guard let context = party.context else {
      // Of somebody whom we only know by his address nothing is dialled.
      return reply(question.request, message, 403, tag: leg.tag)
    }
    let order = TransferOrder(
      target: target.uri, replaces: target.replaces, context: context, transferor: party.name,
      referredBy: referredBy(message, party))
    accept(question.request, message, leg)
    if let half = leg.call.transfer?.half {
      // Who is transferred is in another call: that one does it, and tells us how it goes.
      leg.call.transferState.pending = PendingTransfer(order: order, transferor: .leg(leg.name), candidate: nil)
      return post(.refer(order), from: half)
    }
    guard let other = counterpart(leg) else { return tell(leg, 481) }
    transfer(other, by: .leg(leg.name), order)
  }

  /// 202 (RFC 3515 §2.4.2), and the first NOTIFY at once (§2.4.4), unless the phone wants none (RFC 4488 §3).
  private func accept(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    let wantsNone = message.first(named: "Refer-Sub").map { $0.starts(with: "false".utf8) } ?? false
    let state = leg.transferState
    state.referrals += 1
    state.referral = Referral(id: state.referrals > 1 ? message.cseq : nil, isSilent: wantsNone)
    reply(id, message, 202, tag: leg.tag) { writer in
      self.contact(&writer, leg)
      if wantsNone { writer.header(name: Array("Refer-Sub".utf8)[...], value: Array("false".utf8)[...]) }
    }
    tell(leg, 100)
  }

  /// RFC 3892 §2.1, §4: the phone's own words where they name it, else ours: who asked is known by his dialog.
  private func referredBy(_ message: Message, _ party: Party) -> [UInt8] {
    let values = message.all(.referredBy)
    if values.count == 1, values[0].count <= 256, let user = (try? NameAddress(parsing: values[0]))?.uri.decodedUser,
      party.trunk != nil || isName(user, of: party.account)
    {
      return Array(values[0])
    }
    return [UInt8(ascii: "<")] + CallShard.uri(of: party.name, domain: settings.domain) + [UInt8(ascii: ">")]
  }

  private func isName(_ user: [UInt8], of account: UserAccount?) -> Bool {
    guard let account else { return false }
    return user == account.octets || account.callerNumber.map { user.elementsEqual($0.utf8) } ?? false
  }

  /// What a script or a record calls a place, as a URI: `1001`, `user/1001`, `trunk/alpha/4930…`, `sip:…`.
  static func uri(of name: String, domain: String) -> [UInt8] {
    if name.hasPrefix("sip:") || name.hasPrefix("sips:") || name.hasPrefix("tel:") { return Array(name.utf8) }
    let user = name.split(separator: "/").last.map { Array($0.utf8) } ?? []
    return Array(CallerName(display: nil, user: user).value(domain: domain).dropFirst().dropLast())
  }

  /// The way a transfer starts, in the call of who is transferred.
  /// - Parameter other: who is transferred.
  func transfer(_ other: Leg, by transferor: Transferor, _ order: TransferOrder) {
    if order.replaces != nil {
      attend(other, by: transferor, order)
    } else {
      blind(other, by: transferor, order)
    }
  }

  /// How it goes, to whoever asked for it.
  func progress(_ call: Call, _ transferor: Transferor, _ status: Int) {
    switch transferor {
    case .leg(let name):
      if let leg = leg(name) { tell(leg, status) }
    case .half:
      if let half = call.transfer?.half { post(.referProgress(status), from: half) }
    }
  }
}
