import NetCore
import SIPTransaction
import Testing

private let timers = TransactionTimers()
private let request: [UInt8] = [1]
private let early: [UInt8] = [2]
private let last: [UInt8] = [3]

@Suite("RFC 3261 §17.1.2: non-INVITE client transaction")
struct NonInviteClientMachineTests {
  private func trying(reliable: Bool = false) -> NonInviteClientMachine {
    NonInviteClientMachine(request: request, reliable: reliable, timers: timers)
  }

  @Test("§17.1.2.2: timer E is T1, doubling up to T2; timer F is 64*T1")
  func timerE() {
    var machine = trying()
    let start = machine.start(timers)
    #expect(start.timerE == .milliseconds(500) && start.timerF == .milliseconds(32_000))
    for expected: Int64 in [1_000, 2_000, 4_000, 4_000, 4_000] {
      guard case .retransmit(request, let again) = machine.timerE(timers) else {
        Issue.record()
        return
      }
      #expect(again == .milliseconds(expected))
    }
  }

  @Test("§17.1.2.2: a reliable transport has no timer E, but timer F")
  func reliable() {
    let start = trying(reliable: true).start(timers)
    #expect(start.timerE == nil && start.timerF == .milliseconds(32_000))
  }

  @Test("§17.1.2.2: in Proceeding it is sent again every T2")
  func proceeding() {
    var machine = trying()
    #expect(machine.provisional() == .deliver)
    #expect(machine.phase == .proceeding)
    for _ in 0..<3 {
      guard case .retransmit(request, let again) = machine.timerE(timers) else {
        Issue.record()
        return
      }
      #expect(again == timers.t2)
    }
    #expect(machine.provisional() == .deliver)
  }

  @Test("§17.1.2.2: timer F ends Trying and Proceeding with a timeout", arguments: [false, true])
  func timerF(heard: Bool) {
    var machine = trying()
    if heard { _ = machine.provisional() }
    guard case .timeout = machine.timerF() else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test(
    "§17.1.2.2: a final response leads to Completed; copies are absorbed for timer K = T4", arguments: [false, true])
  func completed(heard: Bool) {
    var machine = trying()
    if heard { _ = machine.provisional() }
    guard case .complete(let k?) = machine.final(timers) else {
      Issue.record()
      return
    }
    #expect(k == .milliseconds(5_000) && machine.phase == .completed)
    guard case .absorb = machine.final(timers), case .nothing = machine.timerE(timers), case .nothing = machine.timerF()
    else {
      Issue.record()
      return
    }
    #expect(machine.provisional() == .absorb)
    #expect(machine.transportError() == .nothing)
    machine.timerK()
    #expect(machine.phase == .terminated)
  }

  @Test("§17.1.2.2: timer K is zero on a reliable transport")
  func completedReliable() {
    var machine = trying(reliable: true)
    guard case .complete(nil) = machine.final(timers) else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test("§17.1.4: a transport error informs the TU", arguments: [false, true])
  func transportError(heard: Bool) {
    var machine = trying()
    if heard { _ = machine.provisional() }
    #expect(machine.transportError() == .inform)
    #expect(machine.phase == .terminated)
    #expect(machine.transportError() == .nothing)
  }
}

@Suite("RFC 3261 §17.2.2: non-INVITE server transaction")
struct NonInviteServerMachineTests {
  @Test("§17.2.2: in Trying copies are absorbed, in Proceeding the latest 1xx, in Completed the final answers them")
  func copies() {
    var machine = NonInviteServerMachine(reliable: false)
    guard case .absorb = machine.request() else {
      Issue.record()
      return
    }
    #expect(machine.provisional(early) == .send)
    guard case .send(early) = machine.request() else {
      Issue.record()
      return
    }
    #expect(machine.provisional([7]) == .send)
    guard case .send([7]) = machine.request(), case .send(let j?) = machine.final(last, timers) else {
      Issue.record()
      return
    }
    #expect(j == .milliseconds(32_000) && machine.phase == .completed)
    guard case .send(last) = machine.request() else {
      Issue.record()
      return
    }
    #expect(machine.provisional(early) == .refused)
    guard case .refused = machine.final([9], timers), case .send(last) = machine.request() else {
      Issue.record("any other final response is discarded")
      return
    }
    machine.timerJ()
    #expect(machine.phase == .terminated)
    guard case .absorb = machine.request() else {
      Issue.record()
      return
    }
  }

  @Test("§17.2.2: timer J is zero on a reliable transport")
  func reliable() {
    var machine = NonInviteServerMachine(reliable: true)
    guard case .send(nil) = machine.final(last, timers) else {
      Issue.record()
      return
    }
    #expect(machine.phase == .terminated)
  }

  @Test("timer J before a final response changes nothing")
  func earlyTimer() {
    var machine = NonInviteServerMachine(reliable: false)
    machine.timerJ()
    #expect(machine.phase == .trying)
  }
}
