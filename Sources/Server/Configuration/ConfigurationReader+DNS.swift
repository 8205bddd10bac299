import DNSClient
import NetCore
import NextHop

extension ConfigurationReader {
  /// More servers than anybody has; each is a socket while it is asked.
  static let maxDNSServers = 4

  static func readDNS(_ root: ConfigurationSection, into dns: inout ServerConfiguration.DNS) {
    root.section("dns") { section in
      section.read("servers", into: &dns.client.servers) { value in
        guard let values = value.listOrOne() else { return nil }
        if values.count > maxDNSServers { value.fail("more than \(maxDNSServers) servers") }
        return values.compactMap { dnsServer($0) }
      }
      section.read("timeout", into: &dns.client.timeout) { value in
        guard let seconds = value.number() else { return nil }
        guard (0.05...30).contains(seconds) else {
          value.fail("\(seconds) is out of range; 0.05 to 30")
          return nil
        }
        return .seconds(seconds)
      }
      section.read("attempts", into: &dns.client.attempts) { $0.integer(in: 1...5) }
      section.read("cache", into: &dns.cache) { $0.integer(in: 100...1_000_000) }
      section.read("failover_after", into: &dns.failoverAfter) { $0.span() }
      section.value("hosts")?.section()?.forEach { name, value in
        guard let host = DNSName(name), IPAddress(name) == nil else {
          return value.fail("\"\(name)\" is not a host name")
        }
        guard let values = value.listOrOne() else { return }
        value.failIfEmptyList()
        dns.hosts[host, default: []] += values.compactMap { $0.address() }
      }
    }
  }

  /// `ADDRESS` or `ADDRESS:PORT`; a name would need DNS.
  private static func dnsServer(_ value: ConfigurationValue) -> Endpoint? {
    guard let text = value.text() else { return nil }
    if let ip = IPAddress(text) { return Endpoint(ip, 53) }
    guard let endpoint = Endpoint(text), endpoint.port > 0 else {
      value.fail("\"\(text)\" is not ADDRESS or ADDRESS:PORT")
      return nil
    }
    return endpoint
  }
}
