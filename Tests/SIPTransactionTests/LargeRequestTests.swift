import NetCore
import SIPMessage
import SIPTransaction
import Testing

@Suite("Requests that are too long for a datagram")
struct LargeRequestTests {
  private static let long = "Subject: " + String(repeating: "x", count: 1300) + "\r\n"
  private static let stream = Flow(
    transport: .tcp, listener: 1, remote: Bench.peer, local: Endpoint(Bench.local.ip, 5070))

  private func bench() -> Bench {
    let bench = Bench()
    bench.table.large.streams = [
      .init(listener: 1, local: Self.stream.local, sentBy: Array("192.0.2.2:5070".utf8))
    ]
    return bench
  }

  private func send(_ bench: Bench, _ method: SIPMessage.Method, _ extra: String = long) -> (
    ClientTransactionID, String
  ) {
    let (id, token) = bench.table.reserveClient()
    let branch = String(decoding: token.branch, as: UTF8.self)
    let text = request("\(method.name)", branch: branch, uri: "sip:bob@192.0.2.1:5060", extra: extra)
    bench.table.sendByBestTransport(
      id, method: method, bytes: Array(text.utf8), flow: Bench.udp, now: bench.now, wheel: &bench.wheel)
    return (id, branch)
  }

  @Test("RFC 3261 §18.1.1: over 1300 octets a request goes by TCP, and its Via says so")
  func byStream() {
    let bench = bench()
    let (_, branch) = send(bench, .invite)
    #expect(bench.table.outbox.map(\.flow) == [Self.stream])
    let sent = bench.sent()[0]
    #expect(header("Via", in: sent) == ["SIP/2.0/TCP 192.0.2.2:5070;branch=\(branch)"])
    bench.wait(ms: 10_000)
    #expect(bench.sent().isEmpty, "TCP sends again by itself")
    bench.receive(response(486, branch: branch), flow: Self.stream)
    #expect(bench.table.outbox.map(\.flow) == [Self.stream])
    #expect(header("Via", in: bench.sent()[0]) == ["SIP/2.0/TCP 192.0.2.2:5070;branch=\(branch)"], "the ACK as well")
    #expect(bench.eventNames() == ["response 486"] && bench.leftovers == nothingLeft)
  }

  @Test("RFC 3261 §18.1.1: what fits, what has no TCP listener, and what is on a stream already goes as it was meant")
  func asMeant() {
    var bench = bench()
    _ = send(bench, .options, "")
    #expect(bench.table.outbox.map(\.flow) == [Bench.udp])
    bench = self.bench()
    bench.table.large.limit = 0
    _ = send(bench, .options)
    #expect(bench.table.outbox.map(\.flow) == [Bench.udp])
    bench = Bench()
    _ = send(bench, .options)
    #expect(bench.table.outbox.map(\.flow) == [Bench.udp])
  }

  @Test(
    "RFC 3261 §18.1.1: where TCP is refused it goes by UDP after all, with its timers",
    arguments: [.invite, .message] as [SIPMessage.Method])
  func fallBack(_ method: SIPMessage.Method) {
    let bench = bench()
    let (_, branch) = send(bench, method)
    _ = bench.sent()
    bench.table.flowFailed(Self.stream, now: bench.now, wheel: &bench.wheel)
    #expect(bench.events().isEmpty)
    #expect(bench.table.outbox.map(\.flow) == [Bench.udp])
    #expect(header("Via", in: bench.sent()[0]) == ["SIP/2.0/UDP 192.0.2.1:5060;branch=\(branch)"])
    bench.wait(ms: 600)
    #expect(bench.sent().count == 1, "timer A or E runs")
    // A second failure of the stream is nobody's any more.
    bench.table.flowFailed(Self.stream, now: bench.now, wheel: &bench.wheel)
    #expect(bench.events().isEmpty && bench.sent().isEmpty)
    bench.receive(response(200, branch: branch, method: "\(method.name)"))
    #expect(bench.eventNames() == ["response 200"])
    bench.wait(ms: 33_000)
    #expect(bench.leftovers == nothingLeft)
  }

  @Test("A peer who refused TCP is not asked again for five minutes")
  func remembered() {
    let bench = bench()
    let (_, branch) = send(bench, .options)
    bench.table.flowFailed(Self.stream, now: bench.now, wheel: &bench.wheel)
    bench.receive(response(200, branch: branch, method: "OPTIONS"))
    _ = bench.sent()
    _ = send(bench, .options)
    #expect(bench.table.outbox.map(\.flow) == [Bench.udp])
    bench.wait(ms: 301_000)
    _ = bench.sent()
    _ = send(bench, .options)
    #expect(bench.table.outbox.map(\.flow) == [Self.stream])
  }

  @Test("RFC 3261 §9.1: a CANCEL that waits survives the change; once answered, the connection's end is an error")
  func cancelAndAnswered() {
    var bench = bench()
    let (id, branch) = send(bench, .invite)
    bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
    bench.table.flowFailed(Self.stream, now: bench.now, wheel: &bench.wheel)
    _ = bench.sent()
    bench.receive(response(180, branch: branch))
    #expect(bench.sent().map { startLine($0).prefix(6) } == ["CANCEL"])

    bench = self.bench()
    let (_, other) = send(bench, .invite)
    bench.receive(response(180, branch: other), flow: Self.stream)
    _ = bench.events()
    bench.table.flowFailed(Self.stream, now: bench.now, wheel: &bench.wheel)
    #expect(bench.eventNames() == ["transportError"])
  }
}
