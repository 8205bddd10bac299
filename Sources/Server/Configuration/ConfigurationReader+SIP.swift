import CallEngine
import Foundation
import NetCore
import SIPDigest

extension ConfigurationReader {
  static func readSIP(_ root: ConfigurationSection, into sip: inout ServerConfiguration.SIP) {
    var secure: [ConfigurationValue] = []
    root.section("sip") { section in
      section.read("listen", into: &sip.listen) { value in
        guard let values = value.listOrOne() else { return nil }
        if values.isEmpty { value.fail("at least one address is needed") }
        var seen: Set<ServerConfiguration.Listener> = []
        return values.compactMap { value in
          guard let listener = listener(value) else { return nil }
          if listener.transport.isSecure { secure.append(value) }
          if listener.endpoint.port != 0, !seen.insert(listener).inserted { value.fail("\(listener) is listed twice") }
          return listener
        }
      }
      // One octet of every branch and tag names the listener (`Flow.listener`).
      if sip.listen.count > 64 { section.place.fail("more than 64 addresses in listen") }
      section.read("domain", into: &sip.domain) { $0.domainName() }
      section.read("advertise", into: &sip.advertise) { $0.addressPerFamily() }
      section.read("local_networks", into: &sip.localNetworks) { $0.networks() }
      section.section("nat") { nat in
        nat.read("keepalive", into: &sip.nat.interval) { value in
          guard let seconds = value.number() else { return nil }
          guard seconds == 0 || (5...600).contains(seconds) else {
            value.fail("from 5 to 600 seconds, or 0 for none")
            return nil
          }
          return .seconds(seconds)
        }
        nat.read("method", into: &sip.nat.method) { value in
          value.word(of: ["crlf", "options"], what: "method").map { $0 == "options" ? .options : .crlf }
        }
      }
      section.section("auth") { auth in
        auth.read("algorithms", into: &sip.algorithms) { algorithms($0) }
      }
      section.section("tls") { readTLS($0, into: &sip.tls) }
      section.section("websocket") { webSocket in
        webSocket.read("origins", into: &sip.webSocketOrigins) { $0.origins() }
      }
      section.section("connections") { readConnections($0, into: &sip.connections) }
      section.read("udp_limit", into: &sip.datagramLimit) { value in
        guard let limit = value.integer(in: 0...65_507) else { return nil }
        if limit > 0, limit < 500 { value.fail("\(limit) is less than any request takes; 0 for no limit") }
        return limit
      }
      section.read("session_expires", into: &sip.sessionExpires) { value in
        guard let seconds = value.integer(in: 0...86_400) else { return nil }
        guard !(1..<90).contains(seconds) else {
          value.fail("\(seconds) is less than 90 (RFC 4028 §4); 0: none")
          return nil
        }
        return seconds
      }
      section.read("min_se", into: &sip.minSE) { $0.integer(in: 90...86_400) }
      if sip.sessionExpires != 0, sip.sessionExpires < sip.minSE {
        section.place.fail("session_expires is less than min_se")
      }
      section.read("shards", into: &sip.shards) { $0.integer(in: 0...128) }
    }
    // One that is there and wrong has its own fault.
    guard sip.tls.certificates.isEmpty,
      !root.place.context.faults.contains(where: { $0.message.hasPrefix("sip.tls") })
    else { return }
    for value in secure { value.fail("TLS needs a certificate: give sip.tls.certificate and sip.tls.key") }
  }

  /// `udp:127.0.0.1:5060`, `tcp:[::1]:5060`.
  private static func listener(_ value: ConfigurationValue) -> ServerConfiguration.Listener? {
    guard let text = value.text() else { return nil }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      value.fail("\"\(text)\" is not TRANSPORT:ADDRESS:PORT, such as udp:127.0.0.1:5060")
      return nil
    }
    let names = Transport.allCases.map(\.parameterName)
    guard let transport = Transport.allCases.first(where: { $0.parameterName == parts[0] }) else {
      value.fail("unknown transport \"\(parts[0])\"\(ConfigurationValue.hint(String(parts[0]), names))")
      return nil
    }
    guard let endpoint = Endpoint(parts[1]) else {
      value.fail("\"\(parts[1])\" is not ADDRESS:PORT, such as 127.0.0.1:5060 or [::1]:5060")
      return nil
    }
    return .init(transport: transport, endpoint: endpoint)
  }

  private static func algorithms(_ value: ConfigurationValue) -> [DigestAlgorithm]? {
    guard let values = value.listOrOne() else { return nil }
    var algorithms: [DigestAlgorithm] = []
    for value in values {
      guard let word = value.word(of: ["MD5", "SHA-256"], what: "algorithm"),
        let algorithm = DigestAlgorithm(rawValue: word)
      else { continue }
      if algorithms.contains(algorithm) { value.fail("\(word) is listed twice") } else { algorithms.append(algorithm) }
    }
    if values.isEmpty { value.fail("at least one algorithm is needed: MD5, SHA-256") }
    return algorithms
  }

  static func readTrunks(
    _ root: ConfigurationSection, listening: [ServerConfiguration.Listener],
    into trunks: inout [ServerConfiguration.Trunk]
  ) {
    var names: Set<String> = []
    root.sections("trunks", into: &trunks) { section in
      let name = section.required("name")?.name("trunk name", allowing: "-_.")
      let host = section.required("host").flatMap { $0.hostAndPort() }
      var trunk = ServerConfiguration.Trunk(name: name ?? "", host: host?.host ?? "", port: host?.port)
      section.readOptional("transport", into: &trunk.transport) { value in
        value.word(of: Transport.allCases.map(\.parameterName), what: "transport").flatMap { word in
          Transport.allCases.first { $0.parameterName == word }
        }
      }
      section.read("tls_verify", into: &trunk.verifiesTLS) { $0.boolean() }
      checkTransport(section, trunk, listening)
      section.readOptional("username", into: &trunk.username) { $0.nonEmptyText() }
      section.readOptional("password", into: &trunk.password) { $0.nonEmptyText() }
      section.readOptional("auth_username", into: &trunk.authUsername) { $0.nonEmptyText() }
      section.read("realm", into: &trunk.realms) { $0.listOrOne()?.compactMap { $0.nonEmptyText() } }
      section.read("register", into: &trunk.register) { $0.boolean() }
      section.read("expires", into: &trunk.expires) { $0.integer(in: 60...86400) }
      section.readOptional("contact_user", into: &trunk.contactUser) { $0.nonEmptyText() }
      section.read("ping", into: &trunk.ping) { value in
        guard let span = value.span() else { return nil }
        if span > .zero, span < .milliseconds(500) {
          value.fail("at least half a second lies between two OPTIONS; 0: none are sent")
        }
        return span
      }
      section.read("down_after", into: &trunk.downAfter) { $0.integer(in: 1...100) }
      section.read("context", into: &trunk.context) { $0.name("context") }
      section.read("sources", into: &trunk.sources) { $0.networks() }
      section.read("max_calls", into: &trunk.maxCalls) { $0.integer(in: 0...1_000_000) }
      section.read("calls_per_second", into: &trunk.callsPerSecond) { $0.number() }
      section.read("trusted", into: &trunk.trusted) { $0.boolean() }
      section.read("remote_party_id", into: &trunk.remotePartyID) { $0.boolean() }
      if trunk.remotePartyID, !trunk.trusted {
        section.place.fail("remote_party_id is for a trusted trunk: an untrusted one is not told who calls")
      }
      if (trunk.username == nil) != (trunk.password == nil) {
        section.place.fail("username and password belong together: give both or neither")
      }
      if trunk.register, trunk.username == nil { section.place.fail("register needs a username and a password") }
      if trunk.username == nil, trunk.authUsername != nil || !trunk.realms.isEmpty {
        section.place.fail("auth_username and realm need a username and a password")
      }
      if !trunk.register, trunk.contactUser != nil { section.place.fail("contact_user needs register: true") }
      guard let name, host != nil else { return nil }
      if !names.insert(name).inserted { section.place.fail("a second trunk named \"\(name)\"") }
      return trunk
    }
  }
}

extension ConfigurationValue {
  /// RFC 3261 §25.1 `hostname`: letters, digits, hyphens and dots; an address will do too.
  func domainName() -> String? {
    guard let text = nonEmptyText() else { return nil }
    guard IPAddress(text) != nil || Self.isHostName(text) else {
      fail("\"\(text)\" is not a host name")
      return nil
    }
    return text.lowercased()
  }

  /// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`, or a bare IPv6 address.
  func hostAndPort() -> (host: String, port: UInt16?)? {
    guard let text = nonEmptyText() else { return nil }
    if let endpoint = Endpoint(text), endpoint.port > 0 { return (endpoint.ip.description, endpoint.port) }
    if let address = IPAddress(text) { return (address.description, nil) }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    if parts.count == 1, Self.isHostName(text) { return (text, nil) }
    if parts.count == 2, Self.isHostName(String(parts[0])), let port = UInt16(parts[1]), port > 0 {
      return (String(parts[0]), port)
    }
    fail("\"\(text)\" is not HOST or HOST:PORT")
    return nil
  }

  static func isHostName(_ text: String) -> Bool {
    guard text.utf8.count <= 253 else { return false }
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    // A last label of digits alone would be a mistyped address.
    guard let last = labels.last, !last.allSatisfy(\.isNumber) else { return false }
    return labels.allSatisfy { label in
      !label.isEmpty && label.utf8.count <= 63 && label.first != "-" && label.last != "-"
        && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
    }
  }

  /// A path whose file is there and can be read.
  func existingFile() -> String? {
    guard let path = filePath() else { return nil }
    guard FileManager.default.isReadableFile(atPath: path) else {
      fail("\(path): \(FileManager.default.fileExists(atPath: path) ? "cannot be read" : "no such file")")
      return nil
    }
    return path
  }
}
