import NetCore
import SIPMessage
import SIPTransaction
import Testing

@Suite("Server transactions in the table")
struct ServerTableTests {
  @Test(
    "RFC 3261 §17.2.1: an INVITE has its 100 before the TU sees it; the 100 is the peer's Via, From, To, Call-ID, CSeq")
  func trying() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    let sent = bench.sent()
    #expect(sent.count == 1 && startLine(sent[0]) == "SIP/2.0 100 Trying")
    #expect(header("CSeq", in: sent[0]) == ["1 INVITE"] && header("Call-ID", in: sent[0]) == ["c1"])
    #expect(header("To", in: sent[0]) == ["<sip:bob@example.com>"])
    let events = bench.events()
    #expect(events.map(Bench.name) == ["request INVITE"])
    #expect(bench.table.request(of: events.server) != nil)
  }

  @Test(
    "RFC 3261 §17.2.1: copies of an INVITE are answered with the latest provisional response and not seen by the TU")
  func inviteCopies() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    let id = bench.events().server
    let first = bench.sent()
    bench.receive(request("INVITE"))
    #expect(bench.sent() == first)
    bench.respond(id, 180)
    _ = bench.sent()
    bench.receive(request("INVITE"))
    #expect(bench.sent().map(startLine) == ["SIP/2.0 180 Whatever"])
    #expect(bench.events().isEmpty)
    #expect(bench.table.counts.requestRetransmissions == 2)
  }

  @Test("RFC 3261 §17.2.1: a failure is sent at 0, 0.5, 1.5, 3.5, 7.5 s … until its ACK; then timer I; nothing is left")
  func failure() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    let id = bench.events().server
    _ = bench.sent()
    bench.respond(id, 486)
    #expect(bench.table.request(of: id) == nil, "what lingers holds no message")
    #expect(bench.sent().count == 1)
    var times: [Int64] = []
    for step in 1...80 {
      bench.wait(ms: 100)
      if !bench.sent().isEmpty { times.append(Int64(step) * 100) }
    }
    #expect(times == [600, 1_600, 3_600, 7_600])
    bench.receive(request("ACK", toTag: "srv"))
    #expect(bench.events().isEmpty, "the ACK of a failure is the machine's")
    #expect(bench.table.census().inviteServers == [.confirmed: 1])
    bench.receive(request("INVITE"))
    bench.receive(request("ACK", toTag: "srv"))
    bench.wait(ms: 4_900)
    #expect(bench.sent().isEmpty && bench.table.counts.servers == 1)
    bench.wait(ms: 200)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.2.1: without ACK a failure is given up after timer H, 64*T1")
  func timerH() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    bench.respond(bench.events().server, 404)
    bench.wait(ms: 31_900)
    #expect(bench.table.counts.servers == 1)
    // 100, then the 404 at 0, .5, 1.5, 3.5, 7.5, 11.5 … 31.5 s.
    #expect(bench.sent().count == 1 + 11)
    bench.wait(ms: 200)
    #expect(bench.leftovers == nothingLeft && bench.events().isEmpty)
  }

  @Test("RFC 3261 §17.2.1: on a stream a failure is sent once, and its ACK ends it at once")
  func failureReliable() {
    let bench = Bench()
    bench.receive(request("INVITE"), flow: Bench.tcp)
    bench.respond(bench.events().server, 486)
    bench.wait(ms: 20_000)
    #expect(bench.sent().count == 2)
    bench.receive(request("ACK", toTag: "srv"), flow: Bench.tcp)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test(
    "RFC 3261 §13.3.1.4: a 2xx is sent again until the TU has its ACK; RFC 6026: L = 64*T1",
    arguments: [Bench.udp, Bench.tcp])
  func success(flow: Flow) {
    let bench = Bench()
    bench.receive(request("INVITE"), flow: flow)
    let id = bench.events().server
    _ = bench.sent()
    bench.respond(id, 200)
    bench.wait(ms: 3_600)
    #expect(bench.sent().map(startLine) == Array(repeating: "SIP/2.0 200 Whatever", count: 4))
    bench.receive(request("ACK", branch: "z9hG4bKother", toTag: "srv"), flow: flow)
    #expect(bench.eventNames() == ["ack"])
    bench.table.acknowledged(id, wheel: &bench.wheel)
    bench.table.acknowledged(id, wheel: &bench.wheel)
    bench.receive(request("INVITE"), flow: flow)
    bench.wait(ms: 28_000)
    #expect(bench.sent().isEmpty && bench.table.census().inviteServers == [.accepted: 1])
    bench.wait(ms: 1_000)
    #expect(bench.leftovers == nothingLeft && bench.events().isEmpty)
    bench.table.acknowledged(id, wheel: &bench.wheel)
  }

  @Test("RFC 3261 §13.3.1.4: no ACK in 64*T1 is reported")
  func noAck() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    bench.respond(bench.events().server, 200)
    bench.wait(ms: 31_900)
    #expect(bench.events().isEmpty)
    bench.wait(ms: 200)
    #expect(bench.eventNames() == ["noAck"])
    // 100, then the 200 at 0, .5, 1.5, 3.5, 7.5, 11.5 … 31.5 s.
    #expect(bench.sent().count == 1 + 11)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("an ACK of a 2xx that has the branch of its INVITE stops the 2xx and goes to the TU")
  func ackWithSameBranch() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    bench.respond(bench.events().server, 200)
    _ = bench.sent()
    bench.receive(request("ACK", toTag: "srv"))
    #expect(bench.eventNames() == ["ack"])
    bench.wait(ms: 40_000)
    #expect(bench.sent().isEmpty && bench.events().isEmpty && bench.leftovers == nothingLeft)
  }

  @Test("a second final response is refused, a response to what is over too")
  func refused() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    let id = bench.events().server
    #expect(bench.respond(id, 486))
    _ = bench.sent()
    #expect(!bench.respond(id, 200) && !bench.respond(id, 486) && !bench.respond(id, 180))
    bench.wait(ms: 40_000)
    _ = bench.sent()
    #expect(!bench.respond(id, 200) && bench.sent().isEmpty)
  }

  @Test(
    "RFC 3261 §17.2.2: copies of a non-INVITE: absorbed, then the provisional, then the final response; timer J = 64*T1"
  )
  func nonInvite() {
    let bench = Bench()
    bench.receive(request("OPTIONS"))
    let id = bench.events().server
    bench.receive(request("OPTIONS"))
    #expect(bench.sent().isEmpty)
    bench.respond(id, 100)
    bench.receive(request("OPTIONS"))
    bench.respond(id, 200)
    bench.receive(request("OPTIONS"))
    #expect(
      bench.sent().map { startLine($0).prefix(11) } == ["SIP/2.0 100", "SIP/2.0 100", "SIP/2.0 200", "SIP/2.0 200"])
    #expect(bench.table.request(of: id) == nil)
    bench.wait(ms: 31_900)
    #expect(bench.table.census().nonInviteServers == [.completed: 1])
    bench.wait(ms: 200)
    #expect(bench.leftovers == nothingLeft && bench.events().isEmpty && bench.sent().isEmpty)
  }

  @Test("RFC 3261 §17.2.2: timer J is zero on a stream")
  func nonInviteReliable() {
    let bench = Bench()
    bench.receive(request("BYE", toTag: "srv"), flow: Bench.tcp)
    bench.respond(bench.events().server, 200)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §17.2.3: branch, sent-by and method tell transactions apart; a sent-by has no case")
  func matching() {
    let bench = Bench()
    bench.receive(request("OPTIONS", callID: "c1", sentBy: "Host.Example:5060"))
    bench.receive(request("OPTIONS", callID: "c1", sentBy: "host.example:5060"))
    #expect(bench.eventNames().count == 1)
    bench.receive(request("OPTIONS", callID: "c2", sentBy: "host.example:5070"))
    bench.receive(request("OPTIONS", branch: "z9hG4bKpeer2", callID: "c3", sentBy: "host.example:5060"))
    bench.receive(request("MESSAGE", callID: "c1", sentBy: "host.example:5060"))
    bench.receive(request("FOO", callID: "c1", sentBy: "host.example:5060"))
    bench.receive(request("BAR", callID: "c1", sentBy: "host.example:5060"))
    #expect(bench.eventNames().count == 5)
  }

  @Test(
    "RFC 3261 §17.2.3: without the magic cookie Request-URI, tags, Call-ID, CSeq and Via are compared",
    arguments: ["", "1"])
  func rfc2543(branch: String) {
    let bench = Bench()
    bench.receive(request("INVITE", branch: branch))
    let id = bench.events().server
    bench.receive(request("INVITE", branch: branch))
    #expect(bench.events().isEmpty, "a copy")
    bench.receive(request("INVITE", branch: branch, callID: "c2"))
    bench.receive(request("INVITE", branch: branch, cseq: 2))
    bench.receive(request("INVITE", branch: branch, fromTag: "g"))
    bench.receive(request("INVITE", branch: branch, callID: "c3", uri: "sip:carol@192.0.2.2"))
    bench.receive(request("INVITE", branch: branch, callID: "c4", sentBy: "192.0.2.1:5062"))
    #expect(bench.eventNames().count == 5)
    _ = bench.sent()
    bench.respond(id, 486, tag: "mine")
    bench.receive(request("ACK", branch: branch, toTag: "other"))
    #expect(bench.eventNames() == ["ack"], "the To tag is not that of our response")
    #expect(bench.table.census().inviteServers[.completed] == 1)
    bench.receive(request("ACK", branch: branch, toTag: "mine"))
    #expect(bench.eventNames() == [] && bench.table.census().inviteServers[.confirmed] == 1)
  }

  @Test(
    "RFC 3261 §9.2: a CANCEL is matched with its INVITE, answered 200 with the tag of the INVITE, and its copies too")
  func cancel() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    let invite = bench.events().server
    _ = bench.sent()
    bench.receive(request("CANCEL"))
    let events = bench.events()
    guard case .cancel(let id, _, of: let found) = events.first else {
      Issue.record()
      return
    }
    #expect(found == invite && bench.sent().isEmpty)
    bench.table.answerCancel(id, found: true, toTag: Array("srv".utf8)[...], now: bench.now, wheel: &bench.wheel)
    bench.respond(invite, 487)
    let sent = bench.sent()
    #expect(sent.map(startLine) == ["SIP/2.0 200 OK", "SIP/2.0 487 Whatever"])
    #expect(
      header("CSeq", in: sent[0]) == ["1 CANCEL"] && header("To", in: sent[0]) == ["<sip:bob@example.com>;tag=srv"])
    bench.receive(request("CANCEL"))
    #expect(bench.sent() == [sent[0]] && bench.events().isEmpty)
    bench.receive(request("ACK", toTag: "srv"))
    bench.wait(ms: 100_000)
    #expect(bench.leftovers == nothingLeft && bench.events().isEmpty)
  }

  @Test("RFC 3261 §9.2: a CANCEL that names nothing is answered 481")
  func cancelOfNothing() {
    let bench = Bench()
    bench.receive(request("CANCEL"))
    let events = bench.events()
    #expect(events.map(Bench.name) == ["cancel of nothing"])
    bench.table.answerCancel(events.server, found: false, toTag: nil, now: bench.now, wheel: &bench.wheel)
    let sent = bench.sent()
    #expect(sent.map(startLine).first?.hasPrefix("SIP/2.0 481") == true)
    let tag = header("To", in: sent[0])[0].components(";tag=")[1]
    #expect(Token(hex: Array(tag.utf8)[...])?.shard == 3)
    bench.wait(ms: 33_000)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §8.2.2.2: the same request by another way gets 482, as a transaction of its own")
  func merged() {
    let bench = Bench()
    bench.receive(request("INVITE"))
    let first = bench.events().server
    _ = bench.sent()
    bench.receive(request("INVITE", branch: "z9hG4bKfork2"))
    let sent = bench.sent()
    #expect(sent.map { startLine($0).prefix(11) } == ["SIP/2.0 100", "SIP/2.0 482"] && bench.events().isEmpty)
    bench.receive(request("INVITE", branch: "z9hG4bKfork2"))
    #expect(bench.sent() == [sent[1]])
    let tag = header("To", in: sent[1])[0].components(";tag=")[1]
    bench.receive(request("ACK", branch: "z9hG4bKfork2", toTag: tag))
    #expect(bench.events().isEmpty && bench.table.counts.merged == 1)
    // Within a dialog, with another CSeq, or another From tag it is another request.
    bench.receive(request("INVITE", branch: "z9hG4bKa", toTag: "srv"))
    bench.receive(request("INVITE", branch: "z9hG4bKb", cseq: 2))
    bench.receive(request("INVITE", branch: "z9hG4bKc", fromTag: "g"))
    bench.receive(request("OPTIONS", branch: "z9hG4bKd"))
    #expect(bench.eventNames().count == 4)
    // Once the first is over, the same is new again.
    bench.respond(first, 200)
    bench.table.acknowledged(first, wheel: &bench.wheel)
    bench.wait(ms: 33_000)
    bench.receive(request("INVITE", branch: "z9hG4bKe"))
    #expect(bench.eventNames() == ["request INVITE"])
  }

  @Test("beyond the limit: 503 with Retry-After and no memory of it; in dialogs and CANCEL have a quarter more")
  func overload() {
    var limits = TransactionLimits()
    limits.serverTransactions = 4
    let bench = Bench(limits: limits)
    for i in 0..<4 { bench.receive(request("OPTIONS", branch: "z9hG4bK\(i)", callID: "c\(i)")) }
    #expect(bench.eventNames().count == 4)
    bench.receive(request("INVITE", branch: "z9hG4bKmore", callID: "more"))
    bench.receive(request("INVITE", branch: "z9hG4bKmore", callID: "more"))
    let sent = bench.sent()
    #expect(sent.count == 2 && sent[0] == sent[1], "§8.2.7: the same To tag for each copy")
    #expect(startLine(sent[0]).hasPrefix("SIP/2.0 503") && header("Retry-After", in: sent[0]) == ["5"])
    bench.receive(request("ACK", branch: "z9hG4bKmore", callID: "more", toTag: "x"))
    #expect(bench.table.counts.servers == 4 && bench.table.counts.overloaded == 2)
    _ = bench.events()
    bench.receive(request("BYE", branch: "z9hG4bKbye", callID: "c9", toTag: "srv"))
    #expect(bench.eventNames() == ["request BYE"])
    bench.receive(request("BYE", branch: "z9hG4bKbye2", callID: "c9", toTag: "srv"))
    bench.receive(request("CANCEL", branch: "z9hG4bK9"))
    #expect(bench.events().isEmpty && bench.sent().count == 2)
  }

  @Test(
    "RFC 6026 §7.1: a broken flow is reported while something is owed, and ends nothing",
    arguments: [Bench.udp, Bench.tcp])
  func flowFailed(flow: Flow) {
    let bench = Bench()
    bench.receive(request("INVITE", branch: "z9hG4bK1", callID: "a"), flow: flow)
    let first = bench.events().server
    bench.receive(request("INVITE", branch: "z9hG4bK2", callID: "b"), flow: flow)
    let second = bench.events().server
    bench.receive(request("OPTIONS", branch: "z9hG4bK3", callID: "c"), flow: flow)
    let third = bench.events().server
    bench.respond(second, 200)
    bench.table.acknowledged(second, wheel: &bench.wheel)
    bench.table.flowFailed(flow, now: bench.now, wheel: &bench.wheel)
    let events = bench.events()
    #expect(events.map(Bench.name) == ["serverTransportError"] && events.server == first)
    #expect(bench.respond(first, 500) && bench.respond(third, 200))
    bench.wait(ms: 100_000)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("names that outlived their transaction name nothing, also when its slot is used again")
  func staleNames() {
    let bench = Bench()
    bench.receive(request("OPTIONS"), flow: Bench.tcp)
    let old = bench.events().server
    bench.respond(old, 200)
    bench.receive(request("OPTIONS", branch: "z9hG4bK2", cseq: 2), flow: Bench.tcp)
    let new = bench.events().server
    #expect(old.slot == new.slot && old != new)
    #expect(bench.table.request(of: old) == nil && bench.table.flow(of: old) == nil && !bench.respond(old, 200))
    #expect(bench.table.request(of: new) != nil)
  }
}
