import NetCore
import SIPMessage
@testable import SIPTransaction
import Testing

/// What a client may know of a request that was challenged, although its transaction is over.
@Suite struct ChallengedTests {
  private let flow = Flow(
    transport: .udp, listener: 0, remote: Endpoint("192.0.2.1:5060")!, local: Endpoint("198.51.100.1:5060")!)

  private func request(_ method: String, _ branch: Token) -> [UInt8] {
    Array(
      ("\(method) sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=\(String(decoding: branch.branch, as: UTF8.self))\r\n"
        + "Max-Forwards: 70\r\nFrom: <sip:b@x>;tag=1\r\nTo: <sip:a@x>\r\nCall-ID: c\r\nCSeq: 1 \(method)\r\n"
        + "Content-Length: 0\r\n\r\n").utf8)
  }

  private func response(_ status: Int, to request: [UInt8]) throws -> Message {
    let message = try MessageParser.parse(request, flow: flow)
    var writer = MessageWriter.response(to: message, status: status, toTag: Array("2".utf8)[...])
    writer.finish()
    return try MessageParser.parse(writer.bytes, flow: flow)
  }

  @Test(
    "RFC 3261 §22.2: the request behind a 401 or 407 can be had once, to be sent again", arguments: [401, 407],
    ["INVITE", "BYE"])
  func once(status: Int, method: String) throws {
    var table = TransactionTable(shard: 0, seed: (1, 2))
    var wheel = TimerWheel(now: .zero)
    let (id, branch) = table.reserveClient()
    let bytes = request(method, branch)
    table.send(id, method: method == "INVITE" ? .invite : .bye, bytes: bytes, flow: flow, now: .zero, wheel: &wheel)
    table.receive(try response(status, to: bytes), now: .zero, wheel: &wheel)
    let taken = table.takeChallenged(id)
    #expect(taken?.bytes == bytes && taken?.flow == flow)
    #expect(table.takeChallenged(id) == nil)
    // A copy of the response brings nothing back.
    table.receive(try response(status, to: bytes), now: .zero, wheel: &wheel)
    #expect(table.takeChallenged(id) == nil)
  }

  @Test("no other response keeps a request, and another transaction's is not handed out", arguments: [200, 403, 486])
  func others(status: Int) throws {
    var table = TransactionTable(shard: 0, seed: (1, 2))
    var wheel = TimerWheel(now: .zero)
    let (first, branch) = table.reserveClient()
    let (second, otherBranch) = table.reserveClient()
    let bytes = request("BYE", branch)
    let other = request("BYE", otherBranch)
    table.send(first, method: .bye, bytes: bytes, flow: flow, now: .zero, wheel: &wheel)
    table.send(second, method: .bye, bytes: other, flow: flow, now: .zero, wheel: &wheel)
    table.receive(try response(status, to: bytes), now: .zero, wheel: &wheel)
    #expect(table.takeChallenged(first) == nil)
    table.receive(try response(401, to: other), now: .zero, wheel: &wheel)
    #expect(table.takeChallenged(first) == nil)
  }
}
