import LuaRuntime
import NetCore
import SDP
import SIPMessage

/// The fields of `call`, made when a script asks for them.
enum CallFields {
  static func write(_ name: LuaArgument, of call: Call, into writer: LuaWriter) {
    let invite = call.invite
    if name.equals("from") {
      address(invite.from, writer)
    } else if name.equals("to") {
      address(invite.to, writer)
    } else if name.equals("ruri") {
      uri(invite.requestURI, display: nil, writer)
    } else if name.equals("source") {
      source(of: call, writer)
    } else if name.equals("state") {
      writer.text(state(of: call))
    } else if name.equals("id") {
      writer.text(call.id)
    } else if name.equals("context") {
      writer.text(call.context)
    } else if name.equals("generation") {
      writer.integer(call.script.number)
    } else if name.equals("transferred_by"), let name = call.isTransferred ? call.transfer?.by : nil {
      writer.text(name)
    } else if name.equals("vars"), !call.vars.isEmpty, call.isTransferred {
      writer.table(call.vars.count)
      for (key, value) in call.vars {
        writer.string(key)
        writer.value(value)
      }
    } else if name.equals("contact"), let contact = (try? invite.addresses(.contact))?.first {
      address(contact, writer)
    } else if name.equals("sdp") {
      let codecs = call.caller.remoteAudio?.codecs ?? []
      writer.table(1)
      writer.name(.codecs)
      writer.list(codecs.count)
      for codec in codecs { writer.text(codec.name) }
    } else {
      writer.null()
    }
  }

  private static func state(of call: Call) -> String {
    if call.hangup != nil { return "over" }
    if call.isAnswered { return "answered" }
    return call.caller.localSDP != nil ? "early" : call.dial != nil ? "ringing" : "new"
  }

  private static func source(of call: Call, _ writer: LuaWriter) {
    let flow = call.invite.flow
    writer.table(3 + (call.account == nil ? 0 : 1) + (call.trunk == nil ? 0 : 1))
    writer.field(.ip, text: "\(flow.remote.ip)")
    writer.field(.port, Int(flow.remote.port))
    writer.field(.transport, text: flow.transport.parameterName)
    if let account = call.account { writer.field(.user, text: account.name) }
    if let trunk = call.trunk { writer.field(.trunk, text: trunk) }
  }

  private static func address(_ address: NameAddress, _ writer: LuaWriter) {
    uri(address.uri, display: address.displayName, writer)
  }

  private static func uri(_ uri: URI, display: String?, _ writer: LuaWriter) {
    let table = writer.openTable()
    var fields = 3
    writer.field(.uri, Array(uri.bytes))
    writer.field(.host, Array(uri.host))
    if let user = uri.decodedUser {
      writer.field(.user, user)
      fields += 1
    }
    if let port = uri.port {
      writer.field(.port, Int(port))
      fields += 1
    }
    if let display, !display.isEmpty {
      writer.field(.display, text: display)
      fields += 1
    }
    writer.name(.params)
    parameters(uri, writer)
    writer.closeTable(table, entries: fields)
  }

  private static func parameters(_ uri: URI, _ writer: LuaWriter) {
    let table = writer.openTable()
    var count = 0
    for parameter in uri.parameters.split(separator: UInt8(ascii: ";")).prefix(32) {
      let equals = parameter.firstIndex(of: UInt8(ascii: "=")) ?? parameter.endIndex
      writer.string(Array(parameter[..<equals]))
      if equals == parameter.endIndex {
        writer.bool(true)
      } else {
        writer.string(Array(parameter[(equals + 1)...]))
      }
      count += 1
    }
    writer.closeTable(table, entries: count)
  }
}
