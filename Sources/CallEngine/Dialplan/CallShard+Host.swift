import Logging
import LuaRuntime
import NetCore
import SIPMessage

// Host operations that are answered at once: what a script reads and notes. They run inside a step of a coroutine, so
// they start nothing and end nothing.
extension CallShard {
  func host(
    _ number: Int32, _ task: LuaTask, _ group: UInt64, _ arguments: LuaArguments, _ script: ScriptGeneration,
    _ reply: LuaWriter
  ) -> HostReply {
    guard let operation = HostOperation(rawValue: number) else { return .raise("unknown operation \(number)") }
    switch operation {
    case .log:
      logFromScript(arguments, group, script)
      return .values([])
    case .now:
      return .values([.number(Double(services.wallClock()) / 1000)])
    case .uuid:
      return .values([.text(randomUUID())])
    case .kv_get, .kv_set, .kv_incr, .kv_cas, .kv_delete:
      return .values(KeyValueOperations.perform(operation, arguments, services.keyValue, services.wallClock()))
    case .spawn: return spawn(arguments, script)
    case .trunk_get:
      writeTrunk(arguments[0].asString ?? "", into: reply)
      return .written
    case .trunk_list:
      writeTrunks(into: reply)
      return .written
    default: break
    }
    guard let call = call(arguments[0]) else {
      return operation == .field ? .values([.null]) : .raise("the call is over and forgotten")
    }
    if operation == .field {
      CallFields.write(arguments[1], of: call, into: reply)
      return .written
    }
    return perform(operation, call, arguments)
  }

  func call(_ handle: LuaArgument) -> Call? { handle.asInt.flatMap(call(handle:)) }

  func call(handle: Int) -> Call? {
    calls.get(UInt32(truncatingIfNeeded: handle), UInt32(truncatingIfNeeded: handle >> 32))
  }

  private func perform(_ operation: HostOperation, _ call: Call, _ arguments: LuaArguments) -> HostReply {
    func bytes(_ i: Int) -> [UInt8] { arguments[i].asBytes ?? [] }
    switch operation {
    case .header_get:
      if let own = call.headers.value(bytes(1)) { return .values([.string(own)]) }
      if call.headers.replaces(named: bytes(1)) { return .values([.null]) }
      let name = String(decoding: bytes(1), as: UTF8.self)
      return .values([call.invite.first(named: name).map { .string(Array($0)) } ?? .null])
    case .header_all:
      let name = String(decoding: bytes(1), as: UTF8.self)
      let theirs = call.headers.replaces(named: bytes(1)) ? [] : call.invite.all(named: name).map { Array($0) }
      return .values([.array((theirs + call.headers.values(bytes(1))).map { .string($0) })])
    case .header_set:
      return owned(call.headers.set(bytes(1), bytes(2)), bytes(1))
    case .header_add:
      return owned(call.headers.add(bytes(1), bytes(2)), bytes(1))
    case .header_remove:
      return owned(call.headers.remove(bytes(1)), bytes(1))
    case .var_set:
      let key = bytes(1)
      let value = arguments[2].value
      call.vars.removeAll { $0.key == key }
      if value != .null, call.vars.count < 256 { call.vars.append((key, value)) }
      return .values([])
    case .on_hangup:
      if call.hangup != nil { return .values([hangupInfo(call)]) }
      let limit = call.script.settings.limits.tasksPerCall
      guard call.hooks < limit else { return .raise("a call may have \(limit) on_hangup functions") }
      call.hooks += 1
      return .values([.integer(Int64(call.hooks))])
    default:
      return .raise("\(operation) is not answered at once")
    }
  }

  /// A task of the call, or of none where the handle is nil; started after the present step.
  private func spawn(_ arguments: LuaArguments, _ script: ScriptGeneration) -> HostReply {
    let call = call(arguments[0])
    if call == nil, !arguments[0].isNull { return .raise("the call is over and forgotten") }
    let limit = script.settings.limits.tasksPerCall
    let live = (call?.tasks.count ?? script.detached) + spawnQueue.count { $0.call === call }
    guard live < limit else {
      return .values([.null, LuaValue.failure("limit", "a call may have \(limit) tasks")])
    }
    spawnQueue.append((script, call, Int64(arguments.count > 1 ? arguments[1].asInt ?? 0 : 0)))
    return .values([.bool(true)])
  }

  private func owned(_ done: Bool, _ name: [UInt8]) -> HostReply {
    done ? .values([]) : .raise("\(String(decoding: name, as: UTF8.self)) is the server's own header")
  }

  private func logFromScript(_ arguments: LuaArguments, _ group: UInt64, _ script: ScriptGeneration) {
    guard arguments.count >= 2, let level = ScriptLog.level(arguments[0]), services.logger.logLevel <= level else {
      return
    }
    var metadata: Logger.Metadata = ["generation": .stringConvertible(script.number)]
    if let call = call(handle: Int(bitPattern: UInt(group))) { metadata["call"] = .string(call.id) }
    ScriptLog.write(arguments, level: level, metadata: metadata, to: services.logger)
  }

  // MARK: what a hang-up looks like to a script

  func hangupInfo(_ call: Call) -> LuaValue {
    guard let hangup = call.hangup else { return .null }
    let talked = call.answerMilliseconds.map { Double(max(0, services.wallClock() - $0)) / 1000 } ?? 0
    return .table([
      (key: "kind", value: .text("hangup")), (key: "side", value: .text(hangup.side.rawValue)),
      (key: "status", value: .integer(Int64(hangup.status))),
      (key: "cause", value: .integer(Int64(hangup.cause.value))),
      (key: "cause_name", value: .text(hangup.cause.name)), (key: "duration", value: .number(talked)),
    ])
  }

  func hangupValues(_ call: Call) -> LuaFlat { [.null, hangupInfo(call)] }
}

extension LuaValue {
  /// What a failed operation gives back beside nil.
  static func failure(_ kind: String, _ message: String) -> LuaValue {
    .table([(key: "kind", value: .text(kind)), (key: "message", value: .text(message))])
  }
}

/// `log.info(text, {fields})` and `print` of scripts.
enum ScriptLog {
  static func level(_ value: LuaArgument) -> Logger.Level? {
    switch value.asString {
    case "debug": .debug
    case "info": .info
    case "warn": .warning
    case "error": .error
    default: nil
    }
  }

  static func write(
    _ arguments: LuaArguments, level: Logger.Level, metadata: Logger.Metadata, to logger: Logger
  ) {
    var metadata = metadata
    if let fields = arguments[2].value.entries {
      for (key, value) in fields.prefix(32) {
        metadata["lua." + (key.asString ?? "\(key)")] = .string(value.asString ?? "\(value)")
      }
    }
    if let place = arguments[3].asString { metadata["at"] = .string(place) }
    logger.log(level: level, "\(arguments[1].asString ?? "")", metadata: metadata)
  }
}

/// `kv.*` of scripts over the shared store; also for a script that is being loaded.
enum KeyValueOperations {
  static func perform(
    _ operation: HostOperation, _ arguments: LuaArguments, _ store: KeyValueStore, _ now: Int64
  ) -> [LuaValue] {
    func argument(_ i: Int) -> LuaValue { arguments[i].value }
    func ttl(_ i: Int) -> Int64? { arguments[i].asDouble.map { Int64(max(0, min($0, 1e9)) * 1000) } }
    guard let key = arguments[0].asBytes else { return [.null, .failure("arguments", "a key is a string")] }
    do {
      switch operation {
      case .kv_get: return [store.get(key, nowMilliseconds: now)]
      case .kv_set:
        try store.set(key, argument(1), ttl: ttl(2), nowMilliseconds: now)
        return [.bool(true)]
      case .kv_incr:
        guard argument(1).isNull || argument(1).asInt != nil else {
          return [.null, .failure("arguments", "kv.incr adds whole numbers")]
        }
        let by = argument(1).asInt ?? 1
        return [.integer(try store.increment(key, by: Int64(by), ttl: ttl(2), nowMilliseconds: now))]
      case .kv_cas:
        let swapped = try store.compareAndSwap(
          key, old: argument(1), new: argument(2), ttl: ttl(3), nowMilliseconds: now)
        return swapped ? [.bool(true)] : [.bool(false), store.get(key, nowMilliseconds: now)]
      case .kv_delete:
        let was = store.get(key, nowMilliseconds: now) != .null
        store.delete(key)
        return [.bool(was)]
      default: return []
      }
    } catch {
      switch error {
      case .full: return [.null, .failure("kv", "the store is full")]
      case .notANumber: return [.null, .failure("kv", "the value is not an integer")]
      }
    }
  }
}
