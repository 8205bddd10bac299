/// What a REGISTER, an expiry or a lost connection changed. Idempotent: applying one twice changes nothing more.
public enum BindingChange: Hashable, Sendable {
  /// A contact is new or refreshed; `user` and `Binding.contact` are its key.
  case upsert(user: [UInt8], Binding)
  /// A contact is gone. `contact` is the stored one, octet for octet.
  case remove(user: [UInt8], contact: [UInt8])

  var isUpsert: Bool { if case .upsert = self { true } else { false } }
}

/// Where changes of bindings are kept, so that they survive a restart. The registrar answers from memory and writes
/// behind: `record` takes the changes and returns, it never waits for a disk.
public protocol BindingJournal: Sendable {
  func record(_ changes: [BindingChange])
}
