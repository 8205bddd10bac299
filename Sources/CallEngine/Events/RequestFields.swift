import LuaRuntime
import NetCore
import SIPMessage

extension CallShard {
  /// What a script sees of a request that it decides: all of it at once, as such requests are small and few.
  func fields(of request: ScriptRequest, _ handle: Int64) -> LuaValue {
    let message = request.message
    var fields: [(key: LuaValue, value: LuaValue)] = [
      ("handle", .integer(handle)), ("context", .text(request.admitted.context)),
      ("from", address(message.from.uri, display: message.from.displayName)),
      ("to", address(message.to.uri, display: message.to.displayName)),
      ("ruri", address(message.requestURI, display: nil)), ("source", source(of: request)),
      ("headers", headers(of: message)),
    ]
    switch request.kind {
    case .message:
      fields.append(("body", .string(Array(message.body))))
      if let type = message.contentType { fields.append(("content_type", .string(Array(type)))) }
    case .subscribe:
      if let package = EventPackage(event: message.first(.event)) {
        fields.append(("event", .text(package.name.description)))
      }
      fields.append(("expires", .integer(Int64(settings.events.granted(message.expiresSeconds) ?? 0))))
    }
    return .table(fields)
  }

  private func source(of request: ScriptRequest) -> LuaValue {
    let flow = request.message.flow
    var fields: [(key: LuaValue, value: LuaValue)] = [
      ("ip", .text("\(flow.remote.ip)")), ("port", .integer(Int64(flow.remote.port))),
      ("transport", .text(flow.transport.parameterName)),
    ]
    if let account = request.admitted.account { fields.append(("user", .text(account.name))) }
    if let trunk = request.admitted.trunk { fields.append(("trunk", .text(trunk))) }
    return .table(fields)
  }

  private func address(_ uri: URI, display: String?) -> LuaValue {
    var fields: [(key: LuaValue, value: LuaValue)] = [
      ("uri", .string(Array(uri.bytes))), ("host", .string(Array(uri.host))), ("params", parameters(of: uri)),
    ]
    if let user = uri.decodedUser { fields.append(("user", .string(user))) }
    if let port = uri.port { fields.append(("port", .integer(Int64(port)))) }
    if let display, !display.isEmpty { fields.append(("display", .text(display))) }
    return .table(fields)
  }

  private func parameters(of uri: URI) -> LuaValue {
    .table(
      uri.parameters.split(separator: UInt8(ascii: ";")).prefix(32).map { parameter in
        let equals = parameter.firstIndex(of: UInt8(ascii: "=")) ?? parameter.endIndex
        return (
          key: .string(Array(parameter[..<equals])),
          value: equals == parameter.endIndex ? .bool(true) : .string(Array(parameter[(equals + 1)...]))
        )
      })
  }

  /// A list of name and value; compact names are written out, so that a script finds them by their long ones.
  private func headers(of message: Message) -> LuaValue {
    .array(
      message.headers.map { line in
        let name = line.name == .other ? Array(line.nameBytes) : Array(line.name.text.description.utf8)
        return .array([.string(name), .string(Array(line.unfolded))])
      })
  }
}
