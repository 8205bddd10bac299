public import CallEngine
import DialplanCheck
import SIPDigest
public import Storage

/// The users of a server: those that the configuration names and those of the database, and the commands that change
/// the latter. Used by the daemon, and by the command line where none runs.
public struct UserAdministration: Sendable {
  private let database: Database
  private let realm: String
  private let file: String
  private let named: [ServerConfiguration.User]

  public init(database: Database, configuration: ServerConfiguration) {
    self.database = database
    realm = configuration.sip.domain
    file = configuration.file
    named = configuration.users
  }

  /// Everybody who can log in.
  /// - Throws: `ConfigurationError` naming the users whom a changed `sip.domain` locks out, and those of the file whom
  ///   the database has too; `StorageError`.
  public func accounts() async throws -> [UserAccount] {
    let stored = try await database.users()
    var faults: [ConfigurationFault] = []
    let elsewhere = stored.filter { $0.realm != realm }
    if let first = elsewhere.first {
      let names = elsewhere.map(\.name).joined(separator: ", ")
      faults.append(
        ConfigurationFault(
          file: file, line: 0,
          message: "sip.domain: \"\(realm)\" makes the passwords of these users invalid, which were set for "
            + "\"\(first.realm)\": \(names); change it back, or give each a new one with `nightjar user passwd NAME`"))
    }
    let names = Set(stored.map(\.name))
    for user in named where names.contains(user.name) {
      faults.append(
        ConfigurationFault(
          file: file, line: user.line,
          message: "users: \"\(user.name)\" is in the database too; remove it there with "
            + "`nightjar user remove \(user.name)`, or here"))
    }
    guard faults.isEmpty else { throw ConfigurationError(faults: faults) }
    return named.map { user in
      UserAccount(
        name: user.name, context: user.context, callerName: user.callerID?.name, callerNumber: user.callerID?.number,
        ha1: HA1(user: user.name, realm: realm, password: user.password))
    }
      + stored.map { user in
        UserAccount(
          name: user.name, context: user.context, callerName: user.callerName, callerNumber: user.callerNumber,
          ha1: HA1(md5: user.ha1MD5, sha256: user.ha1SHA256))
      }
  }

  /// Does one of the user commands.
  /// - Returns: nil for another command; for a change whose reply is `ok`, the daemon then takes `accounts()` anew.
  public func perform(_ command: ControlCommand) async throws -> ControlReply? {
    switch command {
    case .userAdd(let user): try await add(user)
    case .userList: .users(try await list())
    case .userRemove(let name): try await remove(name)
    case .userPassword(let name, let password): try await setPassword(of: name, to: password)
    case .status, .calls, .registrations, .trunks, .generations, .reload, .hangup, .bans, .unban: nil
    }
  }

  /// Does a user command where no daemon runs.
  /// - Throws: `StorageError`.
  public static func performDirectly(
    _ command: ControlCommand, configuration: ServerConfiguration
  ) async throws -> ControlReply {
    guard configuration.storage.database != .memory else {
      return .failed("nightjar is not running, and its database would be in memory: there is nothing to change")
    }
    let database = try Database.open(Database.Location(configuration.storage))
    defer { database.close() }
    let users = UserAdministration(database: database, configuration: configuration)
    return try await users.perform(command) ?? .failed("nightjar is not running")
  }

  private func add(_ user: NewUser) async throws -> ControlReply {
    for (what, text) in [("user name", user.name), ("context", user.context), ("number", user.callerNumber ?? "x")]
    where !ConfigurationValue.isName(text) {
      return .failed("\"\(text)\" is not a \(what): up to 64 letters, digits and \(ConfigurationValue.nameMarks)")
    }
    if let problem = Self.problem(password: user.password) { return .failed(problem) }
    if named.contains(where: { $0.name == user.name }) { return .failed(inFile(user.name)) }
    let ha1 = HA1(user: user.name, realm: realm, password: user.password)
    let added = try await database.add(
      StoredUser(
        name: user.name, realm: realm, ha1MD5: ha1.md5, ha1SHA256: ha1.sha256, context: user.context,
        callerName: user.callerName, callerNumber: user.callerNumber))
    return added
      ? ControlReply(message: "user \(user.name) added")
      : .failed("there is a user \(user.name) already; `nightjar user passwd \(user.name)` changes the password")
  }

  private func list() async throws -> [UserReport] {
    let inFile = named.map {
      UserReport(
        name: $0.name, context: $0.context, callerName: $0.callerID?.name, callerNumber: $0.callerID?.number,
        origin: "file")
    }
    let stored = try await database.users().map {
      UserReport(
        name: $0.name, context: $0.context, callerName: $0.callerName, callerNumber: $0.callerNumber,
        origin: $0.realm == realm ? "database" : "database, invalid: set for \($0.realm)")
    }
    return (inFile + stored).sorted { $0.name < $1.name }
  }

  private func remove(_ name: String) async throws -> ControlReply {
    if try await database.removeUser(named: name) { return ControlReply(message: "user \(name) removed") }
    return .failed(await unknown(name))
  }

  private func setPassword(of name: String, to password: String) async throws -> ControlReply {
    if let problem = Self.problem(password: password) { return .failed(problem) }
    let ha1 = HA1(user: name, realm: realm, password: password)
    let known = try await database.setPassword(of: name, realm: realm, ha1MD5: ha1.md5, ha1SHA256: ha1.sha256)
    return known ? ControlReply(message: "password of user \(name) changed") : .failed(await unknown(name))
  }

  private func inFile(_ name: String) -> String { "user \(name) is in the configuration file; change it there" }

  private func unknown(_ name: String) async -> String {
    if named.contains(where: { $0.name == name }) { return inFile(name) }
    let known = ((try? await database.users()) ?? []).map(\.name)
    return "there is no user \(name)" + (NearestName.of(name, among: known).map { "; did you mean \($0)?" } ?? "")
  }

  private static func problem(password: String) -> String? {
    if password.isEmpty { return "a password must not be empty" }
    if password.utf8.count > 256 { return "a password has at most 256 octets" }
    let unfit = password.unicodeScalars.contains { $0.properties.generalCategory == .control }
    return unfit ? "a password must not hold control characters" : nil
  }
}

extension Database.Location {
  public init(_ storage: ServerConfiguration.Storage) {
    switch storage.database {
    case .file(let path): self = .file(path)
    case .memory: self = .memory
    }
  }
}
