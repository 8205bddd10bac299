import CallEngine
import Testing

@testable import Storage

@Suite("Messages and mailboxes survive a restart")
struct EventStoreTests {
  private func message(_ id: Int64, expires: Int64 = 5_000_000_000, body: [UInt8] = [0, 255, 10]) -> TextMessage {
    TextMessage(
      id: id, from: bytes("\"A\" <sip:a@b>"), contentType: bytes("image/png"), headers: bytes("Subject: x\r\n"),
      body: body, created: 100, expires: expires)
  }

  @Test("RFC 3428 §7: everything of a message comes back, octet for octet and in order")
  func everything() async throws {
    let folder = try TemporaryFolder()
    let database = try Storage.Database.open(.file(folder.file("n.db")))
    try await database.apply([
      .stored(user: bytes("b"), message(8, body: [])), .stored(user: bytes("a"), message(7)),
      .mailbox(user: bytes("a"), Mailbox(new: 1, old: 2, urgentNew: 3, urgentOld: 4)),
      .mailbox(user: bytes("b"), Mailbox(new: 1)),
    ])
    let reopened = try Storage.Database.open(.file(try folder.afterKill(of: "n.db")))
    let kept = try await reopened.messages(nowSeconds: 0)
    #expect(kept.map(\.message) == [message(7), message(8, body: [])])
    #expect(kept.map(\.user) == [bytes("a"), bytes("b")])
    let boxes = try await reopened.mailboxes()
    #expect(boxes.map(\.box) == [Mailbox(new: 1, old: 2, urgentNew: 3, urgentOld: 4), Mailbox(new: 1)])
  }

  @Test("what was delivered, has waited too long or is empty is gone")
  func gone() async throws {
    let database = try Storage.Database.open(.memory)
    try await database.apply([
      .stored(user: bytes("a"), message(1)), .stored(user: bytes("a"), message(2, expires: 50)),
      .stored(user: bytes("a"), message(3)), .removed(id: 1), .mailbox(user: bytes("a"), Mailbox(new: 1)),
      .mailbox(user: bytes("a"), Mailbox()),
    ])
    #expect(try await database.messages(nowSeconds: 50).map(\.message.id) == [3])
    #expect(try await database.messages(nowSeconds: 0).map(\.message.id) == [3])
    #expect(try await database.mailboxes().isEmpty)
  }

  @Test("of several changes in a batch only the last is written", .timeLimit(.minutes(1)))
  func coalesced() async throws {
    let stored = EventChange.stored(user: bytes("a"), message(1))
    let first = EventChange.mailbox(user: bytes("a"), Mailbox(new: 1))
    let last = EventChange.mailbox(user: bytes("a"), Mailbox(new: 2))
    #expect(EventStore.coalesced([stored, first, .removed(id: 1), last]) == [.removed(id: 1), last])
    let database = try Storage.Database.open(.memory)
    let store = EventStore(database: database, logger: LogCollector.logger())
    let run = Task { await store.run() }
    store.record([stored, first, last])
    store.close()
    await run.value
    #expect(try await database.messages(nowSeconds: 0).count == 1 && store.dropped == 0)
    #expect(try await database.mailboxes().map(\.box) == [Mailbox(new: 2)])
  }
}
