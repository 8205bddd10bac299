/// An IP address and a port: where a datagram came from or goes to.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  public let ip: IPAddress
  public let port: UInt16

  @inlinable public init(_ ip: IPAddress, _ port: UInt16) {
    self.ip = ip
    self.port = port
  }

  /// `127.0.0.1:5060`, `[::1]:5060`. No DNS.
  public init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    let host = text[..<colon]
    if host.contains(":"), !host.hasPrefix("[") { return nil }
    guard let ip = IPAddress(host) else { return nil }
    self.init(ip, port)
  }

  public var description: String {
    guard ip.family == .v4 else { return "[\(ip)]:\(port)" }
    var text = ip.dotted
    text.append(UInt8(ascii: ":"))
    text.append(decimal: UInt64(port))
    return String(decoding: text, as: UTF8.self)
  }
}
