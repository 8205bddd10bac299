public import NetCore

/// A SIP, SIPS or tel URI, or any other: a view, checked when it is made and decoded on access (RFC 3261 §19.1.1).
public struct URI: Sendable {
  public enum Scheme: UInt8, Sendable { case sip, sips, tel, other }

  /// The URI as it was written, without angle brackets.
  public let bytes: Bytes
  let layout: URILayout

  /// The whole of `bytes` as a URI.
  public init(parsing bytes: Bytes) throws(SIPError) {
    layout = try URILayout.parse(bytes.span, 0, bytes.count)
    self.bytes = bytes
  }

  init(bytes: Bytes, layout: URILayout) {
    self.bytes = bytes
    self.layout = layout
  }

  public var scheme: Scheme { layout.scheme }
  /// The scheme as written, for one that is `other`.
  public var schemeName: Bytes { bytes.prefix { $0 != UInt8(ascii: ":") } }
  /// Raw, escapes included; the number of a tel URI.
  public var user: Bytes? { layout.user.optionalSlice(bytes) }
  /// Unescaped once (RFC 4475 §3.1.1.3).
  public var decodedUser: [UInt8]? { user.map(Escaping.decode) }
  public var password: Bytes? { layout.password.optionalSlice(bytes) }
  /// With the brackets of an IPv6 reference; empty for tel and other schemes.
  public var host: Bytes { layout.host.optionalSlice(bytes) ?? bytes.suffix(0) }
  public var port: UInt16? { layout.hasPort ? layout.port : nil }
  /// The raw `;a=b;c` part; empty if there is none.
  public var parameters: Bytes { layout.parameters.optionalSlice(bytes) ?? bytes.suffix(0) }
  /// The raw part after `?`. Never follow it unasked: it can name a Route (RFC 3261 §19.1.5).
  public var headersPart: Bytes? { layout.headers.optionalSlice(bytes) }

  /// `.some(nil)` for a parameter without a value. Names are compared without case; the value is raw.
  public func parameter(_ name: StaticString) -> Bytes?? {
    var rest = URIParameters(parameters)
    while let (key, value) = rest.next() {
      if Escaping.equal(key, name) { return .some(value) }
    }
    return nil
  }

  /// The `transport` parameter, if it names one of ours.
  public var transport: Transport? {
    guard case .some(.some(let value)) = parameter("transport") else { return nil }
    return Transport(token: value)
  }

  /// `user@host` with the user unescaped and the host in lower case, without port and parameters: what a table of
  /// users is keyed by. The number alone for tel; the whole URI for other schemes.
  public var aorKey: [UInt8] {
    switch scheme {
    case .sip, .sips:
      var key = decodedUser ?? []
      key.append(UInt8(ascii: "@"))
      key.append(contentsOf: host.lazy.map(\.lowercased))
      return key
    case .tel: return decodedUser ?? []
    case .other: return Array(bytes)
    }
  }
}

extension Transport {
  /// By the token of a Via or a `transport` parameter, in any case.
  public init?(token: Bytes) {
    if token.equalsIgnoringCase("udp") {
      self = .udp
    } else if token.equalsIgnoringCase("tcp") {
      self = .tcp
    } else if token.equalsIgnoringCase("tls") {
      self = .tls
    } else if token.equalsIgnoringCase("ws") {
      self = .ws
    } else if token.equalsIgnoringCase("wss") {
      self = .wss
    } else {
      return nil
    }
  }
}

/// Walks the `;a=b;c` part of a URI, where there is no white space and no quoted string.
struct URIParameters {
  private var rest: Bytes

  init(_ raw: Bytes) { rest = raw }

  mutating func next() -> (name: Bytes, value: Bytes?)? {
    guard rest.first == UInt8(ascii: ";") else { return nil }
    rest = rest.dropFirst()
    let end = rest.firstIndex(of: UInt8(ascii: ";")) ?? rest.endIndex
    let one = rest[..<end]
    rest = rest[end...]
    guard let equals = one.firstIndex(of: UInt8(ascii: "=")) else { return (one, nil) }
    return (one[..<equals], one[(equals &+ 1)...])
  }
}
