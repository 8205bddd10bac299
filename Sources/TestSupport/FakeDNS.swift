public import NetCore
public import NextHop
internal import Synchronization

/// A DNS server for simulated servers: a zone of records, an answer after a while, or none.
public final class FakeDNS: Sendable {
  private struct State {
    var zone: [DNSQuestion: DNSAnswer] = [:]
    var delay = Instant.Span.milliseconds(20)
    var isDead = false
    var asked: [DNSQuestion] = []
    /// Without a time: asked since the last look at the clock.
    var waiting: [(at: Instant?, question: DNSQuestion)] = []
  }
  private let state = Mutex(State())
  /// How long its client waits for a server that is dead.
  public static let timeout = Instant.Span.seconds(4 as Int64)

  public init() {}

  public func set(_ name: String, _ kind: DNSQuestion.Kind, _ content: DNSAnswer.Content, ttl: UInt32 = 60) {
    guard let name = DNSName(name) else { preconditionFailure("\(name) is no name") }
    state.withLock { $0.zone[DNSQuestion(name, kind)] = DNSAnswer(content, ttl: ttl) }
  }

  /// A name with one IPv4 address.
  public func set(_ name: String, address: String, ttl: UInt32 = 60) {
    guard let ip = IPAddress(address) else { preconditionFailure("\(address) is no address") }
    set(name, .a, .addresses([ip]), ttl: ttl)
  }

  public func set(
    _ name: String, services: [(priority: UInt16, weight: UInt16, port: UInt16, target: String)], ttl: UInt32 = 60
  ) {
    let records = services.map {
      ServiceRecord(priority: $0.priority, weight: $0.weight, port: $0.port, target: DNSName($0.target))
    }
    set(name, .srv, .services(records), ttl: ttl)
  }

  /// Questions to it are never answered, and end when its client gives up.
  public var isDead: Bool {
    get { state.withLock { $0.isDead } }
    set { state.withLock { $0.isDead = newValue } }
  }
  public var delay: Instant.Span {
    get { state.withLock { $0.delay } }
    set { state.withLock { $0.delay = newValue } }
  }
  /// Every question, in order.
  public var asked: [DNSQuestion] { state.withLock { $0.asked } }

  func ask(_ questions: [DNSQuestion]) {
    state.withLock { state in
      for question in questions {
        state.asked.append(question)
        state.waiting.append((nil, question))
      }
    }
  }

  var nextDeadline: Instant? { state.withLock { $0.waiting.map { $0.at ?? .zero }.min() } }

  /// What is due, with its answer.
  func takeAnswers(now: Instant) -> [(question: DNSQuestion, answer: DNSAnswer)] {
    state.withLock { state in
      let wait = state.isDead ? FakeDNS.timeout : state.delay
      for index in state.waiting.indices where state.waiting[index].at == nil { state.waiting[index].at = now + wait }
      let due = state.waiting.filter { $0.at.map { $0 <= now } ?? false }
      state.waiting.removeAll { $0.at.map { $0 <= now } ?? false }
      return due.map { item in
        (item.question, state.isDead ? .silence : state.zone[item.question] ?? DNSAnswer(.nothing, ttl: 60))
      }
    }
  }
}
