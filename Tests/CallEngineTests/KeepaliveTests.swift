@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

/// What phones behind NAT are sent between calls.
@Suite("RFC 5626 §3.5: keep-alives towards phones behind NAT")
struct KeepaliveTests {
  private static let pings = "\r\n\r\n"

  private func world(_ method: KeepaliveSettings.Method, every seconds: Int64 = 30) -> World {
    World { $0.keepalive = KeepaliveSettings(interval: .seconds(seconds), method: method) }
  }

  private func binding(
    _ user: Int, _ flow: Endpoint, contact: String? = nil, path: [[UInt8]] = [], transport: Transport = .udp
  ) -> (user: [UInt8], binding: Binding) {
    (
      Array("\(user)".utf8),
      Binding(
        contact: Array((contact ?? "sip:\(user)@10.0.0.5:5060").utf8)[...], expires: 4_000_000_000, callID: [1],
        cseq: 1,
        flow: Flow(transport: transport, listener: 0, remote: flow, local: ServerNode.address), path: path)
    )
  }

  private func pings(_ world: World, to peer: Endpoint) -> [Instant] {
    world.network.trace.filter { $0.datagram.to == peer && text($0.datagram.bytes) == KeepaliveTests.pings }.map(\.sent)
  }

  @Test("CRLF CRLF over the flow, once an interval; nothing to a phone that knows its address or is behind a proxy")
  func crlf() {
    let world = world(.crlf)
    let nat = Endpoint("203.0.113.50:31000")!
    let named = Endpoint("203.0.113.51:31000")!
    let direct = Endpoint("203.0.113.52:5060")!
    let proxied = Endpoint("203.0.113.53:5060")!
    let stream = Endpoint("203.0.113.54:5060")!
    world.server.services.bindings.load([
      binding(1000, nat), binding(1001, named, contact: "sip:x@phone.invalid"),
      binding(1002, direct, contact: "sip:1002@203.0.113.52"),
      binding(1003, proxied, path: [Array("<sip:p;lr>".utf8)]), binding(1004, stream, transport: .tcp),
    ])
    world.run(125)
    for peer in [nat, named] {
      let times = pings(world, to: peer)
      #expect((3...5).contains(times.count))
      #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 <= .seconds(36) })
    }
    #expect(pings(world, to: direct).isEmpty && pings(world, to: proxied).isEmpty && pings(world, to: stream).isEmpty)
  }

  @Test("spread over the interval: no burst, whatever their number")
  func spread() {
    let world = world(.crlf)
    let peers = (0..<3000).map { Endpoint(IPAddress(v4: 0xcb00_7100 + UInt32($0 % 250)), UInt16(20_000 + $0)) }
    world.server.services.bindings.load(peers.enumerated().map { binding(50_000 + $0.offset, $0.element) })
    world.run(60)
    let sent = world.network.trace.filter { text($0.datagram.bytes) == KeepaliveTests.pings }
    #expect((5_000...6_500).contains(sent.count))
    #expect(Set(sent.map(\.datagram.to)).count == 3000)
    // 3,000 in 30 s are 10 in each of 100 ms; the first turn of a second was armed while there were none.
    let turns = Dictionary(grouping: sent, by: { $0.sent.nanoseconds / 100_000_000 })
    #expect(turns.values.map(\.count).sorted().dropLast().last ?? 0 <= 20)
  }

  @Test("OPTIONS: any answer keeps the binding; none to three in a row ends it")
  func options() {
    let world = world(.options)
    let alive = RawPeer("203.0.113.50:31000", on: world.network)
    let dead = RawPeer("203.0.113.51:31000", on: world.network)
    alive.answer = { alive.respond($0, 404) }
    world.server.services.bindings.load([binding(1000, alive.endpoint), binding(1001, dead.endpoint)])
    world.run(60)
    #expect(world.server.services.bindings.counts.bindings == 2)
    let options = alive.received[0]
    #expect(options.method == .options && text(options.requestURI.bytes) == "sip:1000@10.0.0.5:5060")
    world.run(180)
    #expect(world.server.services.bindings.snapshot().map { text($0.user) } == ["1000"])
    #expect(
      world.server.journal.changes.contains {
        if case .remove(let user, _) = $0 { text(user) == "1001" } else { false }
      })
    #expect((6...10).contains(alive.received.count))
  }

  @Test("a phone that misses two and answers the third stays, and its count begins anew")
  func recovers() {
    let world = world(.options)
    let phone = RawPeer("203.0.113.50:31000", on: world.network)
    world.server.services.bindings.load([binding(1000, phone.endpoint)])
    for _ in 0..<4 {
      // Two of them time out after 32 s each.
      phone.answer = nil
      world.run(75)
      phone.answer = { phone.respond($0, 200) }
      world.run(70)
      #expect(world.server.services.bindings.counts.bindings == 1)
    }
  }

  @Test("a reload turns them off and on")
  func reload() {
    let world = world(.crlf)
    let nat = Endpoint("203.0.113.50:31000")!
    world.server.services.bindings.load([binding(1000, nat)])
    world.run(70)
    let before = pings(world, to: nat).count
    #expect(before >= 2)
    world.server.reload(World.plain) { $0.keepalive.interval = .zero }
    world.run(120)
    #expect(pings(world, to: nat).count <= before + 1)
    world.server.reload(World.plain) { $0.keepalive.interval = .seconds(30) }
    let off = pings(world, to: nat).count
    world.run(70)
    #expect(pings(world, to: nat).count >= off + 2)
  }

  @Test("a cursor goes round all users once, and on while they come and go")
  func cursor() {
    let table = BindingTable(stripes: 4)
    table.load((0..<100).map { binding($0, Endpoint("203.0.113.50:31000")!) })
    var cursor = BindingTable.Cursor()
    var seen: [String: Int] = [:]
    for _ in 0..<10 { for entry in table.next(10, from: &cursor) { seen[text(entry.user), default: 0] += 1 } }
    #expect(seen.count == 100 && seen.values.allSatisfy { $0 == 1 })
    for user in 0..<90 { _ = table.remove(user: Array("\(user)".utf8)) }
    seen = [:]
    for _ in 0..<5 { for entry in table.next(10, from: &cursor) { seen[text(entry.user), default: 0] += 1 } }
    #expect(Set(seen.keys) == Set((90..<100).map { "\($0)" }))
    #expect(BindingTable(stripes: 4).next(10, from: &cursor).isEmpty)
  }
}
