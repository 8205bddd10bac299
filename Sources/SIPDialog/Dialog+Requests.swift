public import NetCore
public import SIPMessage

/// What became of a request that says it belongs to a dialog.
public enum InDialogVerdict: UInt8, Sendable {
  case ok
  /// An older CSeq than that of an earlier request: 500 (RFC 3261 §12.2.2).
  case outOfOrder
  /// Another Call-ID or tag: 481.
  case notOfThisDialog
}

/// Requests within a dialog: RFC 3261 §12.2.
extension Dialog {
  /// Whether the dialog identifiers of the peer's request are those of this dialog (§12).
  public func matches(_ request: Message) -> Bool {
    request.callID.hasSameOctets(as: callID) && (request.toTag ?? []).hasSameOctets(as: localTag)
      && (request.fromTag ?? []).hasSameOctets(as: remoteTag)
  }

  /// Checks a request of the peer, remembers its CSeq and, of one that refreshes the target, the Contact (§12.2.2).
  /// An ACK is only checked: it has the number of its INVITE.
  public mutating func receive(_ request: Message) -> InDialogVerdict {
    guard matches(request) else { return .notOfThisDialog }
    switch request.method {
    case .ack, .cancel: return .ok
    case .invite, .update, .subscribe, .notify, .refer:
      guard take(request.cseq) else { return .outOfOrder }
      refreshTarget(request)
      return .ok
    case .bye, .register, .options, .info, .prack, .publish, .message, .unknown:
      return take(request.cseq) ? .ok : .outOfOrder
    }
  }

  private mutating func take(_ number: UInt32) -> Bool {
    if let last = remoteCSeq, number < last { return false }
    setRemoteCSeq(number)
    return true
  }

  /// The start of a request: request line, Via, Max-Forwards, Route, From, To, Call-ID, CSeq, and Contact. The caller adds
  /// what it wants, and finishes. Takes the next CSeq.
  /// - Parameters:
  ///   - method: neither ACK (see `ack`) nor CANCEL, which the transaction makes from its INVITE.
  ///   - viaSentBy: host and port that responses go to without `rport` (§18.1.1).
  ///   - contact: a whole Contact value; empty for none. Needed in INVITE and UPDATE (§12.2.1.1).
  public mutating func request(
    _ method: Method, branch: Token, viaSentBy: Bytes, transport: Transport, contact: Bytes = []
  ) -> MessageWriter {
    precondition(method != .ack && method != .cancel && method != .unknown)
    return begin(method.name, [], number: nextCSeq(), branch, viaSentBy, transport, contact)
  }

  /// The same for a method without a name of its own here.
  public mutating func request(
    name: Bytes, branch: Token, viaSentBy: Bytes, transport: Transport, contact: Bytes = []
  ) -> MessageWriter {
    begin("", name, number: nextCSeq(), branch, viaSentBy, transport, contact)
  }

  /// Takes the number of our next request: for one that goes out again as a request of its own, with credentials
  /// (§22.2).
  public mutating func takeCSeq() -> UInt32 { nextCSeq() }

  /// The ACK of a 2xx (§13.2.2.4): CSeq number of the INVITE, a branch of its own. Credentials of the INVITE, if it had any,
  /// are the caller's to add, and so is an answer.
  public func ack(cseq: UInt32, branch: Token, viaSentBy: Bytes, transport: Transport) -> MessageWriter {
    begin("ACK", [], number: cseq, branch, viaSentBy, transport, [], room: 24)
  }

  private func begin(
    _ method: StaticString, _ name: Bytes, number: UInt32, _ branch: Token, _ sentBy: Bytes, _ transport: Transport,
    _ contact: Bytes, room: Int = 128
  ) -> MessageWriter {
    // A transaction keeps these bytes: no more of them than are written, with room for what the caller adds.
    let target = requestURI
    let lines = head.lines
    var writer = MessageWriter(
      capacity: 128 + target.count + sentBy.count + lines.count + 2 * name.count + contact.count + room)
    writer.append(method)
    writer.append(name)
    writer.append(" ")
    writer.append(target)
    switch transport {
    // RFC 3581: the response then finds its way through a NAT.
    case .udp: writer.append(" SIP/2.0\r\nVia: SIP/2.0/UDP ")
    case .tcp: writer.append(" SIP/2.0\r\nVia: SIP/2.0/TCP ")
    case .tls: writer.append(" SIP/2.0\r\nVia: SIP/2.0/TLS ")
    case .ws: writer.append(" SIP/2.0\r\nVia: SIP/2.0/WS ")
    case .wss: writer.append(" SIP/2.0\r\nVia: SIP/2.0/WSS ")
    }
    writer.append(sentBy)
    if transport == .udp { writer.append(";rport") }
    writer.append(";branch=z9hG4bK")
    branch.write(into: &writer.bytes)
    writer.append("\r\n")
    writer.append(lines)
    writer.append("CSeq: ")
    writer.append(number: Int(number))
    writer.append(" ")
    writer.append(method)
    writer.append(name)
    writer.append("\r\n")
    if !contact.isEmpty { writer.header(.contact, contact) }
    return writer
  }
}
