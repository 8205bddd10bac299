/// A MESSAGE (RFC 3428) less its way: what one who gets it, now or later, is told.
public struct TextMessage: Sendable, Hashable {
  /// Ascending in the order of arrival; 0 for one that is not stored.
  public var id: Int64
  /// A whole From value without its tag.
  public var from: [UInt8]
  /// Empty where there is no body.
  public var contentType: [UInt8]
  /// Header fields that pass, whole lines, each with its CRLF.
  public var headers: [UInt8]
  /// Octet for octet as it came.
  public var body: [UInt8]
  /// Seconds since 1970.
  public var created: Int64
  /// Not delivered from then on.
  public var expires: Int64
  /// Of the request that goes out.
  public var maxForwards: Int

  public init(
    id: Int64 = 0, from: [UInt8], contentType: [UInt8], headers: [UInt8] = [], body: [UInt8], created: Int64,
    expires: Int64 = .max, maxForwards: Int = 70
  ) {
    self.id = id
    self.from = from
    self.contentType = contentType
    self.headers = headers
    self.body = body
    self.created = created
    self.expires = expires
    self.maxForwards = maxForwards
  }

  /// Octets that it keeps.
  var size: Int { from.count + contentType.count + headers.count + body.count + 128 }
}

/// A change of what survives a restart. Idempotent.
public enum EventChange: Sendable, Hashable {
  case stored(user: [UInt8], TextMessage)
  case removed(id: Int64)
  /// Empty: he has no row any more.
  case mailbox(user: [UInt8], Mailbox)
}

/// Where messages that wait and mailboxes are kept; written behind as bindings are.
public protocol EventJournal: Sendable {
  func record(_ changes: [EventChange])
}

/// Keeps nothing beyond the process.
public struct NoEventJournal: EventJournal {
  public init() {}
  public func record(_ changes: [EventChange]) {}
}

/// What all shards share of events and messages.
public struct EventServices: Sendable {
  public var hub: EventHub
  public var mailboxes: MailboxTable
  public var messages: MessageStore
  public var journal: any EventJournal

  public init(
    hub: EventHub = EventHub(), mailboxes: MailboxTable = MailboxTable(), messages: MessageStore = MessageStore(),
    journal: any EventJournal = NoEventJournal()
  ) {
    self.hub = hub
    self.mailboxes = mailboxes
    self.messages = messages
    self.journal = journal
  }
}
