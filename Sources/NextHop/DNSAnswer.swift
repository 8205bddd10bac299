public import NetCore

/// A server of a service: RFC 2782.
public struct ServiceRecord: Hashable, Sendable {
  /// The lowest is tried first.
  public var priority: UInt16
  /// The share of those of one priority.
  public var weight: UInt16
  public var port: UInt16
  /// Nil: `.`, the service is decidedly not to be had.
  public var target: DNSName?

  public init(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName?) {
    self.priority = priority
    self.weight = weight
    self.port = port
    self.target = target
  }
}

/// Where the servers of a service are described: RFC 3403 as RFC 3263 §4.1 uses it.
public struct NamingRecord: Hashable, Sendable {
  public var order: UInt16
  public var preference: UInt16
  /// In lower case.
  public var flags: [UInt8]
  /// `sip+d2u`, in lower case.
  public var service: [UInt8]
  public var hasExpression: Bool
  public var replacement: DNSName?

  public init(
    order: UInt16, preference: UInt16, flags: [UInt8], service: [UInt8], hasExpression: Bool = false,
    replacement: DNSName?
  ) {
    self.order = order
    self.preference = preference
    self.flags = flags
    self.service = service
    self.hasExpression = hasExpression
    self.replacement = replacement
  }
}

/// What came of a question.
public struct DNSAnswer: Hashable, Sendable {
  public enum Content: Hashable, Sendable {
    case addresses([IPAddress])
    case services([ServiceRecord])
    case names([NamingRecord])
    /// Another name for it, whose records the answer did not have (RFC 1034 §3.6.2).
    case alias(DNSName)
    /// There is no such name, or it has no such records (RFC 2308).
    case nothing
    /// It could not be found out.
    case failed(Failure)
  }
  public enum Failure: Hashable, Sendable {
    /// No server answered in time.
    case silence
    /// SERVFAIL, REFUSED, NOTIMP, or what cannot be read.
    case refused
  }

  public var content: Content
  /// Seconds that it may be kept.
  public var ttl: UInt32

  public init(_ content: Content, ttl: UInt32) {
    self.content = content
    self.ttl = ttl
  }

  public static let silence = DNSAnswer(.failed(.silence), ttl: 0)
  public static let refused = DNSAnswer(.failed(.refused), ttl: 0)

  var isFailure: Bool { if case .failed = content { true } else { false } }
}
