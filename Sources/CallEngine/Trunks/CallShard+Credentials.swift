import Logging
import NetCore
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
    guard sent.flow.remote == use.host, sent.flow.transport == trunk.transport else { return false }
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
      status.update { $0.problem = "\(response.status): \(why)" }
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
  }

  private func sendAgain(
    _ request: Message, _ leg: Leg, _ use: LegUse, _ old: ClientTransactionID, on flow: Flow, header: HeaderName,
    proof: [UInt8], isLast: Bool
  ) {
    let isFirst = leg.sent != nil && request.method == .invite
    let cseq = isFirst ? request.cseq &+ 1 : leg.dialog?.takeCSeq() ?? request.cseq &+ 1
    let (id, branch) = table.reserveClient()
    var writer = MessageWriter(capacity: request.bytes.count + proof.count + 32)
    writer.requestLine(name: request.methodName, uri: request.requestURI.bytes)
    via(&writer, flow, branch)
    var lines: [UInt8] = []
    for line in request.headers {
      switch line.name {
      case .via, .cSeq, .contentLength, header: continue
      case .authorization, .proxyAuthorization: lines += line.line + [0x0d, 0x0a]
      default: break
      }
      let start = UInt32(truncatingIfNeeded: writer.bytes.count)
      writer.copy(line)
      if isFirst { leg.sent?.moved(line.name, to: start) }
    }
    writer.begin(.cSeq)
    writer.append(number: Int(cseq))
    writer.append(" ")
    writer.append(request.methodName)
    writer.endLine()
    let start = writer.bytes.count
    writer.header(header, proof[...])
    lines += writer.bytes[start...]
    writer.finish(body: request.body)
    if request.method == .invite {
      use.proof = (cseq, lines)
      leg.clientInvite = id
    }
    if isFirst {
      leg.sent?.bytes = writer.bytes
      leg.sent?.cseq = cseq
    }
    if isLast { use.lastAttempts.append(id) }
    own(id, owners[Int(old.slot)])
    if old != id { owners[Int(old.slot)] = .none }
    table.send(id, method: request.method, bytes: writer.bytes, flow: flow, now: now, wheel: &wheel)
  }

  /// RFC 3261 §22.1: the ACK of a 2xx carries the credentials of its INVITE.
  func prove(_ leg: Leg, _ cseq: UInt32, _ writer: inout MessageWriter) {
    if let proof = leg.use?.proof, proof.cseq == cseq { writer.append(proof.lines) }
  }
}

extension SentInvite {
  /// A header line that was written again at another place of the message.
  fileprivate mutating func moved(_ name: HeaderName, to start: UInt32) {
    func shifted(_ range: Range<UInt32>, _ prefix: UInt32) -> Range<UInt32> {
      let from = start + prefix
      return from..<from + UInt32(range.count)
    }
    switch name {
    case .from: from = shifted(from, 6)
    case .to: requestURI = shifted(requestURI, 5)
    case .callID: callID = shifted(callID, 9)
    default: break
    }
  }
}

extension Token {
  /// 16 hex digits for a cnonce.
  static func randomHex(_ bits: UInt64) -> [UInt8] {
    Array(Token(shard: 0, slot: 0, generation: 0, random: bits).hex.suffix(16))
  }
}
