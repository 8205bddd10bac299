import NetCore
import NextHop
import SIPMessage

// Calls take a place at their trunk, and give it back when their leg is over.
extension CallShard {
  enum TrunkPlace {
    case taken(LegUse?)
    case refused(status: Int, Cause)
  }

  /// A trunk that does not answer is passed by at once, even where it is the only one: silence for half a minute is of no
  /// use to a caller.
  func isDown(_ target: DialTarget) -> Bool {
    guard case .trunk(let name, _) = target.place, let trunk = directory.trunk(named: name), trunk.plan.ping > .zero
    else { return false }
    return services.trunks.status(of: name).refusesAsDown()
  }

  /// What a leg to `target` holds, or why it may not start.
  /// - Parameter route: where its INVITE goes; gets the Route that the trunk wants.
  func place(for target: DialTarget, _ route: inout Route) -> TrunkPlace {
    guard case .trunk(let name, _) = target.place, let trunk = directory.trunk(named: name) else {
      guard let counted = target.counted else { return .taken(nil) }
      return .taken(
        LegUse(
          trunk: nil, status: nil, isIncoming: false, servers: [], counted: counted, hunts: services.hunts))
    }
    let status = services.trunks.status(of: name)
    switch status.takeOutgoing(trunk.plan, now: now) {
    case .down: return .refused(status: 503, .networkOutOfOrder)
    case .full, .tooFast: return .refused(status: 503, .noCircuitAvailable)
    case nil:
      let servers = ([route.flow] + route.others).map { Hop($0.transport, $0.remote) }
      route.path = status.current.serviceRoute
      return .taken(
        LegUse(
          trunk: trunk, status: status, isIncoming: false, servers: servers, counted: nil, hunts: services.hunts))
    }
  }

  /// The same for a call from a trunk; nil: it has as many as it may.
  func incomingPlace(_ name: String) -> LegUse? {
    guard let trunk = directory.trunk(named: name) else { return nil }
    let status = services.trunks.status(of: name)
    guard status.takeIncoming(trunk.plan) else { return nil }
    let servers = trunk.destination.map { [Hop(trunk.transport, $0)] } ?? status.current.servers
    return LegUse(
      trunk: trunk, status: status, isIncoming: true, servers: servers, counted: nil, hunts: services.hunts)
  }

  /// The trunk that a Request-URI belongs to because it is the Contact that we registered there. Nobody but the carrier,
  /// and who is on the way to him, has seen its 128 random bits; without them a call from an unknown address is a
  /// stranger's.
  func trunk(registeredAs uri: URI) -> Trunk? {
    guard directory.hasRegistrations, case .some(.some(let token)) = uri.parameter("line"),
      token.count == TrunkKeeper.tokenLength
    else { return nil }
    let wall = services.wallClock()
    return directory.trunks.first { trunk in
      guard trunk.plan.registration != nil else { return false }
      let state = services.trunks.status(of: trunk.name).current
      return state.isRegistered(atMilliseconds: wall) && state.contactToken?.elementsEqual(token) == true
    }
  }

  // MARK: hunt

  /// The order in which a hunt tries its targets now. Those that no call would reach stand last.
  func order(_ hunt: Hunt, _ members: [[DialTarget]]) -> [Int] {
    services.hunts.order(
      hunt, usable: members.map { $0.contains(where: isUsable) },
      loads: members.map { $0.reduce(0) { $0 + load($1) } })
  }

  private func isUsable(_ target: DialTarget) -> Bool {
    guard case .trunk(let name, _) = target.place else { return true }
    guard let trunk = directory.trunk(named: name) else { return false }
    return services.trunks.status(of: name).isUsable(trunk.plan)
  }

  private func load(_ target: DialTarget) -> Int {
    if case .trunk(let name, _) = target.place { return services.trunks.status(of: name).current.calls }
    return target.counted.map { services.hunts.calls(at: $0) } ?? 0
  }
}
