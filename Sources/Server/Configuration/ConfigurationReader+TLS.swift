import NetCore

extension ConfigurationReader {
  /// `sip.tls`: one certificate, or several, the first for those who ask for none of the names.
  static func readTLS(_ section: ConfigurationSection, into tls: inout ServerConfiguration.TLS) {
    if let certificate = certificate(in: section, isNeeded: false) { tls.certificates.append(certificate) }
    var more: [ServerConfiguration.TLS.Certificate] = []
    section.sections("certificates", into: &more) { element in
      let names = element.value("names")?.serverNames() ?? []
      guard var certificate = certificate(in: element, isNeeded: true) else { return nil }
      certificate.names = names
      return certificate
    }
    tls.certificates += more
    section.readOptional("ca", into: &tls.clientAuthorities) { $0.file() }
    section.readOptional("trust", into: &tls.serverAuthorities) { $0.file() }
    section.read("wildcards", into: &tls.acceptsWildcards) { $0.boolean() }
    section.read("client_certificates", into: &tls.clientCertificates) { value in
      value.word(of: ServerConfiguration.TLS.ClientCertificates.allCases.map(\.rawValue), what: "choice")
        .flatMap { .init(rawValue: $0) }
    }
    if tls.clientCertificates != .none, section.value("ca") == nil {
      section.place.fail("client_certificates needs ca: who signs them")
    }
  }

  private static func certificate(
    in section: ConfigurationSection, isNeeded: Bool
  ) -> ServerConfiguration.TLS.Certificate? {
    let certificate = section.value("certificate")
    let key = section.value("key")
    switch (certificate, key) {
    case (let certificate?, let key?):
      guard let certificate = certificate.file(), let key = key.file() else { return nil }
      return .init(certificate: certificate, key: key)
    case (nil, nil): if isNeeded { section.place.fail("certificate and key are missing") }
    case (_?, nil): section.place.fail("key is missing")
    case (nil, _?): section.place.fail("certificate is missing")
    }
    return nil
  }

  static func readConnections(
    _ section: ConfigurationSection, into connections: inout ServerConfiguration.Connections
  ) {
    section.read("total", into: &connections.total) { $0.integer(in: 1...1_000_000) }
    section.read("per_address", into: &connections.perAddress) { $0.integer(in: 1...1_000_000) }
    func seconds(_ key: String, into target: inout Instant.Span) {
      section.read(key, into: &target) { value in
        guard let span = value.span() else { return nil }
        if span < .seconds(1 as Int64) { value.fail("at least a second is needed") }
        return span
      }
    }
    seconds("first_message", into: &connections.firstMessage)
    seconds("idle", into: &connections.idle)
  }

  /// A trunk's requests leave by a listener of its transport, which their Via and Contact name.
  static func checkTransport(
    _ section: ConfigurationSection, _ trunk: ServerConfiguration.Trunk, _ listening: [ServerConfiguration.Listener]
  ) {
    guard let value = section.value("transport"), let transport = trunk.transport else { return }
    if transport.isWebSocket {
      value.fail("a WebSocket is opened by clients only: no trunk has one")
    } else if !listening.contains(where: { $0.transport == transport }) {
      value.fail("sip.listen has no \(transport.parameterName) address for its requests to leave by")
    }
  }
}

extension ConfigurationValue {
  fileprivate func file() -> ServerConfiguration.File? { existingFile().map { .init(path: $0, line: line) } }

  /// Host names for SNI, `*.example.com` too.
  fileprivate func serverNames() -> [String]? {
    listOrOne()?.compactMap { value in
      guard let text = value.nonEmptyText() else { return nil }
      guard Self.isHostName(text.hasPrefix("*.") ? String(text.dropFirst(2)) : text) else {
        value.fail("\"\(text)\" is not a host name")
        return nil
      }
      return text.lowercased()
    }
  }

  /// `https://phone.example.com:8443` (RFC 6454 §6.2).
  func origins() -> [String]? {
    listOrOne()?.compactMap { value in
      guard let text = value.nonEmptyText()?.lowercased() else { return nil }
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 3, parts[0].hasSuffix(":"), parts[0].count > 1, parts[1].isEmpty, !parts[2].isEmpty else {
        value.fail("\"\(text)\" is not an origin, such as https://phone.example.com")
        return nil
      }
      return text
    }
  }
}
