public import CallEngine
internal import GRDB

extension Database {
  /// One transaction for all. A record that is there already stays as it is, so that a batch may be tried again.
  public func insert(_ records: [CallRecord]) async throws(StorageError) {
    try await write { db in
      let statement = try db.cachedStatement(
        sql: "INSERT OR IGNORE INTO call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      for record in records {
        try statement.execute(arguments: [
          record.id, record.startMs, record.answerMs, record.endMs, record.from, record.fromName, record.to,
          record.context, record.user, record.source, record.generation, record.status, Int(record.cause.value),
          record.endedBy.rawValue, record.attemptsJSON.text, record.varsJSON.text, record.mediaJSON.text,
          record.scriptError,
        ])
      }
    }
  }

  /// Removes up to `limit` of the calls that ended before `milliseconds` (since 1970), the oldest first.
  /// - Returns: how many went.
  public func pruneCalls(endedBefore milliseconds: Int64, limit: Int = 1000) async throws(StorageError) -> Int {
    try await write { db in
      try db.execute(
        sql: "DELETE FROM call WHERE rowid IN (SELECT rowid FROM call WHERE end_ms < ? ORDER BY end_ms LIMIT ?)",
        arguments: [milliseconds, limit])
      return db.changesCount
    }
  }

  public func callCount() async throws(StorageError) -> Int {
    try await read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM call") ?? 0 }
  }
}
