import CallEngine
import NetCore
import Testing

@testable import Server

/// NAT, proxies in front, and who is believed.
@Suite("Configuration: the edge")
struct EdgeConfigurationTests {
  private func read(_ text: String) throws -> ServerConfiguration {
    try ConfigurationReader.read(text: text, file: "nightjar.yaml", directory: "/etc/nightjar")
  }

  @Test("sip.nat, sip.local_networks, registrar.path and service_route, trunks[].trusted and remote_party_id")
  func keys() throws {
    let c = try read(
      """
      sip:
        advertise: 203.0.113.9
        local_networks: [10.0.0.0/8, "fd00::/8"]
        nat: {keepalive: 12.5, method: options}
      registrar: {path: strict, service_route: ["<sip:edge.example;lr>", "<sips:second.example;lr>"]}
      trunks:
        - {name: a, host: 192.0.2.1, trusted: false}
        - {name: b, host: 192.0.2.2, remote_party_id: true}
      """)
    #expect(c.sip.localNetworks == [SourceNetwork("10.0.0.0/8")!, SourceNetwork("fd00::/8")!])
    #expect(c.sip.nat == KeepaliveSettings(interval: .milliseconds(12_500), method: .options))
    #expect(c.registrar.path == .strict)
    #expect(c.registrar.serviceRoutes == ["<sip:edge.example;lr>", "<sips:second.example;lr>"])
    #expect(c.trunks.map(\.trusted) == [false, true] && c.trunks.map(\.remotePartyID) == [false, true])

    let settings = EnginePlan.settings(c, listeners: [])
    #expect(settings.keepalive == c.sip.nat && settings.localNetworks == c.sip.localNetworks)
    #expect(settings.registrar.path == .strict && settings.registrar.serviceRoutes.count == 2)
    let directory = try EnginePlan.directory(c, accounts: [])
    #expect(directory.trunk(named: "a")?.isTrusted == false && directory.trunk(named: "b")?.remotePartyID == true)
  }

  @Test("keepalive: 0 is none")
  func off() throws { #expect(try read("sip: {nat: {keepalive: 0}}").sip.nat.interval == .zero) }

  @Test(
    "faults name the line and what would have been right",
    arguments: [
      ("sip: {nat: {keepalive: 4}}", "nightjar.yaml:1: sip.nat.keepalive: from 5 to 600 seconds, or 0 for none"),
      ("sip: {nat: {keepalive: 601}}", "nightjar.yaml:1: sip.nat.keepalive: from 5 to 600 seconds, or 0 for none"),
      ("sip: {nat: {method: crfl}}", "sip.nat.method"), ("sip: {nat: {metod: crlf}}", "did you mean \"method\"?"),
      ("sip: {local_networks: 10.0.0.1/8}", "10.0.0.0/8"), ("registrar: {path: loose}", "registrar.path"),
      ("registrar: {service_route: \"sip:edge.example\"}", "no loose route, such as <sip:edge.example.org;lr>"),
      ("registrar: {service_route: [\"<sip:edge.example>\"]}", "no loose route"),
      ("registrar: {service_route: [\"<tel:1;lr>\"]}", "no loose route"),
      ("trunks: [{name: a, host: 192.0.2.1, trusted: false, remote_party_id: true}]", "an untrusted one is not told"),
    ])
  func faults(text: String, message: String) {
    let error = #expect(throws: ConfigurationError.self) { try read(text) }
    #expect(error.map { "\($0)".contains(message) } == true, "\(error.map { "\($0)" } ?? "")")
  }
}
