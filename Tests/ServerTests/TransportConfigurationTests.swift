import Foundation
import NetCore
import Testing

@testable import Server

@Suite("Configuration: TLS, WebSockets, connections")
struct TransportConfigurationTests {
  /// Files that are there; what is in them is not the reader's business.
  private static let folder: String = {
    let path = NSTemporaryDirectory() + "/nightjar-config-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    for name in ["a.pem", "a.key", "b.pem", "b.key", "ca.pem"] {
      _ = FileManager.default.createFile(atPath: path + "/" + name, contents: Data("x".utf8))
    }
    return path
  }()

  private func read(_ text: String) throws -> ServerConfiguration {
    try ConfigurationReader.read(text: text, file: "n.yaml", directory: Self.folder)
  }

  private func faults(_ text: String) -> [String] {
    do {
      _ = try read(text)
      return []
    } catch let error as ConfigurationError {
      return error.faults.map { $0.description.replacing(Self.folder + "/", with: "") }
    } catch {
      return ["\(error)"]
    }
  }

  @Test("everything that can be said")
  func everything() throws {
    let c = try read(
      """
      sip:
        listen: [tls:127.0.0.1:5061, ws:127.0.0.1:8080, "wss:[::1]:8443"]
        udp_limit: 0
        tls:
          certificate: a.pem
          key: a.key
          certificates:
            - {names: [Sip.example.com, "*.example.org"], certificate: b.pem, key: b.key}
          client_certificates: optional
          ca: ca.pem
          trust: ca.pem
          wildcards: true
        websocket: {origins: ["https://Phone.example.com:8443"]}
        connections: {total: 5, per_address: 2, first_message: 3, idle: 60}
      trunks:
        - {name: t, host: sip.example.net, transport: tls, tls_verify: false}
      """)
    #expect(c.sip.listen.map(\.description) == ["tls:127.0.0.1:5061", "ws:127.0.0.1:8080", "wss:[::1]:8443"])
    #expect(c.sip.tls.certificates.map(\.certificate.path) == [Self.folder + "/a.pem", Self.folder + "/b.pem"])
    #expect(c.sip.tls.certificates.map(\.names) == [[], ["sip.example.com", "*.example.org"]])
    #expect(c.sip.tls.certificates.map(\.key.line) == [6, 8])
    #expect(c.sip.tls.clientCertificates == .optional && c.sip.tls.acceptsWildcards)
    #expect(c.sip.tls.clientAuthorities?.path == Self.folder + "/ca.pem" && c.sip.tls.serverAuthorities != nil)
    #expect(c.sip.webSocketOrigins == ["https://phone.example.com:8443"] && c.sip.datagramLimit == 0)
    #expect(c.sip.connections.total == 5 && c.sip.connections.perAddress == 2)
    #expect(c.sip.connections.firstMessage == .seconds(3) && c.sip.connections.idle == .seconds(60))
    #expect(c.trunks[0].transport == .tls && !c.trunks[0].verifiesTLS)
    #expect(try read("").sip.datagramLimit == 1300)
  }

  @Test(
    "one fault, one line",
    arguments: [
      (
        "sip:\n  listen:\n    - udp:127.0.0.1:5060\n    - tls:127.0.0.1:5061",
        "n.yaml:4: sip.listen[2]: TLS needs a certificate: give sip.tls.certificate and sip.tls.key"
      ),
      (
        "sip: {listen: [wss:127.0.0.1:443]}",
        "n.yaml:1: sip.listen[1]: TLS needs a certificate: give sip.tls.certificate and sip.tls.key"
      ),
      ("sip:\n  tls: {certificate: a.pem}", "n.yaml:2: sip.tls: key is missing"),
      ("sip:\n  tls: {key: a.key}", "n.yaml:2: sip.tls: certificate is missing"),
      (
        "sip:\n  listen: [tls:127.0.0.1:5061]\n  tls: {certificate: none.pem, key: a.key}",
        "n.yaml:3: sip.tls.certificate: none.pem: no such file"
      ),
      (
        "sip:\n  tls:\n    certificates: [{names: [a.example.com]}]",
        "n.yaml:3: sip.tls.certificates[1]: certificate and key are missing"
      ),
      (
        "sip: {tls: {certificates: [{names: [\"a b\"], certificate: a.pem, key: a.key}]}}",
        "n.yaml:1: sip.tls.certificates[1].names[1]: \"a b\" is not a host name"
      ),
      (
        "sip: {tls: {client_certificates: required}}",
        "n.yaml:1: sip.tls: client_certificates needs ca: who signs them"
      ),
      (
        "sip: {tls: {client_certificates: require, ca: ca.pem}}",
        "n.yaml:1: sip.tls.client_certificates: unknown choice \"require\"; did you mean \"required\"?"
      ),
      (
        "sip: {websocket: {origins: [phone.example.com]}}",
        "n.yaml:1: sip.websocket.origins[1]: \"phone.example.com\" is not an origin, such as https://phone.example.com"
      ),
      ("sip: {connections: {total: 0}}", "n.yaml:1: sip.connections.total: 0 is out of range; 1 to 1000000"),
      ("sip: {connections: {idle: 0.5}}", "n.yaml:1: sip.connections.idle: at least a second is needed"),
      ("sip: {udp_limit: 100}", "n.yaml:1: sip.udp_limit: 100 is less than any request takes; 0 for no limit"),
      (
        "trunks: [{name: a, host: h, transport: tls}]",
        "n.yaml:1: trunks[1].transport: sip.listen has no tls address for its requests to leave by"
      ),
      (
        "trunks: [{name: a, host: h, transport: wss}]",
        "n.yaml:1: trunks[1].transport: a WebSocket is opened by clients only: no trunk has one"
      ),
    ])
  func oneFault(_ text: String, _ fault: String) { #expect(faults(text) == [fault]) }

  @Test("certificates change with a reload, limits of connections need a restart")
  func reload() throws {
    let old = try read("sip: {tls: {certificate: a.pem, key: a.key}, connections: {total: 5}}")
    let new = try read("sip: {tls: {certificate: b.pem, key: b.key}, connections: {total: 6}, udp_limit: 0}")
    #expect(old.keysNeedingRestart(toBecome: new) == ["sip.connections"])
    let merged = new.keepingFixedKeys(of: old)
    #expect(merged.sip.tls == new.sip.tls && merged.sip.connections == old.sip.connections)
    #expect(merged.sip.datagramLimit == 0)
  }

  @Test("a file that the listener's TLS cannot use is named with the line that names it")
  func unusable() throws {
    let c = try read(
      "sip:\n  listen: [tls:127.0.0.1:5061]\n  tls:\n    certificate: a.pem\n    key: a.key\n")
    do throws(ConfigurationError) {
      _ = try TLSPlan.contexts(c, listening: c.sip.listen)
      #expect(Bool(false), "these files hold no certificate")
    } catch {
      #expect(error.faults.map(\.line) == [4])
      #expect(error.faults[0].message.contains("a.pem: holds no certificate in PEM"))
    }
    // A reload does not take away the certificate of a listener that runs.
    let none = try read("")
    do throws(ConfigurationError) {
      _ = try TLSPlan.contexts(none, listening: c.sip.listen)
      #expect(Bool(false))
    } catch {
      #expect(error.summary.contains("tls:127.0.0.1:5061 is listened on: sip.tls needs its certificate"))
    }
    #expect(try TLSPlan.contexts(c, listening: []) == nil)
  }
}
