public import NetCore

/// One UDP packet.
public struct Datagram: Sendable {
  public var bytes: [UInt8]
  public var from: Endpoint
  public var to: Endpoint

  public init(bytes: [UInt8], from: Endpoint, to: Endpoint) {
    self.bytes = bytes
    self.from = from
    self.to = to
  }
}

/// Something with addresses on a `SimulatedNetwork`: a phone, or a whole server without its sockets.
public protocol SimulatedNode: AnyObject {
  /// A packet arrives. What it makes the node send is fetched by `poll`.
  func receive(_ bytes: [UInt8], from: Endpoint, to: Endpoint, at now: Instant)
  /// Fires what is due at `now`, and hands over everything to be sent.
  func poll(_ now: Instant) -> [Datagram]
  /// When `poll` has to be called although nothing arrives; may be early, is never late. Nil: not needed.
  var nextDeadline: Instant? { get }
}
