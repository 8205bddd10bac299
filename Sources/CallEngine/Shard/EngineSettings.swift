public import LuaRuntime
public import NetCore

/// What a shard must know of the configuration. Replaced as a whole at a reload; a running call keeps what it copied.
public struct EngineSettings: Sendable {
  /// An address we listen on, with what a Via and a Contact say of it.
  public struct Listener: Sendable {
    public var transport: Transport
    /// The bound address; where requests to peers leave from.
    public var local: Endpoint
    /// What peers are told: `sip.advertise` of the family, else `local`.
    public var advertised: Endpoint
    /// `host:port` for a Via (RFC 3261 §18.1.1).
    let sentBy: [UInt8]
    /// `<sip:host:port;transport=…>` for a Contact.
    let contact: [UInt8]
    /// `<sips:host:port>`, where TLS is underneath: for a dialog that `sips` made; else as `contact`.
    let secureContact: [UInt8]
    /// The same for peers of `sip.local_networks`, who reach us without the NAT in front.
    let nearSentBy: [UInt8]
    let nearContact: [UInt8]
    let nearSecureContact: [UInt8]

    /// - Parameter near: what peers in our own networks are told; nil: `local`.
    public init(transport: Transport, local: Endpoint, advertised: Endpoint? = nil, near: Endpoint? = nil) {
      self.transport = transport
      self.local = local
      self.advertised = advertised ?? local
      sentBy = Array(self.advertised.description.utf8)
      let parameter = transport == .udp ? "" : ";transport=\(transport.uriParameter)"
      contact = Array("<sip:\(self.advertised)\(parameter)>".utf8)
      // RFC 3261 §26.2.2: with sips, transport=tls is of no use, and deprecated.
      let secure = transport == .wss ? ";transport=ws" : ""
      secureContact = transport.isSecure ? Array("<sips:\(self.advertised)\(secure)>".utf8) : contact
      nearSentBy = Array((near ?? local).description.utf8)
      nearContact = Array("<sip:\(near ?? local)\(parameter)>".utf8)
      nearSecureContact = transport.isSecure ? Array("<sips:\(near ?? local)\(secure)>".utf8) : nearContact
    }
  }

  public var listeners: [Listener]
  /// Longer requests to trunks and addresses go by TCP (RFC 3261 §18.1.1); 0: none do.
  public var datagramLimit = 1300
  /// The digest realm and the domain of our users.
  public let domain: String
  let domainOctets: [UInt8]
  /// Addresses whose requests count as our own besides `domain` (RFC 3261 §16.4 "responsible").
  public var ownAddresses: [IPAddress]
  public var registrar = RegistrarSettings()
  /// The session timer that we ask for, and the least that we take (RFC 4028), in seconds; 0: we ask for none.
  public var sessionExpires: UInt32 = 1800
  public var minSE: UInt32 = 90
  public var abuse = AbuseSettings()
  /// Where RTP can be received, one a family.
  public var mediaFamilies: [IPAddress.Family] = [.v4, .v6]
  /// What SDP says instead of the address of the socket, one a family (`sip.advertise`).
  public var advertisedMedia: [IPAddress] = []
  /// Networks on our side of the NAT: their peers are told the local addresses.
  public var localNetworks: [SourceNetwork] = []
  /// What phones behind NAT are sent so that they stay reachable; not at all by default.
  public var keepalive = KeepaliveSettings()
  /// Without RTP for so long an active call is ended; zero is never.
  public var mediaTimeout: Instant.Span = .seconds(60)
  public var holdTimeout: Instant.Span = .zero
  /// Country of ringing, busy and congestion (ITU-T E.180).
  public var country = "us"
  /// Folder that `play` looks in, absolute.
  public var sounds = "."
  public var ringback: RingbackPolicy = .toneUntilMedia
  public var limits = LuaLimits()
  /// How long a dial rings when the script does not say.
  public var ringTimeout: Instant.Span = .seconds(60)
  /// One of several servers of a target may be silent for so long before the next is tried; zero: until timer B.
  public var failoverAfter: Instant.Span = .seconds(4)
  /// After a hang-up a script may use services for so long, and make `verbsAfterHangup` more calls.
  public var afterHangup: Instant.Span = .seconds(10)
  public var verbsAfterHangup = 50

  public init(listeners: [Listener], domain: String, ownAddresses: [IPAddress]) {
    self.listeners = listeners
    self.domain = domain
    domainOctets = Array(domain.utf8)
    self.ownAddresses = ownAddresses
  }

  /// True for a peer that needs no advertised address.
  func isNear(_ peer: IPAddress) -> Bool {
    !localNetworks.isEmpty && localNetworks.contains { $0.contains(peer.unmapped) }
  }

  /// The listener that requests to `peer` leave by: of its transport and family, else none.
  func listener(for transport: Transport, family: IPAddress.Family) -> Int? {
    listeners.firstIndex { $0.transport == transport && $0.local.ip.family == family }
  }
}
