@testable import CallEngine
import NetCore
import SIPMessage
import SIPTransaction
import TestSupport
import Testing

/// Strangers who send much: what they cost, and whom they disturb.
@Suite("Abuse: floods")
struct AbuseFloodTests {
  private static let methods = ["REGISTER", "INVITE", "SUBSCRIBE", "OPTIONS", "MESSAGE"]

  private func flood(_ peer: RawPeer, _ method: String, _ count: Int, from first: Int = 0, lines: [String] = []) {
    let uri = method == "REGISTER" ? "sip:nightjar.example" : "sip:1001@nightjar.example"
    for i in first..<(first + count) {
      peer.request(method, uri, branch: "z9hG4bK\(method)\(i)", callID: "\(method)-\(i)", lines: lines)
    }
  }

  @Test("RFC 3261 §8.2.7, §22.1: a challenge makes no transaction, so a flood of strangers takes no memory")
  func challengesAreStateless() {
    let world = World()
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    // Each answer repeats its Vias: were it kept for 32 s, this would be many megabytes.
    let lines = (0..<40).map { "Via: SIP/2.0/UDP 10.0.0.\($0);branch=z9hG4bK\(String(repeating: "x", count: 400))" }
    flood(peer, "INVITE", 300, lines: lines)
    flood(peer, "REGISTER", 300, lines: lines)
    world.run(1)
    #expect(peer.statuses.filter { $0 == 407 }.count == 300)
    #expect(peer.statuses.filter { $0 == 401 }.count == 300)
    #expect(!peer.statuses.contains(100), "what is refused at once needs no 100")
    #expect(world.server.transactionCount == 0)
    #expect(world.server.services.counters[.challenges] == 600)
  }

  @Test("RFC 3261 §8.2.7: every copy of a challenged request gets the same To-tag; its ACK is no stray")
  func sameTag() throws {
    let world = World()
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    for _ in 0..<3 { peer.request("INVITE") }
    peer.request("INVITE", branch: "z9hG4bKother", callID: "another")
    world.run(0.2)
    let tags = peer.received.compactMap { text($0.toTag) }
    #expect(tags.count == 4 && Set(tags.prefix(3)).count == 1 && tags[3] != tags[0])
    peer.request("ACK", toTag: tags[0])
    world.run(0.2)
    #expect(peer.received.count == 4 && world.server.services.counters[.strayRequests] == 0)
    peer.request("ACK", toTag: "somebody-else")
    world.run(0.2)
    #expect(world.server.services.counters[.strayRequests] == 1)
  }

  @Test("a source beyond its limit gets one 503 with Retry-After a second and is else dropped", arguments: methods)
  func limit(method: String) throws {
    let world = World { settings in
      settings.abuse.requestsPerSecond = 10
      settings.abuse.burst = 20
    }
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    flood(peer, method, 200)
    world.run(0.5)
    #expect(peer.statuses.filter { $0 == 503 }.count == 1)
    #expect(peer.statuses.filter { $0 != 503 && $0 != 100 }.count == 20)
    let refusal = try #require(peer.received.first { $0.status == 503 })
    #expect(refusal.has(.retryAfter))
    #expect(world.server.services.abuse.counts.refused == 1 && world.server.services.abuse.counts.dropped == 179)
    // The next second brings ten more.
    world.run(0.5)
    flood(peer, method, 200, from: 200)
    world.run(0.5)
    #expect(peer.statuses.filter { $0 != 503 && $0 != 100 }.count == 30)
    world.run(60)
    #expect(world.server.transactionCount == 0)
  }

  @Test("with four shards the limit is that of the source, not of each shard")
  func limitOfAllShards() {
    let world = World(shards: 4) { settings in
      settings.abuse.requestsPerSecond = 40
      settings.abuse.burst = 80
    }
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    flood(peer, "REGISTER", 1000)
    world.run(0.5)
    let answered = peer.statuses.filter { $0 == 401 }.count
    #expect(answered >= 80 && answered <= 84)
  }

  @Test("a flood from one source is nothing to the phones of others, nor to calls that are up")
  func neighbours() {
    let world = World { settings in
      settings.abuse.requestsPerSecond = 10
      settings.abuse.burst = 20
    }
    let phones = world.registered("1000", "1001")
    phones[1].script = .answer(after: .milliseconds(100))
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    flood(peer, "INVITE", 500)
    let call = phones[0].call("1001")
    world.run(1)
    #expect(call.state == .answered)
    flood(peer, "BYE", 100)
    phones[0].hangUp(call)
    world.expectNothingLeft(after: 120, records: 1)
  }

  @Test("who proves his password is not limited, however often he registers")
  func provenAreFree() {
    let world = World { settings in
      settings.abuse.requestsPerSecond = 1
      settings.abuse.burst = 4
    }
    let phone = world.phone("1000")
    for _ in 0..<30 {
      phone.register()
      world.run(0.1)
      #expect(phone.registrationStatus == 200)
    }
    #expect(world.server.services.abuse.counts.refused == 0)
  }

  @Test("a trunk is not limited, whatever it sends")
  func trunk() {
    let world = World(
      trunks: [
        Trunk(
          name: "carrier", destination: Endpoint("192.0.2.200:5060")!, host: "192.0.2.200", transport: .udp,
          context: "public", sources: [SourceNetwork("192.0.2.200")!])
      ]
    ) { settings in
      settings.abuse.requestsPerSecond = 1
      settings.abuse.burst = 2
    }
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    flood(peer, "OPTIONS", 100)
    world.run(0.5)
    #expect(peer.statuses.filter { $0 == 200 }.count == 100)
  }

  @Test("requests with a To-tag that names nothing count like others")
  func strayTags() {
    let world = World { settings in
      settings.abuse.requestsPerSecond = 10
      settings.abuse.burst = 20
    }
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    for i in 0..<100 { peer.request("BYE", branch: "z9hG4bKs\(i)", callID: "s\(i)", toTag: "nothing") }
    for i in 0..<100 { peer.request("CANCEL", branch: "z9hG4bKc\(i)", callID: "c\(i)") }
    world.run(0.5)
    #expect(peer.statuses.filter { $0 == 481 }.count == 20)
  }

  @Test("the table of sources is of one size, and a source that rests makes room")
  func meter() {
    var meter = RequestMeter(key: (1, 2))
    var now = Instant(nanoseconds: 1)
    for i in 0..<100_000 {
      #expect(meter.spend(IPAddress(v4: UInt32(i) &* 2_654_435_761), rate: 1, burst: 2, now: now) == .pass)
      now = now + .milliseconds(1)
    }
    let one = IPAddress(v4: 1)
    #expect(meter.spend(one, rate: 1, burst: 2, now: now) == .pass)
    #expect(meter.spend(one, rate: 1, burst: 2, now: now) == .pass)
    #expect(meter.spend(one, rate: 1, burst: 2, now: now) == .refuse)
    #expect(meter.spend(one, rate: 1, burst: 2, now: now) == .drop)
    meter.refund(one, burst: 2)
    #expect(meter.spend(one, rate: 1, burst: 2, now: now) == .pass)
    #expect(meter.spend(one, rate: 1, burst: 2, now: now + .seconds(1 as Int64)) == .pass)
  }
}
