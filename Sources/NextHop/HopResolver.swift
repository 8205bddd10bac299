public import NetCore

/// Who waits for hops: a slot of a shard, and its generation.
public struct HopAsker: Hashable, Sendable {
  public var shard: UInt8
  public var slot: UInt32
  public var generation: UInt32

  public init(shard: UInt8, slot: UInt32, generation: UInt32) {
    self.shard = shard
    self.slot = slot
    self.generation = generation
  }
}

/// Where a request can go, in order; never empty; or why nowhere.
public typealias HopResult = Result<[Hop], HopFailure>

extension HopFailure: Error {}

/// Finds next hops: the walk of RFC 3263 over a cache, with the questions that it still has to ask. No I/O, no clock.
///
///     resolve ──all is known──> hops
///        └──> searching, with its askers ──the last open question answered──> walk again ──> hops for each of them
///
/// However many ask for one URI's hops there is one search, and for one question one query. A search keeps the answers
/// it has seen, so that records that may not be kept (TTL 0) do not send it round in circles.
public struct HopResolver {
  public enum Outcome: Equatable, Sendable {
    case known(HopResult)
    /// The asker gets a `Delivery` later.
    case waits
  }

  public struct Delivery: Equatable, Sendable {
    public var asker: HopAsker
    public var result: HopResult
  }

  public struct Statistics: Sendable {
    /// Resolutions from what was known, those that waited, questions sent, answers that failed.
    public var hits = 0, waits = 0, questions = 0, failures = 0
    /// Answers that are kept.
    public var cached = 0
  }

  private struct Search {
    var askers: [HopAsker]
    var answers: [DNSQuestion: DNSAnswer] = [:]
    var open: Set<DNSQuestion> = []
  }

  /// A target that is tried at more addresses than this would ring for ever.
  public static let maxHops = 8
  static let maxSearches = 1000
  static let maxAskers = 20_000
  /// Walks for the askers of one search: the table's lock is held meanwhile.
  static let maxDraws = 64
  /// Questions of one search: a hostile zone leads no further.
  static let maxQuestions = 64

  private var cache: AnswerCache
  private var hosts: [DNSName: [IPAddress]] = [:]
  private var searches: [HopQuery: Search] = [:]
  private var askerCount = 0
  /// Which searches wait for a question that is under way.
  private var inFlight: [DNSQuestion: [HopQuery]] = [:]
  private var toAsk: [DNSQuestion] = []
  private var random: SeededGenerator
  private var counts = Statistics()

  public init(cacheCapacity: Int = 10_000, seed: UInt64) {
    cache = AnswerCache(capacity: cacheCapacity)
    random = SeededGenerator(seed: seed)
  }

  public var statistics: Statistics {
    var now = counts
    now.cached = cache.count
    return now
  }

  public var isIdle: Bool { searches.isEmpty && inFlight.isEmpty && askerCount == 0 }

  /// Addresses that are known without DNS (`dns.hosts`, `/etc/hosts`).
  public mutating func setHosts(_ hosts: [DNSName: [IPAddress]]) { self.hosts = hosts }
  public mutating func setCacheCapacity(_ capacity: Int) { cache.resize(capacity) }
  public mutating func forget() { cache.removeAll() }

  public mutating func resolve(_ query: HopQuery, asker: HopAsker, now: Instant) -> Outcome {
    if searches[query] != nil {
      guard askerCount < Self.maxAskers else { return .known(.failure(.busy)) }
      searches[query]?.askers.append(asker)
      askerCount += 1
      counts.waits += 1
      return .waits
    }
    var search = Search(askers: [asker])
    switch walk(query, &search, now) {
    case .found(let hops):
      counts.hits += 1
      return .known(.success(hops))
    case .nothing(let why):
      counts.hits += 1
      return .known(.failure(why))
    case .open(let questions):
      guard searches.count < Self.maxSearches, askerCount < Self.maxAskers else { return .known(.failure(.busy)) }
      counts.waits += 1
      askerCount += 1
      ask(questions, for: query, &search)
      searches[query] = search
      return .waits
    }
  }

  /// Questions that have come up since; each is asked once, and answered by `answered` whatever comes of it.
  public mutating func takeQuestions() -> [DNSQuestion] {
    defer { toAsk = [] }
    return toAsk
  }

  /// - Returns: whose wait is over.
  public mutating func answered(_ question: DNSQuestion, _ answer: DNSAnswer, now: Instant) -> [Delivery] {
    if answer.isFailure { counts.failures += 1 }
    guard let waiting = inFlight.removeValue(forKey: question) else { return [] }
    let believed = cache.store(question, answer, now: now)
    var deliveries: [Delivery] = []
    for query in waiting {
      guard var search = searches.removeValue(forKey: query) else { continue }
      search.answers[question] = believed
      search.open.remove(question)
      guard search.open.isEmpty else {
        searches[query] = search
        continue
      }
      switch walk(query, &search, now) {
      case .open(let questions) where search.answers.count + questions.count <= Self.maxQuestions:
        ask(questions, for: query, &search)
        searches[query] = search
      case .open: finish(search, .nothing(.refused), query, now, &deliveries)
      case let outcome: finish(search, outcome, query, now, &deliveries)
      }
    }
    return deliveries
  }

  private mutating func finish(
    _ search: Search, _ outcome: HopWalk.Outcome, _ query: HopQuery, _ now: Instant, _ deliveries: inout [Delivery]
  ) {
    askerCount -= search.askers.count
    var search = search
    var draws = [HopResolver.result(outcome)]
    if case .success(let hops) = draws[0], hops.count > 1 {
      // Each asker draws for himself, or the weights of a busy moment would all fall on one server.
      for _ in 1..<max(1, min(search.askers.count, Self.maxDraws)) {
        draws.append(HopResolver.result(walk(query, &search, now)))
      }
    }
    for (index, asker) in search.askers.enumerated() {
      deliveries.append(Delivery(asker: asker, result: draws[index % draws.count]))
    }
  }

  private static func result(_ outcome: HopWalk.Outcome) -> HopResult {
    switch outcome {
    case .found(let hops): .success(hops)
    case .nothing(let why): .failure(why)
    case .open: .failure(.refused)
    }
  }

  private mutating func ask(_ questions: [DNSQuestion], for query: HopQuery, _ search: inout Search) {
    for question in questions {
      search.open.insert(question)
      if inFlight[question] == nil {
        inFlight[question] = []
        toAsk.append(question)
        counts.questions += 1
      }
      inFlight[question]?.append(query)
    }
  }

  /// Walks by what the search has seen, what is configured and what is cached; what it uses, the search has seen.
  private mutating func walk(_ query: HopQuery, _ search: inout Search, _ now: Instant) -> HopWalk.Outcome {
    var walk = HopWalk(query, random: random)
    let outcome = walk.run { question in
      if let answer = search.answers[question] { return answer }
      if let listed = HopResolver.listed(question, in: hosts) { return listed }
      let answer = cache.fresh(question, now: now)
      if let answer { search.answers[question] = answer }
      return answer
    }
    random = walk.random
    return outcome
  }

  /// A name in the table of hosts has its addresses there and no other records, nor has `_sip._udp` below it.
  private static func listed(_ question: DNSQuestion, in hosts: [DNSName: [IPAddress]]) -> DNSAnswer? {
    guard !hosts.isEmpty else { return nil }
    guard let addresses = hosts[question.name] else {
      guard question.kind == .srv, let host = question.name.service, hosts[host] != nil else { return nil }
      return DNSAnswer(.nothing, ttl: 0)
    }
    let family: IPAddress.Family
    switch question.kind {
    case .a: family = .v4
    case .aaaa: family = .v6
    case .srv, .naptr: return DNSAnswer(.nothing, ttl: 0)
    }
    let list = addresses.filter { $0.family == family }
    return DNSAnswer(list.isEmpty ? .nothing : .addresses(list), ttl: 0)
  }
}
