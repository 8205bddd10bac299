@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import TestSupport
import Testing

/// Phones 1000 to 1003 and the calls between them that transfers begin with.
struct Exchange {
  let world: World
  let phones: [ScriptedPhone]
  var alice: ScriptedPhone { phones[0] }
  var bob: ScriptedPhone { phones[1] }
  var carol: ScriptedPhone { phones[2] }
  var dave: ScriptedPhone { phones[3] }

  init(
    _ script: String = World.plain, shards: Int = 1, seed: UInt64 = 1,
    conditions: SimulatedNetwork.Conditions = .perfect, users: [ServerNode.User]? = nil
  ) {
    world = World(script, shards: shards, seed: seed, conditions: conditions, users: users)
    phones = world.registered("1000", "1001", "1002", "1003")
    for phone in phones { phone.script = .answer(after: .milliseconds(400)) }
  }

  /// An answered call: the caller's side and the callee's.
  func talk(_ from: ScriptedPhone, _ to: ScriptedPhone, sourceLocation: SourceLocation = #_sourceLocation) -> (
    PhoneCall, PhoneCall
  ) {
    let call = from.call(to.user)
    world.network.run(until: .seconds(60)) { call.isAcknowledged && to.calls.last?.isAcknowledged ?? false }
    world.run(0.2)
    #expect(call.state == .answered && to.calls.last?.state == .answered, sourceLocation: sourceLocation)
    return (call, to.calls.last ?? call)
  }

  /// The dialog of a phone's call as the server, its other end, is to find it.
  static func replaces(_ call: PhoneCall, extra: String = "") -> String {
    guard let dialog = call.dialog else { return "" }
    return "\(text(dialog.callID));to-tag=\(text(dialog.remoteTag));from-tag=\(text(dialog.localTag))\(extra)"
  }

  static func escaped(_ value: String) -> String {
    value.replacing("@", with: "%40").replacing(";", with: "%3B").replacing("=", with: "%3D")
  }

  static func referTo(_ user: String, _ replaces: String? = nil) -> String {
    let uri = "sip:\(user)@\(ServerNode.domain)"
    return "Refer-To: <\(uri)\(replaces.map { "?Replaces=\(escaped($0))" } ?? "")>"
  }

  /// What NOTIFY has told a phone, each once.
  static func told(_ phone: ScriptedPhone) -> [Int] {
    phone.requests.filter { $0.method == .notify }.compactMap { CallShard.status(inFragment: $0.body) }
  }

  /// The phones whose ports the last bridge joins.
  func bridged() -> Set<String> {
    var ports: [MediaEndpointID: String] = [:]
    var joined: Set<String> = []
    for command in world.server.media.commands {
      switch command {
      case .remote(let id, let rtp, _, _, _, _, _):
        if let rtp { ports[id] = phones.first { $0.endpoint.ip == rtp.ip }?.user }
      case .bridge(let a, let b, _, _): joined = [ports[a] ?? "?", ports[b] ?? "?"]
      default: break
      }
    }
    return joined
  }

  func records() -> [CallRecord] { world.server.records.all }
}
