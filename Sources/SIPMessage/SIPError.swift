public import NetCore

/// What is wrong with a message, and what a server answers.
public struct SIPError: Error, Sendable, Equatable {
  /// The status to answer a request with: 400, 416, 420, 481, 501, 505, 513 …
  public var status: Int
  /// Fit for a reason phrase: no CR or LF (RFC 3261 §21.4.1).
  public var reason: String
  /// The clause that is broken, as in `RFC 3261 §20.42`.
  public var section: String

  public init(status: Int, reason: String, section: String) {
    self.status = status
    self.reason = reason
    self.section = section
  }

  init(_ status: Int, _ reason: String, _ section: String) {
    self.init(status: status, reason: reason, section: section)
  }

  /// The same error, saying in which header it is.
  func inside(_ name: String) -> SIPError { SIPError(status, "\(name): \(reason)", section) }
}

extension SIPError: CustomStringConvertible {
  public var description: String { "\(status) \(reason) (\(section))" }
}

/// A message that was refused, with the stateless answer to it where one can be made.
public struct ParseFailure: Error, Sendable {
  public var error: SIPError
  /// A complete response: Via, From, To, Call-ID and CSeq as they came, the reason phrase saying what is wrong. Nil for
  /// a response, an ACK, and for what does not name its Via and one of Call-ID and CSeq: those are counted and dropped.
  public var reply: [UInt8]?
  /// Where the reply goes (RFC 3261 §18.2.2).
  public var replyFlow: Flow?

  public init(error: SIPError, reply: [UInt8]? = nil, replyFlow: Flow? = nil) {
    self.error = error
    self.reply = reply
    self.replyFlow = replyFlow
  }
}
