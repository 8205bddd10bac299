import SIPMessage
internal import Synchronization

/// How many voice messages wait for a user (RFC 3842 §3.5).
public struct Mailbox: Sendable, Hashable {
  public var new = 0
  public var old = 0
  /// Of `new` and `old` those that are urgent.
  public var urgentNew = 0
  public var urgentOld = 0

  public init(new: Int = 0, old: Int = 0, urgentNew: Int = 0, urgentOld: Int = 0) {
    self.new = new
    self.old = old
    self.urgentNew = urgentNew
    self.urgentOld = urgentOld
  }

  public var isEmpty: Bool { self == Mailbox() }

  /// `application/simple-message-summary` (RFC 3842 §5.2).
  func summary(of entity: [UInt8]) -> [UInt8] {
    var text = MessageWriter(capacity: 128)
    text.append(new > 0 ? "Messages-Waiting: yes\r\nMessage-Account: " : "Messages-Waiting: no\r\nMessage-Account: ")
    text.append(entity)
    text.append("\r\nVoice-Message: \(new)/\(old) (\(urgentNew)/\(urgentOld))\r\n")
    return text.bytes
  }
}

/// The mailboxes of all users, one leaf table for all shards; what is not in it is empty.
public final class MailboxTable: Sendable {
  private let boxes = Mutex<[[UInt8]: Mailbox]>([:])

  public init() {}

  public func load(_ kept: [(user: [UInt8], box: Mailbox)]) {
    boxes.withLock { boxes in
      for (user, box) in kept { boxes[user] = box }
    }
  }

  public func get(_ user: [UInt8]) -> Mailbox { boxes.withLock { $0[user] ?? Mailbox() } }

  /// - Returns: whether that was a change.
  func set(_ user: [UInt8], _ box: Mailbox) -> Bool {
    boxes.withLock { boxes in
      if (boxes[user] ?? Mailbox()) == box { return false }
      boxes[user] = box.isEmpty ? nil : box
      return true
    }
  }
}
