public import NetCore
public import SIPMessage

/// The state that two user agents share beyond a transaction: RFC 3261 §12.
///
/// It says what a request within the dialog looks like and whether one that came belongs; it sends nothing, and has no
/// timers. Early and confirmed dialogs are the same thing with `isConfirmed` false or true. All its bytes are copies, so
/// that a dialog of an hour does not hold the INVITE that made it.
public struct Dialog: Sendable {
  public enum Role: UInt8, Sendable { case uas, uac }

  public let role: Role
  /// A 2xx has been sent or received (§12.1).
  public private(set) var isConfirmed: Bool
  /// Of the last request that we sent; 0 for none.
  public private(set) var localCSeq: UInt32
  /// Of the last request that the peer sent; nil before its first.
  public private(set) var remoteCSeq: UInt32?
  /// Values for Route, first hop first (§12.1.1, §12.1.2).
  public private(set) var routeSet: [Bytes]
  /// The URI of the peer's Contact.
  public var remoteTarget: Bytes { head.target }
  /// Established by a request to a `sips:` URI over TLS (§12.1.1).
  public let isSecure: Bool
  /// Our Contact must be a SIPS URI: of a sips dialog, and of one whose first request had sips in its top Record-Route or,
  /// without any, in its Contact (§12.1.1). Only where there is TLS below.
  public var wantsSecureContact: Bool {
    guard flow.transport.isSecure else { return false }
    if isSecure || role == .uac { return isSecure }
    guard let top = routeSet.first else { return remoteTarget.starts(with: "sips:".utf8) }
    return (try? NameAddress(parsing: top))?.uri.scheme == .sips
  }
  /// Where the peer was last heard. For a phone behind a NAT this, and not its Contact, is where requests go.
  public var flow: Flow

  private(set) var head: DialogHead
  /// The first of a strict route, which goes into the request line (§12.2.1.1).
  private var strictRouter: Bytes?
  var requestURI: Bytes { strictRouter ?? head.target }

  public var callID: Bytes { head.callID }
  public var localTag: Bytes { head.localTag }
  /// Empty where the peer is of RFC 2543 and gave none (§12.1.1).
  public var remoteTag: Bytes { head.remoteTag }
  /// The value of From in our requests, tag included.
  public var localAddress: Bytes { head.local }
  /// The value of To in our requests, tag included.
  public var remoteAddress: Bytes { head.remote }

  /// A dialog that the peer's INVITE makes (§12.1.1): route set as in Record-Route, target from Contact.
  /// - Parameters:
  ///   - localTag: the To tag of our responses.
  ///   - localCSeq: the first request of ours has the number after this.
  /// - Throws: 400 where the Contact is missing or is not one SIP or SIPS URI; 481 where the INVITE has a To tag, so that
  ///   it belongs to a dialog that we do not have.
  public init(uas invite: Message, localTag: Bytes, localCSeq: UInt32 = 0) throws(SIPError) {
    guard invite.toTag == nil else {
      throw SIPError(status: 481, reason: "no such dialog", section: "RFC 3261 §12.2.2")
    }
    guard let target = try Dialog.target(in: invite) else {
      throw SIPError(status: 400, reason: "no Contact", section: "RFC 3261 §8.1.1.8")
    }
    role = .uas
    isConfirmed = false
    self.localCSeq = localCSeq
    remoteCSeq = invite.cseq
    routeSet = try Dialog.routes(of: invite)
    isSecure = invite.requestURI.scheme == .sips && invite.flow.transport.isSecure
    flow = invite.responseFlow
    head = DialogHead(
      target: target, callID: invite.callID, local: .init(invite.to), localTag: localTag, remote: .init(invite.from),
      remoteTag: invite.fromTag ?? [])
    if !routeSet.isEmpty { applyRoutes(target) }
  }

  /// What a UAC remembers of its INVITE, for the dialogs that responses to it may make.
  public struct Invitation: Sendable {
    public var callID: Bytes
    /// The value of From, with or without the tag.
    public var from: Bytes
    public var localTag: Bytes
    public var cseq: UInt32
    public var requestURI: Bytes
    /// Where the INVITE was sent.
    public var flow: Flow

    public init(callID: Bytes, from: Bytes, localTag: Bytes, cseq: UInt32, requestURI: Bytes, flow: Flow) {
      self.callID = callID
      self.from = from
      self.localTag = localTag
      self.cseq = cseq
      self.requestURI = requestURI
      self.flow = flow
    }
  }

  /// A dialog that a response to our INVITE makes (§12.1.2): route set as in Record-Route in reverse, target from Contact,
  /// or, where a phone forgot that, the URI that we called.
  ///
  /// Nil for what makes no dialog: a 100, a failure, a provisional response without To tag, or one whose Contact or
  /// Record-Route is malformed.
  public init?(uac invitation: Invitation, response: Message) {
    guard !response.isRequest, (101..<300).contains(response.status),
      response.status >= 200 || response.toTag != nil,
      let from = try? DialogHead.Address(invitation.from, tag: invitation.localTag),
      let routes = try? Dialog.routes(of: response),
      let target = try? Dialog.target(in: response) ?? invitation.requestURI
    else { return nil }
    role = .uac
    isConfirmed = response.status >= 200
    localCSeq = invitation.cseq
    remoteCSeq = nil
    routeSet = routes.reversed()
    isSecure =
      invitation.flow.transport.isSecure && (try? URI(parsing: invitation.requestURI).scheme) == .sips
    flow = invitation.flow
    head = DialogHead(
      target: target, callID: invitation.callID, local: from, localTag: invitation.localTag,
      remote: .init(response.to), remoteTag: response.toTag ?? [])
    if !routeSet.isEmpty { applyRoutes(target) }
  }

  mutating func setRemoteCSeq(_ number: UInt32) { remoteCSeq = number }

  /// The number of our next request (§12.2.1.1), which is below 2^31 (§8.1.1.5).
  mutating func nextCSeq() -> UInt32 {
    localCSeq = localCSeq >= 0x7fff_ffff ? 1 : localCSeq + 1
    return localCSeq
  }

  // MARK: Routes and targets

  private static func routes(of message: Message) throws(SIPError) -> [Bytes] {
    guard message.has(.recordRoute) else { return [] }
    var routes: [Bytes] = []
    for address in try message.addresses(.recordRoute) {
      routes.append(Array(address.bytes.drop { $0 <= 0x20 })[...])
    }
    return routes
  }

  /// The one Contact of a message that makes or refreshes a dialog (§8.1.1.8): a view of it; nil if there is none.
  private static func target(in message: Message) throws(SIPError) -> Bytes? {
    guard let uri = try message.oneAddress(.contact)?.uri else { return nil }
    switch uri.scheme {
    case .sip, .sips: return uri.bytes
    case .tel, .other: throw SIPError(status: 400, reason: "Contact is no SIP URI", section: "RFC 3261 §8.1.1.8")
    }
  }

  /// §12.2.1.1: with a loose router in front the target is the Request-URI and the route set goes into Route; a strict
  /// one wants itself in the Request-URI and the target at the end of Route.
  private mutating func applyRoutes(_ target: Bytes) {
    if let first = routeSet.first, let uri = try? NameAddress(parsing: first).uri, uri.parameter("lr") == nil {
      strictRouter = Dialog.asRequestURI(uri)
      head.replace(
        target: target, routes: routeSet.dropFirst() + [[UInt8(ascii: "<")] + target + [UInt8(ascii: ">")]])
    } else {
      strictRouter = nil
      head.replace(target: target, routes: routeSet)
    }
  }

  /// Without what a Request-URI must not have: the `method` parameter and headers (§19.1.1).
  private static func asRequestURI(_ uri: URI) -> Bytes {
    var out: [UInt8] = []
    let parameters = uri.parameters
    let end = uri.headersPart.map { $0.startIndex - 1 } ?? uri.bytes.endIndex
    guard !parameters.isEmpty else { return Array(uri.bytes[..<end])[...] }
    out.append(contentsOf: uri.bytes[..<parameters.startIndex])
    for parameter in parameters.split(separator: UInt8(ascii: ";")) {
      let name = parameter.prefix { $0 != UInt8(ascii: "=") }.map { $0 | 0x20 }
      guard name != Array("method".utf8) else { continue }
      out.append(UInt8(ascii: ";"))
      out.append(contentsOf: parameter)
    }
    return out[...]
  }

  /// The URI that the next request has to be sent to: the first of the route set, else the target (§8.1.2).
  public var nextHop: Bytes {
    guard let first = routeSet.first, let uri = try? NameAddress(parsing: first).uri else { return remoteTarget }
    return uri.bytes
  }

  /// The peer's new Contact, in a re-INVITE, an UPDATE, or the 2xx to one (§12.2): the route set stays. `receive` does it
  /// for requests. A malformed Contact changes nothing.
  public mutating func refreshTarget(_ message: Message) {
    guard let target = try? Dialog.target(in: message), !target.hasSameOctets(as: remoteTarget) else { return }
    applyRoutes(target)
  }

  /// The 2xx to the INVITE is sent (UAS), or has come (UAC, where route set and target are taken from it anew: §13.2.2.4).
  public mutating func confirm(_ response: Message? = nil) {
    isConfirmed = true
    guard role == .uac, let response, let routes = try? Dialog.routes(of: response) else { return }
    routeSet = routes.reversed()
    applyRoutes((try? Dialog.target(in: response)) ?? remoteTarget)
  }
}
