public import CallEngine
internal import GRDB

extension Database {
  /// One transaction for all. A record that is there already stays as it is, so that a batch may be tried again.
  public func insert(_ records: [CallRecord]) async throws(StorageError) {
    try await insert(records.map { record in PendingRecord { record } })
  }

  public func insert(_ records: [PendingRecord]) async throws(StorageError) {
    try await write { db in
      let statement = try db.cachedStatement(
        sql: "INSERT OR IGNORE INTO call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      var row = RowWriter()
      for record in records {
        record.make().write(into: &row)
        try row.execute(statement, in: db)
      }
    }
  }

  /// Removes up to `limit` of the calls that ended before `milliseconds` (since 1970), the oldest first.
  /// - Returns: how many went.
  public func pruneCalls(endedBefore milliseconds: Int64, limit: Int = 1000) async throws(StorageError) -> Int {
    try await write { db in
      try db.execute(
        sql: """
          DELETE FROM call WHERE (end_ms, id) IN (
            SELECT end_ms, id FROM call WHERE end_ms < ? ORDER BY end_ms LIMIT ?)
          """,
        arguments: [milliseconds, limit])
      return db.changesCount
    }
  }

  public func callCount() async throws(StorageError) -> Int {
    try await read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM call") ?? 0 }
  }
}

extension CallRecord {
  /// The columns of `call` in their order.
  fileprivate func write(into row: inout RowWriter) {
    row.text(id)
    row.integer(startMs)
    row.integer(answerMs)
    row.integer(endMs)
    row.text(from)
    row.text(fromName)
    row.text(to)
    row.text(context)
    row.text(user)
    row.text(source)
    row.integer(Int64(generation))
    row.integer(Int64(status))
    row.integer(Int64(cause.value))
    row.text(endedBy.rawValue)
    row.json(writeAttempts)
    row.json(writeVars)
    row.json(writeMedia)
    row.text(scriptError)
    row.text(transferredBy)
    row.text(transferTarget)
  }
}
