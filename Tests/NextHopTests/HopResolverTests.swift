import NetCore
import Testing

@testable import NextHop

@Suite("The resolver")
struct HopResolverTests {
  /// A resolver on virtual time with a zone behind it.
  final class Bench {
    var resolver: HopResolver
    var zone = Zone()
    var now = Instant.zero
    var asked: [DNSQuestion] = []
    private var slot: UInt32 = 0

    init(capacity: Int = 100) { resolver = HopResolver(cacheCapacity: capacity, seed: 3) }

    static func query(_ host: String, port: UInt16? = 5060, _ transport: Transport? = nil) -> HopQuery {
      HopQuery(host: .name(DNSName(host)!), port: port, transport: transport, reach: reach(.udp))
    }

    func ask(_ query: HopQuery) -> HopResolver.Outcome {
      slot += 1
      let outcome = resolver.resolve(query, asker: HopAsker(shard: 0, slot: slot, generation: 1), now: now)
      asked += resolver.takeQuestions()
      return outcome
    }

    /// Answers all that is open, and what follows from it.
    func serve(_ answer: DNSAnswer? = nil) -> [HopResolver.Delivery] {
      var all: [HopResolver.Delivery] = []
      while !asked.isEmpty {
        let question = asked.removeFirst()
        all += resolver.answered(question, answer ?? zone.answer(question), now: now)
        asked += resolver.takeQuestions()
      }
      return all
    }

    func pass(_ seconds: Int64) { now = now + .seconds(seconds) }
  }

  private static func hop(_ ip: String, _ port: UInt16 = 5060) -> Hop { Hop(.udp, Endpoint(IPAddress(ip)!, port)) }

  @Test("One query in flight for many askers, and each gets its hops")
  func sharing() {
    let bench = Bench()
    bench.zone.a("example.com", "192.0.2.1")
    for _ in 0..<50 { #expect(bench.ask(Bench.query("example.com")) == .waits) }
    // The same record for another URI.
    #expect(bench.ask(Bench.query("example.com", port: 5070)) == .waits)
    #expect(bench.asked.count == 1)
    let deliveries = bench.serve()
    #expect(deliveries.count == 51 && Set(deliveries.map(\.asker.slot)).count == 51)
    #expect(deliveries.filter { $0.result == .success([Self.hop("192.0.2.1")]) }.count == 50)
    #expect(bench.resolver.isIdle)
    #expect(bench.ask(Bench.query("example.com")) == .known(.success([Self.hop("192.0.2.1")])))
    #expect(bench.resolver.statistics.hits == 1 && bench.resolver.statistics.questions == 1)
  }

  @Test("RFC 1035 §3.2.1: an answer is kept for its TTL, at least a second, at most a day")
  func ttl() {
    for (ttl, seconds) in [(0, 1), (1, 1), (300, 300), (900_000, 86_400)] as [(UInt32, Int64)] {
      let bench = Bench()
      bench.zone.a("example.com", "192.0.2.1", ttl: ttl)
      _ = bench.ask(Bench.query("example.com"))
      _ = bench.serve()
      bench.pass(seconds - 1)
      #expect(bench.ask(Bench.query("example.com")) != .waits)
      bench.pass(1)
      #expect(bench.ask(Bench.query("example.com")) == .waits)
    }
  }

  @Test("A TTL of 0 in each step does not go round in circles, however slow DNS is")
  func zeroTTL() {
    let bench = Bench()
    bench.zone.srv("_sip._udp.example.com", (1, 1, 5062, "a.example.com"), ttl: 0)
    bench.zone.a("a.example.com", "192.0.2.1", ttl: 0)
    #expect(bench.ask(Bench.query("example.com", port: nil, .udp)) == .waits)
    var deliveries: [HopResolver.Delivery] = []
    for _ in 0..<2 {
      bench.pass(3)
      let question = bench.asked.removeFirst()
      deliveries += bench.resolver.answered(question, bench.zone.answer(question), now: bench.now)
      bench.asked += bench.resolver.takeQuestions()
    }
    #expect(bench.asked.isEmpty && deliveries.map(\.result) == [.success([Self.hop("192.0.2.1", 5062)])])
  }

  @Test("RFC 2308 §5: that there is nothing is kept too, at most five minutes")
  func negative() {
    let bench = Bench()
    bench.zone.set("example.com", .a, .nothing, ttl: 10_000)
    _ = bench.ask(Bench.query("example.com"))
    #expect(bench.serve().map(\.result) == [.failure(.noSuchHost)])
    bench.pass(299)
    #expect(bench.ask(Bench.query("example.com")) == .known(.failure(.noSuchHost)))
    bench.pass(1)
    #expect(bench.ask(Bench.query("example.com")) == .waits)
  }

  @Test("RFC 8767 §4, §5: DNS fails, and what is too old is better than nothing; asked again after 30 s")
  func stale() {
    let bench = Bench()
    bench.zone.a("example.com", "192.0.2.1", ttl: 60)
    _ = bench.ask(Bench.query("example.com"))
    _ = bench.serve()
    bench.pass(61)
    #expect(bench.ask(Bench.query("example.com")) == .waits)
    #expect(bench.serve(.silence).map(\.result) == [.success([Self.hop("192.0.2.1")])])
    bench.pass(29)
    #expect(bench.ask(Bench.query("example.com")) == .known(.success([Self.hop("192.0.2.1")])))
    bench.pass(1)
    #expect(bench.ask(Bench.query("example.com")) == .waits)
    _ = bench.serve(.refused)
    bench.pass(3600)
    #expect(bench.ask(Bench.query("example.com")) == .waits)
    #expect(bench.serve(.silence).map(\.result) == [.failure(.silence)])
  }

  @Test("RFC 2308 §7.2: that DNS is silent is remembered for five seconds, so that not every call waits for it")
  func silence() {
    let bench = Bench()
    _ = bench.ask(Bench.query("example.com"))
    #expect(bench.serve(.silence).map(\.result) == [.failure(.silence)])
    bench.pass(4)
    #expect(bench.ask(Bench.query("example.com")) == .known(.failure(.silence)))
    bench.pass(1)
    #expect(bench.ask(Bench.query("example.com")) == .waits)
  }

  @Test("The cache is bounded; what is used stays")
  func bounded() {
    let bench = Bench(capacity: 10)
    bench.zone.a("kept.example.com", "192.0.2.1")
    _ = bench.ask(Bench.query("kept.example.com"))
    _ = bench.serve()
    for i in 0..<1000 {
      bench.zone.a("h\(i).example.com", "192.0.2.2")
      _ = bench.ask(Bench.query("h\(i).example.com"))
      _ = bench.serve()
      #expect(bench.ask(Bench.query("kept.example.com")) == .known(.success([Self.hop("192.0.2.1")])))
    }
    #expect(bench.resolver.statistics.cached == 10)
    bench.resolver.setCacheCapacity(5)
    #expect(bench.resolver.statistics.cached == 0)
  }

  @Test("Searches are bounded; beyond that one is told so at once")
  func busy() {
    let bench = Bench()
    for i in 0..<HopResolver.maxSearches { #expect(bench.ask(Bench.query("h\(i).example.com")) == .waits) }
    #expect(bench.ask(Bench.query("more.example.com")) == .known(.failure(.busy)))
    for _ in HopResolver.maxSearches..<HopResolver.maxAskers { _ = bench.ask(Bench.query("h0.example.com")) }
    #expect(bench.ask(Bench.query("h0.example.com")) == .known(.failure(.busy)))
    #expect(bench.serve().count == HopResolver.maxAskers)
    #expect(bench.resolver.isIdle)
  }

  @Test("A zone that leads on and on: 64 questions, then it is given up")
  func endless() {
    let bench = Bench()
    let names = (0..<4).map { ("a\($0)", "_sip._udp.a\($0).example") }
    bench.zone.set(
      "example.com", .naptr,
      .names(
        names.map {
          NamingRecord(
            order: 1, preference: 1, flags: [0x73], service: Array("sip+d2u".utf8), replacement: DNSName($0.1))
        }))
    for (name, service) in names {
      let targets = (0..<16).map {
        ServiceRecord(priority: 1, weight: 0, port: 5060, target: DNSName("h\($0).\(name).example"))
      }
      bench.zone.set(service, .srv, .services(targets))
    }
    _ = bench.ask(Bench.query("example.com", port: nil))
    #expect(bench.serve().map(\.result) == [.failure(.refused)])
    #expect(bench.resolver.isIdle && bench.resolver.statistics.questions <= HopResolver.maxQuestions)
  }

  @Test("Names of the hosts table have their addresses there, and nothing is asked")
  func hosts() {
    let bench = Bench()
    bench.resolver.setHosts([DNSName("pbx.local")!: [IPAddress("192.0.2.7")!, IPAddress("2001:db8::7")!]])
    #expect(bench.ask(Bench.query("PBX.local", port: nil)) == .known(.success([Self.hop("192.0.2.7")])))
    #expect(bench.ask(Bench.query("other.local")) == .waits)
  }

  @Test("An answer that nobody waits for is not believed")
  func unasked() {
    let bench = Bench()
    bench.zone.a("example.com", "192.0.2.66")
    let question = DNSQuestion(DNSName("example.com")!, .a)
    #expect(bench.resolver.answered(question, bench.zone.answer(question), now: bench.now).isEmpty)
    #expect(bench.ask(Bench.query("example.com")) == .waits)
  }

  @Test("Each asker of one search draws for himself")
  func draws() {
    let bench = Bench()
    bench.zone.srv("_sip._udp.example.com", (1, 50, 5060, "a.example.com"), (1, 50, 5060, "b.example.com"))
    bench.zone.a("a.example.com", "192.0.2.1")
    bench.zone.a("b.example.com", "192.0.2.2")
    for _ in 0..<200 { _ = bench.ask(Bench.query("example.com", port: nil, .udp)) }
    let first = bench.serve().compactMap { try? $0.result.get().first }
    #expect((70...130).contains(first.filter { $0 == Self.hop("192.0.2.1") }.count) && first.count == 200)
  }
}

@Suite("Addresses that failed")
struct FailedHopsTests {
  private static func hop(_ last: Int) -> Hop { Hop(.udp, Endpoint(IPAddress("192.0.2.\(last)")!, 5060)) }

  @Test("They are tried last for a while, and none is left out")
  func order() {
    var failed = FailedHops()
    let now = Instant.zero
    let hops = (1...4).map(Self.hop)
    failed.add(hops[0], until: now + .seconds(30), now: now)
    failed.add(hops[2], until: now + .seconds(10_000), now: now)
    #expect(failed.arranged(HopResult.success(hops), now: now) == .success([1, 3, 0, 2].map { hops[$0] }))
    #expect(
      failed.arranged(HopResult.success(hops), now: now + .seconds(31)) == .success([0, 1, 3, 2].map { hops[$0] }))
    #expect(failed.arranged(HopResult.success(hops), now: now + .seconds(301)) == .success(hops))
    #expect(failed.arranged(HopResult.success([hops[0]]), now: now) == .success([hops[0]]))
  }

  @Test("At most eight hops of one target are tried, and at most 1024 failures remembered")
  func bounds() {
    var failed = FailedHops()
    let hops = (1...20).map(Self.hop)
    failed.add(hops[0], until: .zero + .seconds(30), now: .zero)
    #expect(failed.arranged(HopResult.success(hops), now: .zero) == .success(Array(hops[1...8])))
    for i in 0..<5000 {
      failed.add(Hop(.udp, Endpoint(IPAddress(v4: UInt32(i)), 1)), until: .zero + .seconds(30), now: .zero)
    }
    let late = Hop(.tcp, Endpoint(IPAddress(v4: 1), 1))
    failed.add(late, until: .zero + .seconds(90), now: .zero + .seconds(60))
    #expect(
      failed.arranged(HopResult.success([late, hops[5]]), now: .zero + .seconds(60)) == .success([hops[5], late]))
  }
}

@Suite("The hosts file")
struct HostsFileTests {
  @Test("hosts(5): several names and addresses, comments, rubbish")
  func parse() {
    let table = HostsFile.parse(
      Array(
        "# x\n127.0.0.1\tlocalhost  Loop.Example # y\n::1 localhost\nnonsense here\n192.0.2.1\n1.2.3.4 a..b ok\n".utf8))
    #expect(table[DNSName("localhost")!] == [IPAddress("127.0.0.1")!, IPAddress("::1")!])
    #expect(table[DNSName("loop.example")!] == [IPAddress("127.0.0.1")!])
    #expect(table[DNSName("ok")!] == [IPAddress("1.2.3.4")!] && table.count == 3)
  }
}
