import LuaRuntime
import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// REFER that the server sends: `call:refer` to the caller's phone, and one phone's REFER passed on to the other.
extension CallShard {
  // MARK: call:refer

  /// Asks the caller's phone to call somebody else; the coroutine goes on when the phone has said what came of it.
  func refer(_ call: Call, _ task: ScriptTask, _ arguments: LuaArguments) -> VerbOutcome {
    let leg = call.caller!
    guard leg.phase == .confirmed, leg.dialog != nil, !isTransferring(call) else {
      return failure("state", "answer the call first")
    }
    guard leg.transfer?.request == nil else { return failure("state", "another refer of this call is running") }
    let target = CallShard.uri(of: arguments[1].asString ?? "", domain: settings.domain)
    guard (try? URI(parsing: target[...])) != nil else { return failure("arguments", "the target is no address") }
    let request = ReferRequest(task: Int(task.slot))
    leg.transferState.request = request
    task.waiting = .refer
    let (id, branch) = table.reserveClient()
    var writer = leg.dialog!.request(
      .refer, branch: branch, viaSentBy: sentBy(of: leg.flow), transport: leg.flow.transport,
      contact: contact(of: leg.flow))
    writer.append("Refer-To: <" as StaticString)
    writer.appendClean(target)
    writer.append(">\r\nReferred-By: <sip:" as StaticString)
    writer.append(settings.domainOctets)
    writer.append(">\r\n" as StaticString)
    for header in arguments[2].headers { writer.header(name: header.name[...], value: header.value[...]) }
    writer.finish()
    let name = leg.name
    own(
      id,
      .own { [unowned self] status, response in
        guard status >= 200, let leg = self.leg(name), let request = leg.transfer?.request else { return }
        let isSilent = response?.first(named: "Refer-Sub").map { $0.starts(with: "false".utf8) } ?? false
        // RFC 4488 §4: without a subscription its acceptance is all that will be known.
        if status >= 300 || isSilent { requestEnded(leg, request, status: status) }
      })
    table.send(id, method: .refer, bytes: writer.bytes, flow: leg.dialog!.flow, now: now, wheel: &wheel)
    let seconds = arguments[2]["timeout"].asDouble ?? 60
    request.timer = wheel.arm(
      TimerToken(kind: 12, which: 1, slot: leg.token.slot, generation: leg.token.generation),
      at: now + .seconds(min(max(seconds, 0.001), 1e6)))
    return .waits
  }

  func requestEnded(_ leg: Leg, _ request: ReferRequest, status: Int) {
    cancel(&request.timer)
    if leg.transfer?.request === request { leg.transfer?.request = nil }
    guard let task = task(at: request.task), task.waiting == .refer else { return }
    wake(
      request.task,
      [
        .table([
          (key: .text("ok"), value: .bool(status < 300)), (key: .text("status"), value: .integer(Int64(status))),
          (key: .text("cause"), value: .integer(Int64((status < 300 ? .normalClearing : Cause(status: status)).value))),
        ])
      ])
  }

  // MARK: NOTIFY

  /// What a phone says of a REFER that it was sent (RFC 3515 §2.4.5).
  func referNotify(_ id: ServerTransactionID, _ message: Message, _ leg: Leg) {
    let event = message.first(.event).map { $0.prefix { $0 != UInt8(ascii: ";") && $0 > 0x20 } } ?? []
    guard event.elementsEqual("refer".utf8) else { return reply(id, message, 489, tag: leg.tag) }
    if let passed = leg.transfer?.passed { return pass(id, message, leg, passed) }
    guard let request = leg.transfer?.request else { return reply(id, message, 481, tag: leg.tag) }
    reply(id, message, 200, tag: leg.tag)
    let isOver = message.first(.subscriptionState).map { $0.starts(with: "terminated".utf8) } ?? false
    let status = CallShard.status(inFragment: message.body)
    if let status, status >= 200 {
      requestEnded(leg, request, status: status)
    } else if isOver {
      requestEnded(leg, request, status: 480)
    }
  }

  /// `SIP/2.0 200 OK` (RFC 3420); nil for what is none.
  static func status(inFragment body: Bytes) -> Int? {
    guard body.starts(with: "SIP/2.0 ".utf8) else { return nil }
    let digits = body.dropFirst(8).prefix(3)
    guard digits.count == 3 else { return nil }
    var status = 0
    for c in digits {
      guard (0x30...0x39).contains(c) else { return nil }
      status = status * 10 + Int(c &- 0x30)
    }
    return (100...699).contains(status) ? status : nil
  }

  // MARK: passed on

  /// The other phone gets the REFER and does with it what it likes; its answer and its NOTIFY come back.
  func pass(_ question: ReferQuestion) {
    guard let message = table.request(of: question.request) else { return }
    guard let leg = leg(question.leg), let other = counterpart(leg), other.phase == .confirmed, other.dialog != nil
    else {
      return reply(question.request, message, 403, "Nobody to pass it on to")
    }
    let (id, branch) = table.reserveClient()
    var writer = other.dialog!.request(
      .refer, branch: branch, viaSentBy: sentBy(of: other.flow), transport: other.flow.transport,
      contact: contact(of: other.flow))
    writer.copyAll(.referTo, from: message)
    writer.copyAll(.referredBy, from: message)
    if let wanted = message.first(named: "Refer-Sub") {
      writer.header(name: Array("Refer-Sub".utf8)[...], value: wanted)
    }
    writer.finish()
    let (from, to, waiting, number) = (leg.name, other.name, question.request, message.cseq)
    own(
      id,
      .own { [unowned self] status, response in
        guard status >= 200, let request = table.request(of: waiting), let leg = self.leg(from) else { return }
        if status < 300, let other = self.leg(to) {
          other.transferState.passed = PassedReferral(from: from, id: number)
        }
        reply(waiting, request, status, response.flatMap { self.phrase($0) }, tag: leg.tag) { writer in
          if status < 300 { self.contact(&writer, leg) }
          if let silent = response?.first(named: "Refer-Sub") {
            writer.header(name: Array("Refer-Sub".utf8)[...], value: silent)
          }
        }
      })
    table.send(id, method: .refer, bytes: writer.bytes, flow: other.dialog!.flow, now: now, wheel: &wheel)
  }

  private func pass(_ id: ServerTransactionID, _ message: Message, _ leg: Leg, _ passed: PassedReferral) {
    if message.first(.subscriptionState).map({ $0.starts(with: "terminated".utf8) }) ?? true {
      leg.transfer?.passed = nil
    }
    guard let other = self.leg(passed.from), other.phase == .confirmed, other.dialog != nil else {
      return reply(id, message, 481, tag: leg.tag)
    }
    let (client, branch) = table.reserveClient()
    var writer = other.dialog!.request(
      .notify, branch: branch, viaSentBy: sentBy(of: other.flow), transport: other.flow.transport,
      contact: contact(of: other.flow))
    writer.begin(.event)
    writer.append("refer" as StaticString)
    if message.first(.event)?.contains(UInt8(ascii: ";")) ?? false {
      writer.append(";id=" as StaticString)
      writer.append(number: Int(passed.id))
    }
    writer.endLine()
    writer.copyAll(.subscriptionState, from: message)
    if let type = message.contentType { writer.header(.contentType, type) }
    writer.finish(body: message.body)
    own(
      client,
      .own { [unowned self] status, _ in
        if status >= 200, let request = table.request(of: id) { reply(id, request, status) }
      })
    table.send(client, method: .notify, bytes: writer.bytes, flow: other.dialog!.flow, now: now, wheel: &wheel)
  }
}
