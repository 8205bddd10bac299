internal import NIOSSL
internal import NetCore

/// Whom a certificate stands for: its subjectAltName as RFC 5922 §7.1 reads it. The common name is not looked at (RFC
/// 9525 §2), and neither is a wildcard (RFC 5922 §7.2), unless the configuration wants it.
struct PeerIdentity {
  /// Of `DNS:` and of `URI:sip:` without a user, in lower case.
  private(set) var hosts: [String] = []
  private(set) var addresses: [IPAddress] = []

  init(_ certificate: NIOSSLCertificate) {
    for name in certificate._subjectAlternativeNames() {
      let contents = Array(name.contents)
      switch name.nameType {
      case .dnsName: addHost(contents[...])
      case .uri: addURI(contents)
      case .ipAddress: addAddress(contents)
      default: break
      }
    }
  }

  init(hosts: [String], uris: [String] = [], addresses: [IPAddress] = []) {
    self.addresses = addresses
    for host in hosts { addHost(Array(host.utf8)[...]) }
    for uri in uris { addURI(Array(uri.utf8)) }
  }

  private mutating func addHost(_ bytes: ArraySlice<UInt8>) {
    guard !bytes.isEmpty, bytes.count <= 253, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return }
    hosts.append(String(decoding: bytes, as: UTF8.self).lowercased())
  }

  /// `sip:example.com`. One with a user is a person's, and no server's.
  private mutating func addURI(_ bytes: [UInt8]) {
    guard bytes.count > 4, String(decoding: bytes.prefix(4), as: UTF8.self).lowercased() == "sip:" else { return }
    let rest = bytes.dropFirst(4)
    guard !rest.contains(UInt8(ascii: "@")) else { return }
    addHost(rest.prefix { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: "?") })
  }

  private mutating func addAddress(_ bytes: [UInt8]) {
    func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    switch bytes.count {
    case 4: addresses.append(IPAddress(v4: UInt32(truncatingIfNeeded: word(bytes[...]))))
    case 16: addresses.append(IPAddress(high: word(bytes[..<8]), low: word(bytes[8...])))
    default: break
    }
  }

  /// RFC 5922 §7.2: the whole name, without case. A host that is an address is held against the addresses.
  /// - Parameter wildcards: `*.` stands for one label, as RFC 9525 §6.3 has it and SIP does not.
  func proves(_ name: PeerName, at address: IPAddress, wildcards: Bool = false) -> Bool {
    if name == .anyone { return true }
    guard let host = name.host else { return addresses.contains(address) }
    if hosts.contains(host) { return true }
    guard wildcards, let dot = host.firstIndex(of: "."), dot != host.startIndex else { return false }
    return hosts.contains("*" + host[dot...])
  }
}
