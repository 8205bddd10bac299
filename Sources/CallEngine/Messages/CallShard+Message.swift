import NetCore
import SIPMessage
import SIPTransaction

// MESSAGE outside of a dialog (RFC 3428): to a user of ours, now or when he comes; elsewhere only by script.
extension CallShard {
  func message(_ id: ServerTransactionID, _ message: Message) {
    if isDraining { return reply(id, message, 503) { $0.header(.retryAfter, number: 5) } }
    guard let admitted = admit(id, message) else { return }
    guard message.body.count <= settings.events.messageSize else { return reply(id, message, 413) }
    guard message.body.isEmpty || message.has(.contentType) else {
      return reply(id, message, 400, "Content-Type Missing")
    }
    if let script, script.handlesMessage {
      return ask(script, .init(id: id, message: message, admitted: admitted, kind: .message))
    }
    route(id, message, admitted)
  }

  /// Without a word of the script: to a user of ours, from whoever has an account of the same context, and from trunks.
  /// Nobody else is written to: no relay.
  func route(_ id: ServerTransactionID, _ message: Message, _ admitted: Admitted) {
    guard isOwn(message.requestURI), isOurPort(message.requestURI) else { return reply(id, message, 403) }
    guard let user = watched(message) else { return reply(id, message, 404) }
    guard admitted.trunk != nil || admitted.context == user.context else { return reply(id, message, 403) }
    deliver(textMessage(of: message, admitted), to: .user(user.octets), origin: .request(id))
  }

  /// What goes on of a message: the sender as we know him, the body octet for octet, and the header fields that cross.
  func textMessage(of message: Message, _ admitted: Admitted, from: [UInt8]? = nil) -> TextMessage {
    let identity = CallerIdentity.outgoing(
      invite: message, account: admitted.account, trusted: admitted.trunk != nil || admitted.account == nil,
      domain: settings.domain, override: from)
    var headers = MessageWriter(capacity: 64)
    for line in message.headers {
      switch line.name {
      case .date, .contentDisposition, .contentEncoding, .acceptLanguage, .inReplyTo: headers.copy(line)
      default: if HeaderPolicy.passes(line) { headers.copy(line) }
      }
      if headers.bytes.count > 4096 { break }
    }
    let created = services.wallClock() / 1000
    let keep = Int64(settings.events.keepDays) * 86_400
    return TextMessage(
      from: identity.from, contentType: Array(message.contentType ?? []), headers: headers.bytes,
      body: Array(message.body), created: created,
      // RFC 3428 §7: beyond its Expires the sender does not want it read.
      expires: created + min(keep, message.expiresSeconds.map { max(1, Int64($0)) } ?? keep),
      maxForwards: max(0, (message.maxForwards ?? 70) - 1))
  }
}
