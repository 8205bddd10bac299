import NetCore
import SIPMessage
import SIPTransaction
import Testing

/// One table and its wheel on virtual time, with hands to feed them.
final class Bench {
  var table: TransactionTable
  var wheel: TimerWheel
  var now: Instant

  static let peer = Endpoint(IPAddress(v4: 0xc000_0201), 5060)
  static let local = Endpoint(IPAddress(v4: 0xc000_0202), 5060)
  static let udp = Flow(transport: .udp, listener: 0, remote: peer, local: local)
  static let tcp = Flow(transport: .tcp, listener: 0, connection: 7, remote: peer, local: local)

  init(limits: TransactionLimits = .init()) {
    now = Instant(nanoseconds: 1_000_000_000_123)
    table = TransactionTable(shard: 3, limits: limits, seed: (1, 2))
    wheel = TimerWheel(now: now)
  }

  /// Lets time pass, with every timer at its own time.
  func wait(_ span: Instant.Span) {
    let end = now + span
    while let deadline = wheel.nextDeadline, deadline <= end {
      now = max(now, deadline)
      while let timer = wheel.popExpired(now: now) { table.fire(timer, now: now, wheel: &wheel) }
    }
    now = end
  }

  func wait(ms: Int64) { wait(.milliseconds(ms)) }

  func receive(_ text: String, flow: Flow = Bench.udp) {
    table.receive(parse(text, flow: flow), now: now, wheel: &wheel)
  }

  /// The outbox, emptied.
  func sent() -> [String] {
    defer { table.outbox.removeAll(keepingCapacity: true) }
    return table.outbox.map { String(decoding: $0.bytes, as: UTF8.self) }
  }

  func events() -> [TransactionEvent] {
    defer { table.events.removeAll(keepingCapacity: true) }
    return table.events
  }

  /// A short name for each event.
  func eventNames() -> [String] { events().map(Bench.name) }

  static func name(_ event: TransactionEvent) -> String {
    switch event {
    case .request(_, let m): "request \(String(decoding: m.methodName, as: UTF8.self))"
    case .cancel(_, _, let of): of == nil ? "cancel of nothing" : "cancel"
    case .ack: "ack"
    case .response(_, let m): "response \(m.status)"
    case .timeout: "timeout"
    case .transportError: "transportError"
    case .serverTransportError: "serverTransportError"
    case .noAck: "noAck"
    case .strayResponse(let m): "stray \(m.status)"
    }
  }

  /// Reserves a client and sends `method` through it; returns its id and the branch.
  func send(_ method: SIPMessage.Method, flow: Flow = Bench.udp, extra: String = "") -> (
    id: ClientTransactionID, branch: String
  ) {
    let (id, token) = table.reserveClient()
    let branch = String(decoding: token.branch, as: UTF8.self)
    let text = request("\(method.name)", branch: branch, uri: "sip:bob@192.0.2.1:5060;x=y", extra: extra)
    table.send(id, method: method, bytes: Array(text.utf8), flow: flow, now: now, wheel: &wheel)
    return (id, branch)
  }

  @discardableResult
  func respond(_ id: ServerTransactionID, _ status: Int, tag: String = "srv") -> Bool {
    let text =
      "SIP/2.0 \(status) Whatever\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>;tag=\(tag)\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    return table.respond(id, status: status, bytes: Array(text.utf8), now: now, wheel: &wheel)
  }

  var leftovers: String { "\(table.counts.servers) servers, \(table.counts.clients) clients, \(wheel.count) timers" }
}

let nothingLeft = "0 servers, 0 clients, 0 timers"

func parse(_ text: String, flow: Flow = Bench.udp) -> Message {
  do {
    return try MessageParser.parse(Array(text.utf8), flow: flow)
  } catch {
    fatalError("\(error.error): \(text)")
  }
}

func request(
  _ method: String, branch: String = "z9hG4bKpeer1", cseq: Int = 1, cseqMethod: String? = nil, callID: String = "c1",
  fromTag: String = "f", toTag: String? = nil, uri: String = "sip:bob@192.0.2.2", sentBy: String = "192.0.2.1:5060",
  extra: String = ""
) -> String {
  """
  \(method) \(uri) SIP/2.0\r
  Via: SIP/2.0/UDP \(sentBy)\(branch.isEmpty ? "" : ";branch=" + branch)\r
  Max-Forwards: 70\r
  From: "Alice" <sip:alice@example.com>;tag=\(fromTag)\r
  To: <sip:bob@example.com>\(toTag.map { ";tag=" + $0 } ?? "")\r
  Call-ID: \(callID)\r
  CSeq: \(cseq) \(cseqMethod ?? method)\r
  Contact: <sip:alice@192.0.2.1>\r
  \(extra)Content-Length: 0\r
  \r

  """
}

func response(_ status: Int, branch: String, method: String = "INVITE", toTag: String? = "t1", extra: String = "")
  -> String
{
  """
  SIP/2.0 \(status) Whatever\r
  Via: SIP/2.0/UDP 192.0.2.2:5060;branch=\(branch)\r
  \(extra)From: "Alice" <sip:alice@example.com>;tag=f\r
  To: <sip:bob@example.com>\(toTag.map { ";tag=" + $0 } ?? "")\r
  Call-ID: c1\r
  CSeq: 1 \(method)\r
  Content-Length: 0\r
  \r

  """
}

func startLine(_ text: String) -> String { String(text.prefix { $0 != "\r\n" }) }

func header(_ name: String, in text: String) -> [String] {
  text.components("\r\n").filter { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
}

extension String {
  func components(_ separator: String) -> [String] {
    var parts: [String] = []
    var rest = self[...]
    while let range = rest.firstRange(of: separator) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    parts.append(String(rest))
    return parts
  }
}

extension Array where Element == TransactionEvent {
  /// The server transaction that the first event is about.
  var server: ServerTransactionID {
    for event in self {
      switch event {
      case .request(let id, _), .cancel(let id, _, _), .noAck(let id), .serverTransportError(let id): return id
      case .ack, .response, .timeout, .transportError, .strayResponse: continue
      }
    }
    fatalError("no server event")
  }
}
