internal import CLuaBridge

/// A suspended or running coroutine that the host started. Stale names are harmless.
public struct LuaTask: Hashable, Sendable {
  public let slot: UInt32
  public let generation: UInt32

  public init(slot: UInt32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }

  /// What a host call sees while the script loads.
  public static let none = LuaTask(slot: .max, generation: 0)
}

/// What came of starting or resuming a task. After `finished` and `failed` the task is gone.
public enum LuaStep: Sendable, Equatable {
  case finished([LuaValue])
  /// A prelude's `ask(op, …)`: resume the task with the answer.
  case asked(op: Int32, args: LuaArguments)
  /// The task has used its turn: resume it later, without values.
  case sliced
  case failed(LuaFailure)
}

/// The answer to a prelude's `host(op, …)`.
public enum HostReply: Sendable {
  /// The values are in the writer that came with the call.
  case written
  case values([LuaValue])
  /// An error at the author's line.
  case raise(String)

  public static let none = HostReply.values([])
}

/// One sandboxed Lua machine: preludes, then the user's script, then tasks. Not Sendable: one a shard and generation.
public final class LuaVM {
  public typealias Host = (
    _ op: Int32, _ task: LuaTask, _ group: UInt64, _ args: LuaArguments, _ reply: LuaWriter
  ) -> HostReply

  private var machine: OpaquePointer?
  private let bridge: HostBridge
  private let arguments = LuaWriter()
  /// What the last `asked` handed over, for the next one to lie in.
  private var asked: [UInt8] = []
  private var groups: [UInt64: UInt32] = [0: 0]

  /// - Parameters:
  ///   - preludes: chunks that make the language; their errors are told as `[nightjar] name:line`.
  ///   - operations: names of the host's operations; the index is the op number, the preludes see the table `OP`.
  ///   - names: strings that the host writes by their number (`LuaWriter.name`), 256 at most.
  ///   - scriptDirectory: where `require` may read; nil: nowhere.
  ///   - host: must not call into the machine.
  public convenience init(
    preludes: [(name: String, source: [UInt8])], operations: [String], names: [String] = [],
    limits: LuaLimits = LuaLimits(), scriptDirectory: String?, host: @escaping Host
  ) throws(LuaFailure) {
    try self.init(
      preludes: preludes, operations: operations, names: names, limits: limits, scriptDirectory: scriptDirectory,
      failAllocation: (at: 0, count: 0), host: host)
  }

  /// For tests: allocations from the `at`-th on (1 = the first) fail, `count` of them.
  init(
    preludes: [(name: String, source: [UInt8])], operations: [String], names: [String] = [], limits: LuaLimits,
    scriptDirectory: String?, failAllocation: (at: UInt64, count: UInt64), host: @escaping Host
  ) throws(LuaFailure) {
    bridge = HostBridge(host)
    var flat = nj_limits(
      memory: limits.memoryBytes, call_memory: limits.callMemoryBytes, burst_ns: limits.burst.nanoseconds,
      call_cpu_ns: limits.callCPU.nanoseconds, load_cpu_ns: limits.loadCPU.nanoseconds,
      group_tasks: UInt32(clamping: limits.tasksPerCall))
    machine = nj_new(
      &flat, HostBridge.call, Unmanaged.passUnretained(bridge).toOpaque(), scriptDirectory, failAllocation.at,
      failAllocation.count)
    guard let machine else { throw LuaFailure(kind: .memoryLimit, message: "not enough memory") }
    let flatOperations = operations.flatMap { Array($0.utf8CString) }
    try check { step in
      flatOperations.withUnsafeBufferPointer { nj_operations(machine, $0.baseAddress, $0.count, &step) }
    }
    precondition(names.count <= 256, "a name's number is one octet")
    let flatNames = names.flatMap { Array($0.utf8CString) }
    try check { step in flatNames.withUnsafeBufferPointer { nj_names(machine, $0.baseAddress, $0.count, &step) } }
    try prelude("sandbox", PackageResources.sandbox_lua)
    for prelude in preludes { try self.prelude(prelude.name, prelude.source) }
  }

  deinit { shutdown() }

  private func prelude(_ name: String, _ source: [UInt8]) throws(LuaFailure) {
    let machine = live
    try check { step in source.withUnsafeBufferPointer { nj_prelude(machine, $0.baseAddress, $0.count, name, &step) } }
  }

  /// Runs the user's script, text only; then its globals are frozen. Once a machine.
  public func load(source: [UInt8], name: String) throws(LuaFailure) {
    let machine = live
    try check { step in source.withUnsafeBufferPointer { nj_load(machine, $0.baseAddress, $0.count, name, &step) } }
  }

  // MARK: tasks

  /// Starts `entry`, a function that a prelude registered, as a task of `group`: the call that memory and CPU are
  /// charged to. Group 0 is the machine's own and is limited a step at a time.
  public func start(entry: String, args: LuaFlat = [], group: UInt64) -> (LuaTask, LuaStep) {
    args.bytes.withUnsafeBufferPointer { start(entry, $0.baseAddress, $0.count, group) }
  }

  /// The same with arguments that need not be kept.
  public func start(entry: String, group: UInt64, write: (LuaWriter) -> Void) -> (LuaTask, LuaStep) {
    arguments.clear()
    write(arguments)
    return start(entry, arguments.bytes, arguments.count, group)
  }

  private func start(
    _ entry: String, _ arguments: UnsafePointer<UInt8>?, _ length: Int, _ group: UInt64
  ) -> (LuaTask, LuaStep) {
    let machine = live
    guard let slot = slot(of: group) else {
      return (.none, .failed(LuaFailure(kind: .memoryLimit, message: "not enough memory")))
    }
    var flat = nj_step()
    var entry = entry
    entry.withUTF8 { nj_start(machine, slot, $0.baseAddress, $0.count, arguments, length, &flat) }
    return (LuaTask(slot: flat.slot, generation: flat.generation), step(flat))
  }

  public func resume(_ task: LuaTask, with values: LuaFlat = []) -> LuaStep {
    let machine = live
    var flat = nj_step()
    values.bytes.withUnsafeBufferPointer {
      nj_resume(machine, task.slot, task.generation, $0.baseAddress, $0.count, &flat)
    }
    return step(flat)
  }

  private func step(_ step: nj_step) -> LuaStep {
    switch Int(step.status) {
    case NJ_FINISHED:
      if step.length == 0 { return .finished([]) }
      var results: [UInt8] = []
      return .finished(LuaArguments(step.bytes, step.length, in: &results).values)
    case NJ_ASKED: return .asked(op: step.op, args: LuaArguments(step.bytes, step.length, in: &asked))
    case NJ_SLICED: return .sliced
    default: return .failed(LuaFailure(step))
    }
  }

  /// Ends a task: its pending `<close>` handlers run within the call's limits. Returns what went wrong in them.
  @discardableResult
  public func close(_ task: LuaTask) -> LuaFailure? {
    let machine = live
    var step = nj_step()
    nj_close(machine, task.slot, task.generation, &step)
    return step.status == NJ_FAILED ? LuaFailure(step) : nil
  }

  /// The call is over: tasks that it still has are dropped, and what it leaves in shared tables is nobody's.
  public func endGroup(_ group: UInt64) {
    guard group != 0, let slot = groups.removeValue(forKey: group) else { return }
    nj_group_close(live, slot)
  }

  private func slot(of group: UInt64) -> UInt32? {
    if let slot = groups[group] { return slot }
    let slot = nj_group_open(live, group)
    guard slot != .max else { return nil }
    groups[group] = slot
    return slot
  }

  // MARK: what there is to see

  /// Calls that were ended because the machine was full and they held the most. Each is told once; ask after a step.
  public func evictedGroups() -> [UInt64] {
    guard nj_evicted_count(live) > 0 else { return [] }
    var ids: [UInt64] = Array(repeating: 0, count: 64)
    let count = nj_evicted(live, &ids, ids.count)
    return Array(ids.prefix(count))
  }

  /// Bytes.
  public var memoryInUse: Int { machine.map { nj_memory($0) } ?? 0 }
  public var taskCount: Int { machine.map { Int(nj_task_count($0)) } ?? 0 }

  /// Bytes that a call holds.
  public func memory(ofGroup group: UInt64) -> Int { groups[group].map { nj_group_memory(live, $0) } ?? 0 }
  /// Thread CPU that a call has used.
  public func cpu(ofGroup group: UInt64) -> Duration {
    .nanoseconds(groups[group].map { nj_group_cpu(live, $0) } ?? 0)
  }

  /// Where a suspended task stands: the author's frames, innermost first.
  public func traceback(_ task: LuaTask) -> String {
    var step = nj_step()
    nj_traceback(live, task.slot, task.generation, &step)
    return LuaFailure.authorFrames(text(step.trace, step.trace_length))
  }

  /// A full collection; for tests and measurements.
  public func collectGarbage() { nj_collect(live) }

  /// Frees the machine. May be called on another thread once nobody else uses it; it takes as long as there is memory.
  public func shutdown() {
    guard let machine else { return }
    self.machine = nil
    nj_free(machine)
  }

  func failAllocation(at: UInt64, count: UInt64) { nj_fail_allocation(live, at, count) }
  var allocations: UInt64 { nj_allocations(live) }

  private var live: OpaquePointer {
    guard let machine else { preconditionFailure("the Lua machine has been shut down") }
    precondition(!bridge.isInHost, "the host may not call into the Lua machine that calls it")
    return machine
  }

  private func check(_ body: (inout nj_step) -> Bool) throws(LuaFailure) {
    var step = nj_step()
    guard body(&step) else { throw LuaFailure(step) }
  }
}

/// The way from C into the host closure.
private final class HostBridge {
  private let host: LuaVM.Host
  private let reply = LuaWriter()
  private var arguments: [UInt8] = []
  var isInHost = false

  init(_ host: @escaping LuaVM.Host) { self.host = host }

  static let call: nj_host = { context, op, slot, generation, group, arguments, length, out in
    guard let context, let out else { return }
    let bridge = Unmanaged<HostBridge>.fromOpaque(context)._withUnsafeGuaranteedRef { $0 }
    let reply = bridge.reply
    reply.clear()
    bridge.isInHost = true
    let answer = bridge.host(
      op, LuaTask(slot: slot, generation: generation), group,
      LuaArguments(arguments, length, in: &bridge.arguments), reply)
    bridge.isInHost = false
    switch answer {
    case .written: break
    case .values(let values): reply.write(values)
    case .raise(let message):
      reply.clear()
      reply.write(raw: message)
      out.pointee.raise = true
    }
    out.pointee.bytes = reply.bytes
    out.pointee.length = reply.count
  }
}

extension LuaArguments {
  /// Copies what lies in the machine's memory into a buffer that is used again once nobody holds it.
  fileprivate init(_ start: UnsafePointer<UInt8>?, _ length: Int, in buffer: inout [UInt8]) {
    if buffer.capacity > 1 << 16 { buffer = [] }
    buffer.removeAll(keepingCapacity: true)
    buffer.append(contentsOf: UnsafeBufferPointer(start: start, count: start == nil ? 0 : length))
    self.init(bytes: buffer)
  }
}

private func text(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> String {
  String(decoding: UnsafeBufferPointer(start: bytes, count: bytes == nil ? 0 : count), as: UTF8.self)
}

extension LuaFailure {
  fileprivate init(_ step: nj_step) {
    let kind: Kind =
      switch Int(step.failure) {
      case NJ_SYNTAX: .syntax
      case NJ_CPU: .cpuLimit
      case NJ_MEMORY: .memoryLimit
      case NJ_NOT_FOUND: .notFound
      case NJ_TASKS: .taskLimit
      default: .runtime
      }
    self.init(
      kind: kind, message: text(step.bytes, step.length),
      traceback: LuaFailure.authorFrames(text(step.trace, step.trace_length)))
  }
}

extension Duration {
  fileprivate var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue &+ attoseconds / 1_000_000_000
  }
}
