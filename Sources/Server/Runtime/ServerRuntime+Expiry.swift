import CallEngine
import NetCore

extension ServerRuntime {
  /// Bindings whose time is over, and messages that have waited too long, leave their table and the database without
  /// anybody asking for them. Ends when cancelled.
  func expireBindings() async {
    while !Task.isCancelled {
      let changes = services.bindings.expire(nowSeconds: services.wallClock() / 1000)
      if !changes.isEmpty { services.journal.record(changes) }
      let gone = services.events.messages.expire(nowSeconds: services.wallClock() / 1000)
      if !gone.isEmpty { services.events.journal.record(gone.map { .removed(id: $0) }) }
      try? await Task.sleep(for: .seconds(15))
    }
  }
}
