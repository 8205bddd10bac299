public import NetCore

/// One entry of `sip.listen`: `udp:127.0.0.1:5060`, `tcp:[::1]:5060`.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
  public var transport: Transport
  public var endpoint: Endpoint

  public init(_ transport: Transport, _ endpoint: Endpoint) {
    self.transport = transport
    self.endpoint = endpoint
  }

  /// `transport:address:port`, the transport in lower case as in a URI's `transport=`; nil when it is not that. No DNS.
  public init?(_ text: some StringProtocol) {
    guard let colon = text.firstIndex(of: ":"), let endpoint = Endpoint(text[text.index(after: colon)...]),
      let transport = Transport.allCases.first(where: { $0.parameterName == text[..<colon] })
    else { return nil }
    self.init(transport, endpoint)
  }

  public var description: String { "\(transport.parameterName):\(endpoint)" }
}
