import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// The life of a dial: targets start, ring, fail or answer; the tree says what follows.
extension CallShard {
  func begin(_ dial: Dial, _ call: Call) {
    call.dial = dial
    dial.timer = arm(call, .dialTimeout, after: dial.options.timeout)
    if let wait = dial.options.noProgressAfter { dial.progressTimer = arm(call, .noProgress, after: wait) }
    hear(dial.ringback.dialled(), call, dial)
    perform(dial.tree.start(), call, dial)
  }

  func perform(_ actions: [DialTree.Action], _ call: Call, _ dial: Dial) {
    for action in actions {
      guard call.dial === dial, dial.stage == .ringing else { return }
      switch action {
      case .start(let leaf):
        guard let target = dial.tree.target(of: leaf) else { continue }
        if let delay = target.delay, delay > .zero {
          postpone(leaf, by: delay, call, dial)
        } else {
          start(leaf, target, call, dial)
        }
      case .cancel(let leaf):
        dial.delayed.removeAll { $0.leaf == leaf }
        if let leg = dial.ringing.first(where: { $0.leaf == leaf }) { lose(leg, call, dial, .elsewhere) }
      case .order(let branch):
        guard let (hunt, members) = dial.tree.hunt(at: branch) else { continue }
        perform(dial.tree.ordered(branch, order(hunt, members)), call, dial)
      case .exhausted:
        exhausted(call, dial)
      }
    }
  }

  /// `delay`: the target joins those that ring later.
  private func postpone(_ leaf: DialTree.Leaf, by delay: Instant.Span, _ call: Call, _ dial: Dial) {
    dial.delayed.append((leaf, now + delay))
    dial.delayed.sort { $0.at < $1.at }
    armDelay(call, dial)
  }

  private func armDelay(_ call: Call, _ dial: Dial) {
    cancel(&dial.delayTimer)
    guard let next = dial.delayed.first else { return }
    dial.delayTimer = arm(call, .delay, after: next.at - now)
  }

  func delayOver(_ call: Call) {
    guard let dial = call.dial, dial.stage == .ringing else { return }
    dial.delayTimer = nil
    while let next = dial.delayed.first, next.at <= now {
      dial.delayed.removeFirst()
      if let target = dial.tree.target(of: next.leaf) { start(next.leaf, target, call, dial) }
      guard call.dial === dial, dial.stage == .ringing else { return }
    }
    armDelay(call, dial)
  }

  private func start(_ leaf: DialTree.Leaf, _ target: DialTarget, _ call: Call, _ dial: Dial) {
    switch target.place {
    case .user(let user):
      let bindings = services.bindings.lookup(user: user, nowSeconds: services.wallClock() / 1000)
      guard !bindings.isEmpty else {
        let known = directory.user(user[...]) != nil
        return fail(
          leaf, target, call, dial, status: known ? 480 : 404,
          known ? .subscriberAbsent : .unallocatedNumber)
      }
      if bindings.count == 1 {
        var one = target
        one.place = .binding(user: user, bindings[0])
        return ring(leaf, one, call, dial)
      }
      perform(dial.tree.expand(leaf, into: BindingFork.shapes(of: bindings, user: user, target)), call, dial)
    case .binding, .trunk, .uri:
      ring(leaf, target, call, dial)
    }
  }

  private func ring(_ leaf: DialTree.Leaf, _ target: DialTarget, _ call: Call, _ dial: Dial) {
    if isDown(target) { return fail(leaf, target, call, dial, status: 503, .networkOutOfOrder) }
    switch way(to: target) {
    case .known(let route): ring(leaf, target, route, call, dial)
    case .named(let uri, let query): locate(leaf, target, uri: uri, query, call, dial)
    case .none: fail(leaf, target, call, dial, status: 503, .networkOutOfOrder)
    }
  }

  func ring(_ leaf: DialTree.Leaf, _ target: DialTarget, _ route: Route, _ call: Call, _ dial: Dial) {
    let use: LegUse?
    var route = route
    switch place(for: target, &route) {
    case .taken(let taken): use = taken
    case .refused(let status, let cause): return fail(leaf, target, call, dial, status: status, cause)
    }
    dial.redirection?.note(target)
    let attempt = attempt(at: target, uri: route.uri, route.flow, call)
    let (slot, generation) = legs.reserve()
    let leg = Leg(
      token: mint(slot: slot, generation: generation), role: .callee, call: call, flow: route.flow,
      session: random.next())
    leg.attempt = attempt
    if case .binding(_, let binding) = target.place {
      leg.isBinding = true
      leg.isDirect = binding.path.isEmpty
    }
    leg.use = use
    leg.leaf = leaf
    if !route.others.isEmpty { leg.hops = HopList(route.others) }
    guard let body = offer(to: leg, call, dial, codecs: target.codecs) else {
      // Without a port it is ours to say so; with one there is nothing left that this callee could be offered.
      let (status, cause): (Int, Cause) = leg.port == nil ? (503, .switchCongestion) : (488, .incompatibleDestination)
      leg.isCancelled = true
      releaseMedia(leg)
      legs.release(slot)
      use?.end()
      return fail(leaf, target, call, dial, status: status, cause, attempt: attempt)
    }
    legs.fill(slot, leg)
    call.callees.append(leg)
    dial.ringing.append(leg)
    invite(leg, route, target, call, dial, body: body)
    watchHop(leg)
    if let timeout = target.timeout { leg.timer = arm(leg, .legTimeout, after: timeout) }
  }

  func fail(
    _ leaf: DialTree.Leaf, _ target: DialTarget, _ call: Call, _ dial: Dial, status: Int, _ cause: Cause,
    attempt known: Int? = nil, _ kind: DialTree.Failure.Kind = .unreachable
  ) {
    let attempt = known ?? call.attempts.count
    if known == nil { call.attempts.append(CallAttempt(target: target.name)) }
    call.attempts[attempt].status = status
    call.attempts[attempt].cause = cause
    perform(
      dial.tree.failed(
        leaf, .init(status: status, cause: cause, kind: kind, reason: nil, attempt: attempt)), call, dial)
  }

  // MARK: what callees say

  func calleeResponse(_ id: ClientTransactionID, _ message: Message, _ leg: Leg) {
    leg.hops?.isHeard = true
    switch message.status {
    case 100: return
    case 101..<200: ringing(leg, message)
    case 200..<300: succeeded(id, leg, message)
    default:
      owners[Int(id.slot)] = .none
      if retryInvite(leg, message) { return }
      leg.clientInvite = nil
      if message.status == 503,
        triesNextHop(leg, status: 503, cause: cause(of: message), retryAfter: retryAfter(message))
      {
        return
      }
      failed(leg, message)
    }
  }

  private func ringing(_ leg: Leg, _ message: Message) {
    let call = leg.call
    guard leg.phase == .early, !leg.isCancelled, let dial = call.dial, let attempt = leg.attempt,
      acknowledgeProvisional(leg, message)
    else { return }
    call.attempts[attempt].ring(message.status)
    if let tag = message.toTag { leg.ringingTag = Leg.hash(ofTag: tag) }
    if call.transfer != nil { transferRings(call, message.status) }
    if dial.firstRing == nil { dial.firstRing = now }
    var hasSDP = false
    // What cannot be negotiated is a ring and no more: the next one may be better (RFC 3264 §6, RFC 3960 §3).
    if isHeard(leg, message), let early = try? description(in: message), hasOfferedCodec(early.audio, leg) {
      hasSDP = true
      leg.earlyTag = earlyTag(of: message.toTag ?? [])
      leg.remote = early
      call.attempts[attempt].earlyMedia = true
      sendMedia(leg)
      // The tone plays already and this leg's media may take over now that its codec is known.
      if dial.ringback.isGenerating { playRingback(call, dial) }
    }
    hear(
      dial.ringback.provisional(
        message.status, leg: Int(leg.token.slot), hasSDP: hasSDP, alone: dial.ringing.count == 1), call, dial)
  }

  private func hasOfferedCodec(_ answer: AudioStream, _ leg: Leg) -> Bool {
    guard let offered = leg.localAudio else { return false }
    return answer.codecs.contains { $0.match(in: offered.codecs) != nil }
  }

  private func failed(_ leg: Leg, _ message: Message) {
    let call = leg.call
    let cause = cause(of: message)
    if let attempt = leg.attempt {
      call.attempts[attempt].end(status: message.status, cause: cause, at: services.wallClock())
    }
    if message.status == 430, leg.isBinding { return flowIsGone(leg) }
    if message.status < 400, redirected(leg, message) { return }
    finish(
      leg,
      .init(
        status: message.status, cause: cause, kind: .response, reason: message.first(.reason).map { Array($0) },
        attempt: leg.attempt))
  }

  private func cause(of message: Message) -> Cause {
    ReasonHeader.cause(in: message.all(.reason)) ?? Cause(status: message.status)
  }

  func calleeUnreachable(_ leg: Leg, status: Int, _ kind: DialTree.Failure.Kind) {
    leg.clientInvite = nil
    let cause: Cause = kind == .timeout ? .noUserResponse : .networkOutOfOrder
    if triesNextHop(leg, status: status, cause: cause) { return }
    if let attempt = leg.attempt {
      leg.call.attempts[attempt].end(status: status, cause: cause, at: services.wallClock())
    }
    // Timer B: he never said anything at all, so nothing is reached there (503), unlike one who rang.
    finish(leg, .init(status: status, cause: cause, kind: .unreachable, reason: nil, attempt: leg.attempt))
  }

  /// A 2xx whose Contact or Record-Route makes no dialog: nothing can be sent to him, not even the ACK.
  func unreadableAnswer(_ leg: Leg) {
    leg.clientInvite = nil
    if let attempt = leg.attempt {
      leg.call.attempts[attempt].end(status: 502, cause: .interworking, at: services.wallClock())
    }
    finish(leg, .init(status: 502, cause: .interworking, kind: .response, reason: nil, attempt: leg.attempt))
  }

  func finish(_ leg: Leg, _ failure: DialTree.Failure) {
    let call = leg.call
    ended(leg)
    guard !leg.isCancelled, let dial = call.dial, let leaf = leg.leaf else { return }
    dial.ringing.removeAll { $0 === leg }
    dial.ringback.failed(leg: Int(leg.token.slot))
    perform(dial.tree.failed(leaf, failure), call, dial)
  }

  // MARK: time

  /// The ring time of one target is over.
  func legTimedOut(_ leg: Leg) {
    let call = leg.call
    guard let dial = call.dial, dial.stage == .ringing, leg.phase == .early, let leaf = leg.leaf else { return }
    lose(leg, call, dial, .noAnswer)
    perform(
      dial.tree.failed(
        leaf, .init(status: 480, cause: .noAnswer, kind: .timeout, reason: nil, attempt: leg.attempt)), call, dial)
  }

  func dialTimedOut(_ call: Call) {
    guard let dial = call.dial, dial.stage == .ringing else { return }
    _ = dial.tree.abort()
    for leg in dial.ringing { lose(leg, call, dial, .noAnswer) }
    finishDial(
      call, dial, DialResult(ok: false, status: 480, cause: .noAnswer, reason: nil, by: "timeout", endedBy: nil))
  }

  func noProgress(_ call: Call) {
    guard let dial = call.dial, dial.stage == .ringing else { return }
    hear(dial.ringback.noProgress(), call, dial)
  }

  enum Loss { case elsewhere, noAnswer, callerLeft(Reason?) }

  /// A leg that rings is given up: CANCEL with the reason; his 487, or his late 200, is dealt with when it comes.
  func lose(_ leg: Leg, _ call: Call, _ dial: Dial?, _ why: Loss) {
    dial?.ringing.removeAll { $0 === leg }
    guard leg.phase == .early, !leg.isCancelled else { return }
    leg.isCancelled = true
    if let timer = leg.timer { wheel.cancel(timer) }
    let reason: Reason
    let cause: Cause
    switch why {
    case .elsewhere:
      reason = .completedElsewhere
      cause = .normalClearing
    case .noAnswer:
      reason = .cause(.noAnswer)
      cause = .noAnswer
    case .callerLeft(let own):
      reason = own ?? .cause(.normalClearing)
      cause = .normalClearing
    }
    if let attempt = leg.attempt, call.attempts[attempt].status == 0 {
      call.attempts[attempt].end(status: 487, cause: cause, at: services.wallClock())
    }
    releaseMedia(leg)
    guard let id = leg.clientInvite else { return ended(leg) }
    var headers = MessageWriter(capacity: 80)
    headers.reason(reason)
    table.cancel(id, headers: headers.bytes[...], now: now, wheel: &wheel)
  }

  /// All targets failed: the best failure is the result.
  private func exhausted(_ call: Call, _ dial: Dial) {
    for leg in dial.ringing { lose(leg, call, dial, .elsewhere) }
    let best = dial.tree.best
    let kind = best?.kind
    var status = best?.status ?? 480
    if (300..<400).contains(status), let forwarding = dial.forwarding, call.forwardings.count < Forwarding.most {
      call.forwardings.append(forwarding)
    }
    let cause = best?.cause ?? .noAnswer
    var reached = cause
    if kind == .unreachable, status == 408 {
      // Timer B: nothing was reached there.
      status = 503
      reached = .networkOutOfOrder
    }
    finishDial(
      call, dial,
      DialResult(
        ok: false, status: status, cause: reached,
        reason: best?.reason, by: kind == .timeout ? "timeout" : kind == .unreachable ? "system" : "remote",
        endedBy: nil, attempt: best?.attempt))
  }
}
