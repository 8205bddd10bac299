internal import NetCore
internal import SIPMessage
internal import Synchronization

/// The items that wait for one shard, bounded as its mailbox is.
final class ItemQueue<Item: Sendable>: Sendable {
  private let items = Mutex<[Item]>([])
  private let mailbox: ShardMailbox
  private let counters: ShardCounters

  init(_ mailbox: ShardMailbox, _ counters: ShardCounters) {
    self.mailbox = mailbox
    self.counters = counters
  }

  /// From any thread. False, and counted, when too many wait or the shard has stopped.
  func post(_ item: Item) -> Bool {
    let isTaken =
      !mailbox.isClosed
      && items.withLock { items in
        guard items.count < mailbox.capacity else { return false }
        items.append(item)
        return true
      }
    guard isTaken else {
      counters.itemsRefused.wrappingAdd(1, ordering: .relaxed)
      return false
    }
    mailbox.signal()
    return true
  }

  func take() -> [Item] {
    items.withLock { items in
      let taken = items
      items = []
      return taken
    }
  }
}

/// A driver as its loop sees it: without its type, so that the host is compiled once and not for every use of a generic.
protocol LoopDriver: AnyObject {
  func receive(_ message: Message, now: Instant)
  func flowFailed(_ flow: Flow, now: Instant)
  func connectionClosed(_ id: UInt64, now: Instant)
  /// Hands waiting items to the driver, at most `budget`, and calls `after` behind each; how many it were.
  func handleItems(_ budget: Int, _ after: () -> Void) -> Int
  func tick(now: Instant)
  var nextDeadline: Instant? { get }
  func drain(_ send: ([UInt8], Flow) -> Void)
  func endOfBatch(now: Instant)
}

/// Puts a driver of some type into a host of none.
final class DriverSlot<Driver: ShardDriver>: LoopDriver {
  private let driver: Driver
  private let queue: ItemQueue<Driver.Item>
  private var items: [Driver.Item] = []
  private var next = 0

  init(_ driver: Driver, _ queue: ItemQueue<Driver.Item>) {
    self.driver = driver
    self.queue = queue
  }

  func receive(_ message: Message, now: Instant) { driver.receive(message, now: now) }
  func flowFailed(_ flow: Flow, now: Instant) { driver.flowFailed(flow, now: now) }
  func connectionClosed(_ id: UInt64, now: Instant) { driver.connectionClosed(id, now: now) }
  func tick(now: Instant) { driver.tick(now: now) }
  var nextDeadline: Instant? { driver.nextDeadline }
  func drain(_ send: ([UInt8], Flow) -> Void) { driver.drain(send) }
  func endOfBatch(now: Instant) { driver.endOfBatch(now: now) }

  func handleItems(_ budget: Int, _ after: () -> Void) -> Int {
    if next == items.count {
      items = queue.take()
      next = 0
    }
    var handled = 0
    while handled < budget, next < items.count {
      let item = items[next]
      next += 1
      handled += 1
      driver.post(item, now: .now)
      after()
    }
    if next == items.count {
      items = []
      next = 0
    }
    return handled
  }
}
