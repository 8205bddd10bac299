internal import Synchronization

/// Messages that wait for absent users, in the order in which they came; one leaf table for all shards, beside the
/// journal that survives a restart. Bounded a user and in all.
public final class MessageStore: Sendable {
  private struct Box {
    var messages: [TextMessage] = []
    /// A shard is delivering them, one after the other.
    var isRunning = false
    /// Of messages whose first attempt is still under way: they are not tried again before it has ended.
    var held: Set<Int64> = []
    /// He has registered while the first one was held.
    var isWanted = false
  }

  private struct Boxes {
    var users: [[UInt8]: Box] = [:]
    var octets = 0
    var lastID: Int64 = 0

    mutating func drop(_ message: TextMessage, of user: [UInt8]) {
      octets -= message.size
      users[user]?.held.remove(message.id)
    }

    mutating func tidy(_ user: [UInt8]) {
      if let box = users[user], box.messages.isEmpty, !box.isRunning { users[user] = nil }
    }
  }

  private let boxes = Mutex(Boxes())
  private let waiting = Atomic<Int>(0)

  public init() {}

  /// Messages that wait.
  public var count: Int { waiting.load(ordering: .relaxed) }

  /// Fills the table after a restart, each user's messages in their order.
  public func load(_ kept: [(user: [UInt8], message: TextMessage)]) {
    boxes.withLock { boxes in
      for (user, message) in kept {
        boxes.users[user, default: Box()].messages.append(message)
        boxes.octets += message.size
        boxes.lastID = max(boxes.lastID, message.id)
      }
    }
    waiting.add(kept.count, ordering: .relaxed)
  }

  /// Whether a message must wait behind others that are being delivered now, so that it does not overtake them.
  func isRunning(_ user: [UInt8]) -> Bool {
    count > 0 && boxes.withLock { $0.users[user]?.isRunning ?? false }
  }

  /// - Parameters:
  ///   - most: messages of one user.
  ///   - isHeld: an attempt is still under way: `settle` or `remove` follows.
  /// - Returns: the message with its id; nil where there is no room.
  func add(
    _ message: TextMessage, for user: [UInt8], most: Int, isHeld: Bool, nowMilliseconds: Int64
  ) -> TextMessage? {
    let added = boxes.withLock { boxes -> TextMessage? in
      guard boxes.users[user]?.messages.count ?? 0 < most, boxes.octets + message.size <= EventSettings.storedOctets
      else { return nil }
      var message = message
      // Ascending over restarts too, as long as the clock does not go back by more than messages have come.
      message.id = max(boxes.lastID + 1, nowMilliseconds << 16)
      boxes.lastID = message.id
      boxes.octets += message.size
      boxes.users[user, default: Box()].messages.append(message)
      if isHeld { boxes.users[user]?.held.insert(message.id) }
      return message
    }
    if added != nil { waiting.add(1, ordering: .relaxed) }
    return added
  }

  /// The first message of a user who has come; the caller delivers it and then asks for the `next`.
  func begin(_ user: [UInt8]) -> TextMessage? {
    guard count > 0 else { return nil }
    return boxes.withLock { boxes in
      guard let box = boxes.users[user], !box.isRunning, let first = box.messages.first else { return nil }
      guard !box.held.contains(first.id) else {
        boxes.users[user]?.isWanted = true
        return nil
      }
      boxes.users[user]?.isRunning = true
      return first
    }
  }

  /// The message of that id is delivered, or given up: it goes, and the one behind it is next. Nil: the run is over.
  func next(_ user: [UInt8], after id: Int64) -> TextMessage? {
    _ = remove(id, of: user)
    return boxes.withLock { boxes in
      if let first = boxes.users[user]?.messages.first, boxes.users[user]?.held.contains(first.id) == false {
        return first
      }
      boxes.users[user]?.isRunning = false
      boxes.tidy(user)
      return nil
    }
  }

  /// The run is over although messages are left: he cannot be reached after all.
  func stop(_ user: [UInt8]) {
    boxes.withLock { boxes in
      boxes.users[user]?.isRunning = false
      boxes.tidy(user)
    }
  }

  /// - Returns: whether it was there.
  @discardableResult
  func remove(_ id: Int64, of user: [UInt8]) -> Bool {
    let gone = boxes.withLock { boxes -> Bool in
      guard let index = boxes.users[user]?.messages.firstIndex(where: { $0.id == id }),
        let message = boxes.users[user]?.messages.remove(at: index)
      else { return false }
      boxes.drop(message, of: user)
      boxes.tidy(user)
      return true
    }
    if gone { waiting.subtract(1, ordering: .relaxed) }
    return gone
  }

  /// The attempt that a message was held for has failed.
  /// - Returns: true where the user has registered meanwhile, so that he can have it now.
  func settle(_ id: Int64, of user: [UInt8]) -> Bool {
    boxes.withLock { boxes in
      boxes.users[user]?.held.remove(id)
      let wanted = boxes.users[user]?.isWanted ?? false
      boxes.users[user]?.isWanted = false
      return wanted
    }
  }

  /// Removes what has waited too long, but for what is on its way.
  /// - Returns: the ids, for the journal.
  public func expire(nowSeconds: Int64) -> [Int64] {
    guard count > 0 else { return [] }
    let gone = boxes.withLock { boxes in
      var gone: [Int64] = []
      for (user, box) in boxes.users where !box.isRunning {
        let over = box.messages.filter { $0.expires <= nowSeconds && !box.held.contains($0.id) }
        guard !over.isEmpty else { continue }
        boxes.users[user]?.messages.removeAll { message in over.contains { $0.id == message.id } }
        for message in over { boxes.drop(message, of: user) }
        boxes.tidy(user)
        gone += over.map(\.id)
      }
      return gone
    }
    waiting.subtract(gone.count, ordering: .relaxed)
    return gone
  }
}
