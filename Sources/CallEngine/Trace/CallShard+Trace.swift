import NetCore
import SIPMessage
import SIPTransaction

extension CallShard {
  func trace(_ message: Message, sent: Bool) { trace(message.bytes, message.flow, sent: sent) }

  /// A keep-alive is no message.
  func trace(_ item: Outgoing) {
    if item.bytes.count > Keepalives.ping.count { trace(item.bytes, item.flow, sent: true) }
  }

  /// Only while somebody looks on: the leg is that of our own tag, else that of the caller whose INVITE had the
  /// Call-ID (a 100 Trying and a CANCEL have no tag of ours).
  private func trace(_ bytes: [UInt8], _ flow: Flow, sent: Bool) {
    var entry = TraceEntry(bytes: bytes[...], flow: flow, sent: sent, wallMs: services.wallClock())
    let summary = entry.summary
    if let leg = leg(tag: summary.toTag.map { $0[...] }) ?? leg(tag: summary.fromTag.map { $0[...] }) {
      entry.call = leg.call.id
      entry.side = leg.role == .caller ? .caller : .callee((leg.attempt ?? 0) + 1)
    } else if let call = calls.elements.first(where: { $0.invite.callID.elementsEqual(summary.callID.utf8) }) {
      entry.call = call.id
      entry.side = .caller
    }
    services.trace.publish(entry)
  }
}
