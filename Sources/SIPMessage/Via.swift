public import NetCore

/// One Via value: a view (RFC 3261 §20.42).
public struct Via: Sendable {
  /// The whole value, as written.
  public let bytes: Bytes
  let layout: ViaLayout

  /// The whole of `bytes` as one value: a comma list is an error.
  public init(parsing bytes: Bytes) throws(SIPError) {
    let (layout, end) = try ViaLayout.parse(bytes.span, 0, bytes.count)
    guard end == bytes.count else { throw SIPError(400, "a second Via after a comma", "RFC 3261 §20.42") }
    self.init(bytes: bytes, layout: layout)
  }

  init(bytes: Bytes, layout: ViaLayout) {
    self.bytes = bytes
    self.layout = layout
  }

  /// `UDP`, `TCP`, … as written.
  public var transportName: Bytes { layout.transport.slice(bytes) }
  public var transport: Transport? { Transport(token: transportName) }
  /// With the brackets of an IPv6 reference.
  public var host: Bytes { layout.host.slice(bytes) }
  public var port: UInt16? { layout.hasPort ? layout.port : nil }
  /// `host:port` as written: part of a transaction's key (RFC 3261 §17.2.3).
  public var sentBy: Bytes {
    let text = Extent(start: layout.host.start, end: layout.parameters.start).slice(bytes)
    return text[..<(text.lastIndex { !$0.isLWS }.map { $0 &+ 1 } ?? text.startIndex)]
  }
  public var branch: Bytes? { layout.branch.optionalSlice(bytes) }
  /// RFC 3581 §3: with or without a value.
  public var hasRport: Bool { layout.hasRport }
  public var rport: UInt16? { layout.hasRportValue ? layout.rport : nil }
  /// With or without brackets (RFC 5118 §4.5).
  public var received: Bytes? { layout.received.optionalSlice(bytes) }
  public var maddr: Bytes? { layout.maddr.optionalSlice(bytes) }
  public var ttl: UInt8? { layout.hasTTL ? layout.ttl : nil }
  /// The raw `;a=b` part.
  public var parameters: Bytes { layout.parameters.slice(bytes) }

  /// `.some(nil)` for a parameter without a value. Names are compared without case.
  public func parameter(_ name: StaticString) -> Bytes?? { Parameters.find(name, in: parameters) }

  /// The branch has the magic cookie, so that it names the transaction alone (RFC 3261 §8.1.1.7). The cookie is
  /// compared without case, as some elements change it.
  public var isRFC3261: Bool { branch.map { $0.count > 7 && $0.prefix(7).equalsIgnoringCase("z9hg4bk") } ?? false }
}
