import Logging
import NetCore
import NextHop
import SIPDialog
import SIPDigest
import SIPMessage
import SIPTransaction

// A trunk that asks who we are (RFC 3261 §22.2): the request goes out again with credentials, in the same dialog, with
// the next CSeq. Twice at most, and only to the trunk's own host and for its own realm; whoever else asks gets none.
extension CallShard {
  /// Answers a 401 or 407 to a request of a trunk's leg: the INVITE, or what is sent in the dialog.
  /// - Returns: false where it is to be taken as the final response that it is.
  func answersChallenge(_ id: ClientTransactionID, _ response: Message) -> Bool {
    guard let sent = table.takeChallenged(id), let request = try? MessageParser.parse(sent.bytes, flow: sent.flow),
      let leg = leg(tag: request.fromTag), let use = leg.use, let trunk = use.trunk,
      let credentials = trunk.plan.credentials, mayGoAgain(leg, request, id)
    else { return false }
    let attempts = use.lastAttempts.contains(id) ? 2 : CallShard.proofs.count { request.has($0) }
    use.lastAttempts.removeAll { $0 == id }
    guard use.servers.contains(Hop(sent.flow.transport, sent.flow.remote)) else { return false }
    let isProxy = response.status == 407
    let header: HeaderName = isProxy ? .proxyAuthorization : .authorization
    let challenges = response.all(isProxy ? .proxyAuthenticate : .wwwAuthenticate)
    let status = services.trunks.status(of: trunk.name)
    guard
      let challenge = DigestChallenge.best(of: challenges, where: { status.accepts($0, credentials) }),
      attempts == 0 || (attempts == 1 && (challenge.isStale || !request.has(header)))
    else {
      let why =
        attempts == 0 ? "asks for a realm or a digest that we have no credentials for" : "refuses our credentials"
      status.update { $0.accountProblem = "\(response.status): \(why)" }
      services.logger.warning("a trunk \(why)", metadata: ["trunk": .string(trunk.name), "call": .string(leg.call.id)])
      return false
    }
    let proof = challenge.authorization(
      user: credentials.user, password: credentials.password, method: request.methodName,
      uri: request.requestURI.bytes, cnonce: Token.randomHex(random.next())[...], nc: 1)
    sendAgain(request, leg, use, id, on: sent.flow, header: header, proof: proof, isLast: attempts == 1)
    return true
  }

  private static let proofs = [HeaderName.authorization, .proxyAuthorization]

  /// A call that was given up meanwhile is not taken up again.
  private func mayGoAgain(_ leg: Leg, _ request: Message, _ id: ClientTransactionID) -> Bool {
    guard request.method == .invite else { return true }
    return leg.clientInvite == id && leg.isLive && !leg.isCancelled && leg.call.hangup == nil
      && leg.extra?.isWithdrawn != true
  }

  private func sendAgain(
    _ request: Message, _ leg: Leg, _ use: LegUse, _ old: ClientTransactionID, on flow: Flow, header: HeaderName,
    proof: [UInt8], isLast: Bool
  ) {
    // Of the other kind, where both a proxy and a server behind it ask.
    var lines: [UInt8] = []
    for line in request.headers where CallShard.proofs.contains(line.name) && line.name != header {
      lines += line.line + [0x0d, 0x0a]
    }
    var writer = MessageWriter(capacity: proof.count + 32)
    writer.header(header, proof[...])
    lines += writer.bytes
    let id: ClientTransactionID
    let cseq: UInt32
    if request.method == .invite, leg.sent != nil {
      owners[Int(old.slot)] = .none
      inviteAgain(leg, without: []) { $0.append(lines) }
      guard let again = leg.clientInvite, let sent = leg.sent else { return }
      id = again
      cseq = sent.cseq
    } else {
      cseq = takeCSeq(of: request, in: leg)
      id = sendAgain(request, in: leg, old, on: flow, cseq: cseq, lines: lines)
    }
    if request.method == .invite { use.proof = (cseq, lines) }
    if isLast { use.lastAttempts.append(id) }
  }

  private func takeCSeq(of request: Message, in leg: Leg) -> UInt32 {
    if leg.dialog != nil { return leg.dialog?.takeCSeq() ?? 1 }
    let early = leg.extra?.early.first { request.toTag?.elementsEqual($0.dialog.remoteTag) == true }
    return early?.dialog.takeCSeq() ?? request.cseq &+ 1
  }

  /// A request in a dialog, as it was, but for Via, CSeq and credentials.
  private func sendAgain(
    _ request: Message, in leg: Leg, _ old: ClientTransactionID, on flow: Flow, cseq: UInt32, lines: [UInt8]
  ) -> ClientTransactionID {
    // Over a reliable transport the old transaction is gone, and the new one may have its very slot.
    let owner = owners[Int(old.slot)]
    owners[Int(old.slot)] = .none
    let (id, branch) = table.reserveClient()
    var writer = MessageWriter(capacity: request.bytes.count + lines.count + 32)
    writer.requestLine(name: request.methodName, uri: request.requestURI.bytes)
    via(&writer, flow, branch)
    for line in request.headers {
      switch line.name {
      case .via, .cSeq, .contentLength, .authorization, .proxyAuthorization: continue
      default: writer.copy(line)
      }
    }
    writer.begin(.cSeq)
    writer.append(number: Int(cseq))
    writer.append(" ")
    writer.append(request.methodName)
    writer.endLine()
    writer.append(lines)
    writer.finish(body: request.body)
    if leg.clientInvite == old { leg.clientInvite = id }
    if leg.extra?.clientUpdate == old { leg.extra?.clientUpdate = id }
    own(id, owner)
    table.send(id, method: request.method, bytes: writer.bytes, flow: flow, now: now, wheel: &wheel)
    return id
  }

  /// RFC 3261 §22.1: the ACK of a 2xx carries the credentials of its INVITE, unless the Contact of that 2xx sends it to
  /// another host.
  func prove(_ leg: Leg, _ cseq: UInt32, to flow: Flow, _ writer: inout MessageWriter) {
    guard let use = leg.use, let proof = use.proof, proof.cseq == cseq else { return }
    if let trunk = use.trunk { services.trunks.status(of: trunk.name).update { $0.accountProblem = nil } }
    guard
      use.servers.contains(Hop(flow.transport, flow.remote))
    else { return }
    writer.append(proof.lines)
  }
}

extension Token {
  /// 16 hex digits for a cnonce.
  static func randomHex(_ bits: UInt64) -> [UInt8] {
    Array(Token(shard: 0, slot: 0, generation: 0, random: bits).hex.suffix(16))
  }
}
