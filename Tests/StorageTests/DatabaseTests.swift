import Foundation
import GRDB
import Testing

@testable import Storage

@Suite("Database")
struct DatabaseTests {
  @Test("the file and its folder are made, for their owner alone; WAL, synchronous=NORMAL")
  func open() async throws {
    let folder = try TemporaryFolder()
    let database = try Storage.Database.open(.file(folder.file("data/n.db")))
    #expect(try folder.mode("data") == 0o700)
    #expect(try folder.mode("data/n.db") == 0o600)
    let (journal, synchronous) = try await database.writer.writeWithoutTransaction { db in
      (try String.fetchOne(db, sql: "PRAGMA journal_mode"), try Int.fetchOne(db, sql: "PRAGMA synchronous"))
    }
    #expect(journal == "wal")
    #expect(synchronous == 1)
    database.close()
    let again = try Storage.Database.open(.file(folder.file("data/n.db")))
    #expect(try await again.users() == [])
  }

  @Test("a file that is no database, or of a later version, is refused in one line")
  func refused() async throws {
    let folder = try TemporaryFolder()
    try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: folder.file("x.db")))
    let error = #expect(throws: StorageError.self) { try Storage.Database.open(.file(folder.file("x.db"))) }
    #expect(error?.description == "\(folder.file("x.db")): file is not a database")

    let database = try Storage.Database.open(.file(folder.file("n.db")))
    try await database.writer.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99: later')") }
    database.close()
    let later = #expect(throws: StorageError.self) { try Storage.Database.open(.file(folder.file("n.db"))) }
    #expect(later?.description == "\(folder.file("n.db")): was written by a later version of nightjar")
    let nowhere = #expect(throws: StorageError.self) { try Storage.Database.open(.file("/proc/nowhere/n.db")) }
    #expect(nowhere?.description.hasPrefix("/proc/nowhere/n.db: ") == true)
  }

  @Test("calls of a database of the first form are kept when it is opened by this one")
  func secondForm() async throws {
    let folder = try TemporaryFolder()
    try Data().write(to: URL(fileURLWithPath: folder.file("n.db")))
    let old = try DatabaseQueue(path: folder.file("n.db"))
    try Schema.migrator.migrate(old, upTo: "1: users, bindings, calls")
    try await old.write { db in
      for n in 1...3 {
        try db.execute(
          sql: """
            INSERT INTO call VALUES (?, 1, NULL, ?, '1000', '', '1001', 'internal', NULL, 's', 1, 486, 17, 'callee', '[]',
            '{}', '[]', NULL)
            """, arguments: ["c\(n)", 10 - n])
      }
    }
    try old.close()
    let database = try Storage.Database.open(.file(folder.file("n.db")))
    let ids = try await database.read { try String.fetchAll($0, sql: "SELECT id FROM call ORDER BY end_ms") }
    #expect(ids == ["c3", "c2", "c1"])
    try await database.insert([record("d")])
    #expect(try await database.callCount() == 4)
  }

  private func user(_ name: String, realm: String = "a.example") -> StoredUser {
    StoredUser(
      name: name, realm: realm, ha1MD5: bytes("0123456789abcdef"), ha1SHA256: bytes("fedcba9876543210"),
      context: "internal", callerName: "N", callerNumber: nil)
  }

  @Test("users: added once, found after a reopen, changed, removed")
  func users() async throws {
    let folder = try TemporaryFolder()
    let database = try Storage.Database.open(.file(folder.file("n.db")))
    #expect(try await database.add(user("b")))
    #expect(try await database.add(user("a")))
    #expect(try await database.add(user("a", realm: "other")) == false)
    let reopened = try Storage.Database.open(.file(try folder.afterKill(of: "n.db")))
    #expect(try await reopened.users() == [user("a"), user("b")])
    #expect(try await database.setPassword(of: "a", realm: "r", ha1MD5: bytes("1"), ha1SHA256: bytes("2")))
    #expect(try await database.setPassword(of: "x", realm: "r", ha1MD5: bytes("1"), ha1SHA256: bytes("2")) == false)
    let changed = try await database.users().first
    #expect(changed?.realm == "r")
    #expect(changed?.ha1MD5 == bytes("1"))
    #expect(changed?.context == "internal")
    #expect(try await database.removeUser(named: "a"))
    #expect(try await database.removeUser(named: "a") == false)
    #expect(try await database.users() == [user("b")])
  }

  @Test("a changed realm names the users whom it locks out")
  func realm() async throws {
    let database = try Storage.Database.open(.memory)
    _ = try await database.add(user("a"))
    _ = try await database.add(user("b", realm: "b.example"))
    #expect(try await database.users(outsideRealm: "a.example") == ["b"])
    #expect(try await database.users(outsideRealm: "c.example") == ["a", "b"])
  }
}
