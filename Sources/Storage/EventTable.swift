public import CallEngine
internal import GRDB
import Foundation
internal import SIPMessage

extension Database {
  /// Messages that still wait, in the order in which they came; those that have waited too long are removed.
  public func messages(nowSeconds: Int64) async throws(StorageError) -> [(user: [UInt8], message: TextMessage)] {
    try await write { db in
      try db.execute(sql: "DELETE FROM message WHERE expires <= ?", arguments: [nowSeconds])
      let rows = try Row.fetchCursor(db, sql: "SELECT * FROM message ORDER BY id")
      var found: [(user: [UInt8], message: TextMessage)] = []
      while let row = try rows.next() {
        found.append(
          (
            octets(row, "user"),
            TextMessage(
              id: row["id"], from: octets(row, "sender"), contentType: octets(row, "content_type"),
              headers: octets(row, "headers"), body: octets(row, "body"), created: row["created"],
              expires: row["expires"])
          ))
      }
      return found
    }
  }

  public func mailboxes() async throws(StorageError) -> [(user: [UInt8], box: Mailbox)] {
    try await read { db in
      try Row.fetchAll(db, sql: "SELECT * FROM mailbox ORDER BY user").map { row in
        (
          octets(row, "user"),
          Mailbox(new: row["new"], old: row["old"], urgentNew: row["urgent_new"], urgentOld: row["urgent_old"])
        )
      }
    }
  }

  /// One transaction for all, in their order.
  func apply(_ changes: [EventChange]) async throws(StorageError) {
    try await write { db in
      var row = RowWriter()
      for change in changes {
        switch change {
        case .stored(let user, let message):
          row.integer(message.id)
          row.blob(user[...])
          row.blob(message.from[...])
          row.blob(message.contentType[...])
          row.blob(message.headers[...])
          row.blob(message.body[...])
          row.integer(message.created)
          row.integer(message.expires)
          try row.execute(
            db.cachedStatement(sql: "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)"), in: db)
        case .removed(let id):
          row.integer(id)
          try row.execute(db.cachedStatement(sql: "DELETE FROM message WHERE id = ?"), in: db)
        case .mailbox(let user, let box):
          row.blob(user[...])
          guard !box.isEmpty else {
            try row.execute(db.cachedStatement(sql: "DELETE FROM mailbox WHERE user = ?"), in: db)
            continue
          }
          for count in [box.new, box.old, box.urgentNew, box.urgentOld] { row.integer(Int64(count)) }
          try row.execute(
            db.cachedStatement(sql: "INSERT OR REPLACE INTO mailbox VALUES (?, ?, ?, ?, ?)"), in: db)
        }
      }
    }
  }
}

private func octets(_ row: Row, _ column: String) -> [UInt8] { Array((row[column] as Data?) ?? Data()) }
