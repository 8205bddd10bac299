internal import Synchronization

/// As whom a server must prove himself over TLS: a host name, or the very address; or nobody in particular. A number for a
/// name, so that a `Flow` stays as small as it is; equal names have equal numbers as long as the process lives.
public struct PeerName: Hashable, Sendable {
  /// 0: the address; 1: whoever it is; else an index into the names.
  private let number: UInt32

  @usableFromInline init(number: UInt32) { self.number = number }

  /// The certificate must name the IP address that was connected to.
  public static var byAddress: PeerName {
    @inlinable get { PeerName(number: 0) }
  }
  /// No certificate is checked.
  public static let anyone = PeerName(number: 1)

  /// The host that the configuration, a script or a URI named, before any look-up (RFC 5922 §4): a name or an address.
  /// Nil beyond `limit` different names, or for what is no host name.
  public init?(host: some StringProtocol) {
    let host = host.lowercased()
    let name = host.hasSuffix(".") ? host.dropLast() : host[...]
    guard IPAddress(name) == nil else {
      self = .byAddress
      return
    }
    guard (1...253).contains(name.utf8.count),
      name.utf8.allSatisfy({ c in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(c) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(c)
          || c == UInt8(ascii: "-") || c == UInt8(ascii: ".") || c == UInt8(ascii: "_")
      }), let number = PeerName.names.withLock({ $0.number(of: String(name)) })
    else { return nil }
    self.number = number
  }

  /// In lower case; nil where it is not a name.
  public var host: String? { number < 2 ? nil : PeerName.names.withLock { $0.names[Int(number) - 2] } }

  /// Names that scripts may dial are not endless.
  public static let limit = 65_536

  private struct Names {
    var names: [String] = []
    var numbers: [String: UInt32] = [:]

    mutating func number(of name: String) -> UInt32? {
      if let known = numbers[name] { return known }
      guard names.count < PeerName.limit else { return nil }
      names.append(name)
      let number = UInt32(names.count + 1)
      numbers[name] = number
      return number
    }
  }

  /// A leaf: nothing is called under it. Asked when a route is made and when a connection is opened.
  private static let names = Mutex(Names())
}
