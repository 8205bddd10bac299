internal import CallEngine
internal import GRDB
internal import GRDBSQLite
internal import SIPMessage

/// Gathers the values of one row in a buffer that serves for all rows of a batch, and gives them to SQLite where they
/// are: at a thousand calls a second a value for each argument costs more than SQLite itself.
struct RowWriter: ~Copyable {
  private enum Value {
    case null
    case integer(Int64)
    case text(end: Int)
    case blob(end: Int)
  }

  private var bytes: [UInt8] = []
  private var values: [Value] = []

  mutating func integer(_ number: Int64?) { values.append(number.map(Value.integer) ?? .null) }

  mutating func text(_ text: String?) {
    guard let text else { return values.append(.null) }
    bytes.append(contentsOf: text.utf8)
    values.append(.text(end: bytes.count))
  }

  mutating func blob(_ octets: Bytes?) {
    guard let octets else { return values.append(.null) }
    bytes.append(contentsOf: octets)
    values.append(.blob(end: bytes.count))
  }

  mutating func json(_ write: (inout JSONWriter) -> Void) {
    var buffer: [UInt8] = []
    swap(&buffer, &bytes)
    var writer = JSONWriter(after: buffer)
    write(&writer)
    bytes = writer.bytes
    values.append(.text(end: bytes.count))
  }

  /// Runs the statement with the values so far, and forgets them.
  mutating func execute(_ statement: Statement, in db: GRDB.Database) throws {
    let raw = unsafe statement.sqliteStatement
    let code = unsafe bytes.withUnsafeBytes { unsafe RowWriter.run(raw, values, $0) }
    bytes.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
    guard code == SQLITE_DONE else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
  }

  /// The octets need not be copied, as the statement lets go of them before it returns.
  private static func run(_ statement: OpaquePointer, _ values: [Value], _ bytes: UnsafeRawBufferPointer) -> CInt {
    var start = 0
    for (i, value) in values.enumerated() {
      let column = CInt(i + 1)
      // Of an empty buffer there is no address, and without one SQLite would bind null.
      let base = unsafe (bytes.baseAddress ?? UnsafeRawPointer(statement)) + start
      switch value {
      case .null: unsafe sqlite3_bind_null(statement, column)
      case .integer(let number): unsafe sqlite3_bind_int64(statement, column, number)
      case .text(let end):
        unsafe sqlite3_bind_text(statement, column, base.assumingMemoryBound(to: CChar.self), CInt(end - start), nil)
        start = end
      case .blob(let end):
        unsafe sqlite3_bind_blob(statement, column, base, CInt(end - start), nil)
        start = end
      }
    }
    let code = unsafe sqlite3_step(statement)
    unsafe sqlite3_reset(statement)
    unsafe sqlite3_clear_bindings(statement)
    return code
  }
}
