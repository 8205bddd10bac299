import NetCore
import SIPTransaction
import Testing

private let timers = TransactionTimers()
private let invite: [UInt8] = [1]
private let ackBytes: [UInt8] = [2]

private func calling(reliable: Bool = false) -> InviteClientMachine {
  InviteClientMachine(request: invite, reliable: reliable, timers: timers)
}

private func completed() -> InviteClientMachine {
  var machine = calling()
  _ = machine.failure(timers) { _ in ackBytes }
  return machine
}

private func accepted() -> InviteClientMachine {
  var machine = calling()
  _ = machine.success(timers)
  return machine
}

@Suite("RFC 3261 §17.1.1, RFC 6026 §7.2: INVITE client transaction")
struct InviteClientMachineTests {
  @Test("§17.1.1.2: timer A is T1 and doubles without bound; timer B is 64*T1")
  func timerA() {
    var machine = calling()
    let start = machine.start(timers)
    #expect(start.timerA == .milliseconds(500) && start.timerB == .milliseconds(32_000))
    var interval = start.timerA!
    var sum = interval
    for _ in 0..<6 {
      guard case .retransmit(invite, let again) = machine.timerA() else {
        Issue.record("no retransmission")
        return
      }
      #expect(again == interval * 2)
      interval = again
      sum = sum + again
    }
    // Seven requests in all before timer B: at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
    #expect(sum > start.timerB)
  }

  @Test("§17.1.1.2: a reliable transport has no timer A, but timer B")
  func reliable() {
    let start = calling(reliable: true).start(timers)
    #expect(start.timerA == nil && start.timerB == .milliseconds(32_000))
  }

  @Test("§17.1.1.2: timer B in Calling ends with a timeout")
  func timerB() {
    var machine = calling()
    guard case .timeout = machine.timerB() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test("§17.1.1.2: a provisional response stops A and B; later ones go to the TU")
  func proceeding() {
    var machine = calling()
    guard case .proceed = machine.provisional(timers), case .deliver = machine.provisional(timers) else {
      Issue.record()
      return
    }
    #expect(machine.phase == .proceeding)
    guard case .nothing = machine.timerA(), case .nothing = machine.timerB() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .proceeding)
  }

  @Test(
    "RFC 6026 §7.2: a 2xx leads to Accepted, timer M = 64*T1; every further 2xx goes to the TU",
    arguments: [false, true])
  func accept(reliable: Bool) {
    var machine = calling(reliable: reliable)
    _ = machine.provisional(timers)
    guard case .accept(let m) = machine.success(timers) else {
      Issue.record()
      return
    }
    #expect(m == .milliseconds(32_000) && machine.phase == .accepted)
    guard case .deliver = machine.success(timers), case .absorb = machine.provisional(timers) else {
      Issue.record()
      return
    }
    guard case .absorb = machine.failure(timers, makeAck: { _ in ackBytes }) else {
      Issue.record()
      return
    }
    machine.lingered()
    #expect(machine.phase == .terminated)
  }

  @Test("§17.1.1.2: a failure is acknowledged and leads to Completed, timer D at least 32 s")
  func complete() {
    var machine = calling()
    var seen: [UInt8] = []
    let action = machine.failure(timers) {
      seen = $0
      return ackBytes
    }
    guard case .complete(ackBytes, let d?) = action else {
      Issue.record()
      return
    }
    #expect(seen == invite && d >= .milliseconds(32_000) && machine.phase == .completed)
    guard case .acknowledgeAgain(ackBytes) = machine.failure(timers, makeAck: { _ in [] }) else {
      Issue.record("a copy of the failure is acknowledged again, with the same ACK")
      return
    }
    guard case .absorb = machine.success(timers), case .absorb = machine.provisional(timers) else {
      Issue.record()
      return
    }
    machine.lingered()
    #expect(machine.phase == .terminated)
  }

  @Test("§17.1.1.2: timer D is zero on a reliable transport")
  func completeReliable() {
    var machine = calling(reliable: true)
    guard case .complete(ackBytes, nil) = machine.failure(timers, makeAck: { _ in ackBytes }) else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test("§17.1.1.2: timer D stays at 32 s when T1 is short, and follows it when it is long")
  func timerD() {
    #expect(
      TransactionTimers(t1: .milliseconds(10), t2: .milliseconds(40), t4: .milliseconds(50)).d == .milliseconds(32_000))
    #expect(
      TransactionTimers(t1: .milliseconds(1000), t2: .milliseconds(40), t4: .milliseconds(50)).d
        == .milliseconds(64_000))
  }

  @Test("§17.1.4: a transport error before the final response informs the TU, in Completed it only ends")
  func transportError() {
    var machine = calling()
    guard case .inform = machine.transportError() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
    machine = completed()
    guard case .terminate = machine.transportError() else {
      Issue.record()
      return
    }
    machine = accepted()
    guard case .nothing = machine.transportError() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .accepted)
  }

  @Test("§9.1: a CANCEL waits for a provisional response, and goes out once")
  func cancelWaits() {
    var machine = calling()
    guard case .later = machine.cancel(headers: [9], timers), case .nothing = machine.cancel(headers: [8], timers)
    else {
      Issue.record()
      return
    }
    guard case .retransmit = machine.timerA() else {
      Issue.record("the INVITE is still sent")
      return
    }
    guard case .proceedAndCancel(invite, [9], let wait) = machine.provisional(timers) else {
      Issue.record()
      return
    }
    #expect(wait == .milliseconds(32_000))
    guard case .deliver = machine.provisional(timers), case .nothing = machine.cancel(headers: [], timers) else {
      Issue.record()
      return
    }
  }

  @Test("§9.1: in Proceeding a CANCEL goes out at once; without a final response in 64*T1 the INVITE is over")
  func cancelNow() {
    var machine = calling()
    _ = machine.provisional(timers)
    guard case .send(invite, let wait) = machine.cancel(headers: [], timers) else {
      Issue.record()
      return
    }
    #expect(wait == .milliseconds(32_000))
    guard case .timeout = machine.cancelledTooLong() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test("§9.1: nothing is cancelled after a final response, and a pending CANCEL is forgotten")
  func cancelTooLate() {
    var done = completed()
    var ok = accepted()
    guard case .nothing = done.cancel(headers: [], timers), case .nothing = ok.cancel(headers: [], timers) else {
      Issue.record()
      return
    }
    var machine = calling()
    _ = machine.cancel(headers: [], timers)
    guard case .complete = machine.failure(timers, makeAck: { _ in ackBytes }),
      case .absorb = machine.provisional(timers)
    else {
      Issue.record()
      return
    }
  }

  @Test("Terminated answers nothing")
  func terminated() {
    var machine = calling()
    _ = machine.timerB()
    guard case .nothing = machine.timerA(), case .nothing = machine.timerB(), case .absorb = machine.success(timers),
      case .absorb = machine.provisional(timers), case .nothing = machine.transportError(),
      case .nothing = machine.cancelledTooLong(), case .nothing = machine.cancel(headers: [], timers),
      case .absorb = machine.failure(timers, makeAck: { _ in [] })
    else {
      Issue.record()
      return
    }
    machine.lingered()
    #expect(machine.phase == .terminated)
  }
}
