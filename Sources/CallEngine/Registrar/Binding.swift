public import NetCore
internal import SIPMessage

/// One contact of an address of record, as a REGISTER made it (RFC 3261 §10). Everything in it survives a restart: times
/// are wall-clock seconds since 1970, not monotonic ones. A stream's flow does not: its connection id is of one process.
public struct Binding: Hashable, Sendable {
  /// The contact URI without angle brackets, its URI parameters included.
  public var contact: [UInt8]
  /// Thousandths, 0...1000; nil where the contact said none, which ranks as 1000 (RFC 3261 §10.2.1.2).
  public var q: Int?
  /// When it ends, in seconds since 1970.
  public var expires: Int64
  /// Of the REGISTER that made or refreshed it last (RFC 3261 §10.3 step 7).
  public var callID: [UInt8]
  public var cseq: UInt32
  /// The way that REGISTER came, and so the way to a phone behind NAT.
  public var flow: Flow
  /// Empty if the phone did not say.
  public var userAgent: [UInt8]
  /// The values of Path, topmost first (RFC 3327).
  public var path: [[UInt8]]
  /// `+sip.instance` with its quotes removed, as in `<urn:uuid:…>` (RFC 5626 §4.1).
  public var instanceID: [UInt8]?
  /// `reg-id` (RFC 5626 §4.2); nil without one.
  public var regID: UInt32?

  public init(
    contact: [UInt8], q: Int? = nil, expires: Int64, callID: [UInt8], cseq: UInt32, flow: Flow,
    userAgent: [UInt8] = [], path: [[UInt8]] = [], instanceID: [UInt8]? = nil, regID: UInt32? = nil
  ) {
    self.contact = contact
    self.q = q
    self.expires = expires
    self.callID = callID
    self.cseq = cseq
    self.flow = flow
    self.userAgent = userAgent
    self.path = path
    self.instanceID = instanceID
    self.regID = regID
  }

  /// Whole seconds left at `nowSeconds`; 0 when it is over.
  public func remaining(nowSeconds: Int64) -> Int64 {
    max(0, expires.subtractingReportingOverflow(nowSeconds).partialValue)
  }
}

extension Binding {
  /// The value of a Contact in the 200 to a REGISTER (RFC 3261 §10.3 step 8): the URI in angle brackets with the seconds
  /// that are left, and what the phone said of itself.
  public func contactValue(nowSeconds: Int64) -> [UInt8] {
    var out: [UInt8] = [UInt8(ascii: "<")] + contact + Array(">;expires=\(remaining(nowSeconds: nowSeconds))".utf8)
    if let q {
      let thousandths = String(1000 + q % 1000).dropFirst()
      out += Array(";q=\(q / 1000).\(thousandths)".utf8)
    }
    if let instanceID { out += Array(";+sip.instance=".utf8) + QuotedString.encode(instanceID) }
    if let regID { out += Array(";reg-id=\(regID)".utf8) }
    return out
  }
}
