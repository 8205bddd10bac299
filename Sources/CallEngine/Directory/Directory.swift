public import NetCore
public import SIPDigest
public import SIPMessage

/// A user whom digest authentication can find. Never changed: a call keeps the one it came in with.
public final class UserAccount: Sendable {
  public let name: String
  /// The name as REGISTER and digest credentials carry it.
  let octets: [UInt8]
  /// Dialplan context of his calls.
  public let context: String
  public let callerName: String?
  /// The number shown to callees, and the only one that his From may claim besides `name`.
  public let callerNumber: String?
  public let ha1: HA1

  public init(
    name: String, context: String = "internal", callerName: String? = nil, callerNumber: String? = nil, ha1: HA1
  ) {
    self.name = name
    octets = Array(name.utf8)
    self.context = context
    self.callerName = callerName
    self.callerNumber = callerNumber
    self.ha1 = ha1
  }
}

/// A source network; `10.1.0.0/16`, one address is a prefix of all its bits.
public struct SourceNetwork: Sendable, Equatable {
  public var address: IPAddress
  public var bits: Int

  public init(address: IPAddress, bits: Int) {
    self.address = address
    self.bits = bits
  }

  /// `10.1.0.0/16`, `203.0.113.5`, `2001:db8::/32`.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let ip = IPAddress(first) else { return nil }
    let width = ip.family == .v4 ? 32 : 128
    if parts.count == 2 {
      guard let bits = Int(parts[1]), (0...width).contains(bits) else { return nil }
      self.init(address: ip, bits: bits)
    } else {
      self.init(address: ip, bits: width)
    }
  }

  public func contains(_ ip: IPAddress) -> Bool { ip.hasPrefix(address, bits: bits) }
}

/// `access:` of the configuration: the first match decides.
public struct AccessRule: Sendable {
  public var source: SourceNetwork
  public var context: String?
  public var authenticate: Bool

  public init(source: SourceNetwork, context: String?, authenticate: Bool) {
    self.source = source
    self.context = context
    self.authenticate = authenticate
  }
}

/// A carrier, or another exchange.
public struct Trunk: Sendable, Equatable {
  public var name: String
  /// Where requests go, of a trunk whose host is an address. Nil: a name, which is looked up when it is called (RFC 3263).
  public var destination: Endpoint?
  /// Host and port as the configuration names them, for the Request-URI.
  public var host: String
  public var transport: Transport
  /// Who it must prove to be over TLS.
  public var peer: PeerName
  /// False: the configuration names no transport, so DNS may (NAPTR); `transport` is then UDP.
  public var isTransportFixed = true
  public var context: String
  public var sources: [SourceNetwork]
  /// Registration, pings, limits.
  public var plan: TrunkPlan
  /// Inside the trust domain of RFC 3325: what it asserts is believed, and it is told who calls.
  public var isTrusted = true
  /// Remote-Party-ID is written to it, and read where it sends no P-Asserted-Identity.
  public var remotePartyID = false

  public init(
    name: String, destination: Endpoint?, host: String, transport: Transport, peer: PeerName = .byAddress,
    context: String, sources: [SourceNetwork], plan: TrunkPlan = TrunkPlan()
  ) {
    self.name = name
    self.destination = destination
    self.host = host
    self.transport = transport
    self.peer = peer
    self.context = context
    self.sources = sources
    self.plan = plan
  }
}

/// Users, access rules and trunks, frozen; a change makes another.
public final class Directory: Sendable {
  private let users: OctetTable<UserAccount>
  public let access: [AccessRule]
  public let trunks: [Trunk]
  /// Some trunk knows us by a registration of ours.
  let hasRegistrations: Bool

  public init(users: [UserAccount], access: [AccessRule] = [], trunks: [Trunk] = []) {
    var table = OctetTable<UserAccount>()
    for user in users where table.find(user.octets[...]) == nil { table.insert(user.octets, user) }
    self.users = table
    self.access = access
    self.trunks = trunks
    hasRegistrations = trunks.contains { $0.plan.registration != nil }
  }

  /// By the octets of a name, as a message has them.
  public func user(_ name: Bytes) -> UserAccount? { users.find(name).map { users[$0] } }

  public func trunk(named name: String) -> Trunk? { trunks.first { $0.name == name } }

  /// How a caller at `ip` is treated: trunk sources before access rules; what matches nothing must authenticate.
  func admission(of peer: IPAddress) -> Admission {
    let ip = peer.unmapped
    for trunk in trunks where trunk.sources.contains(where: { $0.contains(ip) }) {
      return .trunk(name: trunk.name, context: trunk.context)
    }
    for rule in access where rule.source.contains(ip) {
      return rule.authenticate ? .challenge : .open(context: rule.context ?? "public")
    }
    return .challenge
  }

  enum Admission {
    case trunk(name: String, context: String)
    case open(context: String)
    case challenge
  }
}
