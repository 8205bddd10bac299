import NetCore
import SIPDialog
import SIPMessage

// A phone behind a NAT writes addresses that mean nothing here. Where its messages come from is where it is.
extension CallShard {
  /// Where a leg's media goes until its first packets say better (the latch of the media plane): as its SDP says, but to
  /// a private address in the SDP of a phone that speaks to us from a public one nothing gets. A NAT that keeps ports
  /// then lets it through at once.
  func behindNAT(_ described: Endpoint?, _ leg: Leg) -> Endpoint? {
    guard let described, described.ip.isPrivate, leg.isDirect else { return described }
    let source = leg.flow.remote.ip
    guard source.family == described.ip.family, !source.isPrivate else { return described }
    return Endpoint(source, described.port)
  }

  /// A request in a dialog that came another way than those before: the NAT has given the phone a new port, or it has
  /// connected anew. Ours go there from now on (RFC 5626 §5.3: the flow). To another host only with what changes the
  /// target anyhow (RFC 3261 §12.2), and never away from a proxy.
  func follow(_ message: Message, _ leg: Leg) {
    guard leg.isDirect, message.hasOneVia, let flow = leg.dialog?.flow else { return }
    let isTargetRefresh = message.method == .invite || message.method == .update
    guard isTargetRefresh || message.flow.remote.ip == flow.remote.ip else { return }
    // Without `rport` the phone listens where its Via says, and sends from another port (RFC 3581 §4).
    guard message.flow.transport.isReliable || message.via.hasRport || isTargetRefresh else { return }
    let new = message.responseFlow
    leg.dialog?.flow = new
    leg.flow = new
  }
}

extension IPAddress {
  /// Not to be reached from the Internet: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 §2.5.6, loopback.
  var isPrivate: Bool {
    let ip = unmapped
    if ip.isLoopback { return true }
    switch ip.family {
    case .v4:
      let first = ip.low >> 24
      return first == 10 || ip.low >> 20 == 0xac1 || ip.low >> 16 == 0xc0a8 || ip.low >> 22 == 0x191
        || ip.low >> 16 == 0xa9fe
    case .v6:
      return ip.high >> 57 == 0x7e || ip.high >> 54 == 0x3fa
    }
  }
}
