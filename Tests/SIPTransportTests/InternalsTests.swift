import Logging
import NIOCore
import NetCore
import Synchronization
import Testing

@testable import SIPTransport

@Suite struct InternalsTests {
  private static let remote = RemoteKey(
    transport: .tcp, remote: Endpoint(IPAddress(v4: 0x7f00_0001), 5060), peer: .byAddress)

  @Test("A connection's id is never zero, names its shard, and dies with its connection")
  func connectionTable() throws {
    final class Connection {}
    var table = ConnectionTable<Connection>(shard: 7)
    let first = Connection()
    let inserted = table.insert(first, isOutbound: false)
    let id = try #require(inserted)
    #expect(id != 0 && ConnectionID.shard(id) == 7)
    #expect(table[id] === first)
    table.register(id, to: Self.remote)
    table.remove(id)
    #expect(table[id] == nil && table.count == 0)
    let second = Connection()
    let reinserted = table.insert(second, isOutbound: true)
    let next = try #require(reinserted)
    #expect(next != id && table[id] == nil && table[next] === second)
    table.register(next, to: Self.remote)
    // The first connection's end is told late: the second's place stays.
    table.unregister(id, to: Self.remote)
    #expect(table.id(to: Self.remote) == next)
    table.remove(id)
    #expect(table.count == 1)
    #expect(ConnectionID.isOutbound(next) && !ConnectionID.isOutbound(id))
    for strange in [0, 1, next ^ 1, next | 0xffff_ff00, .max] as [UInt64] where strange != next {
      #expect(table[strange] == nil)
    }
  }

  @Test("TLS handshakes begin a few at a time, in the order in which they came")
  func handshakePace() {
    var pace = HandshakePace<Int>()
    let batch = HandshakePace<Int>.batch
    #expect(!pace.isRunning)
    var begun = (0..<(3 * batch)).filter { pace.admit($0) }
    #expect(begun == Array(0..<batch) && pace.isRunning)
    begun = pace.refill()
    #expect(begun == Array(batch..<(2 * batch)))
    let mayPassOthers = pace.admit(99)
    #expect(!mayPassOthers)
    begun = pace.refill()
    #expect(begun == Array((2 * batch)..<(3 * batch)))
    begun = pace.refill()
    #expect(begun == [99] && pace.isRunning)
    begun = pace.refill()
    #expect(begun.isEmpty && !pace.isRunning, "nobody waits: no more timer")
  }

  @Test("Every remote has one home, and remotes are spread over the shards")
  func homes() {
    var count = [Int](repeating: 0, count: 4)
    for n in 0..<4000 {
      let key = RemoteKey(
        transport: .tcp, remote: Endpoint(IPAddress(v4: UInt32(0x0a00_0000 + n / 40)), UInt16(5060 + n % 40)),
        peer: .byAddress)
      #expect(key.home(of: 1) == 0)
      #expect(key.home(of: 4) == key.home(of: 4))
      count[Int(key.home(of: 4))] += 1
    }
    #expect(count.allSatisfy { $0 > 800 })
  }

  @Test("The loop paces itself by the clock from the rate on, and gives up at half of it")
  func loadMeter() {
    var options = DatagramOptions()
    options.busyRate = 1000
    var meter = LoadMeter(options)
    var now = Instant(nanoseconds: 1_000_000_000_000)
    func run(_ perSecond: Int64, for milliseconds: Int) -> Bool {
      var isBusy = false
      for _ in 0..<(Int64(milliseconds) * perSecond / 1000) {
        now = now + Instant.Span(nanoseconds: 1_000_000_000 / perSecond)
        isBusy = meter.isBusy(1, now: now)
      }
      return isBusy
    }
    for (rate, isBusy) in [(100, false), (900, false), (2000, true), (700, true), (400, false)] as [(Int64, Bool)] {
      let found = run(rate, for: 500)
      #expect(found == isBusy, "at \(rate) a second")
    }
    // One burst after a silence is no load.
    now = now + .milliseconds(10_000)
    let afterBurst = meter.isBusy(200, now: now)
    #expect(!afterBurst)
    options.busyRate = 0
    meter = LoadMeter(options)
    let whenOff = run(100_000, for: 100)
    #expect(!whenOff)
  }

  @Test("A mailbox wakes its owner once until it looks, and bounds messages only")
  func mailbox() {
    let recorder = Recorder<Int>()
    let box = ShardMailbox(capacity: 2)
    let flow = Flow(transport: .udp, listener: 0, remote: Self.remote.remote, local: Self.remote.remote)
    var early: [Crossing] = [.closed(1)]
    let isEarlyWake = box.deliver(&early)
    #expect(!isEarlyWake)
    box.open { recorder.record(1) }
    #expect(recorder.next(within: 0) == 1)
    var batch: [Crossing] = [.arrived([1], flow), .closed(2), .arrived([2], flow), .arrived([3], flow), .failed(flow)]
    var isWoken = box.deliver(&batch)
    #expect(!isWoken, "it was woken and has not looked yet")
    #expect(batch.count == 1)
    var taken: [Crossing] = []
    box.take(&taken, isAttended: false)
    #expect(taken.count == 5)
    batch = [.closed(3)]
    isWoken = box.deliver(&batch)
    #expect(isWoken)
    #expect(recorder.next(within: 0) == 1)
    box.signal()
    #expect(recorder.next(within: 0) == nil)
    taken = []
    box.take(&taken, isAttended: true)
    box.signal()
    #expect(recorder.next(within: 0) == nil, "the owner looks by itself")
    taken = []
    box.take(&taken, isAttended: false)
    box.signal()
    #expect(recorder.next(within: 0) == 1)
    box.close()
    batch = [.arrived([4], flow)]
    isWoken = box.deliver(&batch)
    #expect(!isWoken && batch.isEmpty)
  }

  @Test("A UDP channel that closes by itself is opened again on the same socket")
  func reopen() async throws {
    let address = try #require(ListenAddress("udp:127.0.0.1:0"))
    let configuration = ShardGroupConfiguration(listen: [address])
    let loops = try ShardLoops(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let queue = ItemQueue<ToyItem>(loops.mailboxes[0], loops.counters[0])
    try await loops.start { _, _ in
      let seat = ShardSeat<ToyItem>(shard: 0, shards: 1, listeners: loops.listeners) { _, _ in false }
      return DriverSlot(ToyDriver(seat, nil), queue)
    }
    let phone = try Peer(loops.listeners[0])
    for _ in 0..<3 {
      try phone.send(options())
      #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
      let host = loops.hosts.withLock { $0[0] }
      try await host.eventLoop.flatSubmit {
        host.value.ports[0]?.channel?.close() ?? host.eventLoop.makeSucceededVoidFuture()
      }.get()
    }
    await loops.stop()
  }
}
