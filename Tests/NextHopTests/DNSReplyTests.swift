import NetCore
import Testing

@testable import NextHop

/// Puts DNS messages together octet by octet.
struct Reply {
  var bytes: [UInt8]
  private var answers = 0
  private var authorities = 0

  init(_ question: DNSQuestion, flags: UInt16 = 0x8180) {
    bytes = [0x12, 0x34] + Reply.word(flags) + Reply.word(1) + [0, 0, 0, 0, 0, 0]
    bytes += Reply.name("\(question.name)") + Reply.word(question.kind.rawValue) + Reply.word(1)
  }

  static func words(_ values: UInt16...) -> [UInt8] { values.flatMap(word) }
  static func word(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
  static func long(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> (24 - 8 * $0) & 0xff) } }
  static func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
  }
  static func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
  /// To the name of the question.
  static let pointer: [UInt8] = [0xc0, 12]

  private static func record(_ owner: [UInt8], _ kind: UInt16, _ ttl: UInt32, _ data: [UInt8], _ group: UInt16)
    -> [UInt8]
  {
    owner + word(kind) + word(group) + long(ttl) + word(UInt16(data.count)) + data
  }

  mutating func add(
    _ kind: UInt16, of owner: [UInt8] = Reply.pointer, ttl: UInt32 = 300, group: UInt16 = 1, _ data: [UInt8]
  ) {
    precondition(authorities == 0)
    bytes += Reply.record(owner, kind, ttl, data, group)
    answers += 1
    bytes[7] = UInt8(answers)
  }

  mutating func addAuthority(ttl: UInt32, minimum: UInt32) {
    let data = Reply.name("ns.example.com") + Reply.name("host.example.com") + Reply.long(1) + Reply.long(2)
    let times = Reply.long(3) + Reply.long(4) + Reply.long(minimum)
    bytes += Reply.record(Reply.pointer, 6, ttl, data + times, 1)
    authorities += 1
    bytes[9] = UInt8(authorities)
  }
}

@Suite("DNS messages")
struct DNSReplyTests {
  static let a = DNSQuestion(DNSName("example.com")!, .a)
  static let srv = DNSQuestion(DNSName("_sip._udp.example.com")!, .srv)
  static let naptr = DNSQuestion(DNSName("example.com")!, .naptr)

  @Test("RFC 1035 §3.4.1, RFC 3596 §2.2: addresses; the shortest TTL is that of the set")
  func addresses() {
    var reply = Reply(Self.a)
    reply.add(1, ttl: 300, [192, 0, 2, 1])
    reply.add(1, of: Reply.name("Example.COM"), ttl: 60, [192, 0, 2, 2])
    reply.add(1, of: Reply.name("other.example.com"), ttl: 1, [192, 0, 2, 3])
    reply.add(1, ttl: 1, group: 3, [192, 0, 2, 4])
    #expect(
      DNSAnswer(to: Self.a, in: reply.bytes)
        == DNSAnswer(.addresses([IPAddress("192.0.2.1")!, IPAddress("192.0.2.2")!]), ttl: 60))
    let six = DNSQuestion(DNSName("example.com")!, .aaaa)
    var second = Reply(six)
    second.add(28, [0x20, 1, 0xd, 0xb8] + Array(repeating: 0, count: 11) + [1])
    #expect(DNSAnswer(to: six, in: second.bytes) == DNSAnswer(.addresses([IPAddress("2001:db8::1")!]), ttl: 300))
  }

  @Test("RFC 2782: priority, weight, port and target; `.` is a service that is not to be had")
  func services() {
    var reply = Reply(Self.srv)
    reply.add(33, Reply.words(10, 60, 5070) + Reply.name("a.example.com"))
    reply.add(33, Reply.words(20, 0, 5071) + [0])
    // Compressed, which RFC 2782 forbids and some servers do: `_udp.example.com` of the question stands at 17.
    reply.add(33, Reply.words(30, 0, 5072) + [1, 0x62, 0xc0, 17])
    #expect(
      DNSAnswer(to: Self.srv, in: reply.bytes)
        == DNSAnswer(
          .services([
            ServiceRecord(priority: 10, weight: 60, port: 5070, target: DNSName("a.example.com")),
            ServiceRecord(priority: 20, weight: 0, port: 5071, target: nil),
            ServiceRecord(priority: 30, weight: 0, port: 5072, target: DNSName("b._udp.example.com")),
          ]), ttl: 300))
  }

  @Test("RFC 3403 §4.1: order, preference, flags, service, expression, replacement")
  func names() {
    var reply = Reply(Self.naptr)
    reply.add(
      35,
      Reply.words(50, 51) + Reply.text("S") + Reply.text("SIP+D2U") + [0]
        + Reply.name("_sip._udp.example.com"))
    reply.add(35, Reply.words(1, 2) + Reply.text("u") + Reply.text("E2U+sip") + Reply.text("!.*!x!") + [0])
    #expect(
      DNSAnswer(to: Self.naptr, in: reply.bytes)
        == DNSAnswer(
          .names([
            NamingRecord(
              order: 50, preference: 51, flags: [0x73], service: Array("sip+d2u".utf8),
              replacement: DNSName("_sip._udp.example.com")),
            NamingRecord(
              order: 1, preference: 2, flags: [0x75], service: Array("e2u+sip".utf8), hasExpression: true,
              replacement: nil),
          ]), ttl: 300))
  }

  @Test("RFC 1034 §3.6.2: aliases in any order; one without its records is asked for by name; a loop is refused")
  func aliases() {
    var reply = Reply(Self.a)
    reply.add(1, of: Reply.name("c.example.net"), ttl: 500, [192, 0, 2, 9])
    reply.add(5, of: Reply.name("b.example.net"), ttl: 40, Reply.name("c.example.net"))
    reply.add(5, ttl: 100, Reply.name("B.example.net"))
    #expect(DNSAnswer(to: Self.a, in: reply.bytes) == DNSAnswer(.addresses([IPAddress("192.0.2.9")!]), ttl: 40))
    var open = Reply(Self.a)
    open.add(5, ttl: 100, Reply.name("b.example.net"))
    #expect(DNSAnswer(to: Self.a, in: open.bytes) == DNSAnswer(.alias(DNSName("b.example.net")!), ttl: 100))
    open.addAuthority(ttl: 30, minimum: 20)
    #expect(DNSAnswer(to: Self.a, in: open.bytes) == DNSAnswer(.nothing, ttl: 20))
    var loop = Reply(Self.a)
    loop.add(5, Reply.name("b.example.net"))
    loop.add(5, of: Reply.name("b.example.net"), Reply.name("example.com"))
    #expect(DNSAnswer(to: Self.a, in: loop.bytes) == .refused)
  }

  @Test("RFC 2308 §3, §5: no such name and no such records, for as long as the SOA says")
  func nothing() {
    for flags: UInt16 in [0x8180, 0x8183] {
      var reply = Reply(Self.a, flags: flags)
      #expect(DNSAnswer(to: Self.a, in: reply.bytes) == DNSAnswer(.nothing, ttl: 0))
      reply.addAuthority(ttl: 600, minimum: 120)
      #expect(DNSAnswer(to: Self.a, in: reply.bytes) == DNSAnswer(.nothing, ttl: 120))
    }
  }

  @Test(
    "RFC 1035 §4.1.1, RFC 2181 §9: failures, a query, and what is cut off",
    arguments: [0x8182, 0x8181, 0x8184, 0x8185, 0x0100, 0x8380] as [UInt16])
  func refusals(flags: UInt16) {
    var reply = Reply(Self.a, flags: flags)
    reply.add(1, [192, 0, 2, 1])
    #expect(DNSAnswer(to: Self.a, in: reply.bytes) == .refused)
  }

  @Test("RFC 2181 §8: a TTL with its first bit set is 0")
  func negativeTTL() {
    var reply = Reply(Self.a)
    reply.add(1, ttl: 0x8000_0001, [192, 0, 2, 1])
    #expect(DNSAnswer(to: Self.a, in: reply.bytes).ttl == 0)
  }

  @Test("RFC 1035 §4.1.4: pointers forward, to themselves and in circles")
  func pointers() {
    for data: [UInt8] in [[0xc0, 0xff], [0xc0, 42], [0xc1, 0], [0x80, 1], [3, 0x61]] {
      var reply = Reply(Self.a)
      reply.add(5, data)
      #expect(DNSAnswer(to: Self.a, in: reply.bytes) == .refused)
    }
  }

  @Test("More records than are kept: the first 64")
  func many() {
    var reply = Reply(Self.a)
    for i in 0..<200 { reply.add(1, [192, 0, 2, UInt8(i)]) }
    guard case .addresses(let list) = DNSAnswer(to: Self.a, in: reply.bytes).content else {
      Issue.record("no addresses")
      return
    }
    #expect(list.count == 64)
  }

  @Test("Whatever the octets: each cut and each changed octet gives an answer, and none traps")
  func mutations() {
    var full = Reply(Self.naptr)
    full.add(35, Reply.words(1, 2) + Reply.text("s") + Reply.text("SIP+D2U") + [0] + Reply.pointer)
    full.add(5, Reply.name("b.example.net"))
    full.add(35, of: Reply.name("b.example.net"), Reply.words(1, 2) + [0, 0, 0, 0])
    full.addAuthority(ttl: 1, minimum: 1)
    for question in [Self.a, Self.srv, Self.naptr] {
      for count in 0..<full.bytes.count {
        #expect(DNSAnswer(to: question, in: Array(full.bytes.prefix(count))).content != .services([]))
      }
      var random = SeededGenerator(seed: 9)
      for _ in 0..<20_000 {
        var bytes = full.bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        if case .names(let names) = DNSAnswer(to: question, in: bytes).content { #expect(names.count <= 64) }
      }
    }
  }
}
