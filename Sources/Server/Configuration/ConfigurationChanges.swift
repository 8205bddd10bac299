extension ServerConfiguration {
  /// The keys, in the file's order, whose values differ in `new` and that a reload cannot change: sockets, pools,
  /// threads and what stored passwords were hashed with are of the start. All else a reload takes over.
  public func keysNeedingRestart(toBecome new: ServerConfiguration) -> [String] {
    var keys: [String] = []
    func note<T: Equatable>(_ key: String, _ path: KeyPath<ServerConfiguration, T>) {
      if self[keyPath: path] != new[keyPath: path] { keys.append(key) }
    }
    note("sip.listen", \.sip.listen)
    note("sip.domain", \.sip.domain)
    note("sip.auth.algorithms", \.sip.algorithms)
    note("sip.connections", \.sip.connections)
    note("sip.websocket", \.sip.webSocketOrigins)
    note("sip.shards", \.sip.shards)
    note("media.address", \.media.addresses)
    note("media.ports", \.media.ports)
    note("storage.url", \.storage)
    note("records", \.records)
    note("control", \.control)
    note("log.format", \.log.format)
    return keys
  }

  /// This configuration with the values of `running` for every key that needs a restart: what a reload makes of it. So a
  /// new `sip.domain` does not hash the users' passwords with a realm that the running server does not ask for.
  public func keepingFixedKeys(of running: ServerConfiguration) -> ServerConfiguration {
    var merged = self
    merged.sip.listen = running.sip.listen
    merged.sip.domain = running.sip.domain
    merged.sip.algorithms = running.sip.algorithms
    merged.sip.connections = running.sip.connections
    merged.sip.webSocketOrigins = running.sip.webSocketOrigins
    merged.sip.shards = running.sip.shards
    merged.media.addresses = running.media.addresses
    merged.media.ports = running.media.ports
    merged.storage = running.storage
    merged.records = running.records
    merged.control = running.control
    merged.log.format = running.log.format
    return merged
  }
}
