import Foundation

// The control protocol: a Unix domain socket, one JSON object a line.
//
//   → {"command":"calls"}
//   ← {"ok":true,"calls":[…]}
//   → {"command":"hangup","id":"x"}
//   ← {"ok":false,"error":"no call x"}
//   → {"command":"trace","id":"x"}      (id may be left out: all calls)
//   ← {"ok":true} {"trace":"…"} {"trace":"…"} …   until the client closes
//
// Requests of one connection are answered in order.

/// What can be asked of a running server.
public enum ControlCommand: Sendable, Equatable {
  case status, calls, registrations, trunks, generations
  /// Reads the configuration and the script again; answered when the new generation serves, or with what is wrong.
  case reload
  case hangup(id: String)
  case bans
  /// Nil: all of them.
  case unban(source: String?)
  case userAdd(NewUser)
  case userList
  case userRemove(name: String)
  case userPassword(name: String, password: String)
}

public struct NewUser: Sendable, Codable, Equatable {
  public var name: String
  public var password: String
  public var context: String
  public var callerName: String?
  public var callerNumber: String?

  public init(
    name: String, password: String, context: String = "internal", callerName: String? = nil, callerNumber: String? = nil
  ) {
    self.name = name
    self.password = password
    self.context = context
    self.callerName = callerName
    self.callerNumber = callerNumber
  }
}

/// An answer. `ok` false has an `error`; else the field of the command is set.
public struct ControlReply: Sendable, Codable, Equatable {
  public var ok: Bool
  public var error: String?
  /// More lines on the error, as `file:line: what`.
  public var faults: [String]?
  public var message: String?
  public var status: StatusReport?
  public var calls: [CallReport]?
  public var registrations: [RegistrationReport]?
  public var trunks: [TrunkReport]?
  public var generations: [GenerationReport]?
  public var bans: [BanReport]?
  public var users: [UserReport]?

  public init(ok: Bool = true, message: String? = nil) {
    self.ok = ok
    self.message = message
  }

  public static func failed(_ error: String, faults: [String]? = nil) -> ControlReply {
    var reply = ControlReply(ok: false)
    reply.error = error
    reply.faults = faults
    return reply
  }
  public static func status(_ report: StatusReport) -> ControlReply { with { $0.status = report } }
  public static func calls(_ reports: [CallReport]) -> ControlReply { with { $0.calls = reports } }
  public static func registrations(_ reports: [RegistrationReport]) -> ControlReply {
    with { $0.registrations = reports }
  }
  public static func trunks(_ reports: [TrunkReport]) -> ControlReply { with { $0.trunks = reports } }
  public static func generations(_ reports: [GenerationReport]) -> ControlReply { with { $0.generations = reports } }
  public static func bans(_ reports: [BanReport]) -> ControlReply { with { $0.bans = reports } }
  public static func users(_ reports: [UserReport]) -> ControlReply { with { $0.users = reports } }

  private static func with(_ change: (inout ControlReply) -> Void) -> ControlReply {
    var reply = ControlReply()
    change(&reply)
    return reply
  }
}

/// What the control socket drives: the running server.
public protocol ControlTarget: Sendable {
  /// What it throws is told to the client; a `ConfigurationError` with all its faults.
  func perform(_ command: ControlCommand) async throws -> ControlReply
  /// Ladder lines as they happen, of one call or of all. The stream should drop the newest or oldest when its reader is
  /// slow (`bufferingPolicy`), as a reader may be stopped; its `onTermination` says that he has gone.
  func trace(callID: String?) -> AsyncStream<String>
}

/// A line of the protocol as it is read and written.
struct ControlRequest: Codable, Equatable {
  var command: String
  var id: String?
  var name: String?
  var password: String?
  var context: String?
  var callerName: String?
  var callerNumber: String?

  static let commands = [
    "status", "calls", "registrations", "trunks", "generations", "reload", "hangup", "trace", "bans", "unban",
    "user_add",
    "user_list", "user_remove", "user_password",
  ]

  struct Unfit: Error, Equatable {
    var message: String
  }

  enum Meaning: Equatable {
    case command(ControlCommand)
    case trace(callID: String?)
  }

  func meaning() throws(Unfit) -> Meaning {
    switch command {
    case "status": return .command(.status)
    case "calls": return .command(.calls)
    case "registrations": return .command(.registrations)
    case "trunks": return .command(.trunks)
    case "generations": return .command(.generations)
    case "reload": return .command(.reload)
    case "hangup": return .command(.hangup(id: try need(id, "id")))
    case "trace": return .trace(callID: id)
    case "bans": return .command(.bans)
    case "unban": return .command(.unban(source: name))
    case "user_list": return .command(.userList)
    case "user_remove": return .command(.userRemove(name: try need(name, "name")))
    case "user_password":
      return .command(.userPassword(name: try need(name, "name"), password: try need(password, "password")))
    case "user_add":
      let user = NewUser(
        name: try need(name, "name"), password: try need(password, "password"), context: context ?? "internal",
        callerName: callerName, callerNumber: callerNumber)
      return .command(.userAdd(user))
    default:
      throw Unfit(message: "unknown command \"\(command)\"\(ConfigurationValue.hint(command, Self.commands))")
    }
  }

  private func need(_ value: String?, _ name: String) throws(Unfit) -> String {
    guard let value, !value.isEmpty else { throw Unfit(message: "\(command) needs \(name)") }
    return value
  }

  init(command: String, id: String? = nil) {
    self.command = command
    self.id = id
  }

  init(_ command: ControlCommand) {
    switch command {
    case .status: self.init(command: "status")
    case .calls: self.init(command: "calls")
    case .registrations: self.init(command: "registrations")
    case .trunks: self.init(command: "trunks")
    case .generations: self.init(command: "generations")
    case .reload: self.init(command: "reload")
    case .hangup(let id): self.init(command: "hangup", id: id)
    case .bans: self.init(command: "bans")
    case .unban(let source):
      self.init(command: "unban")
      name = source
    case .userList: self.init(command: "user_list")
    case .userRemove(let name):
      self.init(command: "user_remove")
      self.name = name
    case .userPassword(let name, let password):
      self.init(command: "user_password")
      self.name = name
      self.password = password
    case .userAdd(let user):
      self.init(command: "user_add")
      name = user.name
      password = user.password
      context = user.context
      callerName = user.callerName
      callerNumber = user.callerNumber
    }
  }
}

struct ControlTraceLine: Codable, Equatable {
  var trace: String
}

/// JSON as the control socket and `--json` write it: snake case, keys in order.
public enum ControlJSON {
  /// One line without its end.
  public static func line(_ value: some Encodable) -> [UInt8] { encode(value, [.sortedKeys, .withoutEscapingSlashes]) }
  /// For people's eyes and for files.
  public static func pretty(_ value: some Encodable) -> String {
    String(decoding: encode(value, [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]), as: UTF8.self)
  }
  public static func decode<T: Decodable>(_ type: T.Type, _ bytes: some Sequence<UInt8>) throws -> T {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(bytes))
  }

  private static func encode(_ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = formatting
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    // Our own types hold nothing that JSON cannot say.
    return (try? encoder.encode(value)).map(Array.init) ?? Array(#"{"ok":false,"error":"not encodable"}"#.utf8)
  }
}
