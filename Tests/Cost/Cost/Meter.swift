import CallEngine
import Counting
import Glibc
import NetCore
import SIPMessage
import SIPTransaction
import Synchronization

/// Brings messages to the shard as the transport does, and counts what that costs once `isCounting`.
final class Meter {
  let server: Server
  private(set) var now = Instant.zero
  var isCounting = false
  private(set) var messages = 0
  private(set) var warmed = 0
  /// Time of what was counted, in nanoseconds; of no use under callgrind or on a machine that is not idle.
  private(set) var nanoseconds = 0
  private(set) var sent: [(bytes: [UInt8], to: Endpoint)] = []

  init(users: ClosedRange<Int>, dialplan: String = Server.dialplan) {
    server = Server(users: users, dialplan: dialplan)
    sent.reserveCapacity(1024)
  }

  func receive(_ bytes: [UInt8], from remote: Endpoint) {
    sent.removeAll(keepingCapacity: true)
    let flow = Flow(transport: .udp, listener: 0, remote: remote, local: Server.address)
    if isCounting {
      messages += 1
      count { counted(bytes, flow) }
    } else {
      warm(bytes, flow)
    }
    for event in server.ports.takeEvents() { hand(.media([event])) }
  }

  private func hand(_ input: ShardInput) {
    if isCounting {
      count { counted(input) }
    } else {
      server.shard.handle(input, now: now)
    }
  }

  func advance(_ span: Instant.Span) {
    now = now + span
    Wall.milliseconds.store(1_760_000_000_000 + now.nanoseconds / 1_000_000, ordering: .relaxed)
    guard let deadline = server.shard.nextDeadline, deadline <= now else { return }
    if isCounting {
      count { counted() }
    } else {
      server.shard.tick(now: now)
    }
    server.shard.drain { _ in }
  }

  private func count(_ body: () -> Void) {
    let start = clock()
    counting_start()
    body()
    counting_stop()
    nanoseconds += clock() - start
  }

  private func clock() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  // Names that callgrind is told to count in; nothing else may be in them.

  @inline(never) private func counted(_ bytes: [UInt8], _ flow: Flow) { take(bytes, flow) }
  @inline(never) private func warm(_ bytes: [UInt8], _ flow: Flow) {
    warmed += 1  // a body of its own, or the compiler makes one function of the two
    take(bytes, flow)
  }
  @inline(never) private func counted(_ input: ShardInput) { server.shard.handle(input, now: now) }
  @inline(never) private func counted() { server.shard.tick(now: now) }

  @inline(__always) private func take(_ bytes: [UInt8], _ flow: Flow) {
    guard let message = try? MessageParser.parse(bytes, flow: flow) else { fatalError("unreadable") }
    server.shard.receive(message, now: now)
    server.shard.drain { self.sent.append(($0.bytes, $0.flow.remote)) }
    server.shard.endOfBatch()
  }

  /// What was sent to `remote` by the last input, as lines.
  func lines(to remote: Endpoint) -> [[Substring]] {
    sent.filter { $0.to == remote }.map { Texts.lines($0.bytes) }
  }
}
