import NetCore
import SIPMessage
import SIPTransaction
import Testing

/// What a network does to a datagram.
struct Weather: Sendable, CustomTestStringConvertible {
  var name: String
  var loss: Double
  var duplication: Double
  /// Milliseconds; a wide range reorders.
  var delay: ClosedRange<Int64>

  var testDescription: String { name }

  static let calm = Weather(name: "calm", loss: 0, duplication: 0, delay: 20...20)
  static let jittery = Weather(name: "reordering", loss: 0, duplication: 0.3, delay: 1...400)
  static let rough = Weather(name: "lossy", loss: 0.25, duplication: 0.2, delay: 5...300)
  /// The delay stays below what timer J leaves for the last copy of a request, which goes out 0.5 s before timer F.
  static let storm = Weather(name: "storm", loss: 0.6, duplication: 0.3, delay: 5...450)
  static let dead = Weather(name: "dead", loss: 1, duplication: 0, delay: 1...1)
}

/// A client table and a server table on one virtual clock, each with a small TU that answers at random, and between them
/// a network that loses, repeats and reorders.
final class LossyPair {
  struct Datagram {
    var at: Instant
    var order: Int
    var toServer: Bool
    var bytes: [UInt8]
  }

  /// One transaction as both TUs saw it.
  struct Story {
    var method: SIPMessage.Method
    var finals: [Int] = []
    var timeouts = 0
    var requests = 0
    var sentFinals = 0
    var noAcks = 0
    var cancelled = false
  }

  enum Plan {
    case provisional(ServerTransactionID, call: Int)
    case final(ServerTransactionID, call: Int)
    case cancel(ClientTransactionID, call: Int)
    case start
  }

  var random: SplitMix64
  let weather: Weather
  var now = Instant(nanoseconds: 5_000_000_000)
  var client: TransactionTable
  var clientWheel: TimerWheel
  var server: TransactionTable
  var serverWheel: TimerWheel
  var network: [Datagram] = []
  var plans: [(at: Instant, plan: Plan)] = []
  var stories: [Story] = []
  var calls: [ClientTransactionID: Int] = [:]
  var invites: [Int: ServerTransactionID] = [:]
  var order = 0

  static let clientFlow = Flow(transport: .udp, listener: 0, remote: Bench.local, local: Bench.peer)

  init(seed: UInt64, weather: Weather) {
    random = SplitMix64(seed: seed)
    self.weather = weather
    client = TransactionTable(shard: 1, seed: (seed, 1))
    server = TransactionTable(shard: 2, seed: (seed, 2))
    clientWheel = TimerWheel(now: now)
    serverWheel = TimerWheel(now: now)
  }

  func chance(_ p: Double) -> Bool { Double(random.next() % 1_000_000) / 1_000_000 < p }
  func between(_ range: ClosedRange<Int64>) -> Instant.Span {
    .milliseconds(range.lowerBound + Int64(random.next() % UInt64(range.upperBound - range.lowerBound + 1)))
  }

  func plan(_ plan: Plan, after span: Instant.Span) { plans.append((now + span, plan)) }

  func transmit(_ bytes: [UInt8], toServer: Bool) {
    for _ in 0..<(chance(weather.duplication) ? 2 : 1) where !chance(weather.loss) {
      order += 1
      network.append(Datagram(at: now + between(weather.delay), order: order, toServer: toServer, bytes: bytes))
    }
  }

  /// Runs until nothing is left to happen, or for `limit`.
  func run(transactions: Int, limit: Instant.Span = .milliseconds(400_000)) {
    for _ in 0..<transactions { plan(.start, after: between(0...5_000)) }
    let end = now + limit
    while let next = nextEvent(), next <= end {
      now = max(now, next)
      step()
      drain()
    }
  }

  func nextEvent() -> Instant? {
    [network.map(\.at).min(), plans.map(\.at).min(), clientWheel.nextDeadline, serverWheel.nextDeadline]
      .compactMap { $0 }.min()
  }

  func step() {
    while let timer = clientWheel.popExpired(now: now) { client.fire(timer, now: now, wheel: &clientWheel) }
    while let timer = serverWheel.popExpired(now: now) { server.fire(timer, now: now, wheel: &serverWheel) }
    let arrived = network.filter { $0.at <= now }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
    network.removeAll { $0.at <= now }
    for datagram in arrived {
      let text = String(decoding: datagram.bytes, as: UTF8.self)
      if datagram.toServer {
        server.receive(parse(text), now: now, wheel: &serverWheel)
      } else {
        client.receive(parse(text, flow: Self.clientFlow), now: now, wheel: &clientWheel)
      }
    }
    let due = plans.filter { $0.at <= now }
    plans.removeAll { $0.at <= now }
    for (_, plan) in due { act(plan) }
  }

  func act(_ plan: Plan) {
    switch plan {
    case .start:
      let method: SIPMessage.Method = chance(0.6) ? .invite : .options
      let call = stories.count
      stories.append(Story(method: method))
      let (id, token) = client.reserveClient()
      calls[id] = call
      let text = request("\(method.name)", branch: String(decoding: token.branch, as: UTF8.self), callID: "call\(call)")
      client.send(id, method: method, bytes: Array(text.utf8), flow: Self.clientFlow, now: now, wheel: &clientWheel)
      // In Proceeding an INVITE has no time limit but the TU's patience.
      if method == .invite { self.plan(.cancel(id, call: call), after: .milliseconds(60_000)) }
      if method == .invite, chance(0.3) { self.plan(.cancel(id, call: call), after: between(0...6_000)) }
    case .cancel(let id, let call):
      stories[call].cancelled = true
      client.cancel(id, now: now, wheel: &clientWheel)
    case .provisional(let id, _):
      respond(id, 180)
    case .final(let id, let call):
      if respond(id, [200, 200, 404, 603][Int(random.next() % 4)]) { stories[call].sentFinals += 1 }
    }
  }

  @discardableResult
  func respond(_ id: ServerTransactionID, _ status: Int) -> Bool {
    guard let message = server.request(of: id) else { return false }
    var writer = MessageWriter.response(to: message, status: status, toTag: Array("tag".utf8)[...])
    writer.finish()
    return server.respond(id, status: status, bytes: writer.bytes, now: now, wheel: &serverWheel)
  }

  func drain() {
    for event in client.events { clientSaw(event) }
    client.events.removeAll()
    for event in server.events { serverSaw(event) }
    server.events.removeAll()
    for out in client.outbox { transmit(out.bytes, toServer: true) }
    client.outbox.removeAll()
    for out in server.outbox { transmit(out.bytes, toServer: false) }
    server.outbox.removeAll()
  }

  func clientSaw(_ event: TransactionEvent) {
    switch event {
    case .response(let id, let message):
      guard let call = calls[id], message.status >= 200 else { return }
      stories[call].finals.append(message.status)
      if stories[call].method == .invite, message.status < 300 {
        let ack = request("ACK", branch: "z9hG4bKack\(call)", callID: "call\(call)", toTag: "tag")
        client.sendAck(Array(ack.utf8), flow: Self.clientFlow)
      }
    case .timeout(let id):
      if let call = calls[id] { stories[call].timeouts += 1 }
    case .strayResponse:
      break
    case .request, .cancel, .ack, .transportError, .serverTransportError, .noAck:
      Issue.record("the client saw \(Bench.name(event))")
    }
  }

  func serverSaw(_ event: TransactionEvent) {
    switch event {
    case .request(let id, let message):
      guard let call = Int(String(decoding: message.callID.dropFirst(4), as: UTF8.self)) else { return }
      stories[call].requests += 1
      if message.method == .invite { invites[call] = id }
      if chance(0.7) { plan(.provisional(id, call: call), after: between(0...1_500)) }
      plan(.final(id, call: call), after: between(message.method == .invite ? 0...20_000 : 0...3_000))
    case .cancel(let id, let message, of: let invite):
      server.answerCancel(id, found: invite != nil, toTag: nil, now: now, wheel: &serverWheel)
      guard let call = Int(String(decoding: message.callID.dropFirst(4), as: UTF8.self)), let invite else { return }
      if respond(invite, 487) { stories[call].sentFinals += 1 }
    case .ack(let message):
      guard let call = Int(String(decoding: message.callID.dropFirst(4), as: UTF8.self)), let id = invites[call] else {
        return
      }
      server.acknowledged(id, wheel: &serverWheel)
    case .noAck(let id):
      for (call, invite) in invites where invite == id { stories[call].noAcks += 1 }
    case .response, .timeout, .transportError, .serverTransportError, .strayResponse:
      Issue.record("the server saw \(Bench.name(event))")
    }
  }

  func judge() {
    for (call, story) in stories.enumerated() {
      let note = Comment(rawValue: "call \(call): \(story)")
      // Exactly one end: a final response, of an INVITE that was accepted perhaps several copies, or a timeout.
      #expect(story.requests <= 1, note)
      #expect(story.sentFinals == story.requests, note)
      if story.finals.isEmpty {
        #expect(story.timeouts == 1, note)
      } else {
        #expect(story.timeouts == 0, note)
        #expect(Set(story.finals).count == 1, note)
        if story.method != .invite || story.finals[0] >= 300 { #expect(story.finals.count == 1, note) }
      }
      #expect(story.noAcks == 0 || story.method == .invite, note)
    }
    #expect(network.isEmpty && plans.isEmpty)
    #expect(client.counts.clients == 0 && client.counts.servers == 0 && clientWheel.count == 0)
    #expect(server.counts.clients == 0 && server.counts.servers == 0 && serverWheel.count == 0)
    #expect(client.census() == TransactionCensus() && server.census() == TransactionCensus())
  }
}

@Suite("RFC 3261 §17: two tables over a bad network")
struct LossyPairTests {
  @Test(
    "every transaction ends, exactly one final response reaches the TU, nothing is left",
    arguments: [Weather.jittery, .rough, .storm])
  func property(weather: Weather) {
    for seed in 0..<150 {
      let pair = LossyPair(seed: UInt64(seed), weather: weather)
      pair.run(transactions: 6)
      pair.judge()
    }
  }

  @Test("without loss everybody is answered")
  func calm() {
    for seed in 0..<20 {
      let pair = LossyPair(seed: UInt64(seed), weather: .calm)
      pair.run(transactions: 8)
      pair.judge()
      #expect(pair.stories.allSatisfy { $0.timeouts == 0 && $0.noAcks == 0 && $0.requests == 1 })
    }
  }

  @Test("with nobody there everything times out")
  func dead() {
    let pair = LossyPair(seed: 1, weather: .dead)
    pair.run(transactions: 8)
    pair.judge()
    #expect(pair.stories.allSatisfy { $0.timeouts == 1 && $0.requests == 0 })
  }
}
