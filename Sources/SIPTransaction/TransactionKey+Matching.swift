import SIPMessage

/// Which transaction a request belongs to: RFC 3261 §17.2.3.
extension TransactionKey {
  /// The key of the transaction that `request` belongs to or would make. An ACK has the key of its INVITE; `asInvite`
  /// gives a CANCEL that of the INVITE it names (§9.2).
  static func server(_ request: Message, asInvite: Bool = false, key: (UInt64, UInt64)) -> TransactionKey {
    var hasher = KeyedHasher(key: key)
    let via = request.via
    let method: Method = asInvite || request.method == .ack ? .invite : request.method
    hasher.combine(method.rawValue)
    if method == .unknown { hasher.combine(request.methodName) }
    // Two clients may by chance choose the same branch, or one by malice that of another: hence the sent-by.
    hasher.combineFoldingCase(via.host)
    hasher.combine(UInt32(via.port ?? 0))
    hasher.combine(via.branch ?? [])
    if !via.isRFC3261 {
      // RFC 2543 promised nothing for a branch. The To tag is left out, as an ACK has the one of our response, which the
      // table compares; for all else the CSeq tells apart what a To tag could.
      hasher.combine(request.requestURI.bytes)
      hasher.combine(request.fromTag ?? [])
      hasher.combine(request.callID)
      hasher.combine(request.cseq)
    }
    return hasher.finalize()
  }

  /// What two copies of one request have in common when they came by different ways (§8.2.2.2).
  static func merge(_ request: Message, key: (UInt64, UInt64)) -> TransactionKey {
    var hasher = KeyedHasher(key: key)
    hasher.combine(request.method.rawValue)
    if request.method == .unknown { hasher.combine(request.methodName) }
    hasher.combine(request.fromTag ?? [])
    hasher.combine(request.callID)
    hasher.combine(request.cseq)
    return hasher.finalize()
  }

  static func tag(_ tag: Bytes, key: (UInt64, UInt64)) -> TransactionKey {
    var hasher = KeyedHasher(key: key)
    hasher.combine(tag)
    return hasher.finalize()
  }
}
