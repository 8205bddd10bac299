public import SIPMessage

/// The `registrar:` section of the configuration. Seconds.
public struct RegistrarSettings: Sendable {
  /// Shorter lifetimes than this are refused with 423.
  public var minExpires: Int
  /// Longer ones are cut to this; it is also what a phone gets that asks for none.
  public var maxExpires: Int
  /// Contacts that one user may have at once.
  public var maxContacts: Int

  public init(minExpires: Int = 60, maxExpires: Int = 3600, maxContacts: Int = 10) {
    self.minExpires = minExpires
    self.maxExpires = maxExpires
    self.maxContacts = maxContacts
  }
}

/// What becomes of a REGISTER.
public enum RegistrarOutcome: Sendable {
  /// 200: list `bindings` in it (`Binding.contactValue`), and give `changes` to the journal.
  case ok(bindings: [Binding], changes: [BindingChange])
  /// `minExpires` is the Min-Expires of a 423. Nothing was changed.
  case failure(status: Int, reason: String, minExpires: Int? = nil)
}

/// The registrar of RFC 3261 §10.3, steps 5 to 8. Who the user is, and that he may do this, has been settled before.
public struct Registrar: Sendable {
  public let table: BindingTable

  public init(table: BindingTable) { self.table = table }

  /// Carries out a REGISTER for `user`, the unescaped user part of its To. All of its contacts, or none.
  ///
  /// - Parameter nowSeconds: wall-clock seconds since 1970.
  public func process(
    _ request: Message, user: [UInt8], nowSeconds: Int64, settings: RegistrarSettings
  ) -> RegistrarOutcome {
    guard request.to.uri.scheme == .sip || request.to.uri.scheme == .sips else {
      return .failure(status: 400, reason: "To: an address of record is a SIP or SIPS URI")
    }
    let registration: Registration
    do {
      registration = try Registration(request, settings: settings)
    } catch {
      return .failure(
        status: error.status, reason: error.reason, minExpires: error.status == 423 ? settings.minExpires : nil)
    }
    let outcome = table.update(user: user) { entries in
      var change = BindingUpdate(user: user, entries: copy entries, registration, nowSeconds)
      if let failure = change.apply(settings) { return (nil, failure) }
      let bindings = BindingTable.ranked(change.entries.map(\.binding), nowSeconds: nowSeconds)
      return (
        change.changes.isEmpty ? nil : change.entries, RegistrarOutcome.ok(bindings: bindings, changes: change.changes)
      )
    }
    if case .ok(_, let changes) = outcome {
      table.remember(user, changes.compactMap { if case .upsert(_, let binding) = $0 { binding } else { nil } })
    }
    return outcome
  }

  public func process(
    _ request: Message, user: String, nowSeconds: Int64, settings: RegistrarSettings
  ) -> RegistrarOutcome {
    process(request, user: Array(user.utf8), nowSeconds: nowSeconds, settings: settings)
  }
}

/// One REGISTER applied to a copy of a user's bindings.
private struct BindingUpdate {
  let user: [UInt8]
  var entries: [BindingTable.Entry]
  var changes: [BindingChange] = []
  private let registration: Registration
  private let now: Int64
  /// Contacts that this REGISTER has set: its own CSeq does not stand in its way.
  private var touched: Set<[UInt8]> = []

  init(user: [UInt8], entries: [BindingTable.Entry], _ registration: Registration, _ now: Int64) {
    self.user = user
    self.entries = entries
    self.registration = registration
    self.now = now
  }

  mutating func apply(_ settings: RegistrarSettings) -> RegistrarOutcome? {
    drop { [now] in $0.binding.expires <= now }
    switch registration.contacts {
    case .fetch: return nil
    case .removeAll:
      guard entries.allSatisfy(inOrder) else { return BindingUpdate.outOfOrder }
      drop { _ in true }
    case .update(let contacts):
      for contact in contacts {
        guard entries.allSatisfy({ !same($0, contact) || inOrder($0) }) else { return BindingUpdate.outOfOrder }
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
  private func inOrder(_ entry: BindingTable.Entry) -> Bool {
    entry.binding.callID != registration.callID || entry.binding.cseq < registration.cseq
      || touched.contains(entry.binding.contact)
  }

  /// Contacts are compared as URIs (§10.3 step 7, §19.1.4); with a `reg-id` it is the instance and that number which
  /// make a binding (RFC 5626 §6), as its URI changes with every connection.
  private func same(_ entry: BindingTable.Entry, _ contact: Registration.Contact) -> Bool {
    if let instance = contact.binding.instanceID, let regID = contact.binding.regID,
      entry.binding.instanceID == instance, entry.binding.regID == regID
    {
      return true
    }
    return entry.uri.isEquivalent(to: contact.uri)
  }

  private mutating func put(_ contact: Registration.Contact) {
    let replaced = entries.filter { same($0, contact) }
    entries = entries.filter { !same($0, contact) }
    guard contact.lifetime > 0 else {
      changes += replaced.map { .remove(user: user, contact: $0.binding.contact) }
      return
    }
    var binding = contact.binding
    binding.expires = now + contact.lifetime
    changes += replaced.filter { $0.binding.contact != binding.contact }
      .map { .remove(user: user, contact: $0.binding.contact) }
    entries.append(BindingTable.Entry(binding, uri: contact.uri))
    changes.append(.upsert(user: user, binding))
    touched.insert(binding.contact)
  }

  /// A phone that has restarted comes with a new port, and its old contacts would lock it out until they end: where there are
  /// too many, those of the same instance go first, oldest first.
  private mutating func makeRoom(_ limit: Int) {
    let instances = Set(entries.filter { touched.contains($0.binding.contact) }.compactMap(\.binding.instanceID))
    while entries.count > limit {
      let old = entries.indices.filter {
        guard let instance = entries[$0].binding.instanceID else { return false }
        return instances.contains(instance) && !touched.contains(entries[$0].binding.contact)
      }
      guard let oldest = old.min(by: { entries[$0].binding.expires < entries[$1].binding.expires }) else { return }
      changes.append(.remove(user: user, contact: entries[oldest].binding.contact))
      entries.remove(at: oldest)
    }
  }

  private mutating func drop(where gone: (BindingTable.Entry) -> Bool) {
    changes += entries.filter(gone).map { .remove(user: user, contact: $0.binding.contact) }
    entries.removeAll(where: gone)
  }
}
