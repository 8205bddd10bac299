public import CallEngine
internal import GRDB
import Foundation
import NetCore
internal import SIPMessage

/// A binding with the user whose it is.
public struct StoredBinding: Sendable, Hashable {
  public var user: [UInt8]
  /// Its flow has no connection: that one died with the process. `Flow.listener` is 0; `Flow.local` tells which it was.
  public var binding: Binding
}

extension Database {
  /// All bindings that still hold, for the registrar to answer from; those that have run out are removed.
  public func bindings(nowSeconds: Int64) async throws(StorageError) -> [StoredBinding] {
    try await write { db in
      try db.execute(sql: "DELETE FROM binding WHERE expires <= ?", arguments: [nowSeconds])
      // Row by row: all of them at once would be several times what they come to.
      let rows = try Row.fetchCursor(db, sql: "SELECT * FROM binding ORDER BY user, expires")
      var found: [StoredBinding] = []
      while let row = try rows.next() {
        if let binding = StoredBinding(row: row) { found.append(binding) }
      }
      return found
    }
  }

  /// One transaction for all, in their order.
  func apply(_ changes: some Sequence<BindingChange> & Sendable) async throws(StorageError) {
    try await write { db in
      let upsert = try db.cachedStatement(
        sql: "INSERT OR REPLACE INTO binding VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      let remove = try db.cachedStatement(sql: "DELETE FROM binding WHERE user = ? AND contact = ?")
      var row = RowWriter()
      for change in changes {
        switch change {
        case .upsert(let user, let binding):
          row.blob(user[...])
          binding.write(into: &row)
          try row.execute(upsert, in: db)
        case .remove(let user, let contact):
          row.blob(user[...])
          row.blob(contact[...])
          try row.execute(remove, in: db)
        }
      }
    }
  }
}

extension StoredBinding {
  /// Nil for a row that another version or a person wrote in a way this one does not read.
  fileprivate init?(row: Row) {
    guard let transportName = row["transport"] as String?,
      let transport = Transport.allCases.first(where: { $0.parameterName == transportName }),
      let remote = (row["remote"] as String?).flatMap({ Endpoint($0) }),
      let local = (row["local"] as String?).flatMap({ Endpoint($0) })
    else { return nil }
    user = bytes(row, "user") ?? []
    binding = Binding(
      contact: bytes(row, "contact")?[...] ?? [], q: row["q"], expires: row["expires"],
      callID: bytes(row, "call_id")?[...] ?? [],
      cseq: UInt32(clamping: row["cseq"] as Int64),
      flow: Flow(transport: transport, listener: 0, remote: remote, local: local),
      userAgent: bytes(row, "user_agent")?[...] ?? [],
      path: bytes(row, "path").map { path in
        path.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
      } ?? [],
      instanceID: bytes(row, "instance")?[...], regID: (row["reg_id"] as Int64?).map { UInt32(clamping: $0) })
  }
}

extension Binding {
  /// The columns of `binding` behind the user, in their order.
  fileprivate func write(into row: inout RowWriter) {
    row.blob(contact)
    row.integer(q.map { Int64($0) })
    row.integer(expires)
    row.blob(callID)
    row.integer(Int64(cseq))
    row.text(flow.transport.parameterName)
    row.text(flow.remote.description)
    row.text(flow.local.description)
    row.blob(userAgent)
    row.blob(path.isEmpty ? nil : Array(path.joined(separator: [UInt8(ascii: "\n")]))[...])
    row.blob(instanceID)
    row.integer(regID.map { Int64($0) })
  }
}

private func bytes(_ row: Row, _ column: String) -> [UInt8]? { (row[column] as Data?).map(Array.init) }
