internal import NIOCore
internal import NIOSSL
internal import NetCore

/// TLS at one end of a channel. Handshakes are stepped by what arrives, so one that is slow, or never ends, holds nothing
/// but its own connection; `StreamOptions.messageTimeout` ends it.
enum TLSHandshake {
  /// For a channel that was accepted.
  static func server(_ contexts: TLSContexts) -> NIOSSLServerHandler {
    NIOSSLServerHandler(context: contexts.server, configuration: limits)
  }

  /// For a channel that we open; asks by SNI for the name that the peer must prove (RFC 5922 §7.3, RFC 6066 §3).
  static func client(_ contexts: TLSContexts, _ peer: PeerName) throws -> NIOSSLClientHandler {
    let context = peer == .anyone ? contexts.trustingClient : contexts.verifyingClient
    return try NIOSSLClientHandler(
      context: context, serverHostname: peer.host, customVerificationCallback: nil, configuration: limits)
  }

  /// Whether the server's certificate, whose chain has been verified, is of him whom we wanted.
  static func isProven(_ context: ChannelHandlerContext, _ key: RemoteKey, wildcards: Bool) -> Bool {
    if key.peer == .anyone { return true }
    guard let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate() else { return false }
    return PeerIdentity(certificate).proves(key.peer, at: key.remote.ip, wildcards: wildcards)
  }

  private static var limits: NIOSSLHandler.Configuration {
    var limits = NIOSSLHandler.Configuration()
    limits.maximumPreservedOutboundBufferCapacity = 16_384
    return limits
  }
}
