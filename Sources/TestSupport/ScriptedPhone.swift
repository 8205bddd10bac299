public import NetCore
internal import SIPDialog
public import SIPMessage
internal import SIPTransaction

/// A small user agent on a simulated network: it registers, calls with digest, answers as its script says, sends again
/// and gives up as RFC 3261 wants (it has a `TransactionTable` of its own), and keeps every message it got.
///
/// It sends everything to one server, over UDP. What a test tells it to do happens at the clock's time and is sent with
/// the network's next step.
public final class ScriptedPhone: SimulatedNode {
  /// A message that arrived, copies included.
  public struct Received: Sendable {
    public var at: Instant
    public var message: Message
  }

  public let user: String
  public let password: String
  public let domain: String
  public let endpoint: Endpoint
  public let server: Endpoint
  let clock: VirtualClock

  /// What it does about the next INVITE.
  public var script = PhoneScript.answer(after: .milliseconds(1_000))
  /// What it offers and answers.
  public var sdp: [UInt8]
  /// What it says to a re-INVITE or an UPDATE; nil: nothing but 100.
  public var reinviteAnswer: Int? = 200
  /// Whether it answers a reliable provisional response with a PRACK; it says so in `headers` of the call.
  public var acknowledgesReliable = true
  /// What it says to an UPDATE, if not what it says to a re-INVITE.
  public var updateAnswer: Int?
  /// What it says to INFO, MESSAGE, OPTIONS and the like within a call, if not 200.
  public var otherAnswer: (status: Int, headers: [String], body: [UInt8])?
  /// What its PRACKs carry instead of nothing or, where the INVITE made no offer, of `sdp`.
  public var prackBody: [UInt8]?
  /// Lines without CRLF that its answers to a re-INVITE or UPDATE carry.
  public var changeHeaders: [String] = []
  /// What it says to a NOTIFY within a call.
  public var notifyAnswer = 200
  /// What it says to a REFER within a call.
  public var referAnswer = 202
  /// Lines without CRLF that every request and response of its own carries.
  public var extraHeaders: [String] = []

  /// Every message that arrived and parses, in order.
  public private(set) var received: [Received] = []
  /// What arrived and does not parse: with a correct server, nothing.
  public private(set) var unparsable: [[UInt8]] = []
  /// Requests as the transaction layer delivers them, each once; no ACK.
  public internal(set) var requests: [Message] = []
  public internal(set) var calls: [PhoneCall] = []
  /// The last final status of REGISTER, 408 for none.
  public internal(set) var registrationStatus: Int?
  /// Contacts in the last 200 to REGISTER.
  public internal(set) var bindings: [String] = []
  /// Final statuses of requests sent with `send`.
  public internal(set) var otherStatuses: [Int] = []

  /// Requests within calls that it left without an answer.
  var open: [(id: ServerTransactionID, message: Message)] = []
  var table: TransactionTable
  var wheel: TimerWheel
  var random: SeededRandom
  var pending: [ClientTransactionID: Pending] = [:]
  var registerCSeq: UInt32 = 0
  private var callIDs = 0

  /// What a client transaction is for.
  enum Pending {
    case register(expires: Int, attempts: Int)
    case invite(PhoneCall, attempts: Int)
    case reinvite(PhoneCall)
    case bye(PhoneCall)
    case prack(PhoneCall)
    case other
  }

  public init(
    user: String, password: String, domain: String, endpoint: Endpoint, server: Endpoint, clock: VirtualClock,
    seed: UInt64 = 1
  ) {
    self.user = user
    self.password = password
    self.domain = domain
    self.endpoint = endpoint
    self.server = server
    self.clock = clock
    sdp = PhoneSDP.audio(Endpoint(endpoint.ip, 40_000))
    random = SeededRandom(seed: seed ^ UInt64(endpoint.port) << 32)
    table = TransactionTable(shard: 0, seed: (seed, UInt64(endpoint.port)))
    wheel = TimerWheel(now: clock.now)
  }

  /// A phone already on `network`.
  public convenience init(
    user: String, password: String = "", domain: String = "nightjar.local", endpoint: Endpoint, server: Endpoint,
    on network: SimulatedNetwork, seed: UInt64 = 1
  ) {
    self.init(
      user: user, password: password, domain: domain, endpoint: endpoint, server: server, clock: network.clock,
      seed: seed)
    network.attach(self, at: endpoint)
  }

  // MARK: SimulatedNode

  public func receive(_ bytes: [UInt8], from: Endpoint, to: Endpoint, at now: Instant) {
    let message: Message
    do {
      message = try MessageParser.parse(bytes, flow: Flow(transport: .udp, listener: 0, remote: from, local: endpoint))
    } catch {
      unparsable.append(bytes)
      return
    }
    received.append(Received(at: now, message: message))
    table.receive(message, now: now, wheel: &wheel)
    handleEvents()
  }

  public func poll(_ now: Instant) -> [Datagram] {
    while let timer = wheel.popExpired(now: now) {
      if timer.kind == 0 {
        table.fire(timer, now: now, wheel: &wheel)
      } else {
        let call = calls[Int(timer.slot)]
        if timer.kind == 1 { step(call) } else { sendAgain(call) }
      }
      handleEvents()
    }
    defer { table.outbox.removeAll(keepingCapacity: true) }
    return table.outbox.map { Datagram(bytes: $0.bytes, from: endpoint, to: $0.flow.remote) }
  }

  public var nextDeadline: Instant? { wheel.nextDeadline }

  // MARK: What tests ask

  /// The transactions it still has: zero some time after everything has ended.
  public var liveTransactions: Int { table.counts.clients + table.counts.servers }
  /// Received responses to `method`, copies included.
  public func responses(to method: Method) -> [Message] {
    received.map(\.message).filter { !$0.isRequest && $0.method == method }
  }
  /// Statuses of `responses(to:)`.
  public func statuses(of method: Method) -> [Int] { responses(to: method).map(\.status) }

  // MARK: Building

  var now: Instant { clock.now }
  var flow: Flow { Flow(transport: .udp, listener: 0, remote: server, local: endpoint) }
  /// Behind the address in Contact, as in `;reg-id=1`.
  public var contactParameters = ""
  var contact: String { "<sip:\(user)@\(endpoint)>\(contactParameters)" }
  var sentBy: Bytes { Array(endpoint.description.utf8)[...] }

  func newCallID() -> [UInt8] {
    callIDs += 1
    return Array("\(user)-\(callIDs)-\(random.next() % 1_000_000)@\(endpoint.ip)".utf8)
  }

  func newTag() -> [UInt8] { Array(String(random.next(), radix: 36).utf8) }

  /// The head of a request outside a dialog: everything but what the caller adds.
  func begin(
    _ method: Method, uri: String, to: String, callID: [UInt8], fromTag: [UInt8], cseq: UInt32, branch: Token
  ) -> MessageWriter {
    var writer = MessageWriter()
    writer.requestLine(method, uri: Array(uri.utf8)[...])
    writer.append("Via: SIP/2.0/UDP \(endpoint);rport;branch=")
    writer.append(branch.branch)
    writer.endLine()
    writer.header(.maxForwards, "70")
    writer.append("From: <sip:\(user)@\(domain)>;tag=")
    writer.append(fromTag)
    writer.endLine()
    writer.header(.to, to)
    writer.header(.callID, callID)
    writer.append("CSeq: \(cseq) \(method.name)\r\n")
    writer.header(.contact, contact)
    writer.header(.allow, "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE")
    for line in extraHeaders { writer.append(line + "\r\n") }
    return writer
  }

  func finish(_ writer: MessageWriter, body: [UInt8]) -> [UInt8] {
    var writer = writer
    writer.finish(body: body[...], contentType: "application/sdp")
    return writer.bytes
  }

  func call(withLocalTag tag: Bytes?) -> PhoneCall? {
    guard let tag else { return nil }
    return calls.first { $0.localTag[...] == tag }
  }
}
