/// Certificates and whom to trust: what `TLSContexts` are made of. Paths are of PEM files.
public struct TLSOptions: Sendable {
  /// A chain, leaf first, and the key of its leaf.
  public struct Certificate: Sendable {
    /// Host names that clients ask for by SNI (RFC 6066 §3), `*.example.com` included; empty: those that it names itself.
    public var names: [String]
    public var chain: String
    public var key: String

    public init(names: [String] = [], chain: String, key: String) {
      self.names = names
      self.chain = chain
      self.key = key
    }
  }

  /// Whether clients must show a certificate.
  public enum ClientCertificates: String, Sendable, CaseIterable {
    /// None is asked for.
    case none
    /// One that is shown must be good.
    case optional
    /// Without a good one there is no connection.
    case required
  }

  /// The first is for clients that ask for no name, or for one that nobody has; and it is what we show to servers.
  public var certificates: [Certificate]
  public var clientCertificates = ClientCertificates.none
  /// Who signs the certificates of clients; needed unless `clientCertificates` is `none`.
  public var clientAuthorities: String?
  /// Who signs those of servers besides the authorities that the system trusts.
  public var serverAuthorities: String?
  /// Whether `*.example.com` in a server's certificate stands for `sip.example.com`: RFC 5922 §7.2 says no, some carriers
  /// know no better.
  public var acceptsWildcards = false

  public init(certificates: [Certificate]) { self.certificates = certificates }
}

/// A file that cannot be used.
public struct TLSFault: Error, Sendable, CustomStringConvertible {
  public var path: String
  public var message: String

  public var description: String { "\(path): \(message)" }
}
