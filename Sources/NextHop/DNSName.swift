/// A domain name in lower case, without the dot of the root: what tables of names are keyed by.
public struct DNSName: Hashable, Sendable, CustomStringConvertible {
  public let octets: [UInt8]

  /// `example.com`, `_sip._udp.example.com.`; nil for what is no name: empty or over 63 octets between two dots, over 253
  /// in all (RFC 1035 §2.3.4), blanks, controls, or anything beyond ASCII.
  public init?(_ text: some Collection<UInt8>) {
    let dot = UInt8(ascii: ".")
    var octets: [UInt8] = []
    octets.reserveCapacity(text.count)
    var label = 0
    for octet in text {
      if octet == dot {
        guard label > 0 else { return nil }
        label = 0
      } else {
        guard octet > 0x20, octet < 0x7f, octet != UInt8(ascii: "\\"), label < 63 else { return nil }
        label += 1
      }
      guard octets.count < 254 else { return nil }
      octets.append(octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet)
    }
    if octets.last == dot { octets.removeLast() }
    guard !octets.isEmpty, octets.count <= 253 else { return nil }
    self.octets = octets
  }

  public init?(_ text: some StringProtocol) { self.init(Array(text.utf8)) }

  /// The name below this one, such as `_sip._udp.` and it; nil where that is too long.
  func below(_ labels: StaticString) -> DNSName? { DNSName(Array("\(labels).".utf8) + octets) }

  /// The name that an SRV name is about: `example.com` of `_sip._udp.example.com`.
  var service: DNSName? {
    guard octets.first == UInt8(ascii: "_") else { return nil }
    let parts = octets.split(separator: UInt8(ascii: "."), maxSplits: 2)
    return parts.count == 3 ? DNSName(parts[2]) : nil
  }

  public var description: String { String(decoding: octets, as: UTF8.self) }
}

/// What DNS is asked.
public struct DNSQuestion: Hashable, Sendable, CustomStringConvertible {
  /// The raw value is that of RFC 1035 §3.2.2, RFC 3596, RFC 2782 and RFC 3403.
  public enum Kind: UInt16, Sendable, CaseIterable { case a = 1, aaaa = 28, srv = 33, naptr = 35 }

  public var name: DNSName
  public var kind: Kind

  public init(_ name: DNSName, _ kind: Kind) {
    self.name = name
    self.kind = kind
  }

  public var description: String { "\(kind) \(name)" }
}
