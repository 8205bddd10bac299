internal import NetCore
public import SIPMessage

/// The `registrar:` section of the configuration. Seconds.
public struct RegistrarSettings: Sendable {
  /// Shorter lifetimes than this are refused with 423.
  public var minExpires: Int
  /// Longer ones are cut to this; it is also what a phone gets that asks for none.
  public var maxExpires: Int
  /// Contacts that one user may have at once.
  public var maxContacts: Int
  /// What a REGISTER with Path gets whose phone does not say `Supported: path` (RFC 3327 §5.3).
  public var path = PathPolicy.accept
  /// Values of the Service-Route in the 200 (RFC 3608); none are sent where there are none.
  public var serviceRoutes: [[UInt8]] = []

  public init(minExpires: Int = 60, maxExpires: Int = 3600, maxContacts: Int = 10) {
    self.minExpires = minExpires
    self.maxExpires = maxExpires
    self.maxContacts = maxContacts
  }
}

/// Path headers that a phone did not say it understands.
public enum PathPolicy: Sendable {
  /// They are kept; the phone is not told.
  case accept
  /// 420 with `Unsupported: path`.
  case strict
}

/// What becomes of a REGISTER.
public enum RegistrarOutcome: Sendable {
  /// 200: list `bindings` in it (`Binding.writeContact`), and give `changes` to the journal.
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
      var change = BindingUpdate(user: user, entries: entries, registration, nowSeconds)
      if let failure = change.apply(settings) { return (nil, failure) }
      let bindings = BindingTable.ranked(change.entries, nowSeconds: nowSeconds)
      return (
        change.changes.isEmpty ? nil : change.entries, RegistrarOutcome.ok(bindings: bindings, changes: change.changes)
      )
    }
    if request.flow.connection != 0, case .ok(_, let changes) = outcome {
      for case .upsert(_, let binding) in changes { table.remember(user, binding) }
    }
    return outcome
  }

  public func process(
    _ request: Message, user: String, nowSeconds: Int64, settings: RegistrarSettings
  ) -> RegistrarOutcome {
    process(request, user: Array(user.utf8), nowSeconds: nowSeconds, settings: settings)
  }
}
