/// The `events:` section of the configuration: subscriptions, publications and text messages.
public struct EventSettings: Sendable, Equatable {
  /// Seconds; a shorter subscription or publication is refused with 423.
  public var minExpires = 60
  /// Seconds; a longer one is cut, and one that names none gets it.
  public var maxExpires = 3600
  /// Subscriptions that one user, trunk or address may have at once.
  public var maxSubscriptions = 200
  /// Octets of a MESSAGE's body; a larger one is refused with 413.
  public var messageSize = 8192
  /// Messages that wait for one absent user; 0: none is kept.
  public var storedMessages = 100
  /// Days that a message waits.
  public var keepDays = 7

  /// Subscriptions of all together.
  static let mostSubscriptions = 50_000
  /// Devices of one user that publish.
  static let mostPublications = 10
  /// Octets of a published document.
  static let longestDocument = 16_384
  /// Calls of one user that a document lists.
  static let mostDialogs = 16
  /// Octets of all messages that wait, of all users.
  static let storedOctets = 64 << 20

  public init() {}

  /// What a request for so many seconds is given; nil: too brief (RFC 6665 §4.2.1.1: only below an hour).
  func granted(_ asked: Int?) -> Int? {
    guard let asked else { return maxExpires }
    if asked > 0, asked < 3600, asked < minExpires { return nil }
    return min(asked, maxExpires)
  }
}
