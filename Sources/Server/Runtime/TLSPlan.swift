import Foundation
import Logging
import NetCore
import SIPTransport

/// The certificates of the configuration, read from their files.
enum TLSPlan {
  /// Nil where nothing that is listened on has TLS, whatever certificates there are.
  /// - Parameter listening: what is listened on, which a reload does not change.
  /// - Throws: the file that cannot be used, by the line that names it.
  static func contexts(
    _ configuration: ServerConfiguration, listening: [ServerConfiguration.Listener]
  ) throws(ConfigurationError) -> TLSContexts? {
    guard let listener = listening.first(where: { $0.transport.isSecure }) else { return nil }
    let tls = configuration.sip.tls
    guard !tls.certificates.isEmpty else {
      throw ConfigurationError(file: configuration.file, "\(listener) is listened on: sip.tls needs its certificate")
    }
    var options = TLSOptions(
      certificates: tls.certificates.map { .init(names: $0.names, chain: $0.certificate.path, key: $0.key.path) })
    switch tls.clientCertificates {
    case .none: options.clientCertificates = .none
    case .optional: options.clientCertificates = .optional
    case .required: options.clientCertificates = .required
    }
    options.clientAuthorities = tls.clientAuthorities?.path
    options.serverAuthorities = tls.serverAuthorities?.path
    options.acceptsWildcards = tls.acceptsWildcards
    do throws(TLSFault) {
      return try TLSContexts(options)
    } catch {
      var files = tls.certificates.flatMap { [$0.certificate, $0.key] }
      files += [tls.clientAuthorities, tls.serverAuthorities].compactMap { $0 }
      let line = files.first { $0.path == error.path }?.line ?? 0
      throw ConfigurationError(
        faults: [ConfigurationFault(file: configuration.file, line: line, message: error.description)])
    }
  }

  /// Names each certificate in the log, and warns of those that are over or soon will be.
  static func report(_ contexts: TLSContexts, _ logger: Logger) {
    let now = Int64(Date().timeIntervalSince1970)
    for certificate in contexts.certificates {
      let left = certificate.expires - now
      let level: Logger.Level = left < 14 * 86_400 ? .warning : .info
      let what =
        left < 0 ? "a certificate has expired" : level == .warning ? "a certificate expires soon" : "certificate"
      logger.log(
        level: level, "\(what)",
        metadata: [
          "file": .string(certificate.path), "names": .string(certificate.names.joined(separator: " ")),
          "expires": .string(Date(timeIntervalSince1970: Double(certificate.expires)).ISO8601Format()),
        ])
    }
  }
}
