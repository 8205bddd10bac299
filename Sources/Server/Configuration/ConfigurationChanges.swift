extension ServerConfiguration {
  /// The keys, in the file's order, whose values differ in `new` and that a reload cannot change: sockets, pools and
  /// threads are made once. What a reload does change: script, users, trunks, access rules, certificates, log level.
  public func keysNeedingRestart(toBecome new: ServerConfiguration) -> [String] {
    var keys: [String] = []
    func note<T: Equatable>(_ key: String, _ path: KeyPath<ServerConfiguration, T>) {
      if self[keyPath: path] != new[keyPath: path] { keys.append(key) }
    }
    note("sip.listen", \.sip.listen)
    note("sip.domain", \.sip.domain)
    note("sip.advertise", \.sip.advertise)
    note("sip.auth.algorithms", \.sip.algorithms)
    note("sip.shards", \.sip.shards)
    note("media.address", \.media.addresses)
    note("media.ports", \.media.ports)
    note("media.timeout", \.media.timeout)
    note("media.hold_timeout", \.media.holdTimeout)
    note("media.tones", \.media.tones)
    note("registrar", \.registrar)
    note("storage.url", \.storage)
    note("records", \.records)
    note("control", \.control)
    note("log.format", \.log.format)
    return keys
  }
}
