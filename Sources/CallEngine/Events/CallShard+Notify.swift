import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// NOTIFY (RFC 6665 §4.2.2): changes are gathered, one NOTIFY is under way at a time, and one that fails is the end.
extension CallShard {
  /// Something of a user has changed, here or in another shard.
  func changed(_ user: [UInt8]) {
    services.events.hub.looked(user, shard: shard)
    for subscription in eventState.subscriptions(of: user) {
      subscription.isDirty = true
      notifyWhenDue(subscription)
    }
  }

  /// Sends what has changed, at once or when the package's interval is over.
  func notifyWhenDue(_ subscription: Subscription) {
    guard subscription.isDirty, !subscription.isWaiting, subscription.pause == nil else { return }
    guard now < subscription.quietUntil else {
      if isChanged(subscription) { notify(subscription) } else { subscription.isDirty = false }
      return
    }
    subscription.pause = arm(
      .pause, slot: subscription.token.slot, generation: subscription.token.generation, at: subscription.quietUntil)
  }

  /// A user's change may concern another package than this one.
  private func isChanged(_ subscription: Subscription) -> Bool {
    switch subscription.package {
    case .reg: bindings(of: subscription.user) != subscription.sentBindings
    case .dialog: dialogs(of: subscription.user) != subscription.sentDialogs
    case .messageSummary, .presence: subscription.sentHash != document(of: subscription).hashValue
    }
  }

  private func bindings(of user: [UInt8]) -> [Binding] {
    services.bindings.lookup(user: user, nowSeconds: services.wallClock() / 1000)
  }

  private func dialogs(of user: [UInt8]) -> [UserDialog] {
    Array(services.events.hub.dialogs(of: user).prefix(EventSettings.mostDialogs))
  }

  /// The body of the next NOTIFY, and what is remembered of it.
  private func document(of subscription: Subscription) -> [UInt8] {
    let entity = settings.address(of: subscription.user)
    switch subscription.package {
    case .reg:
      let bindings = bindings(of: subscription.user)
      defer { subscription.sentBindings = bindings }
      return RegistrationInfo.document(
        of: entity, version: subscription.version, sent: subscription.sentBindings, bindings: bindings,
        nowSeconds: services.wallClock() / 1000)
    case .dialog:
      let dialogs = dialogs(of: subscription.user)
      defer { subscription.sentDialogs = dialogs }
      return DialogInfo.document(
        of: entity, version: subscription.version, sent: subscription.sentDialogs, dialogs: dialogs)
    case .messageSummary:
      return services.events.mailboxes.get(subscription.user).summary(of: entity)
    case .presence:
      let seconds = services.wallClock() / 1000
      return PresenceDocument.document(
        of: entity, published: services.events.hub.publications(of: subscription.user, nowSeconds: seconds),
        isRegistered: !services.bindings.lookup(user: subscription.user, nowSeconds: seconds).isEmpty,
        isTalking: dialogs(of: subscription.user).contains(where: \.isTalking))
    }
  }

  /// - Parameter ending: the reason of the last NOTIFY; only one that ran out, or was given up, has the state in it.
  func notify(_ subscription: Subscription, ending reason: StaticString? = nil) {
    cancel(&subscription.pause)
    let hasBody = reason == nil || reason?.description == "timeout"
    let body = hasBody ? document(of: subscription) : []
    switch subscription.package {
    case .reg, .dialog: break
    case .messageSummary, .presence: subscription.sentHash = body.hashValue
    }
    let (id, branch) = table.reserveClient()
    let flow = subscription.dialog.flow
    var writer = subscription.dialog.request(
      .notify, branch: branch, viaSentBy: sentBy(of: flow), transport: flow.transport, contact: contact(of: flow))
    writer.header(.event, subscription.event[...])
    writer.begin(.subscriptionState)
    if let reason {
      writer.append("terminated;reason=")
      writer.append(reason)
    } else {
      writer.append("active;expires=")
      writer.append(number: Int(max(0, (subscription.expires - now).milliseconds + 999) / 1000))
    }
    writer.endLine()
    if hasBody { writer.header(.contentType, subscription.package.contentType) }
    writer.finish(body: body[...])
    subscription.version += 1
    subscription.isDirty = false
    subscription.isWaiting = true
    subscription.quietUntil = now + subscription.package.interval
    let (slot, generation) = (subscription.token.slot, subscription.token.generation)
    own(id, .own { [unowned self] status, response in notified(slot, generation, status, response) })
    table.send(id, method: .notify, bytes: writer.bytes, flow: flow, now: now, wheel: &wheel)
  }

  /// RFC 6665 §4.2.2: a NOTIFY that is refused, or that nobody answers, ends the subscription; one that the watcher wants
  /// later is sent again.
  private func notified(_ slot: UInt32, _ generation: UInt32, _ status: Int, _ response: Message?) {
    guard status >= 200, let subscription = eventState.subscriptions.get(slot, generation) else { return }
    subscription.isWaiting = false
    if status < 300 { return notifyWhenDue(subscription) }
    if status >= 500, let text = response?.first(.retryAfter), let seconds = CallShard.leadingNumber(text) {
      subscription.isDirty = true
      subscription.sentBindings = nil
      subscription.sentHash = nil
      subscription.quietUntil = now + .seconds(Double(min(max(seconds, 1), 300)))
      subscription.pause = arm(.pause, slot: slot, generation: generation, at: subscription.quietUntil)
      return
    }
    remove(subscription)
  }

  private static func leadingNumber(_ text: Bytes) -> Int? {
    let digits = text.trimmedBlanks.prefix { (0x30...0x39).contains($0) }
    return digits.isEmpty || digits.count > 9 ? nil : Int(String(decoding: digits, as: UTF8.self))
  }
}
