import NetCore
import SIPMessage
import SIPTransaction
import Testing

@Suite("Client transactions in the table")
struct ClientTableTests {
  @Test("RFC 3261 §17.1.1.2: an INVITE that nobody answers is sent 7 times and times out after 64*T1")
  func inviteTimeout() {
    let bench = Bench()
    _ = bench.send(.invite)
    bench.wait(ms: 31_900)
    let sent = bench.sent()
    #expect(sent.count == 7 && Set(sent).count == 1 && bench.events().isEmpty)
    bench.wait(ms: 200)
    #expect(bench.eventNames() == ["timeout"] && bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.1.2.2: a non-INVITE that nobody answers is sent 11 times and times out after 64*T1")
  func nonInviteTimeout() {
    let bench = Bench()
    _ = bench.send(.options)
    bench.wait(ms: 31_900)
    #expect(bench.sent().count == 11)
    bench.wait(ms: 200)
    #expect(bench.eventNames() == ["timeout"] && bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.1.1.2, §17.1.2.2: on a stream each is sent once, and times out as well")
  func reliableTimeout() {
    let bench = Bench()
    _ = bench.send(.invite, flow: Bench.tcp)
    _ = bench.send(.bye, flow: Bench.tcp)
    bench.wait(ms: 32_100)
    #expect(bench.sent().count == 2 && bench.eventNames() == ["timeout", "timeout"] && bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.1.1.2: a provisional response ends retransmission and timeout")
  func provisional() {
    let bench = Bench()
    let (_, branch) = bench.send(.invite)
    bench.receive(response(180, branch: branch))
    bench.receive(response(183, branch: branch))
    bench.wait(ms: 600_000)
    #expect(
      bench.sent().count == 1 && bench.eventNames() == ["response 180", "response 183"] && bench.wheel.count == 0)
    bench.receive(response(200, branch: branch))
    bench.wait(ms: 33_000)
    #expect(bench.eventNames() == ["response 200"] && bench.leftovers == nothingLeft)
  }

  @Test("RFC 6026 §7.2: every 2xx within 64*T1 goes to the TU, a later one is a stray")
  func everySuccess() {
    let bench = Bench()
    let (_, branch) = bench.send(.invite)
    bench.receive(response(200, branch: branch))
    bench.wait(ms: 1_000)
    bench.receive(response(200, branch: branch))
    bench.receive(response(200, branch: branch, toTag: "fork"))
    bench.receive(response(180, branch: branch))
    #expect(bench.eventNames() == ["response 200", "response 200", "response 200"])
    #expect(bench.sent().count == 1, "the ACK is the TU's")
    bench.wait(ms: 32_000)
    bench.receive(response(200, branch: branch))
    #expect(bench.eventNames() == ["stray 200"] && bench.leftovers == nothingLeft && bench.table.counts.stray == 1)
  }

  @Test(
    "RFC 3261 §17.1.1.3: the ACK of a failure has Request-URI, Via, Route, From of the INVITE and To of the response")
  func ack() {
    let bench = Bench()
    let (_, branch) = bench.send(
      .invite,
      extra:
        "Route: <sip:p1.example.com;lr>\r\nRoute: <sip:p2.example.com;lr>,\r\n <sip:p3.example.com;lr>\r\nRequire: 100rel\r\nContent-Type: application/sdp\r\n"
    )
    _ = bench.sent()
    bench.receive(response(486, branch: branch, toTag: "busy"))
    #expect(bench.eventNames() == ["response 486"])
    let sent = bench.sent()
    #expect(sent.count == 1)
    let ack = sent[0]
    #expect(startLine(ack) == "ACK sip:bob@192.0.2.1:5060;x=y SIP/2.0")
    #expect(header("Via", in: ack) == ["SIP/2.0/UDP 192.0.2.1:5060;branch=\(branch)"])
    #expect(
      ack.contains("Route: <sip:p1.example.com;lr>\r\nRoute: <sip:p2.example.com;lr>,\r\n <sip:p3.example.com;lr>\r\n"))
    #expect(header("From", in: ack) == ["\"Alice\" <sip:alice@example.com>;tag=f"])
    #expect(header("To", in: ack) == ["<sip:bob@example.com>;tag=busy"])
    #expect(header("CSeq", in: ack) == ["1 ACK"] && header("Call-ID", in: ack) == ["c1"])
    #expect(header("Max-Forwards", in: ack) == ["70"] && header("Content-Length", in: ack) == ["0"])
    #expect(
      header("Require", in: ack).isEmpty && header("Contact", in: ack).isEmpty
        && header("Content-Type", in: ack).isEmpty)
    _ = parse(ack)
    bench.receive(response(486, branch: branch, toTag: "busy"))
    #expect(bench.sent() == [ack] && bench.events().isEmpty, "a copy is acknowledged again and not delivered")
    bench.wait(ms: 31_900)
    #expect(bench.table.census().inviteClients == [.completed: 1])
    bench.wait(ms: 200)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.1.1.2: timer D is zero on a stream")
  func ackReliable() {
    let bench = Bench()
    let (_, branch) = bench.send(.invite, flow: Bench.tcp)
    bench.receive(response(404, branch: branch), flow: Bench.tcp)
    #expect(bench.sent().count == 2 && bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.1.2.2: the final response once, its copies absorbed for timer K = T4; zero on a stream")
  func nonInvite() {
    let bench = Bench()
    let (_, branch) = bench.send(.options)
    bench.receive(response(100, branch: branch, method: "OPTIONS"))
    bench.receive(response(200, branch: branch, method: "OPTIONS"))
    bench.receive(response(200, branch: branch, method: "OPTIONS"))
    #expect(bench.eventNames() == ["response 100", "response 200"])
    bench.wait(ms: 4_900)
    #expect(bench.table.census().nonInviteClients == [.completed: 1])
    bench.wait(ms: 200)
    #expect(bench.leftovers == nothingLeft)
    let other = bench.send(.options, flow: Bench.tcp)
    bench.receive(response(404, branch: other.branch, method: "OPTIONS"), flow: Bench.tcp)
    #expect(bench.eventNames() == ["response 404"] && bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.1.2.2: after a provisional response a request is sent every T2")
  func nonInviteProceeding() {
    let bench = Bench()
    let (_, branch) = bench.send(.options)
    bench.receive(response(100, branch: branch, method: "OPTIONS"))
    bench.wait(ms: 20_000)
    // At 0, at 0.5 as timer E was set, and then every 4 s.
    #expect(bench.sent().count == 2 + 4)
    bench.wait(ms: 12_100)
    #expect(bench.eventNames() == ["response 100", "timeout"])
  }

  @Test("RFC 3261 §17.1.3: only branch and CSeq method together match; anything else is a stray")
  func matching() {
    let bench = Bench()
    let (_, branch) = bench.send(.options)
    bench.receive(response(200, branch: branch, method: "INVITE"))
    bench.receive(response(200, branch: branch, method: "CANCEL"))
    bench.receive(response(200, branch: "z9hG4bKsomebodyelse", method: "OPTIONS"))
    bench.receive(
      response(200, branch: String(branch.dropLast()) + (branch.last == "0" ? "1" : "0"), method: "OPTIONS"))
    bench.receive(response(200, branch: branch + "0", method: "OPTIONS"))
    bench.receive(
      response(200, branch: branch, method: "OPTIONS", extra: "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKx\r\n"))
    #expect(bench.eventNames() == Array(repeating: "stray 200", count: 6))
    bench.receive(response(200, branch: branch, method: "OPTIONS"))
    #expect(bench.eventNames() == ["response 200"])
  }

  @Test("a reservation that is given back leaves nothing, and gets no response")
  func release() {
    let bench = Bench()
    let (id, token) = bench.table.reserveClient()
    bench.receive(response(200, branch: String(decoding: token.branch, as: UTF8.self)))
    #expect(bench.eventNames() == ["stray 200"])
    bench.table.release(id, wheel: &bench.wheel)
    bench.table.release(id, wheel: &bench.wheel)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("beyond the limit a request fails at once with a transport error")
  func full() {
    var limits = TransactionLimits()
    limits.clientTransactions = 1
    let bench = Bench(limits: limits)
    _ = bench.send(.invite)
    let second = bench.send(.invite)
    let events = bench.events()
    #expect(events.map(Bench.name) == ["transportError"] && bench.sent().count == 1)
    bench.table.cancel(second.id, now: bench.now, wheel: &bench.wheel)
    #expect(bench.table.counts.clients == 1)
  }

  @Test("RFC 3261 §9.1: a CANCEL waits for a provisional response; it is made from the INVITE and has its branch")
  func cancel() {
    let bench = Bench()
    let (id, branch) = bench.send(.invite, extra: "Route: <sip:p1.example.com;lr>\r\nRequire: 100rel\r\n")
    bench.table.cancel(
      id, headers: Array("Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n".utf8)[...], now: bench.now,
      wheel: &bench.wheel)
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    #expect(bench.sent().count == 1)
    bench.receive(response(180, branch: branch))
    let sent = bench.sent()
    #expect(sent.count == 1)
    let cancel = sent[0]
    #expect(startLine(cancel) == "CANCEL sip:bob@192.0.2.1:5060;x=y SIP/2.0")
    #expect(header("Via", in: cancel) == ["SIP/2.0/UDP 192.0.2.1:5060;branch=\(branch)"])
    #expect(header("To", in: cancel) == ["<sip:bob@example.com>"] && header("CSeq", in: cancel) == ["1 CANCEL"])
    #expect(header("Route", in: cancel) == ["<sip:p1.example.com;lr>"] && header("Require", in: cancel).isEmpty)
    #expect(header("Reason", in: cancel) == ["SIP;cause=200;text=\"Call completed elsewhere\""])
    _ = parse(cancel)
    bench.wait(ms: 1_700)
    #expect(bench.sent() == [cancel, cancel], "§17.1.2: a machine of its own, timer E")
    bench.receive(response(200, branch: branch, method: "CANCEL"))
    bench.receive(response(487, branch: branch))
    #expect(bench.eventNames() == ["response 180", "response 487"])
    #expect(bench.sent().map(startLine) == ["ACK sip:bob@192.0.2.1:5060;x=y SIP/2.0"])
    bench.wait(ms: 100_000)
    #expect(bench.sent().isEmpty && bench.events().isEmpty && bench.leftovers == nothingLeft)
  }

  @Test(
    "RFC 3261 §9.1: 64*T1 after a CANCEL without a final response the INVITE is over, whatever provisional ones came")
  func cancelUnanswered() {
    let bench = Bench()
    let (id, branch) = bench.send(.invite)
    bench.receive(response(180, branch: branch))
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    bench.wait(ms: 10_000)
    bench.receive(response(180, branch: branch))
    bench.wait(ms: 21_900)
    #expect(bench.eventNames() == ["response 180", "response 180"])
    bench.wait(ms: 200)
    #expect(bench.eventNames() == ["timeout"] && bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §9.1: a CANCEL that waits is forgotten when the final response comes first")
  func cancelTooLate() {
    let bench = Bench()
    let (id, branch) = bench.send(.invite)
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    bench.receive(response(200, branch: branch))
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    #expect(bench.sent().count == 1 && bench.eventNames() == ["response 200"])
    bench.wait(ms: 100_000)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §9.1: a 2xx that crosses the CANCEL is delivered")
  func cancelCrossed() {
    let bench = Bench()
    let (id, branch) = bench.send(.invite)
    bench.receive(response(180, branch: branch))
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    bench.receive(response(200, branch: branch))
    bench.receive(response(200, branch: branch, method: "CANCEL"))
    #expect(bench.eventNames() == ["response 180", "response 200"])
    bench.wait(ms: 100_000)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("on a stream a CANCEL ends with its INVITE")
  func cancelReliable() {
    let bench = Bench()
    let (id, branch) = bench.send(.invite, flow: Bench.tcp)
    bench.receive(response(180, branch: branch), flow: Bench.tcp)
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    bench.receive(response(487, branch: branch), flow: Bench.tcp)
    #expect(bench.leftovers == nothingLeft)
    bench.receive(response(200, branch: branch, method: "CANCEL"), flow: Bench.tcp)
    #expect(bench.eventNames() == ["response 180", "response 487", "stray 200"])
  }

  @Test("a CANCEL of a non-INVITE does nothing (RFC 3261 §9.1)")
  func cancelNonInvite() {
    let bench = Bench()
    let (id, _) = bench.send(.options)
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    #expect(bench.sent().count == 1)
  }

  @Test("RFC 3261 §17.1.4: a broken connection ends what awaits a final response, on that connection only")
  func flowFailed() {
    let bench = Bench()
    let other = Flow(transport: .tcp, listener: 0, connection: 8, remote: Bench.peer, local: Bench.local)
    let unopened = Flow(transport: .tcp, listener: 0, remote: Bench.peer, local: Bench.local)
    let (cancelled, branch) = bench.send(.invite, flow: Bench.tcp)
    bench.receive(response(180, branch: branch), flow: Bench.tcp)
    bench.table.cancel(cancelled, now: bench.now, wheel: &bench.wheel)
    let answered = bench.send(.invite, flow: Bench.tcp)
    bench.receive(response(200, branch: answered.branch), flow: Bench.tcp)
    _ = bench.send(.options, flow: Bench.tcp)
    let kept = bench.send(.options, flow: other)
    _ = bench.send(.options, flow: Bench.udp)
    let waiting = bench.send(.options, flow: unopened)
    _ = bench.events()
    bench.table.flowFailed(Bench.tcp, now: bench.now, wheel: &bench.wheel)
    let lost = bench.events().compactMap {
      if case .transportError(let id) = $0 { return id }
      return nil
    }
    #expect(lost.count == 3 && lost.contains(cancelled) && lost.contains(waiting.id) && !lost.contains(kept.id))
    #expect(bench.table.counts.clients == 3)
    bench.table.flowFailed(Bench.udp, now: bench.now, wheel: &bench.wheel)
    #expect(bench.eventNames() == ["transportError"])
    bench.wait(ms: 33_000)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.1.1.2: a transport error in Completed ends it without a word")
  func flowFailedCompleted() {
    let bench = Bench()
    let (_, branch) = bench.send(.invite)
    bench.receive(response(486, branch: branch))
    _ = bench.events()
    bench.table.flowFailed(Bench.udp, now: bench.now, wheel: &bench.wheel)
    #expect(bench.events().isEmpty && bench.leftovers == nothingLeft)
  }

  @Test("a slot that is used again has another generation: the branch of before finds nothing")
  func generations() {
    let bench = Bench()
    let first = bench.send(.options, flow: Bench.tcp)
    bench.receive(response(200, branch: first.branch, method: "OPTIONS"), flow: Bench.tcp)
    let second = bench.send(.options, flow: Bench.tcp)
    #expect(first.id.slot == second.id.slot)
    bench.receive(response(200, branch: first.branch, method: "OPTIONS"), flow: Bench.tcp)
    #expect(bench.eventNames() == ["response 200", "stray 200"])
  }
}
