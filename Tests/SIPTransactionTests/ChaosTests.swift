import NetCore
import SIPMessage
import SIPTransaction
import Testing

/// Everything that can be done to a table, in no order: what a TU, a peer and a network with bad intentions do.
private final class Chaos {
  let bench: Bench
  var random: SplitMix64
  var serverIDs: [ServerTransactionID] = []
  var open: Set<ServerTransactionID> = []
  var clientIDs: [ClientTransactionID] = []
  var branches: [String] = []
  let flows = [
    Bench.udp, Bench.tcp,
    Flow(transport: .tcp, listener: 0, connection: 9, remote: Bench.peer, local: Bench.local),
    Flow(transport: .tcp, listener: 0, remote: Bench.peer, local: Bench.local),
  ]

  init(seed: UInt64) {
    var limits = TransactionLimits()
    limits.serverTransactions = 60
    limits.clientTransactions = 60
    bench = Bench(limits: limits)
    random = SplitMix64(seed: seed)
  }

  func pick<T>(_ values: [T]) -> T { values[Int(random.next() % UInt64(values.count))] }
  var flow: Flow { pick(flows) }

  func step() {
    switch random.next() % 14 {
    case 0...2:
      let method = pick(["INVITE", "INVITE", "OPTIONS", "BYE", "CANCEL", "ACK", "FOO"])
      let branch = pick(["z9hG4bK", ""]) + "\(random.next() % 30)"
      bench.receive(
        request(
          method, branch: branch, cseq: Int(random.next() % 3), callID: "c\(random.next() % 9)",
          toTag: pick([nil, "srv", "x"])),
        flow: flow)
    case 3, 4:
      let (id, branch) = bench.send(pick([.invite, .invite, .options, .register, .bye]), flow: flow)
      clientIDs.append(id)
      branches.append(branch)
    case 5...7:
      guard !branches.isEmpty else { return }
      bench.receive(
        response(
          pick([100, 180, 200, 202, 302, 486, 603]), branch: pick(branches),
          method: pick(["INVITE", "INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL"])),
        flow: flow)
    case 8, 9:
      guard !serverIDs.isEmpty else { return }
      let id = pick(serverIDs)
      let status = pick([100, 180, 200, 404, 487])
      if bench.respond(id, status), status >= 200 { open.remove(id) }
    case 10:
      guard !clientIDs.isEmpty else { return }
      bench.table.cancel(pick(clientIDs), now: bench.now, wheel: &bench.wheel)
    case 11:
      guard !serverIDs.isEmpty else { return }
      bench.table.acknowledged(pick(serverIDs), wheel: &bench.wheel)
    case 12:
      if random.next() % 4 == 0 { bench.table.flowFailed(flow, now: bench.now, wheel: &bench.wheel) }
    default:
      bench.wait(ms: Int64(random.next() % 3_000))
    }
    notice()
  }

  func notice() {
    for event in bench.events() {
      switch event {
      case .request(let id, _), .cancel(let id, _, of: _):
        serverIDs.append(id)
        #expect(open.insert(id).inserted)
      case .ack, .response, .timeout, .transportError, .serverTransportError, .noAck, .strayResponse: break
      }
    }
    _ = bench.sent()
    #expect(bench.table.counts.servers <= 75 && bench.table.counts.clients <= 60)
  }

  /// The TU does its duty: answers what is open, and cancels what still rings.
  func end() {
    for id in open {
      #expect(bench.table.request(of: id) != nil)
      #expect(bench.respond(id, 486))
    }
    for id in clientIDs {
      bench.table.cancel(id, now: bench.now, wheel: &bench.wheel)
      bench.table.release(id, wheel: &bench.wheel)
    }
    bench.wait(ms: 100_000)
    notice()
    #expect(bench.leftovers == nothingLeft)
    #expect(bench.table.census() == TransactionCensus())
  }
}

@Suite("Chaos")
struct ChaosTests {
  @Test("whatever happens, 100 s after the TU has done its duty nothing is left", arguments: 0..<40)
  func chaos(seed: UInt64) {
    let chaos = Chaos(seed: seed)
    for _ in 0..<400 { chaos.step() }
    chaos.end()
  }
}
