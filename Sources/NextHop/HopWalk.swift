internal import NetCore

/// Locating SIP servers: RFC 3263 §4, as a walk through answers that are there.
///
///     literal address ───────────────────────────────────────────> the one hop
///     name, port ────────────────────────────────> A, AAAA ──────> its addresses
///     name, transport ──────────> SRV ──> targets ─> A, AAAA ────> theirs
///                                  └─ no SRV ──────> A, AAAA ────> its addresses, the transport's port
///     name ──> NAPTR ──> services ─> SRV …
///                └─ no NAPTR ──────> SRV of each transport of ours …
///
/// It is walked anew each time an answer has come, until no question is left open: so there is no state to get wrong.
/// Left out: the additional section (only what was asked for is believed), SCTP and DTLS, and NAPTR flags but `s`.
struct HopWalk {
  enum Outcome: Equatable {
    case found([Hop])
    /// To be asked, then walked again.
    case open([DNSQuestion])
    case nothing(HopFailure)
  }

  /// What is known of a question, if anything.
  typealias Lookup = (DNSQuestion) -> DNSAnswer?

  let query: HopQuery
  /// Draws servers by weight.
  private(set) var random: SeededGenerator
  private var open: [DNSQuestion] = []
  private var sawSilence = false
  private var sawRefusal = false

  /// Aliases that follow each other (RFC 1034 §3.6.2 asks for one): more are a loop.
  static let maxAliases = 8
  /// Servers of a service that are looked up.
  static let maxTargets = 16
  /// NAPTR records that are followed.
  static let maxServices = 4

  init(_ query: HopQuery, random: SeededGenerator) {
    self.query = query
    self.random = random
  }

  mutating func run(_ lookup: Lookup) -> Outcome {
    guard case .name(let name) = query.host else {
      return query.literalHop.map { .found([$0]) } ?? .nothing(.noTransport)
    }
    let hops: [Hop]
    if query.port != nil || query.settledTransport != nil {
      guard let transport = query.settledTransport ?? query.defaultTransport, query.allows(transport) else {
        return .nothing(.noTransport)
      }
      if let port = query.port {
        hops = addresses(of: name, transport, port, lookup)
      } else {
        hops = service(transport, of: name, lookup) ?? addresses(of: name, transport, transport.defaultPort, lookup)
      }
    } else {
      hops = unsettled(name, lookup)
    }
    if !open.isEmpty { return .open(open) }
    var seen: Set<Hop> = []
    let unique = hops.filter { seen.insert($0).inserted }
    if !unique.isEmpty { return .found(unique) }
    return .nothing(sawSilence ? .silence : sawRefusal ? .refused : .noSuchHost)
  }

  /// Neither port nor transport: NAPTR says which (§4.1), else SRV of each that we have, else the default's addresses.
  private mutating func unsettled(_ name: DNSName, _ lookup: Lookup) -> [Hop] {
    var services: [NamingRecord] = []
    switch answer(DNSQuestion(name, .naptr), lookup) {
    case nil: return []
    case .failed(.silence): return []
    // Some servers know no NAPTR and say so in every wrong way.
    case .failed(.refused): sawRefusal = false
    case .names(let records): services = records
    case .addresses, .services, .alias, .nothing: break
    }
    let usable = ServiceOrder.usable(services, for: query).prefix(HopWalk.maxServices)
    var hops: [Hop] = []
    var isDescribed = false
    for (record, transport) in usable {
      guard let place = record.replacement,
        let found = targets(DNSQuestion(place, .srv), transport, lookup)
      else { continue }
      isDescribed = true
      hops += found
    }
    if !open.isEmpty || isDescribed { return hops }
    for transport in [Transport.udp, .tcp, .tls] where query.allows(transport) {
      guard let found = service(transport, of: name, lookup) else { continue }
      isDescribed = true
      hops += found
    }
    if !open.isEmpty || isDescribed { return hops }
    guard let transport = query.defaultTransport, query.allows(transport) else { return [] }
    return addresses(of: name, transport, transport.defaultPort, lookup)
  }

  /// `_sip._udp.name` and its like (RFC 3263 §4.2); nil: there are no such records.
  private mutating func service(
    _ transport: Transport, of name: DNSName, _ lookup: Lookup
  ) -> [Hop]? {
    let labels: StaticString =
      switch transport {
      case .tcp: "_sip._tcp"
      case .tls, .ws, .wss: "_sips._tcp"
      case .udp: "_sip._udp"
      }
    guard let place = name.below(labels) else { return nil }
    return targets(DNSQuestion(place, .srv), transport, lookup)
  }

  /// The servers of one SRV name, in the order of RFC 2782. Nil: there are none. Where it cannot be known, or the service
  /// is not to be had (`.`), no others are guessed.
  private mutating func targets(
    _ question: DNSQuestion, _ transport: Transport, _ lookup: Lookup
  ) -> [Hop]? {
    guard let content = answer(question, lookup) else { return [] }
    guard case .services(let records) = content else {
      if case .failed = content { return [] }
      return nil
    }
    guard !records.isEmpty else { return nil }
    var hops: [Hop] = []
    for record in ServiceOrder.order(Array(records.prefix(HopWalk.maxTargets)), using: &random) {
      guard let target = record.target, record.port > 0 else { continue }
      // Mostly forbidden there (RFC 2782), and often found.
      if let ip = IPAddress(bytes: target.octets[...]) {
        if query.reach.has(transport, ip.family) {
          hops.append(Hop(transport, Endpoint(ip, record.port)))
        }
        continue
      }
      hops += addresses(of: target, transport, record.port, lookup)
    }
    return hops
  }

  private mutating func addresses(
    of name: DNSName, _ transport: Transport, _ port: UInt16, _ lookup: Lookup
  ) -> [Hop] {
    var hops: [Hop] = []
    for family in query.reach.families(of: transport) {
      guard case .addresses(let list) = answer(DNSQuestion(name, family == .v4 ? .a : .aaaa), lookup) else { continue }
      for ip in list where ip.family == family { hops.append(Hop(transport, Endpoint(ip, port))) }
    }
    return hops
  }

  /// The records, through aliases; nil where they are still to be asked for.
  private mutating func answer(_ question: DNSQuestion, _ lookup: Lookup) -> DNSAnswer.Content? {
    var question = question
    for _ in 0...HopWalk.maxAliases {
      guard let answer = lookup(question) else {
        if !open.contains(question) { open.append(question) }
        return nil
      }
      switch answer.content {
      case .alias(let other): question.name = other
      case .failed(.silence):
        sawSilence = true
        return answer.content
      case .failed(.refused):
        sawRefusal = true
        return answer.content
      case .addresses, .services, .names, .nothing: return answer.content
      }
    }
    sawRefusal = true
    return .failed(.refused)
  }
}

/// Why there is no hop.
public enum HopFailure: Hashable, Sendable {
  /// The name has no address, or there is no such name.
  case noSuchHost
  /// We listen on no transport or address family that leads there.
  case noTransport
  /// DNS did not answer.
  case silence
  /// DNS answered with an error.
  case refused
  /// Too many wait for DNS already.
  case busy
}
