public import NetCore
public import SIPMessage

/// One contact of an address of record, as a REGISTER made it (RFC 3261 §10). Everything in it survives a restart: times
/// are wall-clock seconds since 1970, not monotonic ones. A stream's flow does not: its connection id is of one process.
///
/// A server keeps a hundred thousand of them, so what is text is in one piece of memory, and views of it come out.
public struct Binding: Hashable, Sendable {
  /// Contact, Call-ID, User-Agent and instance, one after the other.
  private let octets: [UInt8]
  private let contactEnd: Int32
  private let callIDEnd: Int32
  private let userAgentEnd: Int32
  private let hasInstance: Bool
  private let hasRegID: Bool
  /// Below zero for none.
  private let thousandths: Int16
  private let regIDValue: UInt32
  /// Of the REGISTER that made or refreshed it last (RFC 3261 §10.3 step 7).
  public let cseq: UInt32
  /// When it ends, in seconds since 1970.
  public var expires: Int64
  /// The values of Path, topmost first (RFC 3327).
  public let path: [[UInt8]]
  /// The way that REGISTER came, and so the way to a phone behind NAT.
  public var flow: Flow

  /// - Parameters:
  ///   - contact: the URI without angle brackets, its URI parameters included.
  ///   - q: thousandths, 0...1000; nil where the contact said none.
  ///   - userAgent: empty if the phone did not say.
  ///   - instanceID: `+sip.instance` with its quotes removed, as in `<urn:uuid:…>` (RFC 5626 §4.1).
  ///   - regID: `reg-id` (RFC 5626 §4.2); nil without one.
  public init(
    contact: Bytes, q: Int? = nil, expires: Int64, callID: Bytes, cseq: UInt32, flow: Flow, userAgent: Bytes = [],
    path: [[UInt8]] = [], instanceID: Bytes? = nil, regID: UInt32? = nil
  ) {
    var octets: [UInt8] = []
    octets.reserveCapacity(contact.count + callID.count + userAgent.count + (instanceID?.count ?? 0))
    octets.append(contentsOf: contact)
    contactEnd = Int32(octets.count)
    octets.append(contentsOf: callID)
    callIDEnd = Int32(octets.count)
    octets.append(contentsOf: userAgent)
    userAgentEnd = Int32(octets.count)
    if let instanceID { octets.append(contentsOf: instanceID) }
    self.octets = octets
    hasInstance = instanceID != nil
    hasRegID = regID != nil
    thousandths = Int16(clamping: q ?? -1)
    regIDValue = regID ?? 0
    self.cseq = cseq
    self.expires = expires
    self.path = path
    self.flow = flow
  }

  /// The contact URI without angle brackets, its URI parameters included.
  public var contact: Bytes { octets[..<Int(contactEnd)] }
  public var callID: Bytes { octets[Int(contactEnd)..<Int(callIDEnd)] }
  /// Empty if the phone did not say.
  public var userAgent: Bytes { octets[Int(callIDEnd)..<Int(userAgentEnd)] }
  /// `+sip.instance` with its quotes removed, as in `<urn:uuid:…>` (RFC 5626 §4.1).
  public var instanceID: Bytes? { hasInstance ? octets[Int(userAgentEnd)...] : nil }
  /// `reg-id` (RFC 5626 §4.2); nil without one.
  public var regID: UInt32? { hasRegID ? regIDValue : nil }
  /// Thousandths, 0...1000; nil where the contact said none, which ranks as 1000 (RFC 3261 §10.2.1.2).
  public var q: Int? { thousandths < 0 ? nil : Int(thousandths) }

  /// Whole seconds left at `nowSeconds`; 0 when it is over.
  public func remaining(nowSeconds: Int64) -> Int64 {
    max(0, expires.subtractingReportingOverflow(nowSeconds).partialValue)
  }
}

extension Binding {
  /// Writes the value of a Contact in the 200 to a REGISTER (RFC 3261 §10.3 step 8): the URI in angle brackets with the
  /// seconds that are left, and what the phone said of itself.
  public func writeContact(nowSeconds: Int64, into writer: inout MessageWriter) {
    writer.append("<")
    writer.appendClean(contact)
    writer.append(">;expires=")
    writer.append(number: Int(remaining(nowSeconds: nowSeconds)))
    if let q {
      writer.append(";q=")
      writer.append(number: q / 1000)
      writer.append(q % 1000 < 10 ? ".00" : q % 1000 < 100 ? ".0" : ".")
      writer.append(number: q % 1000)
    }
    if let instanceID {
      writer.append(";+sip.instance=")
      writer.appendClean(QuotedString.encode(instanceID))
    }
    if let regID {
      writer.append(";reg-id=")
      writer.append(number: Int(regID))
    }
  }

  public func contactValue(nowSeconds: Int64) -> [UInt8] {
    var writer = MessageWriter(capacity: 128)
    writeContact(nowSeconds: nowSeconds, into: &writer)
    return writer.bytes
  }
}
