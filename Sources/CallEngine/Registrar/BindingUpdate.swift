import SIPMessage

/// One REGISTER applied to a copy of a user's bindings (RFC 3261 §10.3 steps 6 and 7).
struct BindingUpdate {
  private(set) var entries: [Binding]
  private(set) var changes: [BindingChange] = []
  private let user: [UInt8]
  private let registration: Registration
  private let now: Int64
  /// Entries that were there before; those behind them this REGISTER has set, and its own CSeq does not stand in their way.
  private var old: Int

  init(user: [UInt8], entries: [Binding], _ registration: Registration, _ now: Int64) {
    self.user = user
    self.entries = entries
    self.registration = registration
    self.now = now
    old = entries.count
  }

  mutating func apply(_ settings: RegistrarSettings) -> RegistrarOutcome? {
    drop { [now] in $0.expires <= now }
    switch registration.contacts {
    case .fetch: return nil
    case .removeAll:
      guard entries.allSatisfy(inOrder) else { return BindingUpdate.outOfOrder }
      drop { _ in true }
    case .update(let contacts):
      for contact in contacts {
        for i in 0..<old where !inOrder(entries[i]) && same(entries[i], contact) { return BindingUpdate.outOfOrder }
        put(contact)
      }
      makeRoom(settings.maxContacts)
      guard entries.count <= settings.maxContacts else {
        return .failure(status: 403, reason: "Too Many Contacts")
      }
    }
    return nil
  }

  private static var outOfOrder: RegistrarOutcome { .failure(status: 500, reason: "CSeq Out Of Order") }

  /// §10.3 step 7: a binding of the same Call-ID is changed only by a higher CSeq.
  private func inOrder(_ entry: Binding) -> Bool {
    entry.cseq < registration.cseq || entry.callID != registration.callID
  }

  /// Contacts are compared as URIs (§10.3 step 7, §19.1.4); with a `reg-id` it is the instance and that number which
  /// make a binding (RFC 5626 §6), as its URI changes with every connection.
  private func same(_ entry: Binding, _ contact: Registration.Contact) -> Bool {
    if let regID = contact.binding.regID, entry.regID == regID, let instance = contact.binding.instanceID,
      entry.instanceID == instance
    {
      return true
    }
    // What the phone wrote last time, octet for octet, needs no parser.
    if entry.contact == contact.uri.bytes { return true }
    guard let uri = try? URI(parsing: entry.contact) else { return false }
    return uri.isEquivalent(to: contact.uri)
  }

  private mutating func put(_ contact: Registration.Contact) {
    let isKept = contact.lifetime > 0
    var i = 0
    while i < entries.count {
      guard same(entries[i], contact) else {
        i += 1
        continue
      }
      // The row of a contact that stays as it is written is overwritten.
      remove(i, silently: isKept && entries[i].contact == contact.uri.bytes)
    }
    guard isKept else { return }
    var binding = contact.binding
    binding.expires = now + contact.lifetime
    entries.append(binding)
    changes.append(.upsert(user: user, binding))
  }

  /// A phone that has restarted comes with a new port, and its old contacts would lock it out until they end: where there are
  /// too many, those of the same instance go first, oldest first.
  private mutating func makeRoom(_ limit: Int) {
    guard entries.count > limit else { return }
    let instances = entries[old...].compactMap(\.instanceID)
    while entries.count > limit {
      let candidates = (0..<old).filter { i in entries[i].instanceID.map(instances.contains) ?? false }
      guard let oldest = candidates.min(by: { entries[$0].expires < entries[$1].expires }) else { return }
      remove(oldest)
    }
  }

  private mutating func drop(where gone: (Binding) -> Bool) {
    var i = 0
    while i < entries.count {
      if gone(entries[i]) { remove(i) } else { i += 1 }
    }
  }

  private mutating func remove(_ i: Int, silently: Bool = false) {
    let gone = entries.remove(at: i)
    if i < old { old -= 1 }
    if !silently { changes.append(.remove(user: user, contact: Array(gone.contact))) }
  }
}
