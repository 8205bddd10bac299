internal import SIPMessage

/// What a REGISTER asks for, read and checked before the table is looked at (RFC 3261 §10.3 steps 6 and 7).
struct Registration {
  enum Contacts {
    /// None: a query (§10.2.3).
    case fetch
    /// `Contact: *` with `Expires: 0` (§10.2.2).
    case removeAll
    case update([Contact])
  }

  struct Contact {
    /// A view of the message.
    let uri: URI
    /// Without its `expires`.
    var binding: Binding
    /// Seconds from now; 0 removes.
    var lifetime: Int64
  }

  var contacts: Contacts
  /// `reg-id` makes bindings, and the phone that asked for it is told so (RFC 5626 §6).
  let outbound: OutboundSupport
  let callID: Bytes
  let cseq: UInt32

  /// Octets of a contact URI that are worth keeping.
  private static let longestContact = 2048

  init(_ request: Message, settings: RegistrarSettings) throws(SIPError) {
    callID = request.callID
    cseq = request.cseq
    let header = request.first(.expires).map { Registration.seconds($0) }
    let path = try PathVector(request, settings)
    outbound = OutboundSupport(request, path)
    // A `*` is a line of its own, or it is no address (RFC 3261 §25.1).
    if let first = request.first(.contact) {
      if Registration.isStar(first) {
        guard request.all(.contact).count == 1, header == 0 else { throw Registration.badStar }
        contacts = .removeAll
      } else {
        let list = try Registration.contacts(request, default: header, settings, path, outbound)
        // The URI of such a binding changes with every flow: two in one REGISTER would be one.
        if list.count > 1, list.contains(where: { $0.binding.regID != nil && $0.lifetime > 0 }) {
          throw SIPError(status: 400, reason: "Contact: reg-id allows one contact only", section: "RFC 5626 §6")
        }
        contacts = .update(list)
      }
    } else {
      contacts = .fetch
    }
  }

  private static func isStar(_ value: Bytes) -> Bool { value.count == 1 && value.first == UInt8(ascii: "*") }

  private static var badStar: SIPError {
    SIPError(status: 400, reason: "Contact: * stands alone and with Expires: 0", section: "RFC 3261 §10.2.2")
  }

  private static func contacts(
    _ request: Message, default header: Int64?, _ settings: RegistrarSettings, _ path: PathVector,
    _ outbound: OutboundSupport
  ) throws(SIPError) -> [Contact] {
    // Each contact is compared with each binding: thousands of them are refused before one is read.
    let limit = max(16, 2 * settings.maxContacts)
    guard mostContacts(request) <= 4 * limit else { throw tooMany }
    let addresses: [NameAddress]
    do {
      addresses = try request.addresses(.contact)
    } catch {
      throw request.all(.contact).contains(where: isStar) ? badStar : error
    }
    guard addresses.count <= limit else { throw tooMany }
    var list: [Contact] = []
    list.reserveCapacity(addresses.count)
    for address in addresses {
      list.append(try contact(address, request, default: header, settings, path, outbound))
    }
    return list
  }

  private static var tooMany: SIPError {
    SIPError(status: 403, reason: "Too Many Contacts", section: "RFC 3261 §10.3")
  }

  /// There are no more than this: a comma may also stand in a name or a URI.
  private static func mostContacts(_ request: Message) -> Int {
    request.all(.contact).reduce(0) { sum, line in line.reduce(sum + 1) { $0 + ($1 == UInt8(ascii: ",") ? 1 : 0) } }
  }

  private static func contact(
    _ address: NameAddress, _ request: Message, default header: Int64?, _ settings: RegistrarSettings,
    _ path: PathVector, _ outbound: OutboundSupport
  ) throws(SIPError) -> Contact {
    let uri = address.uri
    guard uri.scheme == .sip || uri.scheme == .sips else {
      throw SIPError(
        status: 400, reason: "Contact: only SIP and SIPS URIs can be registered", section: "RFC 3261 §10.3")
    }
    guard uri.bytes.count <= longestContact else {
      throw SIPError(status: 400, reason: "Contact: URI too long", section: "RFC 3261 §10.3")
    }
    guard uri.port != 0 else {
      throw SIPError(status: 400, reason: "Contact: nobody listens on port 0", section: "RFC 3261 §10.3")
    }
    let asked: Int64
    if case .some(let value) = address.parameter("expires") {
      asked = seconds(value)
    } else {
      asked = header ?? Int64(settings.maxExpires)
    }
    // §10.3 step 7: only what is below an hour may be called too brief.
    if asked > 0, asked < 3600, asked < settings.minExpires {
      throw SIPError(status: 423, reason: "Interval Too Brief", section: "RFC 3261 §10.3")
    }
    let instance = instance(address)
    let regID = instance == nil || asked > 0 && !outbound.makesFlows ? nil : regID(address)
    if asked > 0, instance != nil, outbound == .firstHopLacksIt, Registration.regID(address) != nil {
      throw SIPError(status: 439, reason: "First Hop Lacks Outbound Support", section: "RFC 5626 §6")
    }
    let binding = Binding(
      contact: uri.bytes, q: address.qValue, expires: 0, callID: request.callID, cseq: request.cseq,
      flow: request.flow, userAgent: request.first(.userAgent)?.prefix(256) ?? [],
      path: path.values, instanceID: instance?[...], regID: regID)
    return Contact(uri: uri, binding: binding, lifetime: min(asked, Int64(settings.maxExpires)))
  }

  /// RFC 3261 §20.10, §20.19: what is no number below 2^32 counts as an hour.
  static func seconds(_ text: Bytes?) -> Int64 {
    guard let text, !text.isEmpty, text.count <= 10 else { return 3600 }
    var value: Int64 = 0
    for c in text {
      guard c >= 0x30, c <= 0x39 else { return 3600 }
      value = value * 10 + Int64(c - 0x30)
    }
    return value < 1 << 32 ? value : 3600
  }

  /// A contact that names an instance and one of its flows (RFC 5626 §4.2).
  static func isFlow(_ address: NameAddress) -> Bool { instance(address) != nil && regID(address) != nil }

  private static func instance(_ address: NameAddress) -> [UInt8]? {
    guard case .some(.some(let value)) = address.parameter("+sip.instance") else { return nil }
    let text = QuotedString.decode(value)
    return text.isEmpty || text.count > 256 ? nil : text
  }

  private static func regID(_ address: NameAddress) -> UInt32? {
    guard case .some(.some(let value)) = address.parameter("reg-id"), value.count <= 9 else { return nil }
    // §4.2: from 1 on.
    return UInt32(String(decoding: value, as: UTF8.self)).flatMap { $0 == 0 ? nil : $0 }
  }
}
