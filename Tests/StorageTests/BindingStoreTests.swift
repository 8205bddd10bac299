import CallEngine
import GRDB
import NetCore
import Testing

@testable import Storage

@Suite("Bindings survive a restart")
struct BindingStoreTests {
  private let contact = "sip:alice@192.0.2.7:5060;transport=udp"

  @Test("RFC 3261 §10.3: everything of a binding comes back, but its connection")
  func everything() async throws {
    let folder = try TemporaryFolder()
    let database = try Storage.Database.open(.file(folder.file("n.db")))
    var full = Binding(
      contact: bytes("sip:\u{fc}@[2001:db8::7]:5061;transport=tcp")[...], q: 700, expires: 5_000_000_000,
      callID: bytes("call@phone")[...], cseq: .max,
      flow: Flow(
        transport: .tcp, listener: 0, connection: 77, remote: try #require(Endpoint("[2001:db8::7]:49152")),
        local: try #require(Endpoint("[::1]:5060"))), userAgent: [0xff, 0x00, 0x41],
      path: [bytes("<sip:p1;lr>"), bytes("<sip:p2;lr>")], instanceID: bytes("<urn:uuid:0>")[...], regID: 3)
    let plain = binding(contact, expires: 100)
    try await database.apply([.upsert(user: bytes("alice"), full), .upsert(user: bytes("bob"), plain)])
    let reopened = try Storage.Database.open(.file(try folder.afterKill(of: "n.db")))
    full.flow.connection = 0
    #expect(
      try await reopened.bindings(nowSeconds: 0) == [
        StoredBinding(user: bytes("alice"), binding: full), StoredBinding(user: bytes("bob"), binding: plain),
      ])
  }

  @Test("what has run out is not loaded, and is removed")
  func expired() async throws {
    let database = try Storage.Database.open(.memory)
    try await database.apply([
      .upsert(user: bytes("a"), binding("sip:1", expires: 100)),
      .upsert(user: bytes("a"), binding("sip:2", expires: 101)),
    ])
    #expect(try await database.bindings(nowSeconds: 100).map(\.binding.contact) == [bytes("sip:2")[...]])
    #expect(try await database.bindings(nowSeconds: 0).count == 1)
  }

  @Test("changes are written within 200 ms, and are there after a kill", .timeLimit(.minutes(1)))
  func latency() async throws {
    let folder = try TemporaryFolder()
    let clock = ManualClock()
    let database = try Storage.Database.open(.file(folder.file("n.db")))
    let store = BindingStore(database: database, clock: clock, logger: LogCollector.logger())
    let run = Task { await store.run() }
    store.record([.upsert(user: bytes("alice"), binding(contact, expires: 3600))])
    await clock.sleepers(1)
    #expect(try await database.bindings(nowSeconds: 0) == [])
    clock.advance(by: .milliseconds(200))
    while try await database.bindings(nowSeconds: 0).isEmpty { await Task.yield() }
    store.record([.remove(user: bytes("alice"), contact: bytes(contact))])
    store.record([.upsert(user: bytes("alice"), binding(contact, expires: 7200, cseq: 2))])
    store.close()
    await run.value
    let reopened = try Storage.Database.open(.file(try folder.afterKill(of: "n.db")))
    #expect(try await reopened.bindings(nowSeconds: 0).map(\.binding.cseq) == [2])
    #expect(store.dropped == 0)
  }

  @Test("of several changes to one contact in a batch only the last is written")
  func coalesced() {
    let first = BindingChange.upsert(user: bytes("a"), binding("sip:1", expires: 1))
    let other = BindingChange.upsert(user: bytes("b"), binding("sip:1", expires: 1))
    let gone = BindingChange.remove(user: bytes("a"), contact: bytes("sip:1"))
    let last = BindingChange.upsert(user: bytes("a"), binding("sip:1", expires: 9))
    let second = BindingChange.upsert(user: bytes("a"), binding("sip:2", expires: 1))
    #expect(BindingStore.coalesced([first, other, gone, second, last]) == [other, second, last])
    #expect(BindingStore.coalesced([first, gone]) == [gone])
    #expect(BindingStore.coalesced([]) == [])
  }

  @Test("a storm of registrations beyond the capacity is counted, not waited for")
  func full() async throws {
    let database = try Storage.Database.open(.memory)
    let log = LogCollector.Lines()
    let store = BindingStore(database: database, capacity: 10, clock: ManualClock(), logger: LogCollector.logger(log))
    for n in 0..<15 { store.record([.upsert(user: bytes("u\(n)"), binding("sip:1", expires: 1))]) }
    #expect(store.dropped == 5)
    #expect(log.all == ["queue is full, dropping capacity=10 what=bindings to the database"])
    store.close()
    await store.run()
    #expect(try await database.bindings(nowSeconds: 0).count == 10)
  }

  @Test("a row that cannot be understood is left out")
  func strange() async throws {
    let database = try Storage.Database.open(.memory)
    try await database.apply([.upsert(user: bytes("a"), binding("sip:1", expires: 100))])
    try await database.write { db in try db.execute(sql: "UPDATE binding SET remote = 'nowhere'") }
    #expect(try await database.bindings(nowSeconds: 0) == [])
  }
}
