internal import SIPMessage
internal import Synchronization

/// Who of the shards wants to know of which user, and what all shards must see alike of him: his calls, while somebody
/// watches them, and what he publishes. A leaf table, a lock a stripe: nothing is called, waited for or locked while one
/// is held. While nobody watches anything a change costs one load of an atomic.
public final class EventHub: Sendable {
  /// Somebody who is watched.
  private struct Watched {
    /// Subscriptions in each shard.
    var shards: [UInt8: Int] = [:]
    /// Shards that were told of a change and have not looked yet.
    var told: Set<UInt8> = []
    var dialogs: [(key: DialogKey, dialog: UserDialog)] = []
  }

  private struct Users {
    var watched: [[UInt8]: Watched] = [:]
    var published: [[UInt8]: [Publication]] = [:]
    /// Subscriptions that a watcher holds.
    var held: [[UInt8]: Int] = [:]
  }

  private final class Stripe: Sendable {
    let users = Mutex(Users())
  }

  /// A leg, whichever shard it lives in.
  struct DialogKey: Hashable {
    var shard: UInt8
    var slot: UInt32
    var generation: UInt32
  }

  private let stripes: [Stripe]
  private let subscriptions = Atomic<Int>(0)
  private let publications = Atomic<Int>(0)
  /// Counts what shards were not told because their mailbox was full: each looks at all it has when it changes.
  private let missed = Atomic<Int>(0)

  public init(stripes: Int = 64) {
    precondition(stripes > 0, "a table needs a stripe")
    self.stripes = (0..<stripes).map { _ in Stripe() }
  }

  private func stripe(_ user: [UInt8]) -> Stripe {
    stripes[Int((OctetTable<Int>.hash(user[...]) >> 40) % UInt64(stripes.count))]
  }

  /// Somebody watches somebody.
  var isWatched: Bool { subscriptions.load(ordering: .relaxed) > 0 }
  var hasPublications: Bool { publications.load(ordering: .relaxed) > 0 }
  var missedCount: Int { missed.load(ordering: .relaxed) }
  /// Subscriptions in force.
  public var subscriptionCount: Int { subscriptions.load(ordering: .relaxed) }

  // MARK: watchers

  enum Refusal { case watcher, all }

  /// Takes a place for one more subscription of `watcher`.
  func take(watcher: [UInt8], most: Int) -> Refusal? {
    let (_, count) = subscriptions.add(1, ordering: .relaxed)
    guard count <= EventSettings.mostSubscriptions else {
      subscriptions.subtract(1, ordering: .relaxed)
      return .all
    }
    let taken = stripe(watcher).users.withLock { users in
      let held = users.held[watcher, default: 0]
      guard held < most else { return false }
      users.held[watcher] = held + 1
      return true
    }
    if taken { return nil }
    subscriptions.subtract(1, ordering: .relaxed)
    return .watcher
  }

  func giveBack(watcher: [UInt8]) {
    subscriptions.subtract(1, ordering: .relaxed)
    stripe(watcher).users.withLock { users in
      let held = users.held[watcher, default: 1]
      users.held[watcher] = held > 1 ? held - 1 : nil
    }
  }

  /// A shard wants to know of `user`.
  /// - Returns: true where nobody did before: every shard is to tell of his calls.
  func watch(_ user: [UInt8], shard: UInt8) -> Bool {
    stripe(user).users.withLock { users in
      let isFirst = users.watched[user] == nil
      users.watched[user, default: Watched()].shards[shard, default: 0] += 1
      return isFirst
    }
  }

  func unwatch(_ user: [UInt8], shard: UInt8) {
    stripe(user).users.withLock { users in
      guard var watched = users.watched.removeValue(forKey: user) else { return }
      let left = watched.shards[shard, default: 1] - 1
      watched.shards[shard] = left > 0 ? left : nil
      watched.told.remove(shard)
      if !watched.shards.isEmpty { users.watched[user] = watched }
    }
  }

  // MARK: changes

  /// Tells the shards that watch `user`, once until each has looked.
  func changed(_ user: [UInt8], peers: ShardPeers) {
    guard isWatched else { return }
    tell(stripe(user).users.withLock { EventHub.toTell(&$0, user) }, user, peers)
  }

  /// A call of `user` is new or has changed; nil: it has ended.
  func set(_ dialog: UserDialog?, at key: DialogKey, of user: [UInt8], peers: ShardPeers) {
    let shards = stripe(user).users.withLock { users -> [UInt8] in
      guard let index = users.watched.index(forKey: user) else { return [] }
      let place = users.watched.values[index].dialogs.firstIndex { $0.key == key }
      switch (place, dialog) {
      case (nil, nil): return []
      case (let place?, nil): users.watched.values[index].dialogs.remove(at: place)
      case (let place?, let dialog?):
        if users.watched.values[index].dialogs[place].dialog == dialog { return [] }
        users.watched.values[index].dialogs[place].dialog = dialog
      case (nil, let dialog?): users.watched.values[index].dialogs.append((key, dialog))
      }
      return EventHub.toTell(&users, user)
    }
    tell(shards, user, peers)
  }

  private static func toTell(_ users: inout Users, _ user: [UInt8]) -> [UInt8] {
    guard let index = users.watched.index(forKey: user) else { return [] }
    var shards: [UInt8] = []
    for shard in users.watched.values[index].shards.keys
    where users.watched.values[index].told.insert(shard).inserted { shards.append(shard) }
    return shards
  }

  private func tell(_ shards: [UInt8], _ user: [UInt8], _ peers: ShardPeers) {
    for shard in shards where !peers.post(.event(.changed(user: user)), to: Int(shard)) {
      looked(user, shard: shard)
      missed.add(1, ordering: .relaxed)
    }
  }

  /// The shard is about to look: what changes from here on is told again.
  func looked(_ user: [UInt8], shard: UInt8) {
    stripe(user).users.withLock { users in
      guard let index = users.watched.index(forKey: user) else { return }
      users.watched.values[index].told.remove(shard)
    }
  }

  /// His calls, the oldest first; only while he is watched.
  func dialogs(of user: [UInt8]) -> [UserDialog] {
    stripe(user).users.withLock { $0.watched[user]?.dialogs.map(\.dialog) ?? [] }
  }

  // MARK: publications (RFC 3903)

  /// What a user's devices publish, those that have ended by `nowSeconds` left out.
  func publications(of user: [UInt8], nowSeconds: Int64) -> [Publication] {
    guard hasPublications else { return [] }
    return stripe(user).users.withLock { users in
      (users.published[user] ?? []).filter { $0.expires > nowSeconds }
    }
  }

  /// Changes a user's publications: `body` gets those in force.
  func publish<Result: Sendable>(
    _ user: [UInt8], nowSeconds: Int64, _ body: (inout [Publication]) -> Result
  ) -> Result {
    stripe(user).users.withLock { users in
      var list = users.published[user] ?? []
      let before = list.count
      list.removeAll { $0.expires <= nowSeconds }
      let result = body(&list)
      while list.count > EventSettings.mostPublications { list.removeFirst() }
      users.published[user] = list.isEmpty ? nil : list
      publications.add(list.count - before, ordering: .relaxed)
      return result
    }
  }

  /// Removes what has ended; whose state that changes.
  func expirePublications(nowSeconds: Int64) -> [[UInt8]] {
    guard hasPublications else { return [] }
    return stripes.flatMap { stripe in
      stripe.users.withLock { users in
        var changed: [[UInt8]] = []
        for (user, list) in users.published where list.contains(where: { $0.expires <= nowSeconds }) {
          let kept = list.filter { $0.expires > nowSeconds }
          users.published[user] = kept.isEmpty ? nil : kept
          publications.subtract(list.count - kept.count, ordering: .relaxed)
          changed.append(user)
        }
        return changed
      }
    }
  }
}

/// What reaches a shard of the events of other shards.
public enum EventInput: Sendable {
  /// Something of a user that this shard watches has changed.
  case changed(user: [UInt8])
  /// Somebody begins to watch a user: tell of the calls that he has here.
  case collect(user: [UInt8])
}

/// Passes changes of bindings on to who keeps them, and tells who watches their users.
struct WatchedJournal: BindingJournal {
  let journal: any BindingJournal
  let hub: EventHub
  let peers: ShardPeers

  func record(_ changes: [BindingChange]) {
    journal.record(changes)
    guard hub.isWatched else { return }
    var last: [UInt8]?
    for change in changes {
      let user =
        switch change {
        case .upsert(let user, _), .remove(let user, _): user
        }
      // The changes of a REGISTER are of one user.
      if user != last { hub.changed(user, peers: peers) }
      last = user
    }
  }
}
