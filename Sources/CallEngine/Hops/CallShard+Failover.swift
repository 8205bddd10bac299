import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// The next server of the same target: RFC 3263 §4.3. To the dial it is still the same leg.
extension CallShard {
  /// How long one of several servers may say nothing at all, not even 100. Timer B would take 32 s; nobody waits that long
  /// for a server that is down while another is up.
  func watchHop(_ leg: Leg) {
    guard let hops = leg.hops, !hops.others.isEmpty, settings.failoverAfter > .zero else { return }
    _ = wheel.arm(
      TimerToken(kind: 14, which: hops.number, slot: leg.token.slot, generation: leg.token.generation),
      at: now + settings.failoverAfter)
  }

  func hopTimedOut(_ token: TimerToken) {
    guard let leg = legs.get(token.slot, token.generation), let hops = leg.hops, hops.number == token.which,
      !hops.isHeard, leg.phase == .early, let id = leg.clientInvite, let sent = leg.sent
    else { return }
    let flow = leg.flow
    leg.clientInvite = nil
    guard triesNextHop(leg, status: 408, cause: .noUserResponse) else {
      leg.clientInvite = id
      return
    }
    // Should he wake up after all, he is told that it is over.
    own(id, .givenUp(GivenUpServer(sent: sent, flow: flow)))
    var headers = MessageWriter(capacity: 80)
    headers.reason(.completedElsewhere)
    table.cancel(id, headers: headers.bytes[...], now: now, wheel: &wheel)
  }

  /// A server failed: 503, a transport error, or silence. The request goes to the next one as a new transaction that has
  /// only its Via, and what follows from another socket of ours, of its own.
  /// - Returns: false where there is none, or nobody waits any more.
  func triesNextHop(_ leg: Leg, status: Int, cause: Cause, retryAfter: Int? = nil) -> Bool {
    guard let hops = leg.hops else { return false }
    hopFailed(leg.flow, for: .seconds(Int64(retryAfter ?? 30)))
    let call = leg.call
    guard leg.phase == .early, !leg.isCancelled, call.hangup == nil, let dial = call.dial, dial.stage == .ringing,
      let leaf = leg.leaf, let target = dial.tree.target(of: leaf), let sent = leg.sent
    else { return false }
    while !hops.others.isEmpty {
      let next = hops.others.removeFirst()
      guard let body = offer(to: leg, by: next, call, dial, target) else { continue }
      if let attempt = leg.attempt {
        call.attempts[attempt].end(status: status, cause: cause, at: services.wallClock())
      }
      let uri = Array(sent.bytes[Int(sent.requestURI.lowerBound)..<Int(sent.requestURI.upperBound)])
      leg.attempt = attempt(at: target, uri: uri, next, call)
      leg.flow = next
      leg.remote = nil
      leg.offers = OfferAnswer()
      leg.earlyTag = 0
      hops.number &+= 1
      hops.isHeard = false
      invite(leg, Route(uri: uri, flow: next), target, call, dial, body: body, again: sent)
      watchHop(leg)
      return true
    }
    return false
  }

  /// The same offer; through another port where the other server is of another address family.
  private func offer(to leg: Leg, by flow: Flow, _ call: Call, _ dial: Dial, _ target: DialTarget) -> [UInt8]? {
    if leg.flow.remote.ip.family == flow.remote.ip.family, let sdp = leg.localSDP { return sdp }
    releaseMedia(leg)
    let old = leg.flow
    leg.flow = flow
    let sdp = offer(to: leg, call, dial, codecs: target.codecs)
    leg.flow = old
    return sdp
  }

  /// A new entry of `attempts`: each address that is tried has one.
  func attempt(at target: DialTarget, uri: [UInt8], _ flow: Flow, _ call: Call) -> Int {
    let attempt = call.attempts.count
    call.attempts.append(CallAttempt(target: target.name, uri: uri))
    call.attempts[attempt].remote = flow.remote
    call.attempts[attempt].startMilliseconds = services.wallClock()
    return attempt
  }

  /// Seconds (RFC 3261 §20.33); a comment and parameters behind them say nothing to us.
  func retryAfter(_ response: Message) -> Int? {
    guard let value = response.first(.retryAfter) else { return nil }
    return Int(String(decoding: value.drop { $0 <= 0x20 }.prefix { $0 >= 0x30 && $0 <= 0x39 }.prefix(6), as: UTF8.self))
  }

  /// What a server says that was given up: a 2xx makes a dialog, which is acknowledged and ended; CANCEL has seen to all
  /// else (RFC 3261 §9.1, §13.2.2.4).
  func givenUp(_ id: ClientTransactionID, _ message: Message, _ server: GivenUpServer) {
    guard message.status >= 200 else { return }
    owners[Int(id.slot)] = .none
    guard message.status < 300 else { return }
    endFork(server.sent.invitation(flow: server.flow), message, isBinding: false, of: id)
  }
}
