public import NetCore

/// `limits:` of the configuration: what a source may do before it has proved who it is.
public struct AbuseSettings: Sendable, Equatable {
  /// Requests of strangers a second from one source, over all shards; 0: no limit.
  public var requestsPerSecond = 100.0
  /// As many may come at once.
  public var burst = 1000
  /// Wrong credentials from one source until it is banned; 0: never.
  public var banFailures = 20
  /// In which that many have to come: older ones are forgotten at this pace.
  public var banWindow = Instant.Span.seconds(300 as Int64)
  public var banDuration = Instant.Span.seconds(900 as Int64)
  /// Networks that are never banned, besides the sources of trunks.
  public var neverBanned: [SourceNetwork] = []

  public init() {}
}
