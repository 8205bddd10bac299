import NetCore
import SIPMessage

extension CallShard {
  /// One of our own INVITEs has come back, and asks for what we were asked for before (RFC 3261 §16.3 item 4): its
  /// From-tag is that of a leg that still rings, whose call began with this Request-URI, or the call before it did. With
  /// another Request-URI it is a spiral, which Max-Forwards ends if nothing else does; so it does for what other
  /// back-to-back user agents send in a circle, as nothing of ours is left in it.
  func isLoop(_ message: Message) -> Bool {
    var tag = message.fromTag
    for _ in 0..<70 {
      guard let leg = leg(tag: tag), leg.role == .callee, leg.phase == .early else { return false }
      let invite = leg.call.invite
      if invite.requestURI.bytes.hasSameOctets(as: message.requestURI.bytes) { return true }
      tag = invite.fromTag
    }
    return false
  }

  /// Of the INVITE to a callee: one less than the caller's, and no more than RFC 3261 §8.1.1.6 has a request begin with.
  static func hopsLeft(after invite: Message) -> Int { max(0, min(invite.maxForwards ?? 70, 71) - 1) }

  /// RFC 3261 §20.1, §8.2.3: whether a caller who says what he reads reads session descriptions.
  static func readsDescriptions(_ message: Message) -> Bool {
    guard message.has(.accept) else { return true }
    let accepted = message.values(.accept)
    return accepted.isEmpty
      || accepted.contains { value in
        let type = String(decoding: value.prefix { $0 != UInt8(ascii: ";") && !$0.isBlank }, as: UTF8.self)
        return ["application/sdp", "application/*", "*/*"].contains(type.lowercased())
      }
  }
}

extension UInt8 {
  fileprivate var isBlank: Bool { self == 0x20 || self == 0x09 || self == 0x0d || self == 0x0a }
}
