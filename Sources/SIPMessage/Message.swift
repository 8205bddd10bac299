public import NetCore

/// One request or response, parsed and immutable (RFC 3261 §7). It owns its octets; everything it hands out is a view
/// of them. Three allocations: the octets, the table of header fields, and the object itself.
public final class Message: Sendable {
  /// As received, CRLFs before the start line included.
  public let bytes: [UInt8]
  /// The way it came.
  public let flow: Flow
  let entries: [HeaderEntry]
  /// Bits by `HeaderName.rawValue`.
  let present: UInt64
  let head: MessageHead

  init(bytes: [UInt8], flow: Flow, entries: [HeaderEntry], present: UInt64, head: MessageHead) {
    self.bytes = bytes
    self.flow = flow
    self.entries = entries
    self.present = present
    self.head = head
  }

  func view(_ extent: Extent) -> Bytes { bytes[Int(extent.start)..<Int(extent.end)] }

  public var isRequest: Bool { head.start.isRequest }
  /// For a response that of its CSeq.
  public var method: Method { head.start.method }
  public var methodName: Bytes { view(head.start.methodName) }
  /// 100...699; 0 for a request.
  public var status: Int { Int(head.start.status) }
  /// Empty for a request.
  public var reasonPhrase: Bytes { head.start.reason.isNone ? bytes[0..<0] : view(head.start.reason) }
  /// Of a request: parsed, and without headers. An empty URI of scheme `other` for a response.
  public var requestURI: URI {
    URI(bytes: isRequest ? view(head.start.uri) : bytes[0..<0], layout: head.start.uriLayout)
  }
  public var callID: Bytes { view(head.callID) }
  /// Below 2^31.
  public var cseq: UInt32 { head.cseq }
  /// The top one.
  public var via: Via { Via(bytes: view(head.via), layout: head.viaLayout) }
  /// There is no second one, on a line of its own or in a list.
  public var hasOneVia: Bool { !head.viaIsRepeated && (!head.viaIsList || values(.via).count == 1) }
  public var from: NameAddress { NameAddress(bytes: view(head.from), layout: head.fromLayout) }
  public var to: NameAddress { NameAddress(bytes: view(head.to), layout: head.toLayout) }
  public var fromTag: Bytes? { head.fromLayout.tag.optionalSlice(view(head.from)) }
  public var toTag: Bytes? { head.toLayout.tag.optionalSlice(view(head.to)) }
  /// 0...255; nil if the header is absent, as from an RFC 2543 element.
  public var maxForwards: Int? { head.maxForwards < 0 ? nil : Int(head.maxForwards) }
  public var body: Bytes { bytes[Int(head.bodyStart)..<Int(head.bodyEnd)] }
  public var contentType: Bytes? { first(.contentType) }
  /// Every header field in order.
  public var headers: HeaderLines { HeaderLines(message: self) }
}
