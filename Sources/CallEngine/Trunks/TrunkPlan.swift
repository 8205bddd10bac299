public import NetCore

/// What a trunk may carry, how it is watched, and as whom we speak to it: `trunks[]` of the configuration.
public struct TrunkPlan: Sendable, Equatable {
  /// Between two OPTIONS; zero: none are sent, and the trunk counts as up.
  public var ping = Instant.Span.zero
  /// Pings in a row that must fail before it is down.
  public var downAfter = 2
  /// At the same time, both directions together; 0: no limit.
  public var maxCalls = 0
  /// Calls to it, with bursts of one second's worth; 0: no limit.
  public var callsPerSecond = 0.0
  /// What its challenges are answered with.
  public var credentials: TrunkCredentials?
  public var registration: TrunkRegistrationPlan?

  public init() {}
}

public struct TrunkCredentials: Sendable, Equatable {
  public var user: String
  public var password: String
  /// The only realms that they are for; empty: the one that the trunk's registrar asks for or, where we do not register,
  /// the first that its host asks for.
  public var realms: [String]

  public init(user: String, password: String, realms: [String] = []) {
    self.user = user
    self.password = password
    self.realms = realms
  }
}

/// Our registration at a carrier (RFC 3261 §10.2).
public struct TrunkRegistrationPlan: Sendable, Equatable {
  /// User part of the address of record.
  public var user: String
  /// User part of our Contact: what the carrier's calls come addressed to.
  public var contactUser: String
  /// Seconds to ask for; the carrier may grant others.
  public var expires: Int

  public init(user: String, contactUser: String? = nil, expires: Int = 3600) {
    self.user = user
    self.contactUser = contactUser ?? user
    self.expires = expires
  }
}
