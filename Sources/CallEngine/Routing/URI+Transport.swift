import NetCore
import SIPMessage

extension URI {
  /// By which transport a request to this URI leaves where nobody else says so (RFC 3263 §4.1, RFC 7118 §5.2.1): what
  /// `transport=` names, over TLS for `sips`. Nil where `sips` asks for what has no TLS.
  var hopTransport: Transport? {
    guard scheme == .sips else { return transport ?? .udp }
    switch transport {
    case nil, .tcp, .tls: return .tls
    case .ws, .wss: return .wss
    case .udp: return nil
    }
  }
}
