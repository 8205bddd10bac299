import LuaRuntime
import NetCore
import SDP
import SIPMessage

/// The fields of `call`, made when a script asks for them.
enum CallFields {
  static func value(_ name: String, of call: Call) -> LuaValue {
    let invite = call.invite
    switch name {
    case "id": return .text(call.id)
    case "context": return .text(call.context)
    case "generation": return .integer(Int64(call.script.number))
    case "state":
      if call.hangup != nil { return .text("over") }
      if call.isAnswered { return .text("answered") }
      return .text(call.caller.localSDP != nil ? "early" : call.dial != nil ? "ringing" : "new")
    case "from": return address(invite.from)
    case "to": return address(invite.to)
    case "ruri": return uri(invite.requestURI, display: nil)
    case "contact":
      guard let contact = (try? invite.addresses(.contact))?.first else { return .null }
      return address(contact)
    case "source":
      var fields: [(key: LuaValue, value: LuaValue)] = [
        (key: "ip", value: .text("\(invite.flow.remote.ip)")),
        (key: "port", value: .integer(Int64(invite.flow.remote.port))),
        (key: "transport", value: .text(invite.flow.transport.parameterName)),
      ]
      if let account = call.account { fields.append((key: "user", value: .text(account.name))) }
      if let trunk = call.trunk { fields.append((key: "trunk", value: .text(trunk))) }
      return .table(fields)
    case "sdp":
      let codecs = call.caller.remoteAudio?.codecs.map { LuaValue.text($0.name) } ?? []
      return .table([(key: "codecs", value: .array(codecs))])
    default: return .null
    }
  }

  private static func address(_ address: NameAddress) -> LuaValue {
    uri(address.uri, display: address.displayName)
  }

  private static func uri(_ uri: URI, display: String?) -> LuaValue {
    var fields: [(key: LuaValue, value: LuaValue)] = [(key: "uri", value: .string(Array(uri.bytes)))]
    if let user = uri.decodedUser { fields.append((key: "user", value: .string(user))) }
    fields.append((key: "host", value: .string(Array(uri.host))))
    if let port = uri.port { fields.append((key: "port", value: .integer(Int64(port)))) }
    if let display, !display.isEmpty { fields.append((key: "display", value: .text(display))) }
    var parameters: [(key: LuaValue, value: LuaValue)] = []
    for parameter in uri.parameters.split(separator: UInt8(ascii: ";")).prefix(32) {
      let parts = parameter.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      parameters.append((.string(Array(parts[0])), parts.count > 1 ? .string(Array(parts[1])) : .bool(true)))
    }
    fields.append((key: "params", value: .table(parameters)))
    return .table(fields)
  }
}
