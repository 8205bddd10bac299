import Glibc
import NetCore
import NextHop
import Synchronization
import Testing

@testable import DNSClient

/// A UDP socket on loopback that answers DNS queries as a test says, or not at all.
final class Server: Sendable {
  let descriptor: CInt
  let endpoint: Endpoint
  private let reply: @Sendable ([UInt8]) -> [UInt8]?
  private let count = Atomic<Int>(0)
  private let thread = DNSThread()

  init(_ reply: @escaping @Sendable ([UInt8]) -> [UInt8]?) {
    self.reply = reply
    descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let port = withUnsafeMutablePointer(to: &name) { name in
      name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
        _ = bind(descriptor, name, length)
        _ = getsockname(descriptor, name, &length)
      }
      return UInt16(bigEndian: name.pointee.sin_port)
    }
    endpoint = Endpoint(IPAddress(v4: 0x7f00_0001), port)
    thread.start { [weak self] in
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        var from = sockaddr()
        var size = socklen_t(MemoryLayout<sockaddr>.size)
        let read = recvfrom(descriptor, &buffer, buffer.count, 0, &from, &size)
        guard read > 0, let self else { return }
        count.wrappingAdd(1, ordering: .relaxed)
        if let answer = reply(Array(buffer[..<read])) { sendto(descriptor, answer, answer.count, 0, &from, size) }
      }
    }
  }

  /// Queries that came, repetitions included.
  var queries: Int { count.load(ordering: .relaxed) }

  func stop() {
    shutdown(descriptor, CInt(SHUT_RDWR))
    thread.join()
    close(descriptor)
  }

  /// One A record, 192.0.2.1 for 77 seconds; EDNS is answered without.
  static func address(_ query: [UInt8]) -> [UInt8] {
    guard let end = query[12...].firstIndex(of: 0), end + 4 < query.count else { return [] }
    let head = Array(query[0..<2]) + [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
    return head + query[12...(end + 4)] + [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 77, 0, 4, 192, 0, 2, 1]
  }

  static func code(_ code: UInt8) -> @Sendable ([UInt8]) -> [UInt8] {
    { query in
      guard let end = query[12...].firstIndex(of: 0), end + 4 < query.count else { return [] }
      return Array(query[0..<2]) + [0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0] + query[12...(end + 4)]
    }
  }
}

@Suite("The DNS client")
struct DNSClientTests {
  static func question(_ name: String) -> DNSQuestion { DNSQuestion(DNSName(name)!, .a) }
  static let found = DNSAnswer(.addresses([IPAddress("192.0.2.1")!]), ttl: 77)

  static func client(
    _ servers: [Endpoint], milliseconds: Int64 = 100, attempts: Int = 2
  ) -> (DNSClient, AsyncStream<(DNSQuestion, DNSAnswer)>) {
    let (answers, tell) = AsyncStream.makeStream(of: (DNSQuestion, DNSAnswer).self)
    var settings = DNSClient.Settings()
    settings.servers = servers
    settings.timeout = .milliseconds(milliseconds)
    settings.attempts = attempts
    return (DNSClient(settings) { tell.yield(($0, $1)) }, answers)
  }

  static func first(_ answers: AsyncStream<(DNSQuestion, DNSAnswer)>) async -> (DNSQuestion, DNSAnswer)? {
    for await answer in answers { return answer }
    return nil
  }

  @Test("Many questions at once, each with its own answer")
  func many() async {
    let server = Server { Server.address($0) }
    let (client, answers) = Self.client([server.endpoint])
    client.ask((0..<200).map { Self.question("h\($0).example.com") })
    var names: Set<String> = []
    for await (question, answer) in answers {
      #expect(answer == Self.found)
      names.insert(question.name.description)
      if names.count == 200 { break }
    }
    client.stop()
    server.stop()
  }

  @Test("RFC 1035 §4.1.1: no such name, and a server that fails")
  func codes() async {
    for (code, expected) in [(3, DNSAnswer(.nothing, ttl: 0)), (2, .refused), (5, .refused)] as [(UInt8, DNSAnswer)] {
      let server = Server(Server.code(code))
      let (client, answers) = Self.client([server.endpoint])
      client.ask([Self.question("example.com")])
      #expect(await Self.first(answers)?.1 == expected)
      client.stop()
      server.stop()
    }
  }

  @Test("A server that never answers is asked again, then the next one; where there is none it is silence")
  func silence() async {
    let dead = Server { _ in nil }
    let live = Server { Server.address($0) }
    let (client, answers) = Self.client([dead.endpoint, live.endpoint])
    client.ask([Self.question("example.com")])
    #expect(await Self.first(answers)?.1 == Self.found)
    #expect(dead.queries == 1)
    client.stop()
    let (alone, none) = Self.client([dead.endpoint], attempts: 2)
    alone.ask([Self.question("example.com")])
    #expect(await Self.first(none)?.1 == .silence)
    #expect(dead.queries == 3)
    alone.stop()
    dead.stop()
    live.stop()
  }

  @Test("A port that is closed, an answer to another question, and rubbish: no answer")
  func refusedPort() async {
    let closed = Server { _ in nil }
    closed.stop()
    let liar = Server { query in
      var other = query
      other[13] ^= 1
      return Server.address(other)
    }
    let rubbish = Server { query in Array(query.prefix(2)) + Array(repeating: 0xff, count: 40) }
    for endpoint in [closed.endpoint, liar.endpoint, rubbish.endpoint] {
      let (client, answers) = Self.client([endpoint], milliseconds: 50, attempts: 1)
      client.ask([Self.question("example.com")])
      #expect(await Self.first(answers)?.1.content != Self.found.content)
      client.stop()
    }
    liar.stop()
    rubbish.stop()
  }

  @Test("Other servers while a question is open: it is asked of them")
  func change() async {
    let dead = Server { _ in nil }
    let live = Server { Server.address($0) }
    let (client, answers) = Self.client([dead.endpoint], milliseconds: 60_000)
    client.ask([Self.question("example.com")])
    while dead.queries == 0 { await Task.yield() }
    var settings = DNSClient.Settings()
    settings.servers = [live.endpoint]
    client.apply(settings)
    #expect(await Self.first(answers)?.1 == Self.found)
    client.stop()
    dead.stop()
    live.stop()
  }

  @Test("Stopped with questions open: it ends at once, and says nothing more")
  func stop() async {
    let dead = Server { _ in nil }
    let (client, _) = Self.client([dead.endpoint], milliseconds: 60_000)
    client.ask((0..<100).map { Self.question("h\($0).example.com") })
    while dead.queries == 0 { await Task.yield() }
    client.stop()
    client.stop()
    dead.stop()
  }
}
