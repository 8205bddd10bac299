internal import Synchronization

/// The contexts that new connections take; those that are open keep theirs. Looked at when a connection is opened, never
/// for a message.
final class TLSStore: Sendable {
  private let contexts: Mutex<TLSContexts?>

  init(_ contexts: TLSContexts?) { self.contexts = Mutex(contexts) }

  var current: TLSContexts? { contexts.withLock { $0 } }

  func replace(_ new: TLSContexts) { contexts.withLock { $0 = new } }
}
