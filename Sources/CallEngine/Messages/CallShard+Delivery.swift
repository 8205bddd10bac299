import Logging
import LuaRuntime
import NetCore
import NextHop
import SIPMessage
import SIPTransaction

// Messages on their way: to every binding of a user at once; the first that takes it decides. Who is absent has it kept.
extension CallShard {
  /// Until then somebody must have answered, or the message is kept and the sender told so. A binding that is dead would
  /// cost him 32 s, after which he would have given up himself.
  private static let patience = Instant.Span.seconds(8)

  /// Messages under way at once, of one shard.
  private static let mostDeliveries = 10_000

  func deliver(_ message: TextMessage, to place: DialTarget.Place, origin: MessageDelivery.Origin) {
    var user: [UInt8]?
    var places = [place]
    if case .user(let name) = place {
      user = name
      if case .stored = origin {
      } else if services.events.messages.isRunning(name) {
        return keepOrRefuse(message, for: name, origin)
      }
      places = services.bindings.lookup(user: name, nowSeconds: services.wallClock() / 1000)
        .map { .binding(user: name, $0) }
    }
    guard eventState.deliveries.count < CallShard.mostDeliveries else {
      if case .stored = origin, let user { return services.events.messages.stop(user) }
      return tell(origin, 503)
    }
    let ways = places.map { way(to: DialTarget(place: $0, name: [])) }
    let (slot, generation) = eventState.deliveries.reserve()
    let delivery = MessageDelivery(
      slot: slot, generation: generation, message: message, user: user, origin: origin)
    eventState.deliveries.fill(slot, delivery)
    delivery.pending = ways.count
    if ways.isEmpty { return allFailed(delivery) }
    delivery.timer = arm(.patience, slot: slot, generation: generation, at: now + CallShard.patience)
    for way in ways { send(message, way, for: delivery) }
  }

  private func send(_ message: TextMessage, _ way: Way, for delivery: MessageDelivery) {
    let (slot, generation) = (delivery.slot, delivery.generation)
    switch way {
    case .known(let route): send(message, route, for: delivery)
    case .named(let uri, let query):
      resolve(query) { [unowned self] (found: Result<[Flow], HopFailure>) in
        guard let delivery = eventState.deliveries.get(slot, generation) else { return }
        guard let flow = (try? found.get())?.first else { return answered(slot, generation, 503) }
        send(message, Route(uri: uri, flow: flow), for: delivery)
      }
    case .none: answered(slot, generation, 503)
    }
  }

  private func send(_ message: TextMessage, _ route: Route, for delivery: MessageDelivery) {
    let (slot, generation) = (delivery.slot, delivery.generation)
    var to: [UInt8] = [UInt8(ascii: "<")]
    to += delivery.user.map { settings.address(of: $0) } ?? route.uri
    to.append(UInt8(ascii: ">"))
    let from = message.from + Array(";tag=".utf8) + mint(slot: CallShard.noSlot, generation: 0).hex
    let request = OwnRequest(
      method: .message, flow: route.flow, requestURI: route.uri, from: from, to: to, callID: mintCallID(),
      routes: route.path, maxForwards: message.maxForwards, body: message.body, contentType: message.contentType)
    send(request) { writer in
      writer.append(message.headers)
    } done: { [unowned self] status, _ in
      answered(slot, generation, status)
    }
  }

  private func answered(_ slot: UInt32, _ generation: UInt32, _ status: Int) {
    guard status >= 200, let delivery = eventState.deliveries.get(slot, generation) else { return }
    delivery.pending -= 1
    if status < 300 {
      if !delivery.isTaken { taken(delivery) }
    } else {
      delivery.failures.append(status)
    }
    if delivery.pending == 0 { allAnswered(delivery) }
  }

  private func taken(_ delivery: MessageDelivery) {
    delivery.isTaken = true
    if let held = delivery.held, let user = delivery.user {
      // Late, but he has it: he shall not get it twice.
      if services.events.messages.remove(held, of: user) { services.events.journal.record([.removed(id: held)]) }
    }
    settle(delivery, 200)
  }

  private func allAnswered(_ delivery: MessageDelivery) {
    guard !delivery.isTaken else { return forget(delivery) }
    if let held = delivery.held, let user = delivery.user {
      forget(delivery)
      if services.events.messages.settle(held, of: user) { deliverStored(to: user) }
      return
    }
    allFailed(delivery)
  }

  private func allFailed(_ delivery: MessageDelivery) {
    let refusals = delivery.failures.filter { !MessageDelivery.isAbsence($0) }
    if let user = delivery.user, refusals.isEmpty {
      if case .stored = delivery.origin { settle(delivery, 480) } else { keep(delivery, for: user, isHeld: false) }
    } else {
      let statuses = refusals.isEmpty ? delivery.failures : refusals
      let best = bestResponse(statuses).map { statuses[$0] } ?? 480
      settle(delivery, statusForCaller(best))
    }
    forget(delivery)
  }

  /// Nobody has answered yet: it is kept, and what comes late is still heard.
  func outOfPatience(_ delivery: MessageDelivery) {
    delivery.timer = nil
    guard !delivery.isSettled, let user = delivery.user else { return }
    if case .stored = delivery.origin { return }
    keep(delivery, for: user, isHeld: true)
  }

  private func keep(_ delivery: MessageDelivery, for user: [UInt8], isHeld: Bool) {
    guard let kept = store(delivery.message, for: user, isHeld: isHeld) else { return settle(delivery, 480) }
    if isHeld { delivery.held = kept.id }
    settle(delivery, 202)
    // He may have come while this was being decided.
    if !isHeld, delivery.failures.isEmpty { deliverStored(to: user) }
  }

  private func keepOrRefuse(_ message: TextMessage, for user: [UInt8], _ origin: MessageDelivery.Origin) {
    tell(origin, store(message, for: user, isHeld: false) == nil ? 480 : 202)
    // The run may have ended meanwhile.
    deliverStored(to: user)
  }

  private func store(_ message: TextMessage, for user: [UInt8], isHeld: Bool) -> TextMessage? {
    guard
      let kept = services.events.messages.add(
        message, for: user, most: settings.events.storedMessages, isHeld: isHeld,
        nowMilliseconds: services.wallClock())
    else { return nil }
    services.events.journal.record([.stored(user: user, kept)])
    return kept
  }

  private func settle(_ delivery: MessageDelivery, _ status: Int) {
    guard !delivery.isSettled else { return }
    delivery.isSettled = true
    cancel(&delivery.timer)
    if case .stored(let id) = delivery.origin {
      if let user = delivery.user { delivered(id, to: user, status) }
    } else {
      tell(delivery.origin, status)
    }
  }

  private func tell(_ origin: MessageDelivery.Origin, _ status: Int) {
    switch origin {
    case .stored: return
    case .request(let id): answer(id, status)
    case .task(let slot, let generation): wakeSender(slot, generation, status)
    case .script(let id, let slot, let generation):
      answer(id, status)
      wakeSender(slot, generation, status)
    }
  }

  private func answer(_ id: ServerTransactionID, _ status: Int) {
    guard let request = table.request(of: id) else { return }
    reply(id, request, status)
  }

  private func wakeSender(_ slot: UInt32, _ generation: UInt32, _ status: Int) {
    guard let task = tasks.get(slot, generation), task.waiting == .service else { return }
    wake(Int(slot), [CallShard.deliveryResult(status)])
  }

  private func forget(_ delivery: MessageDelivery) {
    cancel(&delivery.timer)
    eventState.deliveries.remove(delivery.slot, delivery.generation)
  }

  // MARK: what waited

  /// A user has registered: what waited for him is delivered, one message after the other. One load where none waits.
  func deliverStored(to user: [UInt8]) {
    guard services.events.messages.count > 0,
      !services.bindings.lookup(user: user, nowSeconds: services.wallClock() / 1000).isEmpty,
      let first = services.events.messages.begin(user)
    else { return }
    deliverStored(first, to: user)
  }

  private func deliverStored(_ message: TextMessage, to user: [UInt8]) {
    var message = message
    while message.expires <= services.wallClock() / 1000 {
      let next = services.events.messages.next(user, after: message.id)
      services.events.journal.record([.removed(id: message.id)])
      guard let next else { return }
      message = next
    }
    deliver(message, to: .user(user), origin: .stored(id: message.id))
  }

  /// - Parameter status: 2xx: he has it; 480: he is gone again; another: his phone does not want it, ever.
  private func delivered(_ id: Int64, to user: [UInt8], _ status: Int) {
    if status >= 300, MessageDelivery.isAbsence(status) { return services.events.messages.stop(user) }
    if status >= 300 {
      services.logger.notice(
        "a stored message was refused and is dropped",
        metadata: ["user": "\(String(decoding: user, as: UTF8.self))", "status": "\(status)"])
    }
    let next = services.events.messages.next(user, after: id)
    services.events.journal.record([.removed(id: id)])
    if let next { deliverStored(next, to: user) }
  }
}
