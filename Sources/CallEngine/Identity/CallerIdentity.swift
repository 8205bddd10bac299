public import SIPMessage

/// Who a caller is as far as this server knows: the authenticated user and his `caller_id`.
public struct CallerIdentity: Hashable, Sendable {
  /// The name he authenticated with.
  public var user: String
  /// `caller_id.name`.
  public var displayName: String?
  /// `caller_id.number`: what callees see; nil means his user name.
  public var number: String?

  public init(user: String, displayName: String? = nil, number: String? = nil) {
    self.user = user
    self.displayName = displayName
    self.number = number
  }

  /// The number that is shown for him.
  public var shownNumber: String { number.flatMap { $0.isEmpty ? nil : $0 } ?? user }

  /// What a From user may say without being replaced.
  func owns(_ user: [UInt8]) -> Bool {
    user.elementsEqual(self.user.utf8) || user.elementsEqual(shownNumber.utf8)
  }
}

extension CallerIdentity {
  /// What a b-leg's INVITE says of the caller. Values are complete and safe to write: nothing in them can end a line
  /// or a quoted string.
  public struct Outgoing: Hashable, Sendable {
    /// The From value without its tag.
    public var from: [UInt8]
    /// P-Asserted-Identity values (RFC 3325 §9.1): at most one sip and one tel URI.
    public var assertedIdentities: [[UInt8]]
    /// The Privacy value (RFC 3323 §4.2) that goes on, or nil.
    public var privacy: [UInt8]?
    /// The From is anonymous.
    public var isHidden = false
    /// What he says of himself elsewhere does not go on either (RFC 3323 §5.3).
    public var hidesDetails = false
  }

  /// The caller's identity towards a callee.
  ///
  /// - A script's `from` wins over everything; `asserted` (its `pai`) and `privacy` likewise.
  /// - An authenticated caller keeps his own From number, which is his user name or his `caller_id` number; any other
  ///   is replaced by his `caller_id`. He is asserted in P-Asserted-Identity: by his `caller_id`, or as his
  ///   P-Preferred-Identity says where that is his (RFC 3325 §6).
  /// - A trusted peer (trunk, open access rule) keeps its From, and its P-Asserted-Identity is passed on. Of one that is
  ///   not trusted only the From is.
  /// - Who asks not to be shown (`Privacy: id` or `user`, or a From that is anonymous already) has an anonymous From;
  ///   then he is asserted only where the callee is trusted to keep it, and is asked to (RFC 3325 §7).
  /// - A stranger gets no assertion but the script's own.
  ///
  /// The host of every address is `domain`: where the caller really is stays with us.
  public static func outgoing(
    invite: Message, identity: CallerIdentity?, trusted: Bool, domain: String, override from: [UInt8]? = nil,
    asserted: [UInt8]? = nil, privacy: [UInt8]? = nil, calleeIsTrusted: Bool = false, calleeIsStranger: Bool = false,
    readsRemotePartyID: Bool = false
  ) -> Outgoing {
    var privacy = privacy.map { Privacy(tokens: $0[...]) } ?? Privacy(invite)
    let said = CallerName(invite.from)
    let hidden = privacy.hidesCaller || (said.isAnonymous && from == nil && !privacy.isNone)

    var identities: [[UInt8]] = []
    if let asserted, let name = CallerName(script: asserted) {
      identities = [name.value(domain: domain)]
    } else if calleeIsStranger {
      identities = []
    } else if let identity {
      let name =
        preferred(invite, identity)
        ?? CallerName(display: identity.displayName, user: Array(identity.shownNumber.utf8))
      identities = [name.value(domain: domain)]
    } else if trusted {
      identities = passedOn(invite, domain: domain)
      if identities.isEmpty, readsRemotePartyID { identities = remoteParty(invite, domain: domain) }
    }

    var shown = said
    if let from, let name = CallerName(script: from) {
      shown = name
    } else if let identity {
      shown = name(identity, said)
    }
    if hidden {
      shown = .anonymous
      if !calleeIsTrusted { identities = [] }
      if !identities.isEmpty, !privacy.hasID { privacy.add("id") }
    }
    return Outgoing(
      from: shown.value(domain: domain), assertedIdentities: identities, privacy: privacy.value, isHidden: hidden,
      hidesDetails: privacy.hidesDetails)
  }

  /// RFC 3325 §6: which of his identities a user wants to be known by; only one that is his.
  private static func preferred(_ invite: Message, _ identity: CallerIdentity) -> CallerName? {
    guard invite.has(.pPreferredIdentity),
      let name = (try? invite.addresses(.pPreferredIdentity))?.first.map({ CallerName($0) }),
      let user = name.user, identity.owns(user)
    else { return nil }
    return CallerName(display: name.display ?? identity.displayName, user: user)
  }

  /// `Remote-Party-ID: "Alice" <sip:1000@carrier>;party=calling`, where the trunk's own identity says no more.
  private static func remoteParty(_ invite: Message, domain: String) -> [[UInt8]] {
    guard let addresses = try? invite.addresses(.remotePartyID) else { return [] }
    let caller = addresses.prefix(8).first { address in
      guard address.uri.scheme != .other else { return false }
      guard case .some(.some(let party)) = address.parameter("party") else { return true }
      return party.map(\.asciiLower).elementsEqual("calling".utf8)
    }
    return caller.map { [CallerName($0).value(domain: domain)] } ?? []
  }

  /// An authenticated caller's own words where they are his, else what the configuration calls him.
  private static func name(_ identity: CallerIdentity, _ said: CallerName) -> CallerName {
    guard let user = said.user, identity.owns(user) else {
      return CallerName(display: identity.displayName, user: Array(identity.shownNumber.utf8))
    }
    return CallerName(display: said.display ?? identity.displayName, user: user)
  }

  /// RFC 3325 §9.1: one or two values; if two, one sip and one tel.
  private static func passedOn(_ invite: Message, domain: String) -> [[UInt8]] {
    guard let addresses = try? invite.addresses(.pAssertedIdentity) else { return [] }
    var values: [[UInt8]] = []
    var schemes: [Bool] = []
    for address in addresses.prefix(8) {
      let isTel = address.uri.scheme == .tel
      guard address.uri.scheme != .other, !schemes.contains(isTel) else { continue }
      schemes.append(isTel)
      values.append(CallerName(address).value(domain: domain, tel: isTel))
    }
    return values
  }
}
