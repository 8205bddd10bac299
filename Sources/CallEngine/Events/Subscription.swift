import NetCore
import SIPDialog
import SIPMessage
import SIPTransaction

/// A watcher's subscription to one package of one user (RFC 6665 §4.2), with a dialog of its own. It lives in the shard
/// that its SUBSCRIBE came to, and holds nothing of the script that let it in, so that a reload does not touch it.
///
///     SUBSCRIBE ──200, NOTIFY──> active ──change──> NOTIFY, one at a time, at most one an interval
///       active ──expiry, unsubscribe, drain──> last NOTIFY, gone
///       active ──NOTIFY fails──> gone
final class Subscription {
  /// Our tag in its dialog; its slot leads back here.
  let token: Token
  let package: EventPackage
  /// The value of Event as the watcher wrote it, with his `id` (RFC 6665 §8.2.1).
  let event: [UInt8]
  /// Who is watched.
  let user: [UInt8]
  /// Whom it is counted for.
  let watcher: [UInt8]
  /// The watcher's account; nil for one that the script let in by his address or trunk.
  let account: [UInt8]?
  var dialog: Dialog
  var expires: Instant
  /// Of the next document.
  var version = 0
  /// The state has changed since the last NOTIFY.
  var isDirty = false
  /// A NOTIFY waits for its response.
  var isWaiting = false
  /// No NOTIFY before it.
  var quietUntil: Instant
  var expiry: TimerHandle?
  var pause: TimerHandle?
  /// What the last document said, where the next one depends on it.
  var sentBindings: [Binding]?
  var sentDialogs: [UserDialog] = []
  /// Of the last document of a package that has nothing to compare.
  var sentHash: Int?

  init(
    token: Token, package: EventPackage, event: [UInt8], user: [UInt8], watcher: [UInt8], account: [UInt8]?,
    dialog: Dialog, expires: Instant, now: Instant
  ) {
    self.token = token
    self.package = package
    self.event = event
    self.user = user
    self.watcher = watcher
    self.account = account
    self.dialog = dialog
    self.expires = expires
    quietUntil = now
  }
}

/// What a shard keeps of events: its subscriptions, the messages under way, and the requests that its script decides.
struct EventState {
  var subscriptions = Slab<Subscription>()
  /// Those of each user who is watched here.
  private var byUser: [[UInt8]: [Token]] = [:]
  var deliveries = Slab<MessageDelivery>()
  var requests = Slab<ScriptRequest>()
  var sweepTimer: TimerHandle?
  /// `EventHub.missedCount` when this shard last looked at all it has.
  var missedSeen = 0

  func subscriptions(of user: [UInt8]) -> [Subscription] {
    (byUser[user] ?? []).compactMap { subscriptions.get($0.slot, $0.generation) }
  }

  /// Fills the slot that was reserved for it.
  mutating func add(_ subscription: Subscription) {
    subscriptions.fill(subscription.token.slot, subscription)
    byUser[subscription.user, default: []].append(subscription.token)
  }

  mutating func remove(_ subscription: Subscription) {
    subscriptions.remove(subscription.token.slot, subscription.token.generation)
    byUser[subscription.user]?.removeAll { $0 == subscription.token }
    if byUser[subscription.user]?.isEmpty == true { byUser[subscription.user] = nil }
  }
}

extension CallShard {
  enum EventTimer: UInt8 { case expiry, pause, sweep, patience, script }

  static let eventTimers: UInt8 = 11

  func arm(_ which: EventTimer, slot: UInt32, generation: UInt32, at: Instant) -> TimerHandle {
    wheel.arm(
      TimerToken(kind: CallShard.eventTimers, which: which.rawValue, slot: slot, generation: generation), at: at)
  }

  func eventTimer(_ token: TimerToken) {
    switch EventTimer(rawValue: token.which) {
    case .expiry:
      guard let subscription = eventState.subscriptions.get(token.slot, token.generation) else { return }
      subscription.expiry = nil
      end(subscription, "timeout")
    case .pause:
      guard let subscription = eventState.subscriptions.get(token.slot, token.generation) else { return }
      subscription.pause = nil
      notifyWhenDue(subscription)
    case .sweep: sweep()
    case .patience:
      if let delivery = eventState.deliveries.get(token.slot, token.generation) { outOfPatience(delivery) }
    case .script: scriptRequestTimedOut(token.slot, token.generation)
    case nil: return
    }
  }

  func event(_ input: EventInput) {
    switch input {
    case .changed(let user): changed(user)
    case .collect(let user): collect(user)
    }
  }
}
