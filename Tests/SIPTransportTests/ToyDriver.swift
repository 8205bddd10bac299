import Dispatch
import NetCore
import SIPMessage
import SIPTransport
import Synchronization

/// What a toy driver saw, with the shard that saw it.
enum Seen: Sendable {
  case response(shard: UInt8, Message)
  case request(shard: UInt8, Message)
  case failed(shard: UInt8, Flow)
  case closed(shard: UInt8, UInt64)
  case ticked(shard: UInt8, due: Instant, at: Instant)
  case released(shard: UInt8)
}

enum ToyItem: Sendable {
  case send([UInt8], Flow)
  /// A tick as long after the item is handled.
  case timer(Instant.Span)
  /// Holds the loop until it is signalled, after it has signalled `held` itself.
  case hold(held: DispatchSemaphore, until: DispatchSemaphore)
}

/// Hands values from the loops to the test, which waits with a deadline and never sleeps.
final class Recorder<Value: Sendable>: Sendable {
  private let values = Mutex<[Value]>([])
  private let count = DispatchSemaphore(value: 0)

  func record(_ value: Value) {
    values.withLock { $0.append(value) }
    count.signal()
  }

  /// The oldest that was not taken yet; nil when none comes in time.
  func next(within seconds: Double = 10) -> Value? {
    guard count.wait(timeout: .now() + seconds) == .success else { return nil }
    return values.withLock { $0.removeFirst() }
  }

  /// The first that `pick` accepts; others are dropped.
  func first<Found>(within seconds: Double = 10, _ pick: (Value) -> Found?) -> Found? {
    let deadline = Instant.now + .seconds(seconds)
    while Instant.now < deadline, let value = next(within: (deadline - Instant.now).seconds) {
      if let found = pick(value) { return found }
    }
    return nil
  }
}

/// Answers every request but ACK with 200: `X-Shard` who it was, `X-Body` how long the body is. A request with
/// `X-Flood: n` gets n large responses, one with `X-Silent` none.
final class ToyDriver: ShardDriver {
  private let seat: ShardSeat<ToyItem>
  private let recorder: Recorder<Seen>?
  private var outbox: [([UInt8], Flow)] = []
  private(set) var nextDeadline: Instant?

  init(_ seat: ShardSeat<ToyItem>, _ recorder: Recorder<Seen>?) {
    self.seat = seat
    self.recorder = recorder
  }

  deinit { recorder?.record(.released(shard: seat.shard)) }

  func receive(_ message: Message, now: Instant) {
    guard message.isRequest else {
      recorder?.record(.response(shard: seat.shard, message))
      return
    }
    recorder?.record(.request(shard: seat.shard, message))
    guard message.method != .ack, message.first(named: "X-Silent") == nil else { return }
    let flood = message.first(named: "X-Flood").flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    for _ in 0..<(flood ?? 1) {
      var response = MessageWriter.response(to: message, status: 200, toTag: Array("toy".utf8)[...])
      response.header(name: Array("X-Shard".utf8)[...], value: Array("\(seat.shard)".utf8)[...])
      response.header(name: Array("X-Body".utf8)[...], value: Array("\(message.body.count)".utf8)[...])
      response.finish(body: flood == nil ? [] : Array(repeating: 0x61, count: 60_000)[...], contentType: "text/plain")
      outbox.append((response.bytes, message.responseFlow))
    }
  }

  func flowFailed(_ flow: Flow, now: Instant) { recorder?.record(.failed(shard: seat.shard, flow)) }
  func connectionClosed(_ id: UInt64, now: Instant) { recorder?.record(.closed(shard: seat.shard, id)) }

  func post(_ item: ToyItem, now: Instant) {
    switch item {
    case .send(let bytes, let flow): outbox.append((bytes, flow))
    case .timer(let span): nextDeadline = now + span
    case .hold(let held, let until):
      held.signal()
      until.wait()
    }
  }

  func tick(now: Instant) {
    guard let due = nextDeadline else { return }
    nextDeadline = nil
    recorder?.record(.ticked(shard: seat.shard, due: due, at: now))
  }

  func drain(_ send: ([UInt8], Flow) -> Void) {
    for (bytes, flow) in outbox { send(bytes, flow) }
    outbox.removeAll(keepingCapacity: true)
  }
}

typealias ToyGroup = ShardGroup<ToyDriver>

extension ShardGroup where Driver == ToyDriver {
  /// Starts a group on free ports of the loopback, runs `body`, and stops it.
  static func run(
    _ listen: [String] = ["udp:127.0.0.1:0"], shards: Int = 1,
    adjust: (inout ShardGroupConfiguration) -> Void = { _ in },
    _ body: (ToyGroup, Recorder<Seen>) async throws -> Void
  ) async throws {
    var configuration = ShardGroupConfiguration(listen: listen.compactMap { ListenAddress($0) }, shards: shards)
    precondition(configuration.listen.count == listen.count)
    adjust(&configuration)
    let recorder = Recorder<Seen>()
    let group = try await ToyGroup.start(configuration) { ToyDriver($0, recorder) }
    do {
      try await body(group, recorder)
    } catch {
      await group.stop()
      throw error
    }
    await group.stop()
  }
}
