public import CallEngine
public import DNSClient
public import NetCore
public import NextHop
public import SIPDigest

/// Everything the configuration file says, with every default filled in. `ConfigurationReader` makes it from a file and
/// lists the keys; `ServerConfiguration(directory:)` is what an empty file means: a loopback server without a script.
public struct ServerConfiguration: Sendable, Equatable {
  /// The file it was read from, as messages name it; empty when there was none. A reload reads it again.
  public var file = ""
  /// The absolute folder that relative paths were resolved from.
  public var directory: String

  public var sip = SIP()
  public var dns = DNS()
  public var media = MediaPlan()
  public var dialplan: Dialplan
  public var users: [User] = []
  public var registrar = Registrar()
  public var access: [AccessRule] = []
  public var trunks: [Trunk] = []
  public var limits = AbuseSettings()
  public var storage: Storage
  public var records = Records()
  public var control: Control
  public var log = Log()

  /// The defaults, with relative paths taken from `directory`.
  public init(directory: String) {
    self.directory = directory
    dialplan = Dialplan(sounds: Self.path("sounds", in: directory))
    storage = Storage(database: .file(Self.path("data/nightjar.db", in: directory)))
    control = Control(socket: Self.path("run/nightjar.sock", in: directory))
  }

  /// `path` itself when it is absolute, else the path below `directory`.
  static func path(_ path: String, in directory: String) -> String {
    if path.hasPrefix("/") { return path }
    return directory.hasSuffix("/") ? directory + path : directory + "/" + path
  }
}

extension ServerConfiguration {
  public struct SIP: Sendable, Equatable {
    public var listen = [
      Listener(transport: .udp, endpoint: Endpoint(IPAddress(v4: 0x7f00_0001), 5060)),
      Listener(transport: .tcp, endpoint: Endpoint(IPAddress(v4: 0x7f00_0001), 5060)),
    ]
    /// Digest realm, and the domain of the users.
    public var domain = "nightjar.local"
    /// At most one a family; empty: what the socket is bound to.
    public var advertise: [IPAddress] = []
    /// One challenge each, in this order (RFC 8760 §2.4).
    public var algorithms: [DigestAlgorithm] = [.md5, .sha256]
    public var tls = TLS()
    public var connections = Connections()
    /// Web pages that may open a WebSocket (RFC 6455 §10.2), in lower case; empty: any.
    public var webSocketOrigins: [String] = []
    /// Octets; longer requests to trunks and addresses go by TCP (RFC 3261 §18.1.1). 0: none do.
    public var datagramLimit = 1300
    /// The session timer that we ask for (RFC 4028), in seconds; 0: none.
    public var sessionExpires = 1800
    /// The least that a peer may ask for, in seconds.
    public var minSE = 90
    /// On our side of the NAT that `advertise` is for.
    public var localNetworks: [SourceNetwork] = []
    /// For phones behind NAT.
    public var nat = KeepaliveSettings(interval: .seconds(30 as Int64), method: .crlf)
    /// Event loops that run calls; 0: half of the cores, at least one.
    public var shards = 0
  }

  /// A file, and where the configuration names it.
  public struct File: Sendable, Equatable {
    public var path: String
    public var line: Int
    public static func == (a: File, b: File) -> Bool { a.path == b.path }
  }

  /// Certificates and whom to trust; every file is PEM.
  public struct TLS: Sendable, Equatable {
    public struct Certificate: Sendable, Equatable {
      /// Asked for by SNI; empty: those that the certificate names.
      public var names: [String] = []
      public var certificate: File
      public var key: File
    }
    public enum ClientCertificates: String, Sendable, CaseIterable { case none, optional, required }

    /// The first is for clients that ask for none of the names.
    public var certificates: [Certificate] = []
    public var clientCertificates = ClientCertificates.none
    /// Who signs those of clients.
    public var clientAuthorities: File?
    /// Who signs those of servers, besides the system's authorities.
    public var serverAuthorities: File?
    /// `*.example.com` in a server's certificate counts.
    public var acceptsWildcards = false
  }

  /// Limits of TCP, TLS and WebSocket connections.
  public struct Connections: Sendable, Equatable {
    public var total = 20_000
    public var perAddress = 1_000
    /// From accept to the end of the first message.
    public var firstMessage = Instant.Span.seconds(10 as Int64)
    /// Without a byte either way.
    public var idle = Instant.Span.seconds(3_900 as Int64)
  }

  /// An address to listen on. Port 0 lets the kernel choose.
  public struct Listener: Sendable, Hashable, CustomStringConvertible {
    public var transport: Transport
    public var endpoint: Endpoint
    public init(transport: Transport, endpoint: Endpoint) {
      self.transport = transport
      self.endpoint = endpoint
    }
    /// As the file writes it: `udp:127.0.0.1:5060`.
    public var description: String { "\(transport.parameterName):\(endpoint)" }
  }

  /// How names become addresses (RFC 3263).
  public struct DNS: Sendable, Equatable {
    public var client = DNSClient.Settings()
    /// Answers that are kept.
    public var cache = 10_000
    /// Before `/etc/hosts`, and before DNS.
    public var hosts: [DNSName: [IPAddress]] = [:]
    /// One of several servers of a target may say nothing for so long; zero: until timer B.
    public var failoverAfter = Instant.Span.seconds(4 as Int64)
  }

  public struct MediaPlan: Sendable, Equatable {
    /// At most one a family.
    public var addresses = [IPAddress(v4: 0x7f00_0001), IPAddress(high: 0, low: 1)]
    /// Starts even, as RTP takes even ports (RFC 3550 §11).
    public var ports: ClosedRange<UInt16> = 10000...31999
    /// Without RTP an active call is ended after this; zero: never.
    public var timeout = Instant.Span.seconds(60 as Int64)
    /// The same for a call on hold.
    public var holdTimeout = Instant.Span.zero
    /// Country of ringing, busy and congestion tones: ISO 3166 code in lower case.
    public var tones = "us"
    /// The countries whose cadences the server knows (ITU-T E.180 supplement 2).
    public static let toneCountries = ["us", "gb", "cn", "de", "fr", "jp"]
  }

  public struct Dialplan: Sendable, Equatable {
    /// Absolute path; nil: every call gets 404.
    public var script: String?
    /// Absolute path of the folder that `play` looks in.
    public var sounds: String
    public var ringback = RingbackPolicy.toneUntilMedia
    public var maxGenerations = 16
    public var limits = Limits()

    public init(script: String? = nil, sounds: String) {
      self.script = script
      self.sounds = sounds
    }
  }

  /// What a script may use. The memory figures are bytes.
  public struct Limits: Sendable, Hashable {
    public var memory = 64 << 20
    public var callMemory = 8 << 20
    public var burst = Instant.Span.milliseconds(5)
    public var callCPU = Instant.Span.milliseconds(250)
    public var loadCPU = Instant.Span.seconds(2 as Int64)
    public var tasksPerCall = 100
  }

  /// A user whom the file names. The password stays in memory only as long as this value does.
  public struct User: Sendable, Hashable {
    public var name: String
    public var password: String
    public var context = "internal"
    public var callerID: CallerID?
    /// Line of the file, for messages.
    public var line = 0
  }

  public struct CallerID: Sendable, Hashable {
    public var name: String?
    public var number: String?
    public init(name: String? = nil, number: String? = nil) {
      self.name = name
      self.number = number
    }
  }

  public struct Registrar: Sendable, Equatable {
    /// Seconds.
    public var minExpires = 60
    public var maxExpires = 3600
    public var maxContacts = 10
    public var path = PathPolicy.accept
    /// Whole values, as `<sip:edge.example.org;lr>`.
    public var serviceRoutes: [String] = []
  }

  /// The first rule whose source holds the peer's address decides.
  public struct AccessRule: Sendable, Equatable {
    public var sources: [SourceNetwork]
    public var context = "public"
    public var authenticate = true
  }

  public struct Trunk: Sendable, Equatable {
    public var name: String
    /// A host name, or an address without brackets.
    public var host: String
    /// Nil: 5060 or 5061, or SRV for a host name (RFC 3263).
    public var port: UInt16?
    /// Nil: UDP for an address, what NAPTR says for a name.
    public var transport: Transport?
    /// Over TLS it must prove to be `host`.
    public var verifiesTLS = true
    /// Of the address of record, and of the credentials unless `authUsername` is another.
    public var username: String?
    public var password: String?
    public var authUsername: String?
    /// The only realms that get the credentials; empty: the first that the host asks for.
    public var realms: [String] = []
    public var register = false
    /// Seconds that a registration asks for.
    public var expires = 3600
    /// User part of the Contact that is registered; nil: `username`.
    public var contactUser: String?
    /// Between two OPTIONS; zero: none are sent.
    public var ping = Instant.Span.seconds(30 as Int64)
    /// OPTIONS in a row that must fail before the trunk is down.
    public var downAfter = 2
    public var context = "public"
    /// Whom a call of this trunk may come from.
    public var sources: [SourceNetwork] = []
    /// At the same time; 0: no limit.
    public var maxCalls = 0
    /// 0: no limit.
    public var callsPerSecond = 0.0
    /// What it asserts of callers is believed, and it is told who calls (RFC 3325).
    public var trusted = true
    /// It speaks Remote-Party-ID.
    public var remotePartyID = false
  }

  public struct Storage: Sendable, Equatable {
    public enum Database: Sendable, Hashable {
      /// Absolute path of an SQLite file.
      case file(String)
      /// Gone with the process: `sqlite::memory:`.
      case memory
    }
    public var database: Database
  }

  /// Call records that are written besides the database's. Absolute paths.
  public struct Records: Sendable, Equatable {
    public var csv: String?
    public var json: String?
    /// 0: for ever.
    public var keepDays = 90
  }

  public struct Control: Sendable, Equatable {
    /// Absolute path of a Unix domain socket.
    public var socket: String
    /// Address of the HTTP interface; nil: none.
    public var http: Endpoint?
    public init(socket: String, http: Endpoint? = nil) {
      self.socket = socket
      self.http = http
    }
  }

  public struct Log: Sendable, Equatable {
    public enum Format: String, Sendable, CaseIterable { case text, json }
    public enum Level: String, Sendable, CaseIterable { case trace, debug, info, notice, warning, error, critical }
    public var level = Level.info
    public var format = Format.text
  }
}
