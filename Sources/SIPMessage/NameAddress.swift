/// `"Display" <uri>;parameters` or `uri;parameters`, as in From, To, Contact, Route (RFC 3261 §20.10): a view.
public struct NameAddress: Sendable {
  /// The whole, as written.
  public let bytes: Bytes
  let layout: NameAddressLayout

  /// The whole of `bytes` as one address: a comma list is an error.
  public init(parsing bytes: Bytes) throws(SIPError) {
    let (layout, end) = try NameAddressLayout.parse(bytes.span, 0, bytes.count)
    guard end == bytes.count else { throw SIPError(400, "a second address after a comma", "RFC 3261 §20.10") }
    self.init(bytes: bytes, layout: layout)
  }

  init(bytes: Bytes, layout: NameAddressLayout) {
    self.bytes = bytes
    self.layout = layout
  }

  /// Unquoted and unescaped; octets that are no UTF-8 become U+FFFD. Nil if there is none.
  public var displayName: String? {
    layout.displayName.optionalSlice(bytes).map { String(decoding: QuotedString.decode($0), as: UTF8.self) }
  }
  /// As written, quotes included.
  public var rawDisplayName: Bytes? { layout.displayName.optionalSlice(bytes) }
  public var uri: URI { URI(bytes: layout.uri.slice(bytes), layout: layout.uriLayout) }
  /// The raw `;a=b` part after the address; empty if there is none.
  public var parameters: Bytes { layout.parameters.slice(bytes) }
  /// The tag of a From or To.
  public var tag: Bytes? { layout.tag.optionalSlice(bytes) }

  /// `.some(nil)` for a parameter without a value; a quoted value keeps its quotes. Names are compared without case.
  public func parameter(_ name: StaticString) -> Bytes?? { Parameters.find(name, in: parameters) }

  /// The `q` of a Contact in thousandths, 0...1000; nil if it is absent or malformed (RFC 3261 §20.10).
  public var qValue: Int? {
    guard case .some(.some(let raw)) = parameter("q") else { return nil }
    guard let first = raw.first, first == 0x30 || first == 0x31, raw.count <= 5 else { return nil }
    var value = Int(first &- 0x30) * 1000
    var rest = raw.dropFirst()
    guard rest.popFirst().map({ $0 == UInt8(ascii: ".") }) ?? true else { return nil }
    var scale = 100
    for c in rest {
      guard c.isDigit else { return nil }
      value += Int(c &- 0x30) * scale
      scale /= 10
    }
    return value <= 1000 ? value : nil
  }
}
