import Glibc
public import NetCore

/// Where and how RTP is carried: the `media:` part of the configuration.
public struct MediaConfiguration: Sendable {
  /// Where RTP is received; at most one address a family.
  public var addresses: [IPAddress]
  /// UDP ports, RTP on the even ones and RTCP on the odd ones above them. Each family has the whole range.
  public var ports: ClosedRange<UInt16>
  /// Relay threads. One carries some 100,000 packets/s.
  public var workers: Int
  /// Silence after which an active call is ended; the default for `MediaCommand.watch`. Zero is never.
  public var timeout: Instant.Span
  /// Port pairs that are kept bound and ready, for each worker and family.
  public var ahead: Int
  /// How long a released pair hears nothing before it is leased again, so that a late packet of one call cannot be
  /// taken for the next one's.
  public var quarantine: Instant.Span
  /// File descriptors left to the rest of the process when the limit of open files allows no full range.
  public var reservedDescriptors: Int
  /// The longest that a packet may wait for others under load, so that a wake-up serves several; zero: never.
  public var gathering: Instant.Span
  /// Differentiated-services code point of what is sent; 46 is expedited forwarding (RFC 3246).
  public var dscp: UInt8

  public init(
    addresses: [IPAddress], ports: ClosedRange<UInt16> = 10000...31999, workers: Int = 1,
    timeout: Instant.Span = .seconds(60), ahead: Int = 64, quarantine: Instant.Span = .seconds(1),
    reservedDescriptors: Int = 1024, gathering: Instant.Span = .milliseconds(1), dscp: UInt8 = 46
  ) {
    self.addresses = addresses
    self.ports = ports
    self.workers = workers
    self.timeout = timeout
    self.ahead = ahead
    self.quarantine = quarantine
    self.reservedDescriptors = reservedDescriptors
    self.gathering = gathering
    self.dscp = dscp
  }
}

/// Why the media plane cannot start.
public struct MediaError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable { case configuration, address, system }
  public var code: Code
  /// One sentence for the operator.
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// What a system call said; `error` is an errno.
  init(_ call: String, error: Int32) {
    self.init(.system, "\(call): \(String(cString: strerror(error)))")
  }

  public var description: String { message }
}
