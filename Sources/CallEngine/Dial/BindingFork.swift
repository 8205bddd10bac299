import NetCore
import SIPDialog
import SIPMessage

/// Which bindings of a user ring together: all of them (RFC 3261 §16.6), but of one instance one flow at a time, the one
/// that was refreshed last first (RFC 5626 §6): two flows lead to the same phone.
enum BindingFork {
  /// 430 (`flowIsGone`) or nothing at all: this flow is dead, the next one may live. What the phone says is its answer.
  private static let nextFlow = FailoverRule(statuses: [], onTimeout: false, onUnreachable: true)

  static func shapes(of bindings: [Binding], user: [UInt8], _ target: DialTarget) -> [DialTree.Shape] {
    func shape(_ binding: Binding) -> DialTree.Shape {
      var one = target
      one.place = .binding(user: user, binding)
      return .target(one)
    }
    var groups: [[Binding]] = []
    for binding in bindings {
      if binding.regID != nil, let instance = binding.instanceID,
        let group = groups.firstIndex(where: { $0[0].regID != nil && $0[0].instanceID == instance })
      {
        groups[group].append(binding)
      } else {
        groups.append([binding])
      }
    }
    return groups.map { flows in
      flows.count == 1
        ? shape(flows[0])
        : .sequence(flows.sorted { $0.expires > $1.expires }.map(shape), failover: nextFlow)
    }
  }
}

extension CallShard {
  /// By the flow of its REGISTER, through the proxies of its Path. A proxy that has closed its connection is connected
  /// to again where its Path says, if that is the host it came from: nobody may send our calls to a third one.
  func route(to binding: Binding) -> Route {
    var route = Route(uri: Array(binding.contact), flow: binding.flow, path: binding.path)
    // RFC 3261 §19.1.1: headers have no place in a Request-URI.
    if route.uri.contains(UInt8(ascii: "?")), let part = (try? URI(parsing: route.uri[...]))?.headersPart {
      route.uri.removeSubrange((part.startIndex - 1)...)
    }
    if let first = binding.path.first, route.flow.connection == 0, route.flow.transport.isReliable,
      let proxy = (try? NameAddress(parsing: first[...]))?.uri, IPAddress(bytes: proxy.host) == route.flow.remote.ip
    {
      route.flow.remote = Endpoint(route.flow.remote.ip, proxy.port ?? (route.flow.transport == .tls ? 5061 : 5060))
    }
    return route
  }

  /// 430 Flow Failed: the proxy next to the phone has lost it (RFC 5626 §5.3). That binding is of no more use; the next
  /// flow of the instance rings, if there is one. The caller learns no more than that the user is not there.
  func flowIsGone(_ leg: Leg) {
    if let dial = leg.call.dial, let leaf = leg.leaf, let target = dial.tree.target(of: leaf), let sent = leg.sent {
      let contact = sent.invitation(flow: leg.flow).requestURI
      forget(target.place) { $0.contact.elementsEqual(contact) }
    }
    finish(
      leg, .init(status: 480, cause: .subscriberAbsent, kind: .unreachable, reason: nil, attempt: leg.attempt))
  }

  private func forget(_ place: DialTarget.Place, _ isIt: (Binding) -> Bool) {
    let user: [UInt8]
    switch place {
    case .user(let name), .binding(let name, _): user = name
    case .trunk, .uri: return
    }
    for binding in services.bindings.lookup(user: user, nowSeconds: services.wallClock() / 1000) where isIt(binding) {
      let changes = services.bindings.remove(user: user, binding)
      if !changes.isEmpty { services.journal.record(changes) }
    }
  }
}
