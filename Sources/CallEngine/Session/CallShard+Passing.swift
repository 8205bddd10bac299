import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// INFO, MESSAGE and OPTIONS within a call: the other phone is asked, and what he answers comes back, body included.
extension CallShard {
  /// Passes a request to the other leg; where there is none it is answered here.
  func pass(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    if let half = joinedHalf(leg), message.method != .options { return pass(id, message, half) }
    guard let other = counterpart(leg), other.dialog != nil, other.phase == .confirmed, other.byeReason == nil else {
      switch message.method {
      case .options: return reply(id, message, 200) { self.capabilities(&$0) }
      // RFC 3428 §7: nobody is there to read it.
      case .message: return reply(id, message, 480)
      default: return reply(id, message, 200)
      }
    }
    let (client, branch) = table.reserveClient()
    var writer = other.dialog!.request(
      message.method, branch: branch, viaSentBy: sentBy(of: other.flow), transport: other.flow.transport)
    passHeaders(&writer, from: message, changes: HeaderChanges())
    passBody(&writer, of: message)
    own(client, .passed(id, to: other.name))
    table.send(
      client, method: message.method, bytes: writer.bytes, flow: other.dialog!.flow, now: now, wheel: &wheel)
  }

  private func passBody(_ writer: inout MessageWriter, of message: Message) {
    if let package = message.first(named: "Info-Package") {
      writer.header(name: Array("Info-Package".utf8)[...], value: package)
    }
    if let type = message.contentType { writer.header(.contentType, type) }
    for name in [HeaderName.contentDisposition, .contentEncoding, .mimeVersion] {
      if let value = message.first(name) { writer.header(name, value) }
    }
    if message.method == .message { writer.copyAll(.date, from: message) }
    writer.finish(body: message.body)
  }

  func passedResponse(_ message: Message, to waiting: ServerTransactionID, from other: LegName) {
    guard let request = table.request(of: waiting) else { return }
    let status = passedFailed(waiting, request, message.status, from: other)
    guard let status else { return }
    var writer = MessageWriter.response(
      to: request, status: status, reason: status == message.status ? phrase(message) : nil,
      capacity: request.responseHeadSize + 256 + message.body.count)
    passHeaders(&writer, from: message, changes: HeaderChanges())
    if request.method == .options { capabilities(&writer) }
    passBody(&writer, of: message)
    table.respond(waiting, status: status, bytes: writer.bytes, now: now, wheel: &wheel)
  }

  /// No answer came.
  func passedFailed(_ waiting: ServerTransactionID, _ status: Int, from other: LegName) {
    guard let request = table.request(of: waiting),
      let status = passedFailed(waiting, request, status, from: other)
    else { return }
    reply(waiting, request, status)
  }

  /// What of a status concerns the one who asked: what is between the other leg and us does not. A 481 says that the other
  /// dialog is gone (RFC 3261 §12.2.1.2), and with it the call.
  private func passedFailed(
    _ waiting: ServerTransactionID, _ request: Message, _ status: Int, from other: LegName
  ) -> Int? {
    switch status {
    case 481:
      reply(waiting, request, 480)
      if let leg = leg(other), leg.call.hangup == nil {
        hangUp(
          leg.call,
          .init(side: leg.role == .caller ? .caller : .callee, status: status, cause: .recoveryOnTimerExpiry))
      }
      return nil
    case 408: return 504
    case 401, 407, 420, 421, 422, 494, 300..<400: return 502
    default: return status
    }
  }
}
