import CallEngine
import LuaRuntime
import NetCore
import SIPMessage
import SIPTransaction
import SIPTransport

/// Puts a `CallShard` on an event loop: what the transport hands in goes to the shard, what the shard wants sent goes out.
final class EngineDriver: ShardDriver {
  typealias Item = ShardInput

  private let shard: CallShard
  /// Closes VMs of retired generations, on a thread that may take its time.
  private let bury: @Sendable (VMHandoff) -> Void

  init(shard: CallShard, bury: @escaping @Sendable (VMHandoff) -> Void) {
    self.shard = shard
    self.bury = bury
  }

  func receive(_ message: Message, now: Instant) { shard.receive(message, now: now) }
  func flowFailed(_ flow: Flow, now: Instant) { shard.flowFailed(flow, now: now) }
  func connectionClosed(_ id: UInt64, now: Instant) { shard.connectionClosed(id, now: now) }
  func post(_ item: ShardInput, now: Instant) { shard.handle(item, now: now) }
  func tick(now: Instant) { shard.tick(now: now) }
  var nextDeadline: Instant? { shard.nextDeadline }

  func drain(_ send: ([UInt8], Flow) -> Void) {
    shard.drain { send($0.bytes, $0.flow) }
  }

  func endOfBatch(now: Instant) {
    shard.endOfBatch()
    while let vm = shard.takeRetired() { bury(vm) }
  }
}
