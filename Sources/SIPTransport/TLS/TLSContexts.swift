internal import Glibc
internal import NIOCore
internal import NIOSSL

/// Everything that connections over TLS need, read and checked: made as a whole, replaced as a whole.
///
/// TLS 1.2 and 1.3 (RFC 8996 forbids what is older), of 1.2 only suites with forward secrecy and an AEAD (RFC 9325 §4.2).
public struct TLSContexts: Sendable {
  /// A certificate in use, for logs.
  public struct Certificate: Sendable {
    public var names: [String]
    public var path: String
    /// Seconds since 1970.
    public var expires: Int64
  }

  /// In the order of the configuration.
  public let certificates: [Certificate]
  let server: NIOSSLContext
  /// Towards servers who must prove who they are, and towards those who need not.
  let verifyingClient: NIOSSLContext
  let trustingClient: NIOSSLContext
  let acceptsWildcards: Bool

  /// Reads every file; blocks.
  public init(_ options: TLSOptions) throws(TLSFault) {
    var loaded: [LoadedCertificate] = []
    for certificate in options.certificates { loaded.append(try LoadedCertificate(certificate)) }
    guard let first = loaded.first else { throw TLSFault(path: "sip.tls", message: "no certificate") }
    acceptsWildcards = options.acceptsWildcards
    certificates = loaded.map { .init(names: $0.names, path: $0.path, expires: $0.expires) }

    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: first.chain.map { .certificate($0) }, privateKey: .privateKey(first.key))
    Self.harden(&configuration)
    switch options.clientCertificates {
    case .none: configuration.certificateVerification = .none
    case .optional: configuration.certificateVerification = .optionalVerification
    case .required: configuration.certificateVerification = .noHostnameVerification
    }
    if options.clientCertificates != .none {
      guard let path = options.clientAuthorities else {
        throw TLSFault(path: "sip.tls.ca", message: "who signs the clients' certificates is not said")
      }
      configuration.trustRoots = .certificates(try PEMFile.certificates(path))
      configuration.sendCANameList = true
    }
    if loaded.count > 1 {
      let chooser = CertificateChooser(loaded)
      configuration.sslContextCallback = { hello, promise in promise.succeed(chooser.choose(hello.serverHostname)) }
    }
    server = try Self.context(configuration, first.path)

    var client = TLSConfiguration.makeClientConfiguration()
    Self.harden(&client)
    // A carrier that wants to know who we are gets our certificate (RFC 5922 §7.3).
    client.certificateChain = first.chain.map { .certificate($0) }
    client.privateKey = .privateKey(first.key)
    // The chain is checked by BoringSSL, the name by `PeerIdentity`, as RFC 5922 wants it.
    client.certificateVerification = .noHostnameVerification
    if let path = options.serverAuthorities {
      client.additionalTrustRoots = [.certificates(try PEMFile.certificates(path))]
    }
    verifyingClient = try Self.context(client, first.path)
    client.certificateVerification = .none
    trustingClient = try Self.context(client, first.path)
  }

  private static func harden(_ configuration: inout TLSConfiguration) {
    configuration.minimumTLSVersion = .tlsv12
    configuration.cipherSuites = "ECDHE+AESGCM:ECDHE+CHACHA20"
    configuration.renegotiationSupport = .none
    // How long a peer has to answer our close_notify; one that does not is closed all the same.
    configuration.shutdownTimeout = .milliseconds(500)
  }

  static func context(_ configuration: TLSConfiguration, _ path: String) throws(TLSFault) -> NIOSSLContext {
    do { return try NIOSSLContext(configuration: configuration) } catch {
      throw TLSFault(path: path, message: "cannot be used: \(error)")
    }
  }
}

/// A chain and its key, known to belong together.
struct LoadedCertificate: Sendable {
  let names: [String]
  let path: String
  let expires: Int64
  let chain: [NIOSSLCertificate]
  let key: NIOSSLPrivateKey

  init(_ files: TLSOptions.Certificate) throws(TLSFault) {
    let chain = try PEMFile.certificates(files.chain)
    let bytes = try PEMFile.read(files.key)
    do { key = try NIOSSLPrivateKey(bytes: bytes, format: .pem) } catch {
      throw TLSFault(path: files.key, message: "holds no private key that can be used without a passphrase")
    }
    self.chain = chain
    path = files.chain
    expires = Int64(chain[0].notValidAfter)
    names = files.names.isEmpty ? PeerIdentity(chain[0]).hosts : files.names.map { $0.lowercased() }
    var trial = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    trial.certificateVerification = .none
    guard (try? NIOSSLContext(configuration: trial)) != nil else {
      throw TLSFault(path: files.key, message: "is not the key of \(files.chain)")
    }
  }
}

enum PEMFile {
  /// No chain is longer.
  private static let limit = 4 << 20

  /// At least one.
  static func certificates(_ path: String) throws(TLSFault) -> [NIOSSLCertificate] {
    let bytes = try read(path)
    guard let certificates = try? NIOSSLCertificate.fromPEMBytes(bytes), !certificates.isEmpty else {
      throw TLSFault(path: path, message: "holds no certificate in PEM")
    }
    return certificates
  }

  static func read(_ path: String) throws(TLSFault) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw TLSFault(path: path, message: unsafe String(cString: strerror(errno)).lowercased())
    }
    defer { _ = close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe piece.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw TLSFault(path: path, message: unsafe String(cString: strerror(errno)).lowercased())
      }
      if count == 0 { return bytes }
      bytes += piece[..<count]
      guard bytes.count <= limit else { throw TLSFault(path: path, message: "is too large for a certificate") }
    }
  }
}

/// Which certificate a client gets that asks for a host by SNI (RFC 6066 §3).
struct CertificateChooser: Sendable {
  private let byName: [String: NIOSSLContextConfigurationOverride]

  init(_ certificates: [LoadedCertificate]) {
    var byName: [String: NIOSSLContextConfigurationOverride] = [:]
    for certificate in certificates {
      var override = NIOSSLContextConfigurationOverride()
      override.certificateChain = certificate.chain.map { .certificate($0) }
      override.privateKey = .privateKey(certificate.key)
      // The first that has a name keeps it.
      for name in certificate.names where byName[name] == nil { byName[name] = override }
    }
    self.byName = byName
  }

  /// The host's own, else that of `*.` and its domain, else the first of all.
  func choose(_ host: String?) -> NIOSSLContextConfigurationOverride {
    guard let host = host?.lowercased() else { return .noChanges }
    if let own = byName[host] { return own }
    guard let dot = host.firstIndex(of: ".") else { return .noChanges }
    return byName["*" + host[dot...]] ?? .noChanges
  }
}
