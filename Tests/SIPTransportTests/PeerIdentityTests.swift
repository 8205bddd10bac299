import NetCore
import Testing

@testable import SIPTransport

@Suite struct PeerIdentityTests {
  private static let address = IPAddress(v4: 0xc000_0201)

  private func proves(
    _ name: String, hosts: [String] = [], uris: [String] = [], addresses: [IPAddress] = []
  ) throws -> Bool {
    let name = try #require(PeerName(host: name))
    return PeerIdentity(hosts: hosts, uris: uris, addresses: addresses).proves(name, at: Self.address)
  }

  @Test("RFC 5922 §7.2: a DNS name matches as a whole and without case; neither suffixes nor wildcards do")
  func hosts() throws {
    #expect(try proves("sip.Example.com", hosts: ["other.example.com", "SIP.example.COM"]))
    #expect(try proves("sip.example.com.", hosts: ["sip.example.com"]))
    for name in ["*.example.com", "example.com", ".example.com", "a.sip.example.com", "sip.example.co"] {
      #expect(try !proves("sip.example.com", hosts: [name]), "\(name)")
    }
    #expect(try !proves("sip.example.com"))
  }

  @Test("RFC 9525 §6.3: where wildcards are wanted, one stands for one label")
  func wildcards() throws {
    let identity = PeerIdentity(hosts: ["*.example.com"])
    for (name, isGood) in [("sip.example.com", true), ("example.com", false), ("a.b.example.com", false)] {
      let name = try #require(PeerName(host: name))
      #expect(identity.proves(name, at: Self.address, wildcards: true) == isGood)
    }
  }

  @Test("RFC 5922 §7.1: a SIP URI without a user names its host")
  func uris() throws {
    #expect(try proves("example.com", uris: ["sip:example.com"]))
    #expect(try proves("example.com", uris: ["SIP:example.com:5061;transport=tls"]))
    for uri in ["sip:alice@example.com", "sips:example.com", "https://example.com", "sip:", "sip:.example.com"] {
      #expect(try !proves("example.com", uris: [uri]), "\(uri)")
    }
  }

  @Test("A target that is an address is proved by an address, and by nothing else")
  func addresses() throws {
    #expect(try proves("192.0.2.1", addresses: [Self.address]))
    #expect(try !proves("192.0.2.1", hosts: ["192.0.2.1"]))
    #expect(try !proves("192.0.2.1", addresses: [IPAddress(v4: 0xc000_0202)]))
    #expect(PeerIdentity(hosts: []).proves(.anyone, at: Self.address))
  }

  @Test("A name has one number, whatever its case, and only host names have one")
  func names() {
    #expect(PeerName(host: "Trunk.example.net") == PeerName(host: "trunk.example.net"))
    #expect(PeerName(host: "trunk.example.net")?.host == "trunk.example.net")
    #expect(PeerName(host: "other.example.net") != PeerName(host: "trunk.example.net"))
    #expect(PeerName(host: "[2001:db8::1]") == .byAddress)
    for name in ["", "a b", "*.example.com", "b\u{fc}ro.de", String(repeating: "a", count: 254)] {
      #expect(PeerName(host: name) == nil, "\(name)")
    }
  }
}
