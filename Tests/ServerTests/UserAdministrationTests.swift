import CallEngine
import SIPDigest
import Storage
import Testing

@testable import Server

@Suite("Users of file and database")
struct UserAdministrationTests {
  private func users(_ database: Database, domain: String = "a.example") throws -> UserAdministration {
    let yaml = """
      sip: {domain: \(domain)}
      users:
        - {name: "1000", password: secret, context: sales, caller_id: {name: Alice, number: "42"}}
      """
    let configuration = try ConfigurationReader.read(text: yaml, file: "n.yaml", directory: "/tmp")
    return UserAdministration(database: database, configuration: configuration)
  }

  @Test("an added user can log in at once; his password is kept as its hashes only")
  func add() async throws {
    let database = try Database.open(.memory)
    let users = try users(database)
    let reply = try await users.perform(.userAdd(NewUser(name: "1001", password: "geheim", callerNumber: "43")))
    #expect(reply?.ok == true)
    let accounts = try await users.accounts()
    #expect(accounts.map(\.name) == ["1000", "1001"])
    #expect(accounts.map(\.context) == ["sales", "internal"])
    #expect(accounts.map(\.callerNumber) == ["42", "43"])
    let expected = HA1(user: "1001", realm: "a.example", password: "geheim")
    #expect(accounts.last?.ha1.md5 == expected.md5)
    #expect(accounts.last?.ha1.sha256 == expected.sha256)
    #expect(try await database.users().first?.ha1MD5 == expected.md5)
  }

  @Test(
    "what cannot be is refused with a reason",
    arguments: [
      (
        ControlCommand.userAdd(NewUser(name: "1000", password: "x")),
        "user 1000 is in the configuration file; change it there"
      ),
      (
        .userAdd(NewUser(name: "a:b", password: "x")),
        "\"a:b\" is not a user name: up to 64 letters, digits and -_.!~*'+#"
      ),
      (.userAdd(NewUser(name: "a", password: "")), "a password must not be empty"),
      (.userAdd(NewUser(name: "a", password: "x\ny")), "a password must not hold control characters"),
      (
        .userAdd(NewUser(name: "a", password: "x", context: "")),
        "\"\" is not a context: up to 64 letters, digits and -_.!~*'+#"
      ),
      (
        .userAdd(NewUser(name: "1001", password: "x")),
        "there is a user 1001 already; `nightjar user passwd 1001` changes the password"
      ),
      (.userRemove(name: "1000"), "user 1000 is in the configuration file; change it there"),
      (.userRemove(name: "10011"), "there is no user 10011; did you mean 1001?"),
      (.userPassword(name: "zzz", password: "x"), "there is no user zzz"),
    ])
  func refused(command: ControlCommand, reason: String) async throws {
    let database = try Database.open(.memory)
    let users = try users(database)
    _ = try await users.perform(.userAdd(NewUser(name: "1001", password: "x")))
    #expect(try await users.perform(command) == .failed(reason))
    #expect(try await database.users().map(\.name) == ["1001"])
  }

  @Test("a changed sip.domain names the users whom it locks out, until they have new passwords")
  func realm() async throws {
    let database = try Database.open(.memory)
    let old = try users(database)
    for name in ["1001", "1002"] { _ = try await old.perform(.userAdd(NewUser(name: name, password: "x"))) }
    let new = try users(database, domain: "b.example")
    let error = await #expect(throws: ConfigurationError.self) { _ = try await new.accounts() }
    #expect(error?.faults.count == 1)
    #expect(error?.description.contains("\"a.example\": 1001, 1002;") == true)
    #expect(
      error?.description.hasPrefix("n.yaml: sip.domain: \"b.example\" makes the passwords of these users invalid")
        == true)
    #expect(try await new.perform(.userList)?.users?.map(\.origin).last == "database, invalid: set for a.example")
    for name in ["1001", "1002"] { _ = try await new.perform(.userPassword(name: name, password: "y")) }
    #expect(try await new.accounts().count == 3)
  }

  @Test("a user of both file and database is a fault at his line")
  func both() async throws {
    let database = try Database.open(.memory)
    _ = try await database.add(
      StoredUser(name: "1000", realm: "a.example", ha1MD5: [], ha1SHA256: [], context: "internal"))
    let users = try users(database)
    let error = await #expect(throws: ConfigurationError.self) { _ = try await users.accounts() }
    #expect(error?.description.hasPrefix("n.yaml:3: users: \"1000\" is in the database too") == true)
  }

  @Test("a made password is long, has no look-alikes, and is another one each time")
  func generated() {
    let passwords = Set((0..<100).map { _ in GeneratedPassword.make() })
    #expect(passwords.count == 100)
    #expect(passwords.allSatisfy { $0.count == 20 && !$0.contains { "0O1lI".contains($0) } })
  }
}
