@testable import CallEngine
import NetCore
import SIPDigest
import SIPMessage
import Testing

/// Our registration at a carrier, without a network: what it says goes in, what we do comes out.
@Suite("Trunk registration: the machine")
struct RegistrationMachineTests {
  private static func challenge(_ nonce: String = "n1", stale: Bool = false) -> DigestChallenge {
    DigestChallenge(
      Array(
        "Digest realm=\"carrier\", nonce=\"\(nonce)\", qop=\"auth\", algorithm=MD5\(stale ? ", stale=TRUE" : "")".utf8)[
          ...])!
  }

  private static func started(_ expires: Int = 3600) -> RegistrationMachine {
    var machine = RegistrationMachine(expires: expires)
    #expect(machine.start() == .register(seconds: expires))
    return machine
  }

  private static func span(_ action: RegistrationMachine.Action) -> Double {
    if case .wait(let span) = action { return span.seconds }
    return -1
  }

  @Test(
    "RFC 3261 §10.2.4: refreshed before what the 200 grants is over, whatever was asked for",
    arguments: [(3600, 3000.0), (1201, 601.0), (1200, 600.0), (600, 300.0), (60, 30.0), (2, 1.0), (1, 1.0)])
  func refresh(granted: Int, after: Double) {
    var machine = RegistrationMachineTests.started()
    #expect(machine.received(.granted(seconds: granted), random: 0) == .wait(.seconds(after)))
    #expect(machine.isRegistered)
    #expect(machine.timer() == .register(seconds: 3600))
  }

  @Test("RFC 3261 §22.2: a challenge is answered once; a second one only where the nonce was stale, a third never")
  func challenges() {
    var wrong = RegistrationMachineTests.started()
    #expect(wrong.nextAnswer() == nil)
    #expect(
      wrong.received(.challenged(RegistrationMachineTests.challenge(), isProxy: false), random: 0)
        == .register(seconds: 3600))
    #expect(wrong.nextAnswer()?.count == 1)
    let refused = wrong.received(
      .challenged(RegistrationMachineTests.challenge("n2"), isProxy: false), random: 0)
    #expect(RegistrationMachineTests.span(refused) == 900)
    #expect(wrong.nextAnswer() == nil, "nothing of the refused password is kept")

    var stale = RegistrationMachineTests.started()
    for attempt in 1...2 {
      #expect(
        stale.received(
          .challenged(RegistrationMachineTests.challenge("n\(attempt)", stale: attempt > 1), isProxy: true), random: 0)
          == .register(seconds: 3600))
      #expect(stale.nextAnswer()?.isProxy == true)
    }
    let third = stale.received(
      .challenged(RegistrationMachineTests.challenge("n3", stale: true), isProxy: true), random: 0)
    #expect(RegistrationMachineTests.span(third) == 900)
  }

  @Test("a challenge that we have no credentials for ends the attempt")
  func foreign() {
    var machine = RegistrationMachineTests.started()
    let action = machine.received(.challenged(nil, isProxy: false), random: 0)
    #expect(RegistrationMachineTests.span(action) == 900)
  }

  @Test("RFC 7616 §3.4: the nonce is used again at the refresh, with the next count; a new one starts at 1")
  func counts() {
    var machine = RegistrationMachineTests.started()
    _ = machine.received(.challenged(RegistrationMachineTests.challenge("n1"), isProxy: false), random: 0)
    #expect(machine.nextAnswer()?.count == 1)
    _ = machine.received(.granted(seconds: 60), random: 0)
    for count in 2...4 {
      #expect(machine.timer() == .register(seconds: 3600))
      #expect(machine.nextAnswer()?.count == UInt32(count))
      _ = machine.received(.granted(seconds: 60), random: 0)
    }
    _ = machine.timer()
    _ = machine.nextAnswer()
    // Many servers do not say `stale` of a nonce that is too old: the first challenge of each REGISTER is answered.
    #expect(
      machine.received(.challenged(RegistrationMachineTests.challenge("n2"), isProxy: false), random: 0)
        == .register(seconds: 3600))
    let fresh = machine.nextAnswer()
    #expect(fresh?.count == 1 && fresh?.challenge == RegistrationMachineTests.challenge("n2"))
  }

  @Test("RFC 3261 §10.2.8: 423 is obeyed once, and remembered; one that names no longer time is a failure")
  func tooBrief() {
    var machine = RegistrationMachineTests.started(60)
    #expect(machine.received(.tooBrief(minimum: 900), random: 0) == .register(seconds: 900))
    #expect(machine.received(.granted(seconds: 900), random: 0) == .wait(.seconds(450.0)))
    #expect(machine.timer() == .register(seconds: 900))
    var again = RegistrationMachineTests.started(60)
    _ = again.received(.tooBrief(minimum: 900), random: 0)
    let action = again.received(.tooBrief(minimum: 1800), random: 0)
    #expect(RegistrationMachineTests.span(action) == 30)
    for minimum in [nil, 60, 0] as [Int?] {
      var useless = RegistrationMachineTests.started(60)
      let action = useless.received(.tooBrief(minimum: minimum), random: 0)
      #expect(RegistrationMachineTests.span(action) == 30)
    }
  }

  @Test("RFC 5626 §4.5: the wait doubles with each failure in a row, between half of it and all of it, to half an hour")
  func backOff() {
    for (random, part) in [(UInt64.min, 0.5), (.max, 1.0), (1 << 63, 0.75)] {
      var machine = RegistrationMachineTests.started()
      for whole in [60.0, 120, 240, 480, 960, 1800, 1800, 1800] {
        let wait = RegistrationMachineTests.span(
          machine.received(.refused(status: 408, retryAfter: nil), random: random))
        #expect(abs(wait - whole * part) < 0.001)
        _ = machine.timer()
      }
      // It works again: the next failure starts at the beginning.
      _ = machine.received(.granted(seconds: 60), random: random)
      _ = machine.timer()
      let first = RegistrationMachineTests.span(
        machine.received(.refused(status: 503, retryAfter: nil), random: random))
      #expect(abs(first - 60 * part) < 0.001)
    }
  }

  @Test("who is told no for good asks rarely", arguments: [403, 404, 405, 410, 416, 501, 600, 604])
  func final(status: Int) {
    var machine = RegistrationMachineTests.started()
    #expect(
      RegistrationMachineTests.span(machine.received(.refused(status: status, retryAfter: nil), random: 0)) == 900)
  }

  @Test("RFC 3261 §20.33: Retry-After is what the registrar wants", arguments: [(1, 1.0), (90, 90.0), (0, 30.0)])
  func retryAfter(seconds: Int, wait: Double) {
    var machine = RegistrationMachineTests.started()
    #expect(
      RegistrationMachineTests.span(machine.received(.refused(status: 503, retryAfter: seconds), random: 0)) == wait)
  }

  @Test("RFC 3261 §10.2.2: leaving takes the Contact away, with the answer to a challenge, and waits for nothing else")
  func leave() {
    var machine = RegistrationMachineTests.started()
    _ = machine.received(.granted(seconds: 60), random: 0)
    #expect(machine.leave() == .register(seconds: 0))
    #expect(machine.isLeaving)
    #expect(
      machine.received(.challenged(RegistrationMachineTests.challenge(), isProxy: false), random: 0)
        == .register(seconds: 0))
    let answer = machine.nextAnswer()
    #expect(answer?.count == 1)
    #expect(machine.received(.granted(seconds: 0), random: 0) == .ended)
    #expect(machine.isOver && !machine.isLeaving)
    #expect(machine.timer() == .nothing)
    #expect(machine.leave() == .nothing)

    var unanswered = RegistrationMachineTests.started()
    _ = unanswered.received(.granted(seconds: 60), random: 0)
    _ = unanswered.leave()
    #expect(unanswered.received(.refused(status: 408, retryAfter: nil), random: 0) == .ended)

    var never = RegistrationMachineTests.started()
    _ = never.received(.refused(status: 403, retryAfter: nil), random: 0)
    #expect(never.leave() == .ended, "a registrar that never had the Contact is not told")
  }

  @Test("leaving while a REGISTER is out: its answer first, then the Contact is taken away")
  func leaveMeanwhile() {
    var machine = RegistrationMachineTests.started()
    #expect(machine.leave() == .nothing)
    #expect(machine.isLeaving)
    #expect(machine.received(.granted(seconds: 60), random: 0) == .register(seconds: 0))
    #expect(machine.received(.granted(seconds: 0), random: 0) == .ended)
    var refused = RegistrationMachineTests.started()
    _ = refused.leave()
    #expect(refused.received(.challenged(RegistrationMachineTests.challenge(), isProxy: false), random: 0) == .ended)
    var refresh = RegistrationMachineTests.started()
    _ = refresh.received(.granted(seconds: 60), random: 0)
    _ = refresh.timer()
    _ = refresh.leave()
    #expect(refresh.received(.refused(status: 500, retryAfter: nil), random: 0) == .register(seconds: 0))
  }
}

@Suite("Trunk limits and pings: the machines")
struct TrunkMachineTests {
  private static func plan(ping: Double = 30, downAfter: Int = 2) -> TrunkPlan {
    var plan = TrunkPlan()
    plan.ping = .seconds(ping)
    plan.downAfter = downAfter
    return plan
  }

  @Test("RFC 3261 §11: down after so many misses in a row, and no earlier", arguments: [1, 2, 3, 7])
  func misses(downAfter: Int) {
    let plan = TrunkMachineTests.plan(downAfter: downAfter)
    for miss in [nil, 408, 503] as [Int?] {
      var ping = PingMachine()
      for n in 1...downAfter {
        let verdict = ping.result(miss, plan: plan)
        #expect(verdict.change == (n == downAfter ? false : nil))
        #expect(verdict.next == (n == downAfter ? .seconds(30.0) : .seconds(5.0)), "asked again soon while it is up")
      }
      #expect(ping.result(miss, plan: plan) == .init(change: nil, next: .seconds(30.0)))
      #expect(ping.result(200, plan: plan) == .init(change: true, next: .seconds(30.0)))
      #expect(ping.isUp)
    }
  }

  @Test("any answer but 408 and 503 is one", arguments: [200, 401, 403, 404, 405, 407, 481, 486, 500, 501, 603])
  func answers(status: Int) {
    let plan = TrunkMachineTests.plan()
    var ping = PingMachine()
    for _ in 1...10 {
      let miss = ping.result(nil, plan: plan)
      #expect(miss.change == nil)
      #expect(ping.result(status, plan: plan) == .init(change: nil, next: .seconds(30.0)))
    }
  }

  @Test("a token bucket: a second's worth at once, then the rate", arguments: [0.5, 1, 2.5, 10, 100])
  func bucket(rate: Double) {
    var bucket = TokenBucket()
    let start = Instant(nanoseconds: 1_000_000_000)
    var first = 0
    while bucket.take(rate: rate, now: start) { first += 1 }
    #expect(first == max(1, Int(rate)))
    var later = 0
    for ms in 1...60_000 where bucket.take(rate: rate, now: start + .milliseconds(Int64(ms))) { later += 1 }
    #expect(abs(Double(later) - rate * 60) <= 1)
    let backwards = bucket.take(rate: rate, now: start)
    #expect(!backwards, "time that goes back fills nothing")
  }

  @Test("max_calls counts both directions; what is given back can be taken again")
  func places() {
    let status = TrunkStatus()
    var plan = TrunkPlan()
    plan.maxCalls = 3
    let now = Instant(nanoseconds: 1)
    #expect(status.takeOutgoing(plan, now: now) == nil && status.takeIncoming(plan))
    #expect(status.takeOutgoing(plan, now: now) == nil)
    #expect(status.takeOutgoing(plan, now: now) == .full && !status.takeIncoming(plan) && !status.isUsable(plan))
    #expect(status.current.calls == 3 && status.current.refused == 2)
    status.release(incoming: true)
    #expect(status.current.incoming == 0 && status.isUsable(plan))
    #expect(status.takeOutgoing(plan, now: now) == nil)
    status.update { $0.isUp = false }
    #expect(status.takeOutgoing(plan, now: now) == .down && !status.isUsable(plan))
    #expect(status.current.totalOutgoing == 3 && status.current.totalIncoming == 1)
  }

  @Test("credentials are for the configured realm alone, or for the first that the host asks for")
  func realms() {
    let named = TrunkStatus()
    let two = TrunkCredentials(user: "u", password: "p", realms: ["carrier", "proxy"])
    #expect(named.accepts(Array("carrier".utf8), two) && named.accepts(Array("proxy".utf8), two))
    #expect(!named.accepts(Array("other".utf8), two) && !named.accepts([], two))
    func challenge(_ realm: String) -> Bytes { Array("Digest realm=\"\(realm)\", nonce=\"n\"".utf8)[...] }
    #expect(named.registrarChallenge(of: [challenge("other")], two) == nil)
    #expect(named.registrarChallenge(of: [challenge("other"), challenge("proxy")], two)?.realm == Array("proxy".utf8))
    let learning = TrunkStatus()
    let any = TrunkCredentials(user: "u", password: "p")
    #expect(learning.accepts(Array("first".utf8), any) && learning.accepts(Array("first".utf8), any))
    #expect(!learning.accepts(Array("second".utf8), any))
    #expect(learning.registrarChallenge(of: [challenge("second")], any) != nil, "the registrar has another one now")
    #expect(learning.accepts(Array("second".utf8), any) && !learning.accepts(Array("first".utf8), any))
  }
}
