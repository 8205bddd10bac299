import CallEngine
import DNSClient
import NetCore
import NextHop
import Testing

@testable import Server

@Suite("Configuration: names and next hops")
struct ConfigurationNamesTests {
  private func read(_ text: String) throws -> ServerConfiguration {
    try ConfigurationReader.read(text: text, file: "n.yaml", directory: "/etc/nightjar")
  }

  private func faults(_ text: String) -> [String] {
    do {
      _ = try read(text)
      return []
    } catch let error as ConfigurationError {
      return error.faults.map(\.description)
    } catch {
      return ["\(error)"]
    }
  }

  @Test("dns: its defaults, and every key")
  func keys() throws {
    let empty = try read("")
    #expect(empty.dns.client.servers.isEmpty && empty.dns.client.timeout == .seconds(1 as Int64))
    #expect(empty.dns.client.attempts == 2 && empty.dns.cache == 10_000 && empty.dns.hosts.isEmpty)
    #expect(empty.dns.failoverAfter == .seconds(4 as Int64))
    let full = try read(
      """
      dns:
        servers: [192.0.2.53, "[2001:db8::53]:5353", "127.0.0.1:5300"]
        timeout: 0.5
        attempts: 3
        cache: 500
        failover_after: 0
        hosts:
          pbx.example.com: 192.0.2.1
          Both.example.com: [192.0.2.2, "2001:db8::2"]
      """)
    #expect(full.dns.client.servers.map(\.description) == ["192.0.2.53:53", "[2001:db8::53]:5353", "127.0.0.1:5300"])
    #expect(full.dns.client.timeout == .milliseconds(500) && full.dns.client.attempts == 3 && full.dns.cache == 500)
    #expect(full.dns.failoverAfter == .zero)
    #expect(full.dns.hosts[DNSName("pbx.example.com")!] == [IPAddress("192.0.2.1")!])
    #expect(full.dns.hosts[DNSName("both.example.com")!]?.count == 2)
    // All of it is taken over by a reload.
    #expect(empty.keysNeedingRestart(toBecome: full) == [])
  }

  @Test(
    "dns: what is wrong, with its line",
    arguments: [
      ("dns: {servers: [a.example]}", "n.yaml:1: dns.servers[1]: \"a.example\" is not ADDRESS or ADDRESS:PORT"),
      ("dns: {servers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5]}", "n.yaml:1: dns.servers: more than 4 servers"),
      ("dns: {timeout: 0}", "n.yaml:1: dns.timeout: 0.0 is out of range; 0.05 to 30"),
      ("dns: {attempts: 9}", "n.yaml:1: dns.attempts: 9 is out of range; 1 to 5"),
      ("dns: {cache: 1}", "n.yaml:1: dns.cache: 1 is out of range; 100 to 1000000"),
      ("dns:\n  hosts:\n    a..b: 1.2.3.4", "n.yaml:3: dns.hosts.a..b: \"a..b\" is not a host name"),
      ("dns: {hosts: {a: b}}", "n.yaml:1: dns.hosts.a: \"b\" is not an IP address"),
      ("dns: {server: 1.1.1.1}", "n.yaml:1: dns.server: unknown key; did you mean \"servers\"?"),
    ])
  func mistakes(text: String, fault: String) {
    #expect(faults(text) == [fault])
  }

  @Test("RFC 3263 §4: a trunk's name is not looked up when the configuration is read; its address needs no look-up")
  func trunks() throws {
    let configuration = try read(
      """
      trunks:
        - {name: named, host: no.such.name.example}
        - {name: ported, host: "no.such.name.example:5070", transport: tcp}
        - {name: four, host: 192.0.2.1}
        - {name: six, host: "[2001:db8::1]:5070", transport: tcp}
      """)
    let directory = try EnginePlan.directory(configuration, accounts: [])
    func shown(_ name: String) -> String {
      guard let trunk = directory.trunk(named: name) else { return "none" }
      let place = trunk.destination.map(\.description) ?? "by name"
      return "\(trunk.host) \(place) \(trunk.transport.parameterName) \(trunk.isTransportFixed ? "fixed" : "free")"
    }
    #expect(shown("named") == "no.such.name.example by name udp free")
    #expect(shown("ported") == "no.such.name.example:5070 by name tcp fixed")
    #expect(shown("four") == "192.0.2.1 192.0.2.1:5060 udp free")
    #expect(shown("six") == "[2001:db8::1]:5070 [2001:db8::1]:5070 tcp fixed")
  }
}
