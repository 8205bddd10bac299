public import NetCore

/// Two offers or INVITEs that met in one dialog: RFC 3261 §14, RFC 3311 §5.2.
public enum Glare {
  /// How long to wait after a 491 before trying again (§14.1): who chose the Call-ID of the dialog 2.1 to 4 s, the other
  /// one 0 to 2 s, in steps of 10 ms, so that the two do not meet again.
  public static func retryDelay(ownsCallID: Bool, random: UInt64) -> Instant.Span {
    ownsCallID ? .milliseconds(2_100 + 10 * Int64(random % 191)) : .milliseconds(10 * Int64(random % 201))
  }

  /// The Retry-After of a 500 to one that comes while an earlier one of the peer is open: 0 to 10 s (§14.2).
  public static func retryAfter(random: UInt64) -> Int { Int(random % 11) }
}
