import CallEngine
import NetCore

extension ServerRuntime {
  /// Bindings whose time is over leave the table, and the database, without anybody asking for them. Ends when cancelled.
  func expireBindings() async {
    while !Task.isCancelled {
      let changes = services.bindings.expire(nowSeconds: services.wallClock() / 1000)
      if !changes.isEmpty { services.journal.record(changes) }
      try? await Task.sleep(for: .seconds(15))
    }
  }
}
