public import Logging
public import LuaRuntime

/// A VM with a dialplan in it, and the door through which the script's host operations leave it. While it is loaded the
/// loader answers them, afterwards the shard that adopts it.
public final class LoadedScript {
  final class Door {
    var answer: LuaVM.Host
    init(_ answer: @escaping LuaVM.Host) { self.answer = answer }
  }
  let vm: LuaVM
  let door: Door

  init(vm: LuaVM, door: Door) {
    self.vm = vm
    self.door = door
  }

  /// Frees the VM; it may take a while.
  public func shutdown() { vm.shutdown() }
}

/// Compiles and runs a dialplan off the loops. The VM that comes out has run its main chunk once and is frozen.
public enum DialplanLoader {
  /// What a script may use while it is loaded: it has no call yet, so nothing that waits.
  public struct Surroundings: Sendable {
    public var keyValue: KeyValueStore
    public var logger: Logger
    public var wallClock: @Sendable () -> Int64
    public var generation: Int

    public init(
      keyValue: KeyValueStore, logger: Logger, wallClock: @escaping @Sendable () -> Int64, generation: Int
    ) {
      self.keyValue = keyValue
      self.logger = logger
      self.wallClock = wallClock
      self.generation = generation
    }
  }

  /// - Parameters:
  ///   - name: The script's path as errors name it.
  ///   - directory: Where `require` looks; nil: nowhere.
  ///   - runsLoadHandlers: `on.load` runs once a server, so in one shard's VM only.
  public static func load(
    source: [UInt8], name: String, directory: String?, limits: LuaLimits, surroundings: Surroundings,
    runsLoadHandlers: Bool
  ) throws(LuaFailure) -> sending LoadedScript {
    let door = LoadedScript.Door { operation, _, _, arguments, _ in host(operation, arguments, surroundings) }
    let vm = try LuaVM(
      preludes: preludes, operations: HostOperation.names, names: HostName.names, limits: limits,
      scriptDirectory: directory, host: { door.answer($0, $1, $2, $3, $4) })
    try vm.load(source: source, name: name)
    let handlers = try handlers(vm, name: name)
    guard handlers.contains("invite") else {
      throw LuaFailure(kind: .runtime, message: "\(name):1: the script registers no on.invite: every call would fail")
    }
    if runsLoadHandlers, handlers.contains("load") { try runLoad(vm, surroundings.generation, name: name) }
    return LoadedScript(vm: vm, door: door)
  }

  static var preludes: [(name: String, source: [UInt8])] {
    [
      ("errors", PackageResources.errors_lua), ("schema", PackageResources.schema_lua),
      ("check", PackageResources.check_lua), ("causes", PackageResources.causes_lua),
      ("headers", PackageResources.headers_lua), ("json", PackageResources.json_lua),
      ("call", PackageResources.call_lua), ("verbs", PackageResources.verbs_lua),
      ("dial", PackageResources.dial_lua), ("handlers", PackageResources.handlers_lua),
      ("tasks", PackageResources.tasks_lua), ("services", PackageResources.services_lua),
      ("language", PackageResources.language_lua),
    ]
  }

  /// The names of the handlers that the script registered.
  private static func handlers(_ vm: LuaVM, name: String) throws(LuaFailure) -> [String] {
    switch vm.start(entry: "handlers", args: [], group: 0).1 {
    case .finished(let values): return values.first?.asArray?.compactMap { $0["name"].asString } ?? []
    case .failed(let failure): throw failure
    case .asked, .sliced: throw LuaFailure(kind: .runtime, message: "\(name):1: the handlers cannot be read")
    }
  }

  private static func runLoad(_ vm: LuaVM, _ generation: Int, name: String) throws(LuaFailure) {
    var (task, step) = vm.start(entry: "load", args: [.integer(Int64(generation))], group: 0)
    while true {
      switch step {
      case .finished: return
      case .failed(let failure): throw failure
      case .sliced: step = vm.resume(task, with: [])
      case .asked:
        let place = vm.traceback(task)
        vm.close(task)
        throw LuaFailure(kind: .runtime, message: "\(name):1: on.load may not wait", traceback: place)
      }
    }
  }

  private static func host(_ number: Int32, _ arguments: LuaArguments, _ around: Surroundings) -> HostReply {
    guard let operation = HostOperation(rawValue: number) else { return .raise("unknown operation \(number)") }
    switch operation {
    case .log:
      if arguments.count >= 2, let level = ScriptLog.level(arguments[0]), around.logger.logLevel <= level {
        ScriptLog.write(
          arguments, level: level, metadata: ["generation": .stringConvertible(around.generation)], to: around.logger)
      }
      return .values([])
    case .now: return .values([.number(Double(around.wallClock()) / 1000)])
    case .uuid: return .values([.text(randomUUID())])
    case .kv_get, .kv_set, .kv_incr, .kv_cas, .kv_delete:
      return .values(KeyValueOperations.perform(operation, arguments, around.keyValue, around.wallClock()))
    default: return .raise("\(operation) needs a call, and there is none while the script is loaded")
    }
  }
}

/// RFC 9562 §5.4: version 4, variant 10.
func randomUUID() -> String {
  var random = SystemRandomNumberGenerator()
  let high = (random.next() as UInt64) & ~0xf000 | 0x4000
  let low = (random.next() as UInt64) & ~(3 << 62) | 2 << 62
  func hex(_ value: UInt64, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: digits - text.utf8.count) + text
  }
  return "\(hex(high >> 32, 8))-\(hex(high >> 16 & 0xffff, 4))-\(hex(high & 0xffff, 4))-\(hex(low >> 48, 4))-"
    + hex(low & 0xffff_ffff_ffff, 12)
}
