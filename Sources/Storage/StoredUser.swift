internal import GRDB

/// A user as the database keeps him: what digest authentication verifies with, never his password.
public struct StoredUser: Sendable, Hashable {
  public var name: String
  /// The realm that the hashes hold; in another they are of no use.
  public var realm: String
  /// Hexadecimal, 32 and 64 octets (RFC 7616 §3.4.2).
  public var ha1MD5: [UInt8]
  public var ha1SHA256: [UInt8]
  public var context: String
  public var callerName: String?
  public var callerNumber: String?

  public init(
    name: String, realm: String, ha1MD5: [UInt8], ha1SHA256: [UInt8], context: String, callerName: String? = nil,
    callerNumber: String? = nil
  ) {
    self.name = name
    self.realm = realm
    self.ha1MD5 = ha1MD5
    self.ha1SHA256 = ha1SHA256
    self.context = context
    self.callerName = callerName
    self.callerNumber = callerNumber
  }
}

extension Database {
  /// All users by name.
  public func users() async throws(StorageError) -> [StoredUser] {
    try await read { db in
      try Row.fetchAll(db, sql: "SELECT * FROM user ORDER BY name").map { row in
        StoredUser(
          name: row["name"], realm: row["realm"], ha1MD5: Array((row["ha1_md5"] as String).utf8),
          ha1SHA256: Array((row["ha1_sha256"] as String).utf8), context: row["context"],
          callerName: row["caller_name"], callerNumber: row["caller_number"])
      }
    }
  }

  /// - Returns: false when there is a user of that name; he stays as he is.
  public func add(_ user: StoredUser) async throws(StorageError) -> Bool {
    try await write { db in
      try db.execute(
        sql: "INSERT OR IGNORE INTO user VALUES (?, ?, ?, ?, ?, ?, ?)",
        arguments: [
          user.name, user.realm, String(decoding: user.ha1MD5, as: UTF8.self),
          String(decoding: user.ha1SHA256, as: UTF8.self), user.context, user.callerName, user.callerNumber,
        ])
      return db.changesCount > 0
    }
  }

  /// Gives a user another password, in the realm of today.
  /// - Returns: false when there is no such user.
  public func setPassword(
    of name: String, realm: String, ha1MD5: [UInt8], ha1SHA256: [UInt8]
  ) async throws(StorageError) -> Bool {
    try await write { db in
      try db.execute(
        sql: "UPDATE user SET realm = ?, ha1_md5 = ?, ha1_sha256 = ? WHERE name = ?",
        arguments: [
          realm, String(decoding: ha1MD5, as: UTF8.self), String(decoding: ha1SHA256, as: UTF8.self), name,
        ])
      return db.changesCount > 0
    }
  }

  /// - Returns: false when there was no such user.
  public func removeUser(named name: String) async throws(StorageError) -> Bool {
    try await write { db in
      try db.execute(sql: "DELETE FROM user WHERE name = ?", arguments: [name])
      return db.changesCount > 0
    }
  }

  /// Users who cannot log in where the realm is `realm`, as their passwords were hashed with another.
  public func users(outsideRealm realm: String) async throws(StorageError) -> [String] {
    try await read { db in
      try String.fetchAll(db, sql: "SELECT name FROM user WHERE realm <> ? ORDER BY name", arguments: [realm])
    }
  }
}
