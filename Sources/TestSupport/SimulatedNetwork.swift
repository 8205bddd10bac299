public import NetCore

/// A network on virtual time that loses, repeats, delays and so reorders datagrams, the same way for the same seed.
///
/// Each step delivers what has arrived, polls every node whose deadline has come, and puts what they send on the way.
public final class SimulatedNetwork {
  /// What happens to packets.
  public struct Conditions: Sendable {
    /// Probability that a packet is lost, 0...1.
    public var loss = 0.0
    /// Probability that a packet that is not lost arrives twice.
    public var duplication = 0.0
    /// A range wider than the distance between two packets reorders them.
    public var delay: ClosedRange<Instant.Span> = .milliseconds(10)...(.milliseconds(10))

    public init() {}

    public init(loss: Double, duplication: Double = 0, delay: ClosedRange<Instant.Span>) {
      self.loss = loss
      self.duplication = duplication
      self.delay = delay
    }

    /// 10 ms, in order, nothing lost.
    public static let perfect = Conditions()
    /// A tenth lost, some doubled, 5 to 120 ms.
    public static let mobile = Conditions(loss: 0.1, duplication: 0.05, delay: .milliseconds(5)...(.milliseconds(120)))
    /// A third lost, many doubled, up to 400 ms.
    public static let awful = Conditions(loss: 0.33, duplication: 0.2, delay: .milliseconds(1)...(.milliseconds(400)))
  }

  /// A packet that was sent, and what became of it.
  public struct Trace: Sendable {
    public var sent: Instant
    public var datagram: Datagram
    /// How often it arrives: 0 is lost.
    public var copies: Int
  }

  private struct Travelling {
    var at: Instant
    var order: Int
    var datagram: Datagram
  }

  public let clock: VirtualClock
  public var conditions: Conditions
  /// Everything that was sent, in order.
  public private(set) var trace: [Trace] = []
  /// Packets to an address where nobody is.
  public private(set) var undeliverable = 0
  /// Decides before chance does: false loses the packet. For "the first 200 is lost" and the like.
  public var filter: ((Datagram) -> Bool)?

  private var random: SeededRandom
  private var nodes: [any SimulatedNode] = []
  private var addresses: [Endpoint: any SimulatedNode] = [:]
  private var travelling: [Travelling] = []
  private var order = 0

  public init(clock: VirtualClock = VirtualClock(), seed: UInt64 = 1, conditions: Conditions = .perfect) {
    self.clock = clock
    self.conditions = conditions
    random = SeededRandom(seed: seed)
  }

  public func attach(_ node: any SimulatedNode, at endpoints: Endpoint...) {
    if !nodes.contains(where: { $0 === node }) { nodes.append(node) }
    for endpoint in endpoints { addresses[endpoint] = node }
  }

  /// Packets to it are lost from now on, and it is polled no more: a phone that is switched off.
  public func detach(_ node: any SimulatedNode) {
    nodes.removeAll { $0 === node }
    addresses = addresses.filter { $0.value !== node }
  }

  /// Lets `span` pass.
  public func run(for span: Instant.Span) {
    let end = clock.now + span
    step()
    while let next = nextEvent, next <= end {
      clock.advance(to: next)
      step()
    }
    clock.advance(to: end)
    step()
  }

  /// Runs until `condition` holds; false when `limit` has passed without it.
  @discardableResult
  public func run(until limit: Instant.Span, _ condition: () -> Bool) -> Bool {
    let end = clock.now + limit
    step()
    while !condition() {
      guard let next = nextEvent, next <= end else {
        clock.advance(to: end)
        step()
        return condition()
      }
      clock.advance(to: next)
      step()
    }
    return true
  }

  /// When something happens next; nil when nothing is left to happen.
  public var nextEvent: Instant? {
    let deadlines = nodes.compactMap(\.nextDeadline) + travelling.map(\.at)
    // Everything due has just happened: a node that still asks for the present gets a moment later, and time moves.
    return deadlines.min().map { max($0, clock.now + Instant.Span(nanoseconds: 100_000)) }
  }

  private func step() {
    let now = clock.now
    collect()
    let arrived = travelling.filter { $0.at <= now }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
    travelling.removeAll { $0.at <= now }
    for packet in arrived {
      guard let node = addresses[packet.datagram.to] else {
        undeliverable += 1
        continue
      }
      node.receive(packet.datagram.bytes, from: packet.datagram.from, to: packet.datagram.to, at: now)
      collect()
    }
  }

  private func collect() {
    for node in nodes {
      for datagram in node.poll(clock.now) { send(datagram) }
    }
  }

  private func send(_ datagram: Datagram) {
    var copies = 0
    if filter?(datagram) ?? true, !random.chance(conditions.loss) {
      copies = random.chance(conditions.duplication) ? 2 : 1
    }
    trace.append(Trace(sent: clock.now, datagram: datagram, copies: copies))
    for _ in 0..<copies {
      order += 1
      // At least a nanosecond, so that a step cannot feed itself.
      let delay = max(random.span(conditions.delay), Instant.Span(nanoseconds: 1))
      travelling.append(Travelling(at: clock.now + delay, order: order, datagram: datagram))
    }
  }
}
