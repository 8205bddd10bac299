import NetCore
import SIPMessage
import Testing

@testable import NextHop

@Suite("Locating SIP servers")
struct HopWalkTests {
  static let all = reach(.udp, .tcp, .tls, families: [.v4, .v6])

  /// Hops as `udp 192.0.2.1:5060`, and what was asked for them.
  static func hops(
    _ uri: String, _ zone: Zone, reach: Reach = all, seed: UInt64 = 1
  ) -> (hops: [String], asked: [String], failure: HopFailure?) {
    guard let parsed = try? URI(parsing: Array(uri.utf8)[...]), let query = HopQuery(parsed, reach: reach) else {
      return ([], [], .noTransport)
    }
    var asked: [DNSQuestion] = []
    var known: [DNSQuestion: DNSAnswer] = [:]
    for _ in 0..<20 {
      var walk = HopWalk(query, random: SeededGenerator(seed: seed))
      switch walk.run({ known[$0] }) {
      case .found(let hops):
        return (hops.map { "\($0.transport.parameterName) \($0.endpoint)" }, asked.map(\.description), nil)
      case .nothing(let why): return ([], asked.map(\.description), why)
      case .open(let questions):
        for question in questions {
          asked.append(question)
          known[question] = zone.answer(question)
        }
      }
    }
    Issue.record("the walk does not end")
    return ([], [], nil)
  }

  @Test(
    "RFC 3263 §4.1, §4.2: a literal address, or maddr, asks nobody",
    arguments: [
      ("sip:192.0.2.1", "udp 192.0.2.1:5060"), ("sip:192.0.2.1:5070", "udp 192.0.2.1:5070"),
      ("sip:x@192.0.2.1;transport=tcp", "tcp 192.0.2.1:5060"), ("sip:[2001:db8::1]", "udp [2001:db8::1]:5060"),
      ("sips:192.0.2.1", "tls 192.0.2.1:5061"), ("sips:192.0.2.1;transport=tcp", "tls 192.0.2.1:5061"),
      ("sip:192.0.2.1;transport=tls", "tls 192.0.2.1:5061"), ("sip:example.com;maddr=192.0.2.7", "udp 192.0.2.7:5060"),
    ])
  func literal(uri: String, hop: String) {
    let found = Self.hops(uri, Zone())
    #expect(found.hops == [hop] && found.asked.isEmpty)
  }

  @Test(
    "RFC 3261 §26.2.2, RFC 7118 §5: nothing of ours leads there",
    arguments: [
      "sips:192.0.2.1;transport=udp", "sip:192.0.2.1;transport=ws", "sip:example.com;transport=wss",
      "sip:192.0.2.1;transport=sctp", "tel:+4930", "sips:example.com:5061;transport=udp",
    ])
  func unreachable(uri: String) {
    let found = Self.hops(uri, Zone())
    #expect(found.hops.isEmpty && found.failure == .noTransport && found.asked.isEmpty)
  }

  @Test("RFC 3263 §4.2: a port means no SRV, UDP or for sips TLS")
  func port() {
    var zone = Zone()
    zone.a("example.com", "192.0.2.1", "192.0.2.2")
    zone.srv("_sip._udp.example.com", (0, 0, 5099, "example.com"))
    let found = Self.hops("sip:example.com:5070", zone)
    #expect(found.hops == ["udp 192.0.2.1:5070", "udp 192.0.2.2:5070"])
    #expect(found.asked == ["a example.com", "aaaa example.com"])
    #expect(Self.hops("sips:example.com:5070", zone).hops.first == "tls 192.0.2.1:5070")
    #expect(Self.hops("sip:example.com:5070;transport=tcp", zone).hops.first == "tcp 192.0.2.1:5070")
  }

  @Test("RFC 3263 §4.1: a transport means no NAPTR; without SRV the transport's own port")
  func transport() {
    var zone = Zone()
    zone.a("example.com", "192.0.2.1")
    let without = Self.hops("sip:example.com;transport=tls", zone)
    #expect(without.hops == ["tls 192.0.2.1:5061"])
    #expect(without.asked == ["srv _sips._tcp.example.com", "a example.com", "aaaa example.com"])
    zone.srv("_sip._tcp.example.com", (0, 0, 5077, "a.example.com"))
    zone.a("a.example.com", "192.0.2.5")
    let with = Self.hops("sip:example.com;transport=tcp", zone)
    #expect(with.hops == ["tcp 192.0.2.5:5077"])
    #expect(with.asked == ["srv _sip._tcp.example.com", "a a.example.com", "aaaa a.example.com"])
  }

  @Test("RFC 3263 §4.1: NAPTR by order and preference, what we cannot speak left out")
  func naptr() {
    var zone = Zone()
    zone.naptr(
      "example.com", (100, 50, "sip+d2u", "_sip._udp.example.com"), (100, 10, "sip+d2t", "_sip._tcp.example.com"),
      (10, 10, "sip+d2s", "_sip._sctp.example.com"), (200, 1, "sips+d2t", "_sips._tcp.example.com"))
    zone.srv("_sip._udp.example.com", (0, 0, 5060, "u.example.com"))
    zone.srv("_sip._tcp.example.com", (0, 0, 5062, "t.example.com"))
    zone.srv("_sips._tcp.example.com", (0, 0, 5061, "s.example.com"))
    zone.a("u.example.com", "192.0.2.1")
    zone.a("t.example.com", "192.0.2.2")
    zone.a("s.example.com", "192.0.2.3")
    let found = Self.hops("sip:example.com", zone)
    #expect(found.hops == ["tcp 192.0.2.2:5062", "udp 192.0.2.1:5060"])
    #expect(
      Set(found.asked.prefix(3)) == ["naptr example.com", "srv _sip._tcp.example.com", "srv _sip._udp.example.com"])
    // For sips only what is TLS.
    #expect(Self.hops("sips:example.com", zone).hops == ["tls 192.0.2.3:5061"])
    // We listen on UDP only.
    #expect(Self.hops("sip:example.com", zone, reach: reach(.udp)).hops == ["udp 192.0.2.1:5060"])
  }

  @Test("RFC 3263 §4.1: no NAPTR, so SRV of each transport that we have; none of them, so the addresses by UDP")
  func services() {
    var zone = Zone()
    zone.a("example.com", "192.0.2.1")
    let plain = Self.hops("sip:example.com", zone)
    #expect(plain.hops == ["udp 192.0.2.1:5060"])
    #expect(
      plain.asked == [
        "naptr example.com", "srv _sip._udp.example.com", "srv _sip._tcp.example.com", "srv _sips._tcp.example.com",
        "a example.com", "aaaa example.com",
      ])
    #expect(Self.hops("sips:example.com", zone).hops == ["tls 192.0.2.1:5061"])
    zone.srv("_sip._tcp.example.com", (0, 0, 5062, "example.com"))
    #expect(Self.hops("sip:example.com", zone).hops == ["tcp 192.0.2.1:5062"])
    #expect(Self.hops("sip:example.com", zone, reach: reach(.udp)).hops == ["udp 192.0.2.1:5060"])
  }

  @Test("RFC 3263 §4.1: NAPTR flags and expressions that are not SIP's are passed over")
  func foreignNAPTR() {
    var zone = Zone()
    zone.a("example.com", "192.0.2.1")
    zone.naptr("example.com", (1, 1, "sip+d2t", "_sip._tcp.example.com"), flags: "u")
    zone.srv("_sip._tcp.example.com", (0, 0, 5062, "example.com"))
    zone.srv("_sip._udp.example.com", (0, 0, 5063, "example.com"))
    #expect(Self.hops("sip:example.com", zone).hops == ["udp 192.0.2.1:5063", "tcp 192.0.2.1:5062"])
  }

  @Test("RFC 2782: lowest priority first, whatever the weights; a target `.` is no server")
  func priorities() {
    var zone = Zone()
    zone.srv(
      "_sip._udp.example.com", (20, 900, 5060, "c.example.com"), (10, 1, 5060, "a.example.com"),
      (10, 0, 5061, "a.example.com"))
    zone.a("a.example.com", "192.0.2.1")
    zone.a("c.example.com", "192.0.2.3")
    for seed: UInt64 in 0..<50 {
      let hops = Self.hops("sip:example.com;transport=udp", zone, seed: seed).hops
      #expect(hops.count == 3 && hops.last == "udp 192.0.2.3:5060")
    }
    zone.srv("_sip._udp.example.com", (0, 0, 0, "."))
    zone.a("example.com", "192.0.2.9")
    let refused = Self.hops("sip:example.com;transport=udp", zone)
    #expect(refused.hops.isEmpty && refused.failure == .noSuchHost)
  }

  @Test("RFC 2782: those of one priority are drawn by weight; weight 0 has a small chance")
  func weights() {
    var first: [UInt16: Int] = [:]
    var random = SeededGenerator(seed: 7)
    let records = [(60, 1), (30, 2), (10, 3), (0, 4)].map {
      ServiceRecord(priority: 1, weight: UInt16($0.0), port: UInt16($0.1), target: DNSName("x.example"))
    }
    for _ in 0..<10_000 {
      let ordered = ServiceOrder.order(records, using: &random)
      #expect(Set(ordered.map(\.port)) == [1, 2, 3, 4])
      first[ordered[0].port, default: 0] += 1
    }
    #expect(abs((first[1] ?? 0) - 6000) < 300 && abs((first[2] ?? 0) - 3000) < 300)
    #expect(abs((first[3] ?? 0) - 1000) < 200 && (1...250).contains(first[4] ?? 0))
  }

  @Test("RFC 7984 §3: both families, in the order of our own listeners; only those that we have")
  func families() {
    var zone = Zone()
    zone.a("example.com", "192.0.2.1")
    zone.a("example.com", "2001:db8::1")
    let six = reach(.udp, families: [.v6, .v4])
    #expect(
      Self.hops("sip:example.com:5060", zone, reach: six).hops == ["udp [2001:db8::1]:5060", "udp 192.0.2.1:5060"])
    let four = Self.hops("sip:example.com:5060", zone, reach: reach(.udp))
    #expect(four.hops == ["udp 192.0.2.1:5060"] && four.asked == ["a example.com"])
  }

  @Test("RFC 1034 §3.6.2: aliases are followed; a loop ends")
  func aliases() {
    var zone = Zone()
    zone.set("example.com", .a, .alias(DNSName("b.example.com")!))
    zone.a("b.example.com", "192.0.2.1")
    #expect(Self.hops("sip:example.com:5060", zone, reach: reach(.udp)).hops == ["udp 192.0.2.1:5060"])
    zone.set("b.example.com", .a, .alias(DNSName("example.com")!))
    let loop = Self.hops("sip:example.com:5060", zone, reach: reach(.udp))
    #expect(loop.failure == .refused && loop.asked.count == 2)
  }

  @Test("DNS fails: silence ends it, a refusal of NAPTR does not, one dead SRV leaves the others")
  func failures() {
    var zone = Zone()
    zone.a("example.com", "192.0.2.1")
    zone.set("example.com", .naptr, .failed(.silence))
    #expect(Self.hops("sip:example.com", zone).failure == .silence)
    zone.set("example.com", .naptr, .failed(.refused))
    #expect(Self.hops("sip:example.com", zone).hops == ["udp 192.0.2.1:5060"])
    zone.set("_sip._udp.example.com", .srv, .failed(.silence))
    zone.srv("_sip._tcp.example.com", (0, 0, 5062, "example.com"))
    #expect(Self.hops("sip:example.com", zone).hops == ["tcp 192.0.2.1:5062"])
    zone.answers[DNSQuestion(DNSName("_sip._tcp.example.com")!, .srv)] = nil
    // Its servers may be elsewhere: none is guessed.
    #expect(Self.hops("sip:example.com", zone).failure == .silence)
    zone.set("example.com", .a, .failed(.refused))
    #expect(Self.hops("sip:example.com:5060", zone, reach: reach(.udp)).failure == .refused)
    #expect(Self.hops("sip:nowhere.example:5060", zone).failure == .noSuchHost)
  }

  @Test("A hostile zone: more servers than are looked up, and names too long for SRV")
  func bounds() {
    var zone = Zone()
    let targets = (0..<64).map {
      ServiceRecord(priority: 1, weight: 1, port: 5060, target: DNSName("h\($0).example.com"))
    }
    zone.set("_sip._udp.example.com", .srv, .services(targets))
    for i in 0..<64 { zone.a("h\(i).example.com", "192.0.2.\(i + 1)") }
    let found = Self.hops("sip:example.com;transport=udp", zone, reach: reach(.udp))
    #expect(found.hops.count == 16 && found.asked.count == 17)
    let label = String(repeating: "a", count: 60)
    let long = "\(label).\(label).\(label).\(label).aaaa"
    zone.a(long, "192.0.2.99")
    #expect(Self.hops("sip:\(long);transport=udp", zone, reach: reach(.udp)).hops == ["udp 192.0.2.99:5060"])
    #expect(DNSName(long + ".aaaaaa") == nil && DNSName("a..b") == nil && DNSName("") == nil && DNSName("a b") == nil)
    #expect(DNSName("Example.COM.") == DNSName("example.com"))
  }
}
