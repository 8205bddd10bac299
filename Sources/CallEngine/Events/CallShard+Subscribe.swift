import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

// SUBSCRIBE (RFC 6665 §4.2.1): who may watch whom, new subscriptions, refreshes and their end.
extension CallShard {
  /// A SUBSCRIBE outside of a dialog.
  func subscribe(_ id: ServerTransactionID, _ message: Message) {
    if isDraining { return reply(id, message, 503) { $0.header(.retryAfter, number: 5) } }
    guard let package = EventPackage(event: message.first(.event)) else {
      return reply(id, message, 489) { $0.header(.allowEvents, EventPackage.all) }
    }
    guard let admitted = admit(id, message) else { return }
    guard package.isAccepted(by: message) else { return reply(id, message, 406) }
    guard settings.events.granted(message.expiresSeconds) != nil else { return tooBrief(id, message) }
    if let script, script.handlesSubscribe {
      return ask(script, .init(id: id, message: message, admitted: admitted, kind: .subscribe))
    }
    subscribe(id, message, admitted)
  }

  func tooBrief(_ id: ServerTransactionID, _ message: Message) {
    reply(id, message, 423) { $0.header(.minExpires, number: self.settings.events.minExpires) }
  }

  /// Without a word of the script: whoever has an account may watch the users of his own context. Who comes by a trunk or
  /// an access rule watches nobody.
  func subscribe(_ id: ServerTransactionID, _ message: Message, _ admitted: Admitted) {
    guard let watched = watched(message) else { return reply(id, message, 404) }
    guard let account = admitted.account, account.context == watched.context else { return reply(id, message, 403) }
    open(id, message, admitted, expires: nil)
  }

  /// The user of ours whom a request is about.
  func watched(_ message: Message) -> UserAccount? {
    let uri = message.requestURI
    guard isOwn(uri), let user = uri.decodedUser else { return nil }
    return directory.user(user[...])
  }

  /// Makes the subscription, and tells its first state.
  /// - Parameter expires: what the script grants, in seconds; it cannot be more than was asked for.
  func open(_ id: ServerTransactionID, _ message: Message, _ admitted: Admitted, expires: Int?) {
    guard let package = EventPackage(event: message.first(.event)), let user = watched(message),
      let asked = settings.events.granted(message.expiresSeconds)
    else { return reply(id, message, 404) }
    let seconds = expires.map { min(max($0, asked > 0 ? 1 : 0), asked) } ?? asked
    let watcher = watcherKey(admitted, message)
    switch services.events.hub.take(watcher: watcher, most: settings.events.maxSubscriptions) {
    case .watcher: return reply(id, message, 403, "Too Many Subscriptions")
    case .all: return reply(id, message, 503) { $0.header(.retryAfter, number: 60) }
    case nil: break
    }
    let (slot, generation) = eventState.subscriptions.reserve()
    let token = mint(slot: slot, generation: generation)
    var dialog: Dialog
    do {
      dialog = try Dialog(uas: message, localTag: token.hex[...])
    } catch {
      eventState.subscriptions.release(slot)
      services.events.hub.giveBack(watcher: watcher)
      return reply(id, message, error.status, error.reason)
    }
    dialog.confirm()
    let subscription = Subscription(
      token: token, package: package, event: Array((message.first(.event) ?? []).filter { $0 > 0x1f }),
      user: user.octets, watcher: watcher, account: admitted.account?.octets, dialog: dialog,
      expires: now + .seconds(Double(seconds)), now: now)
    eventState.add(subscription)
    let asksOthers = watch(user.octets)
    granted(id, message, subscription, seconds)
    armSweep()
    if seconds == 0 {
      // A poll has one NOTIFY only: it waits for what other shards have to tell.
      guard asksOthers, package.showsCalls else { return end(subscription, "timeout") }
      subscription.expires = now + .milliseconds(50)
      subscription.quietUntil = subscription.expires + package.interval
      return armExpiry(subscription)
    }
    armExpiry(subscription)
    notify(subscription)
    // What other shards tell first shall not wait.
    if asksOthers { subscription.quietUntil = now }
  }

  /// - Returns: true where other shards were asked for his calls.
  private func watch(_ user: [UInt8]) -> Bool {
    guard services.events.hub.watch(user, shard: shard) else { return false }
    collect(user)
    let others = (0..<services.peers.count).filter { $0 != Int(shard) }
    for other in others { services.peers.post(.event(.collect(user: user)), to: other) }
    return !others.isEmpty
  }

  /// Whom a subscription is counted for.
  private func watcherKey(_ admitted: Admitted, _ message: Message) -> [UInt8] {
    if let account = admitted.account { return account.octets }
    if let trunk = admitted.trunk { return Array("trunk/\(trunk)".utf8) }
    return Array("ip/\(message.flow.remote.ip)".utf8)
  }

  private func granted(
    _ id: ServerTransactionID, _ message: Message, _ subscription: Subscription, _ seconds: Int
  ) {
    reply(id, message, 200, tag: subscription.dialog.localTag) { writer in
      writer.copyAll(.recordRoute, from: message)
      writer.header(.contact, self.contact(of: message.flow))
      writer.header(.expires, number: seconds)
      writer.header(.allowEvents, EventPackage.all)
    }
  }

  private func armExpiry(_ subscription: Subscription) {
    cancel(&subscription.expiry)
    subscription.expiry = arm(
      .expiry, slot: subscription.token.slot, generation: subscription.token.generation, at: subscription.expires)
  }

  // MARK: in its dialog

  /// The subscription that a tag of ours names.
  func subscription(tag: Bytes?) -> Subscription? {
    guard let tag, let token = Token(hex: tag), token.shard == shard,
      let found = eventState.subscriptions.get(token.slot, token.generation), found.token == token
    else { return nil }
    return found
  }

  /// A SUBSCRIBE in the dialog: it goes on, or ends (RFC 6665 §4.2.1.2). Who knows both tags is the watcher; as with a
  /// call's re-INVITE he is not asked for his password again.
  func resubscribe(_ id: ServerTransactionID, _ message: Message, _ subscription: Subscription) {
    guard subscription.dialog.matches(message) else { return reply(id, message, 481) }
    if let unsupported = unsupportedOptions(message) {
      return reply(id, message, 420) { $0.header(.unsupported, unsupported[...]) }
    }
    guard let package = EventPackage(event: message.first(.event)), package == subscription.package else {
      // Another package would be another usage of this dialog, which RFC 6665 §4.5.2 has done away with.
      return reply(id, message, 489) { $0.header(.allowEvents, EventPackage.all) }
    }
    guard package.isAccepted(by: message) else { return reply(id, message, 406) }
    guard let seconds = settings.events.granted(message.expiresSeconds) else { return tooBrief(id, message) }
    switch subscription.dialog.receive(message) {
    case .ok: break
    default: return reply(id, message, 500) { $0.header(.retryAfter, number: 1) }
    }
    subscription.dialog.flow = message.responseFlow
    granted(id, message, subscription, seconds)
    if seconds == 0 { return end(subscription, "timeout") }
    subscription.expires = now + .seconds(Double(seconds))
    armExpiry(subscription)
    // The whole state anew (RFC 6665 §4.2.1.2, RFC 3680 §4.6).
    subscription.sentBindings = nil
    notify(subscription)
  }

  // MARK: the end

  /// The last NOTIFY, with the state where the watcher may still have it, and it is gone.
  func end(_ subscription: Subscription, _ reason: StaticString) {
    notify(subscription, ending: reason)
    remove(subscription)
  }

  func remove(_ subscription: Subscription) {
    guard eventState.subscriptions.get(subscription.token.slot, subscription.token.generation) === subscription else {
      return
    }
    cancel(&subscription.expiry)
    cancel(&subscription.pause)
    eventState.remove(subscription)
    services.events.hub.unwatch(subscription.user, shard: shard)
    services.events.hub.giveBack(watcher: subscription.watcher)
    if eventState.subscriptions.count == 0, !services.events.hub.hasPublications { cancel(&eventState.sweepTimer) }
  }

  /// The server goes away: watchers are told to come again later (RFC 6665 §4.2.2).
  func endSubscriptions() {
    for subscription in eventState.subscriptions.elements { end(subscription, "probation;retry-after=10") }
  }

  /// Users have changed: a watcher or a watched one who is no more.
  func checkSubscriptions() {
    for subscription in eventState.subscriptions.elements {
      if directory.user(subscription.user[...]) == nil {
        end(subscription, "noresource")
      } else if let account = subscription.account, directory.user(account[...]) == nil {
        end(subscription, "rejected")
      }
    }
  }

  // MARK: what nobody tells of

  private static let sweepInterval = Instant.Span.seconds(2)

  /// While there are subscriptions or publications: publications run out, and a shard whose mailbox was full has missed
  /// what it should have been told.
  func armSweep() {
    guard eventState.sweepTimer == nil else { return }
    eventState.sweepTimer = arm(.sweep, slot: 0, generation: 0, at: now + CallShard.sweepInterval)
  }

  func sweep() {
    eventState.sweepTimer = nil
    let hub = services.events.hub
    for user in hub.expirePublications(nowSeconds: services.wallClock() / 1000) {
      hub.changed(user, peers: services.peers)
    }
    if hub.missedCount != eventState.missedSeen {
      eventState.missedSeen = hub.missedCount
      for subscription in eventState.subscriptions.elements {
        subscription.isDirty = true
        notifyWhenDue(subscription)
      }
    }
    if eventState.subscriptions.count > 0 || hub.hasPublications { armSweep() }
  }
}
