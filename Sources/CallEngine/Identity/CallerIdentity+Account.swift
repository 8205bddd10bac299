public import SIPMessage

extension CallerIdentity {
  public init(_ account: UserAccount) {
    self.init(user: account.name, displayName: account.callerName, number: account.callerNumber)
  }

  /// `outgoing` for the user that the directory found.
  public static func outgoing(
    invite: Message, account: UserAccount?, trusted: Bool, domain: String, override from: [UInt8]? = nil,
    asserted: [UInt8]? = nil, privacy: [UInt8]? = nil, calleeIsTrusted: Bool = false, calleeIsStranger: Bool = false,
    readsRemotePartyID: Bool = false
  ) -> Outgoing {
    outgoing(
      invite: invite, identity: account.map { CallerIdentity($0) }, trusted: trusted, domain: domain, override: from,
      asserted: asserted, privacy: privacy, calleeIsTrusted: calleeIsTrusted, calleeIsStranger: calleeIsStranger,
      readsRemotePartyID: readsRemotePartyID)
  }
}
