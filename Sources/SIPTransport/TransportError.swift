internal import Glibc

/// Why the server could not listen.
public struct TransportError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable {
    /// `socket`, `bind` or `listen` was refused; `message` has the system's words.
    case listen
    /// No listen address, a number of shards outside 1…255, TLS without a certificate.
    case configuration
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// A `listen` error with the text of `errno`, which must not have changed since the call that failed.
  static func system(_ doing: String, _ address: ListenAddress) -> TransportError {
    let reason = unsafe String(cString: strerror(errno))
    return TransportError(.listen, "cannot \(doing) \(address): \(reason)")
  }

  public var description: String { message }
}
