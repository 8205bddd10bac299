public import NetCore

extension Message {
  /// Where a response to this request goes: RFC 3261 §18.2.2 with RFC 3581. On a stream, back on its connection. On UDP
  /// to the address the packet came from: at its port with `rport`, else at the port of the Via (5060).
  ///
  /// `maddr` is not followed: it would let a stranger have our answers sent to a third party.
  public var responseFlow: Flow { ViaReturn.flow(flow, port: via.port, hasRport: via.hasRport) }
}

enum ViaReturn {
  static func flow(_ flow: Flow, port: UInt16?, hasRport: Bool) -> Flow {
    guard !flow.transport.isReliable, !hasRport else { return flow }
    var back = flow
    back.remote = Endpoint(flow.remote.ip, port == 0 ? 5060 : port ?? 5060)
    return back
  }
}
