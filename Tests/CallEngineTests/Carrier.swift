@testable import CallEngine
import NetCore
import SIPDigest
import SIPMessage
import TestSupport

/// A carrier as tests need one: a registrar with digest, and what answers OPTIONS and calls. Says at once what it is told
/// to say, and keeps every request.
final class Carrier {
  let peer: RawPeer
  let name: String
  let realm: String
  private let authenticator: DigestAuthenticator
  private let network: SimulatedNetwork

  var user = "4930"
  var password = "s3cret"
  /// Methods that need credentials.
  var challenged: Set<SIPMessage.Method> = [.register]
  /// A 407 instead of a 401.
  var isProxy = false
  /// What REGISTER gets once it is let in: seconds, whatever was asked for.
  var grants = 600
  /// A final answer to requests of a method before anything else; nil: as usual; 0: silence.
  var says: [SIPMessage.Method: Int] = [:]
  /// Lines for what `says` says, and for the 200 to REGISTER.
  var lines: [String] = []
  /// How many of the next challenges say that the nonce is too old, although it is not.
  var staleness = 0
  /// The Contact of its 200 to INVITE.
  var contact: String?

  /// Requests that were let in, and all that came.
  private(set) var admitted: [Message] = []
  var requests: [Message] { peer.received.filter(\.isRequest) }
  func requests(_ method: SIPMessage.Method) -> [Message] { requests.filter { $0.method == method } }
  func admitted(_ method: SIPMessage.Method) -> [Message] { admitted.filter { $0.method == method } }

  init(
    _ name: String, _ address: String, on network: SimulatedNetwork, realm: String = "carrier.example",
    algorithms: [DigestAlgorithm] = [.md5, .sha256]
  ) {
    self.name = name
    self.realm = realm
    self.network = network
    peer = RawPeer("\(address):5060", on: network)
    authenticator = DigestAuthenticator(
      DigestRealm(name: realm, algorithms: algorithms), key: Array("carrier's own key".utf8))
    peer.answer = { [unowned self] in receive($0) }
  }

  /// The trunk that leads to it.
  func trunk(_ change: (inout TrunkPlan) -> Void = { _ in }, sources: [String] = []) -> Trunk {
    var plan = TrunkPlan()
    change(&plan)
    return Trunk(
      name: name, destination: peer.endpoint, host: peer.endpoint.ip.description, transport: .udp, context: "trunk",
      sources: sources.compactMap { SourceNetwork($0) }, plan: plan)
  }

  /// The trunk of somebody who registers.
  func registering(realms: [String] = [], _ change: (inout TrunkPlan) -> Void = { _ in }) -> Trunk {
    trunk { plan in
      plan.credentials = TrunkCredentials(user: user, password: password, realms: realms)
      plan.registration = TrunkRegistrationPlan(user: user)
      change(&plan)
    }
  }

  private var seconds: Int64 { network.clock.now.nanoseconds / 1_000_000_000 }

  private func receive(_ message: Message) {
    guard message.isRequest, message.method != .ack else { return }
    if let status = says[message.method] {
      if status > 0 { peer.respond(message, status, lines: lines) }
      return
    }
    if challenged.contains(message.method), !isKnown(message) { return challenge(message) }
    admitted.append(message)
    switch message.method {
    case .register: registered(message)
    case .invite:
      peer.respond(
        message, 200, lines: ["Contact: \(contact ?? "<sip:gw@\(peer.endpoint)>")"],
        body: PhoneSDP.audio(Endpoint(peer.endpoint.ip, 40_000)))
    default: peer.respond(message, 200)
    }
  }

  /// Branches of requests that were let in: a copy is the same request.
  private var known: Set<String> = []

  private func isKnown(_ message: Message) -> Bool {
    let branch = text(message.via.branch) ?? ""
    if known.contains(branch) { return true }
    guard proves(message) else { return false }
    known.insert(branch)
    return true
  }

  private func proves(_ message: Message) -> Bool {
    guard staleness == 0 else { return false }
    let ha1 = HA1(user: user, realm: realm, password: password)
    let verdict = authenticator.verify(
      message, header: isProxy ? .proxyAuthorization : .authorization, nowSeconds: seconds
    ) { $0.elementsEqual(user.utf8) ? ha1 : nil }
    if case .authenticated = verdict { return true }
    return false
  }

  private func challenge(_ message: Message) {
    let stale = staleness > 0 && (message.has(.authorization) || message.has(.proxyAuthorization))
    if stale { staleness -= 1 }
    let name = isProxy ? "Proxy-Authenticate" : "WWW-Authenticate"
    let values = authenticator.challenges(stale: stale, nowSeconds: seconds)
    peer.respond(
      message, isProxy ? 407 : 401, lines: values.map { "\(name): " + text($0) })
  }

  private func registered(_ message: Message) {
    guard let contact = message.first(.contact).map({ text($0) }) else { return peer.respond(message, 400) }
    let uri = contact.prefix { $0 != ">" } + ">"
    let expires = contact.hasSuffix(";expires=0") ? 0 : grants
    let own = expires > 0 ? ["Contact: \(uri);expires=\(expires)"] : []
    peer.respond(
      message, 200, lines: ["Contact: <sip:somebody@192.0.2.200>;expires=7"] + own + lines)
  }

  /// A call to our registration's Contact, or to another Request-URI.
  func call(_ uri: String, from peer: RawPeer? = nil, callID: String = "in-1") {
    (peer ?? self.peer).request(
      "INVITE", uri, branch: "z9hG4bK-\(callID)", callID: callID, type: "application/sdp",
      body: text(PhoneSDP.audio(Endpoint(self.peer.endpoint.ip, 40_000))))
  }

  /// The URI that the last REGISTER gave us by.
  var registeredContact: String {
    guard let value = requests(.register).last?.first(.contact).map({ text($0) }) else { return "" }
    return String(value.dropFirst().prefix { $0 != ">" })
  }
}
