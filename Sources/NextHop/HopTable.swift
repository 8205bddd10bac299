public import NetCore
internal import Synchronization

/// The one resolver of all shards: a leaf table, whose lock is held for a walk and never for a wait. Made before there is
/// a DNS client, so it is connected to one.
///
/// It also remembers which addresses failed lately: they stay in their lists, but last, on every shard.
public final class HopTable: Sendable {
  private struct State {
    var resolver: HopResolver
    var failures = FailedHops()
    var ask: (@Sendable ([DNSQuestion]) -> Void)?
    var deliver: (@Sendable (HopResolver.Delivery) -> Void)?
  }
  private let state: Mutex<State>

  /// - Parameter seed: of the draws by weight.
  public init(cacheCapacity: Int = 10_000, seed: UInt64 = .random(in: .min ... .max)) {
    state = Mutex(State(resolver: HopResolver(cacheCapacity: cacheCapacity, seed: seed)))
  }

  /// - Parameters:
  ///   - ask: gives questions to a DNS client, which ends each with `answered`. Called on any thread, under no lock.
  ///   - deliver: tells an asker. Called on the thread of `answered`, under no lock.
  public func connect(
    ask: @escaping @Sendable ([DNSQuestion]) -> Void, deliver: @escaping @Sendable (HopResolver.Delivery) -> Void
  ) {
    state.withLock {
      $0.ask = ask
      $0.deliver = deliver
    }
  }

  /// The hops of a query: at once where all is known, else by a delivery to `asker`.
  public func resolve(_ query: HopQuery, asker: HopAsker, now: Instant) -> HopResolver.Outcome {
    var questions: [DNSQuestion] = []
    var ask: (@Sendable ([DNSQuestion]) -> Void)?
    let outcome = state.withLock { state -> HopResolver.Outcome in
      // Without a client nobody would ever answer.
      guard state.ask != nil else { return .known(.failure(.silence)) }
      ask = state.ask
      let outcome = state.resolver.resolve(query, asker: asker, now: now)
      questions = state.resolver.takeQuestions()
      return state.failures.arranged(outcome, now: now)
    }
    if !questions.isEmpty { ask?(questions) }
    return outcome
  }

  /// What came of a question, from the DNS client's thread.
  public func answered(_ question: DNSQuestion, _ answer: DNSAnswer, now: Instant) {
    var questions: [DNSQuestion] = []
    var ask: (@Sendable ([DNSQuestion]) -> Void)?
    var deliver: (@Sendable (HopResolver.Delivery) -> Void)?
    let deliveries = state.withLock { state -> [HopResolver.Delivery] in
      ask = state.ask
      deliver = state.deliver
      var deliveries = state.resolver.answered(question, answer, now: now)
      for index in deliveries.indices {
        deliveries[index].result = state.failures.arranged(deliveries[index].result, now: now)
      }
      questions = state.resolver.takeQuestions()
      return deliveries
    }
    if !questions.isEmpty { ask?(questions) }
    for delivery in deliveries { deliver?(delivery) }
  }

  /// Nothing came from there, or 503: for a while it is tried last.
  public func failed(_ hop: Hop, for span: Instant.Span = .seconds(30), now: Instant) {
    state.withLock { $0.failures.add(hop, until: now + span, now: now) }
  }

  public func setHosts(_ hosts: [DNSName: [IPAddress]]) { state.withLock { $0.resolver.setHosts(hosts) } }
  public func setCacheCapacity(_ capacity: Int) { state.withLock { $0.resolver.setCacheCapacity(capacity) } }
  public var statistics: HopResolver.Statistics { state.withLock { $0.resolver.statistics } }
  public var isIdle: Bool { state.withLock { $0.resolver.isIdle } }
}

/// Addresses that did not serve, for a while; bounded.
struct FailedHops {
  private var until: [Hop: Instant] = [:]
  static let maxHops = 1024
  /// Longer nobody is held back, whatever a Retry-After says.
  static let maxSpan = Instant.Span.seconds(300)

  mutating func add(_ hop: Hop, until: Instant, now: Instant) {
    if self.until.count >= FailedHops.maxHops { self.until = self.until.filter { $0.value > now } }
    guard self.until.count < FailedHops.maxHops else { return }
    self.until[hop] = min(until, now + FailedHops.maxSpan)
  }

  /// Those that failed behind the others, in their order; at most `HopResolver.maxHops` in all.
  func arranged(_ result: HopResult, now: Instant) -> HopResult {
    guard case .success(var hops) = result, hops.count > 1 else { return result }
    if !until.isEmpty {
      let isBad = hops.map { until[$0].map { $0 > now } ?? false }
      if isBad.contains(true) {
        hops = zip(hops, isBad).filter { !$1 }.map(\.0) + zip(hops, isBad).filter { $1 }.map(\.0)
      }
    }
    return .success(Array(hops.prefix(HopResolver.maxHops)))
  }

  func arranged(_ outcome: HopResolver.Outcome, now: Instant) -> HopResolver.Outcome {
    if case .known(let result) = outcome { .known(arranged(result, now: now)) } else { outcome }
  }
}
