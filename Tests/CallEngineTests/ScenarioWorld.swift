@testable import CallEngine
import Media
import NetCore
import SIPMessage
import SIPTransaction
import TestSupport
import Testing

/// A server, its users' phones, and the network between them: what every scenario starts from.
final class World {
  let network: SimulatedNetwork
  let server: ServerNode
  private(set) var phones: [ScriptedPhone] = []

  /// Rings whatever user was dialled, and passes on why he cannot be had.
  static let plain = """
    on.invite(function(call)
      local r = call:dial("user/" .. call.ruri.user, { timeout = 30, ringback = "180" })
      if not r.ok then call:reject { from = r } end
    end)
    """

  /// `plain` with other dial options.
  static func dialling(_ options: String) -> String {
    """
    on.invite(function(call)
      local r = call:dial("user/" .. call.ruri.user, \(options))
      if not r.ok then call:reject { from = r } end
    end)
    """
  }

  /// A handler whose body is `body`; its parameter is `call`.
  static func invite(_ body: String) -> String { "on.invite(function(call)\n\(body)\nend)" }

  init(
    _ script: String = World.plain, shards: Int = 1, seed: UInt64 = 1,
    conditions: SimulatedNetwork.Conditions = .perfect, open: [String] = [], trunks: [Trunk] = [],
    users: [ServerNode.User]? = nil, on existing: SimulatedNetwork? = nil,
    configure: (inout EngineSettings) -> Void = { _ in }
  ) {
    network = existing ?? SimulatedNetwork(seed: seed, conditions: conditions)
    server = ServerNode(
      script: script, shards: shards,
      users: users ?? (1000...1005).map { .init("\($0)", callerName: "Phone \($0)", callerNumber: "\($0)") },
      open: open, trunks: trunks, on: network, configure: configure)
  }

  /// Addresses of which none is the beginning of another, so that their bytes can be looked for.
  static let addresses = ["192.0.2.111", "203.0.113.122", "192.0.2.133", "203.0.113.144", "192.0.2.155"]

  /// A phone that is not registered yet.
  @discardableResult
  func phone(_ user: String, password: String = "secret", seed: UInt64 = 7) -> ScriptedPhone {
    let phone = ScriptedPhone(
      user: user, password: password, domain: ServerNode.domain,
      endpoint: Endpoint(IPAddress(World.addresses[phones.count])!, 5060), server: ServerNode.address, on: network,
      seed: seed &+ UInt64(phones.count))
    phone.sdp = PhoneSDP.audio(Endpoint(phone.endpoint.ip, UInt16(40_000 + 2 * phones.count)))
    phones.append(phone)
    return phone
  }

  /// Phones of these users, registered over whatever network there is.
  func registered(_ users: String..., sourceLocation: SourceLocation = #_sourceLocation) -> [ScriptedPhone] {
    let new = users.map { phone($0) }
    for phone in new {
      for _ in 0..<20 where phone.registrationStatus != 200 {
        phone.register()
        network.run(until: .seconds(40)) { phone.registrationStatus != nil && phone.liveTransactions == 0 }
      }
      #expect(phone.registrationStatus == 200, sourceLocation: sourceLocation)
    }
    return new
  }

  func run(_ seconds: Double) { network.run(for: .seconds(seconds)) }

  /// Lets everything end that ends by itself, then looks for what was forgotten.
  func expectNothingLeft(
    after seconds: Double = 120, records: Int? = nil, _ note: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    run(seconds)
    var left: [String] = []
    func check(_ what: String, _ count: Int) { if count != 0 { left.append("\(what): \(count)") } }
    for (index, shard) in server.shards.enumerated() {
      check("shard \(index) calls", shard.calls.count)
      check("shard \(index) legs", shard.legs.count)
      check("shard \(index) tasks", shard.tasks.count)
      check("shard \(index) transactions", shard.transactionCount)
      check("shard \(index) timers", shard.wheel.count)
      check("shard \(index) media owners", shard.mediaOwners.count)
      check("shard \(index) statistics owners", shard.statisticsOwners.count)
      check("shard \(index) halves", shard.transfers.halves.count)
      check("shard \(index) messages to halves", shard.transfers.unsent.count)
      check("shard \(index) sliced", shard.sliced.count)
      check("shard \(index) ready", shard.ready.count)
      check("shard \(index) waiting for DNS", shard.hopWaiters.count)
      check("shard \(index) spawned", shard.spawnQueue.count)
      check("shard \(index) calls of its script", shard.script?.calls ?? 0)
      check("shard \(index) old generations", shard.scripts.count - (shard.script == nil ? 0 : 1))
    }
    check("leased ports", server.media.leased.count)
    for phone in phones {
      check("transactions of \(phone.user)", phone.liveTransactions)
      check("unparsable at \(phone.user)", phone.unparsable.count)
      for call in phone.calls where call.state != .ended { left.append("\(phone.user): a call is \(call.state)") }
    }
    left += server.media.violations
    #expect(left == [], "\(note())", sourceLocation: sourceLocation)
    if let records {
      #expect(server.records.all.count == records, "\(note())", sourceLocation: sourceLocation)
      #expect(Set(server.records.all.map(\.id)).count == records, "\(note())", sourceLocation: sourceLocation)
    }
  }

  /// The wire between the server and one phone: `> INVITE` to the server, `< 180` from it, each datagram once.
  func ladder(_ phone: ScriptedPhone) -> [String] {
    network.trace.compactMap { item in
      let toServer = item.datagram.from == phone.endpoint
      guard toServer || item.datagram.to == phone.endpoint else { return nil }
      return (toServer ? "> " : "< ") + Wire.summary(item.datagram.bytes)
    }
  }

  /// What the server sent to a phone, parsed, in order, copies included.
  func sent(to phone: ScriptedPhone) -> [Message] {
    network.trace.filter { $0.datagram.to == phone.endpoint }.compactMap { Wire.parse($0.datagram) }
  }

  var record: CallRecord? { server.records.all.last }
}

enum Wire {
  static func summary(_ bytes: [UInt8]) -> String {
    let words = String(decoding: bytes.prefix { $0 != 0x0d }, as: UTF8.self).split(separator: " ")
    guard words.count >= 2 else { return "?" }
    return words[0] == "SIP/2.0" ? String(words[1]) : String(words[0])
  }

  static func parse(_ datagram: Datagram) -> Message? {
    try? MessageParser.parse(
      datagram.bytes, flow: Flow(transport: .udp, listener: 0, remote: datagram.from, local: datagram.to))
  }
}

func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }
func text(_ bytes: Bytes?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

/// Somebody who says exactly what a test writes, and does nothing by himself.
final class RawPeer: SimulatedNode {
  let endpoint: Endpoint
  private let network: SimulatedNetwork
  private var out: [Datagram] = []
  private(set) var received: [Message] = []
  /// Called with each message that arrives.
  var answer: ((Message) -> Void)?

  init(_ address: String, on network: SimulatedNetwork) {
    endpoint = Endpoint(address)!
    self.network = network
    network.attach(self, at: endpoint)
  }

  func receive(_ bytes: [UInt8], from: Endpoint, to: Endpoint, at now: Instant) {
    guard let message = Wire.parse(Datagram(bytes: bytes, from: from, to: to)) else { return }
    received.append(message)
    answer?(message)
  }

  func poll(_ now: Instant) -> [Datagram] {
    defer { out = [] }
    return out
  }

  var nextDeadline: Instant? { nil }

  func send(_ bytes: [UInt8]) { out.append(Datagram(bytes: bytes, from: endpoint, to: ServerNode.address)) }

  /// A request outside a dialog; `lines` replace those of the same name or are added.
  func request(
    _ method: String, _ uri: String = "sip:1001@nightjar.example", branch: String = "z9hG4bK1",
    callID: String = "raw-1", tag: String = "raw", toTag: String? = nil, cseq: Int = 1, maxForwards: Int = 70,
    lines: [String] = [], type: String? = nil, body: String = ""
  ) {
    var text =
      "\(method) \(uri) SIP/2.0\r\nVia: SIP/2.0/UDP \(endpoint);branch=\(branch)\r\nMax-Forwards: \(maxForwards)\r\n"
      + "From: <sip:raw@\(endpoint)>;tag=\(tag)\r\nTo: <\(uri)>\(toTag.map { ";tag=\($0)" } ?? "")\r\n"
      + "Call-ID: \(callID)\r\nCSeq: \(cseq) \(method)\r\nContact: <sip:raw@\(endpoint)>\r\n"
    for line in lines { text += line + "\r\n" }
    if let type { text += "Content-Type: \(type)\r\n" }
    text += "Content-Length: \(body.utf8.count)\r\n\r\n" + body
    send(Array(text.utf8))
  }

  func respond(_ request: Message, _ status: Int, tag: String = "raw-to", lines: [String] = [], body: [UInt8] = []) {
    var writer = MessageWriter.response(to: request, status: status, toTag: Array(tag.utf8)[...])
    for line in lines { writer.append(line + "\r\n") }
    writer.finish(body: body[...], contentType: "application/sdp")
    send(writer.bytes)
  }

  var statuses: [Int] { received.filter { !$0.isRequest }.map(\.status) }
}
