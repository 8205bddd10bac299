import SIPMessage

/// The way back to a phone through the proxies in front of us: the values of Path, topmost first (RFC 3327 §5.3).
struct PathVector {
  private(set) var values: [[UInt8]] = []
  /// The proxy next to the phone keeps a flow to it (`;ob`, RFC 5626 §5.1).
  private(set) var edgeKeepsFlows = false

  /// Proxies and octets that are worth keeping.
  private static let longest = (values: 8, octets: 2048)

  init(_ request: Message, _ settings: RegistrarSettings) throws(SIPError) {
    guard request.has(.path) else { return }
    if settings.path == .strict, !request.hasToken("path", in: .supported) {
      throw SIPError(status: 420, reason: "Bad Extension", section: "RFC 3327 §5.3")
    }
    let addresses = try request.addresses(.path)
    guard addresses.count <= PathVector.longest.values,
      addresses.reduce(0, { $0 + $1.bytes.count }) <= PathVector.longest.octets
    else { throw PathVector.fault("too long") }
    for address in addresses {
      let uri = address.uri
      guard uri.scheme == .sip || uri.scheme == .sips, !uri.host.isEmpty, uri.port != 0, uri.headersPart == nil else {
        throw PathVector.fault("no SIP URI of a proxy")
      }
      guard uri.parameter("lr") != nil else { throw PathVector.fault("a proxy that is no loose router (;lr)") }
      values.append(Array(address.bytes.trimmedBlanks))
    }
    edgeKeepsFlows = addresses.last?.uri.parameter("ob") != nil
  }

  private static func fault(_ what: String) -> SIPError {
    SIPError(status: 400, reason: "Path: \(what)", section: "RFC 3327 §4")
  }
}

/// Whether `reg-id` means anything in a REGISTER: somebody must keep the flow to the phone, we or the proxy next to it
/// (RFC 5626 §6).
enum OutboundSupport {
  /// No `reg-id` counts, and the phone does not ask for more.
  case none
  /// A proxy without it stands in between, and the phone said `Supported: outbound`.
  case firstHopLacksIt
  /// The flow is kept; `asked` for by the phone, which is told so with `Require: outbound`.
  case kept(asked: Bool)

  init(_ request: Message, _ path: PathVector) {
    let asked = request.hasToken("outbound", in: .supported)
    if request.hasOneVia || path.edgeKeepsFlows {
      self = .kept(asked: asked)
    } else {
      self = asked ? .firstHopLacksIt : .none
    }
  }

  var makesFlows: Bool { if case .kept = self { true } else { false } }
}

extension OutboundSupport: Equatable {}
