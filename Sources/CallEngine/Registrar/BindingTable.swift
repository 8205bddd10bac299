internal import NetCore
internal import SIPMessage
internal import Synchronization

/// The location service (RFC 3261 §10): the bindings of every user, in memory, one table for all shards. A user belongs to one
/// stripe, and all that is asked or changed of him happens under the lock of that stripe, so an update is seen whole or not at
/// all. Locks are leaves: nothing is called, waited for or locked while one is held.
public final class BindingTable: Sendable {
  private struct Users {
    var table = OctetTable<[Binding]>()
    var bindings = 0
    /// No binding ends before this second.
    var earliest = Int64.max

    func entries(_ user: Bytes) -> [Binding] { table.find(user).map { table[$0] } ?? [] }

    mutating func set(_ user: [UInt8], _ new: [Binding]) {
      for entry in new { earliest = min(earliest, entry.expires) }
      bindings += new.count
      guard let index = table.find(user[...]) else {
        if !new.isEmpty { table.insert(user, new) }
        return
      }
      bindings -= table[index].count
      if new.isEmpty { table.remove(at: index) } else { table[index] = new }
    }
  }

  private final class Stripe: Sendable {
    let users = Mutex(Users())
    /// Users that registered over a connection, by its id: more may be named than still have a binding there.
    let connections = Mutex<[UInt64: Set<[UInt8]>]>([:])
  }

  private let stripes: [Stripe]

  public init(stripes: Int = 64) {
    precondition(stripes > 0, "a table needs a stripe")
    self.stripes = (0..<stripes).map { _ in Stripe() }
  }

  private func stripe(_ user: [UInt8]) -> Stripe {
    // By other bits than those that the stripe's own table takes.
    stripes[Int((OctetTable<[Binding]>.hash(user[...]) >> 40) % UInt64(stripes.count))]
  }

  private func stripe(_ connection: UInt64) -> Stripe { stripes[Int(connection % UInt64(stripes.count))] }

  // MARK: Asking

  /// What is in force at `nowSeconds`, the best first: by `q`, then the one refreshed last.
  public func lookup(user: [UInt8], nowSeconds: Int64) -> [Binding] {
    let entries = stripe(user).users.withLock { $0.entries(user[...]) }
    return BindingTable.ranked(entries, nowSeconds: nowSeconds)
  }

  static func ranked(_ bindings: [Binding], nowSeconds: Int64) -> [Binding] {
    if bindings.count == 1, bindings[0].expires > nowSeconds { return bindings }
    return bindings.filter { $0.expires > nowSeconds }.sorted {
      ($0.q ?? 1000, $0.expires) > ($1.q ?? 1000, $1.expires)
    }
  }

  /// All of it, one stripe after the other: each user's bindings belong together, those of two users may not.
  public func snapshot() -> [(user: [UInt8], binding: Binding)] {
    stripes.flatMap { stripe in
      stripe.users.withLock { users in
        users.table.entries.flatMap { user, entries in entries.map { (user: user, binding: $0) } }
      }
    }
  }

  /// Users with a binding, and bindings; those that have ended count until `expire`.
  public var counts: (users: Int, bindings: Int) {
    stripes.reduce((0, 0)) { sum, stripe in
      stripe.users.withLock { (sum.0 + $0.table.count, sum.1 + $0.bindings) }
    }
  }

  /// A place in the table, for who goes through it piece by piece.
  struct Cursor {
    var stripe = 0
    var index = 0
  }

  /// The bindings of the next `count` users from the cursor on, and round again at the end. A change meanwhile may have
  /// one passed over, or met twice.
  func next(_ count: Int, from cursor: inout Cursor) -> [(user: [UInt8], bindings: [Binding])] {
    var list: [(user: [UInt8], bindings: [Binding])] = []
    var crossed = 0
    while list.count < count, crossed <= stripes.count {
      let want = count - list.count
      let (part, isEnd) = stripes[cursor.stripe].users.withLock { users in
        let entries = users.table.entries.dropFirst(cursor.index).prefix(want)
        return (entries.map { (user: $0.key, bindings: $0.value) }, entries.endIndex == users.table.count)
      }
      list += part
      cursor.index += part.count
      if isEnd {
        cursor = Cursor(stripe: (cursor.stripe + 1) % stripes.count)
        crossed += 1
      }
    }
    return list
  }

  // MARK: Changing

  /// Fills the table after a restart. A contact that does not parse is left out; one that is there already is replaced.
  /// Connections are forgotten: their ids are of the process before, and now other peers have them.
  public func load(_ bindings: [(user: [UInt8], binding: Binding)]) {
    for (user, kept) in bindings {
      var binding = kept
      binding.flow.connection = 0
      guard (try? URI(parsing: binding.contact)) != nil else { continue }
      stripe(user).users.withLock { users in
        users.set(user, users.entries(user[...]).filter { $0.contact != binding.contact } + [binding])
      }
    }
  }

  /// Runs `update` on the bindings of `user`, ended ones included, and keeps what it returns; nil keeps what was there.
  /// Only for the registrar's own rules, which touch nothing but their argument.
  func update<Result: Sendable>(
    user: [UInt8], _ update: ([Binding]) -> (keep: [Binding]?, result: Result)
  ) -> Result {
    stripe(user).users.withLock { users in
      let (keep, result) = update(users.entries(user[...]))
      if let keep { users.set(user, keep) }
      return result
    }
  }

  /// Notes over which connection this binding came.
  func remember(_ user: [UInt8], _ binding: Binding) {
    guard binding.flow.connection != 0 else { return }
    stripe(binding.flow.connection).connections.withLock { _ = $0[binding.flow.connection, default: []].insert(user) }
  }

  /// Removes what has ended by `nowSeconds`.
  public func expire(nowSeconds: Int64) -> [BindingChange] {
    var changes: [BindingChange] = []
    for stripe in stripes {
      changes += stripe.users.withLock { users in
        guard users.earliest <= nowSeconds else { return [] }
        var gone: [BindingChange] = []
        var earliest = Int64.max
        // From the end: what is removed is filled with the last one, which has been seen.
        for index in (0..<users.table.count).reversed() {
          let (user, entries) = users.table.entries[index]
          let over = entries.contains { $0.expires <= nowSeconds }
          let kept = over ? entries.filter { $0.expires > nowSeconds } : entries
          for entry in kept { earliest = min(earliest, entry.expires) }
          guard over else { continue }
          for entry in entries where entry.expires <= nowSeconds {
            gone.append(.remove(user: user, contact: Array(entry.contact)))
          }
          users.set(user, kept)
        }
        users.earliest = earliest
        return gone
      }
    }
    return changes
  }

  /// Removes the bindings whose flow is a connection that is gone: they can no more be reached (RFC 5626 §5.3). One that
  /// came through a proxy stays: the proxy can be connected to again. To be called once for each connection that ends,
  /// as until then the table remembers who registered over it.
  public func remove(connection: UInt64) -> [BindingChange] {
    guard connection != 0 else { return [] }
    let users = stripe(connection).connections.withLock { $0.removeValue(forKey: connection) } ?? []
    return users.flatMap { user in
      update(user: user) { entries -> (keep: [Binding]?, result: [BindingChange]) in
        guard entries.contains(where: { $0.flow.connection == connection }) else { return (nil, []) }
        var kept: [Binding] = []
        var changes: [BindingChange] = []
        for var entry in entries {
          if entry.flow.connection == connection {
            guard !entry.path.isEmpty else {
              changes.append(.remove(user: user, contact: Array(entry.contact)))
              continue
            }
            entry.flow.connection = 0
          }
          kept.append(entry)
        }
        return (kept, changes)
      }
    }
  }

  /// Removes one binding, unless it has been refreshed or replaced meanwhile.
  func remove(user: [UInt8], _ binding: Binding) -> [BindingChange] {
    remove(user: user) {
      $0.contact == binding.contact && $0.cseq == binding.cseq && $0.callID == binding.callID
    }
  }

  /// Removes every binding of a user, as when he is deleted.
  public func remove(user: [UInt8]) -> [BindingChange] { remove(user: user) { _ in true } }

  private func remove(user: [UInt8], where gone: (Binding) -> Bool) -> [BindingChange] {
    update(user: user) { entries in
      let over = entries.filter(gone)
      let changes = over.map { BindingChange.remove(user: user, contact: Array($0.contact)) }
      return (over.isEmpty ? nil : entries.filter { !gone($0) }, changes)
    }
  }
}
