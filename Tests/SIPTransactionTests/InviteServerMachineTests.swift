import NetCore
import SIPTransaction
import Testing

private let timers = TransactionTimers()
private let trying: [UInt8] = [100]
private let ringing: [UInt8] = [180]
private let ok: [UInt8] = [200]
private let busy: [UInt8] = [2, 48]

private func proceeding(reliable: Bool = false) -> InviteServerMachine {
  InviteServerMachine(trying: trying, reliable: reliable)
}

@Suite("RFC 3261 §17.2.1, RFC 6026 §7.1: INVITE server transaction")
struct InviteServerMachineTests {
  @Test("§17.2.1: in Proceeding the latest provisional response answers copies of the INVITE")
  func copies() {
    var machine = proceeding()
    guard case .send(trying) = machine.request() else {
      Issue.record()
      return
    }
    #expect(machine.provisional(ringing) == .send)
    guard case .send(ringing) = machine.request() else {
      Issue.record()
      return
    }
  }

  @Test("§17.2.1: a failure is sent again by timer G = T1 doubling up to T2, until H = 64*T1")
  func timerG() {
    var machine = proceeding()
    guard case .send(let g?, let h) = machine.failure(busy, timers) else {
      Issue.record()
      return
    }
    #expect(g == .milliseconds(500) && h == .milliseconds(32_000) && machine.phase == .completed)
    for expected: Int64 in [1_000, 2_000, 4_000, 4_000] {
      guard case .send(busy, let again) = machine.timerG(timers) else {
        Issue.record()
        return
      }
      #expect(again == .milliseconds(expected))
    }
    guard case .send(busy) = machine.request(), case .nothing = machine.successAgain(timers) else {
      Issue.record()
      return
    }
    machine.lingered()
    #expect(machine.phase == .terminated)
  }

  @Test("§17.2.1: a reliable transport has no timer G, but H")
  func reliable() {
    var machine = proceeding(reliable: true)
    guard case .send(nil, let h) = machine.failure(busy, timers) else {
      Issue.record()
      return
    }
    #expect(h == .milliseconds(32_000))
  }

  @Test("§17.2.1: ACK in Completed leads to Confirmed, where copies are absorbed for timer I = T4")
  func confirmed() {
    var machine = proceeding()
    _ = machine.failure(busy, timers)
    guard case .confirm(let i?) = machine.ack(timers) else {
      Issue.record()
      return
    }
    #expect(i == .milliseconds(5_000) && machine.phase == .confirmed)
    guard case .absorb = machine.ack(timers), case .absorb = machine.request(), case .nothing = machine.timerG(timers),
      case .nothing = machine.successAgain(timers), case .nothing = machine.timerL()
    else {
      Issue.record()
      return
    }
    machine.lingered()
    #expect(machine.phase == .terminated)
  }

  @Test("§17.2.1: timer I is zero on a reliable transport")
  func confirmedReliable() {
    var machine = proceeding(reliable: true)
    _ = machine.failure(busy, timers)
    guard case .confirm(nil) = machine.ack(timers) else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test(
    "RFC 6026 §7.1: a 2xx leads to Accepted, timer L = 64*T1; copies of the INVITE are absorbed",
    arguments: [false, true])
  func accepted(reliable: Bool) {
    var machine = proceeding(reliable: reliable)
    guard case .send(let again, let l) = machine.success(ok, timers) else {
      Issue.record()
      return
    }
    #expect(again == timers.t1 && l == .milliseconds(32_000) && machine.phase == .accepted && machine.awaitsAck)
    guard case .absorb = machine.request() else {
      Issue.record()
      return
    }
    machine.lingered()
    #expect(machine.phase == .accepted)
  }

  @Test("§13.3.1.4: the 2xx is sent again at T1 doubling up to T2 on any transport", arguments: [false, true])
  func successAgain(reliable: Bool) {
    var machine = proceeding(reliable: reliable)
    _ = machine.success(ok, timers)
    for expected: Int64 in [1_000, 2_000, 4_000, 4_000] {
      guard case .send(ok, let again) = machine.successAgain(timers) else {
        Issue.record()
        return
      }
      #expect(again == .milliseconds(expected))
    }
    guard case .stop = machine.acknowledged(), case .nothing = machine.acknowledged() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .accepted && !machine.awaitsAck)
    guard case .nothing = machine.successAgain(timers), case .nothing = machine.timerL() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test("§13.3.1.4: no ACK within 64*T1 is reported")
  func noAck() {
    var machine = proceeding()
    _ = machine.success(ok, timers)
    guard case .noAck = machine.timerL() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test("RFC 6026 §7.1: an ACK in Accepted goes to the TU")
  func ackInAccepted() {
    var machine = proceeding()
    _ = machine.success(ok, timers)
    guard case .deliver = machine.ack(timers) else {
      Issue.record()
      return
    }
    #expect(machine.phase == .accepted)
  }

  @Test("an ACK before any final response is absorbed")
  func ackInProceeding() {
    var machine = proceeding()
    guard case .absorb = machine.ack(timers) else {
      Issue.record()
      return
    }
    #expect(machine.phase == .proceeding)
  }

  @Test("after a final response every other one is refused")
  func secondFinal() {
    var failed = proceeding()
    _ = failed.failure(busy, timers)
    var answered = proceeding()
    _ = answered.success(ok, timers)
    guard case .refused = failed.success(ok, timers), case .refused = failed.failure(busy, timers),
      case .refused = answered.success(ok, timers), case .refused = answered.failure(busy, timers)
    else {
      Issue.record()
      return
    }
    #expect(failed.provisional(ringing) == .refused)
    #expect(answered.provisional(ringing) == .refused)
    #expect(failed.phase == .completed && answered.phase == .accepted)
  }

  @Test("RFC 6026 §7.1: a transport error informs the TU while something is owed, and changes no state")
  func transportError() {
    var machine = proceeding()
    #expect(machine.transportError() == .inform)
    #expect(machine.phase == .proceeding)
    _ = machine.success(ok, timers)
    #expect(machine.transportError() == .inform)
    _ = machine.acknowledged()
    #expect(machine.transportError() == .nothing)
  }
}
