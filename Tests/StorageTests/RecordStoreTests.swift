import CallEngine
import Foundation
import GRDB
import Testing

@testable import Storage

@Suite("Call records")
struct RecordStoreTests {
  private func store(
    _ database: Storage.Database, _ settings: RecordStore.Settings, clock: ManualClock = ManualClock(),
    now: Int64 = 0, log: LogCollector.Lines = .init()
  ) -> RecordStore {
    RecordStore(
      database: database, settings: settings, clock: clock, wallClock: { now }, logger: LogCollector.logger(log))
  }

  @Test("a record is a row with all its fields; the same one twice is one row")
  func row() async throws {
    let database = try Storage.Database.open(.memory)
    let one = record("a", vars: [.init("account", "x"), .init("n", 3)])
    try await database.insert([one])
    try await database.insert([one, record("b")])
    #expect(try await database.callCount() == 2)
    let (times, texts, numbers) = try await database.read { db in
      let row = try Row.fetchOne(db, sql: "SELECT * FROM call WHERE id = 'a'") ?? Row()
      return (
        ["start_ms", "answer_ms", "end_ms"].map { row[$0] as Int64? },
        ["caller", "caller_name", "callee", "user", "source", "ended_by", "vars", "script_error"].map {
          row[$0] as String?
        },
        ["status", "cause", "generation"].map { row[$0] as Int? }
      )
    }
    #expect(times == [1000, 2000, 5000])
    #expect(
      texts == [
        "1000", "Alice, \"A\"", "1001", "1000", "udp:127.0.0.1:5070", "caller", #"{"account":"x","n":3}"#, nil,
      ])
    #expect(numbers == [200, 16, 1])
  }

  @Test("files within a second, the database within two, and a kill then loses nothing", .timeLimit(.minutes(1)))
  func latency() async throws {
    let folder = try TemporaryFolder()
    let clock = ManualClock()
    let database = try Storage.Database.open(.file(folder.file("n.db")))
    var settings = RecordStore.Settings()
    settings.csv = folder.file("records/cdr.csv")
    settings.jsonLines = folder.file("cdr.jsonl")
    settings.keepDays = 0
    let store = store(database, settings, clock: clock)
    let run = Task { await store.run() }
    store.append(record("a"))
    // Two files, the database, and the hourly pruner.
    await clock.sleepers(4)
    #expect(FileManager.default.fileExists(atPath: folder.file("cdr.jsonl")) == false)
    clock.advance(by: .seconds(1))
    let files = FileManager.default
    while try await database.callCount() == 0 || !files.fileExists(atPath: folder.file("cdr.jsonl"))
      || !files.fileExists(atPath: folder.file("records/cdr.csv"))
    { await Task.yield() }
    store.append(record("b"))
    store.close()
    await run.value
    #expect(try folder.text("records/cdr.csv").split(separator: "\n").count == 3)
    #expect(try folder.text("records/cdr.csv").hasPrefix(CallRecord.csvHeader + "\n" + record("a").csvLine + "\n"))
    #expect(try folder.text("cdr.jsonl") == record("a").json + "\n" + record("b").json + "\n")
    let reopened = try Storage.Database.open(.file(try folder.afterKill(of: "n.db")))
    #expect(try await reopened.callCount() == 2)
    #expect(store.dropped == 0)
  }

  @Test("a line that a kill cut short stays alone; the header is written once; a moved file is made anew")
  func tornLine() async throws {
    let folder = try TemporaryFolder()
    let file = RecordFile(path: folder.file("cdr.csv"), format: .csv)
    try await file.append([record("a")])
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.file("cdr.csv")))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("b,2026-01".utf8))
    try handle.close()
    try await file.append([record("c")])
    #expect(
      try folder.text("cdr.csv")
        == "\(CallRecord.csvHeader)\n\(record("a").csvLine)\nb,2026-01\n\(record("c").csvLine)\n")
    #expect(try folder.mode("cdr.csv") == 0o640)
    try FileManager.default.moveItem(atPath: folder.file("cdr.csv"), toPath: folder.file("cdr.1"))
    try await file.append([record("d")])
    #expect(try folder.text("cdr.csv") == "\(CallRecord.csvHeader)\n\(record("d").csvLine)\n")
  }

  @Test("a file that cannot be written does not keep records from the database")
  func unwritable() async throws {
    let folder = try TemporaryFolder()
    let log = LogCollector.Lines()
    let database = try Storage.Database.open(.memory)
    var settings = RecordStore.Settings()
    settings.csv = folder.path
    let store = store(database, settings, log: log)
    store.append(record("a"))
    store.close()
    await store.run()
    #expect(try await database.callCount() == 1)
    #expect(store.dropped == 1)
    #expect(log.all.contains { $0.hasPrefix("cannot be written, lost count=1") })
  }

  @Test("a full queue drops and counts")
  func full() async throws {
    let log = LogCollector.Lines()
    var settings = RecordStore.Settings()
    settings.capacity = 2
    let database = try Storage.Database.open(.memory)
    let store = store(database, settings, log: log)
    for n in 0..<5 { store.append(record("\(n)")) }
    #expect(store.dropped == 3)
    #expect(log.all == ["queue is full, dropping capacity=2 what=call records to the database"])
    store.close()
    await store.run()
    #expect(try await database.callCount() == 2)
  }

  @Test("keep_days: older records go, all of them, and 0 keeps them", arguments: [(1, 1), (0, 2502)])
  func prune(keepDays: Int, left: Int) async throws {
    let day: Int64 = 86_400_000
    let database = try Storage.Database.open(.memory)
    try await database.insert(
      (0..<2500).map { record("old\($0)", end: day) } + [record("edge", end: day + 1), record("new", end: 3 * day)])
    var settings = RecordStore.Settings()
    settings.keepDays = keepDays
    await store(database, settings, now: 2 * day + 2).prune()
    #expect(try await database.callCount() == left)
  }
}
