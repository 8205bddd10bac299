public import DialplanCheck
public import LuaRuntime

extension DialplanLoader {
  /// The dialplan language, asked of the preludes themselves: what they check at run time can be checked before.
  public static func language() throws(LuaFailure) -> Language {
    let vm = try LuaVM(
      preludes: preludes, operations: HostOperation.names, names: HostName.names, scriptDirectory: nil,
      host: { _, _, _, _, _ in .raise("there is no call here") })
    defer { vm.shutdown() }
    switch vm.start(entry: "language", args: [], group: 0).1 {
    case .finished(let values): return Language(values.first ?? .null)
    case .failed(let failure): throw failure
    case .asked, .sliced: throw LuaFailure(kind: .runtime, message: "the language cannot be read")
    }
  }
}

extension Language {
  fileprivate init(_ value: LuaValue) {
    self.init()
    for (name, verb) in value["verbs"].named {
      verbs[name] = Verb(
        arguments: verb["arguments"].options, options: verb["options"].isNull ? nil : verb["options"].options,
        isLater: verb["later"].asBool ?? false)
    }
    for (name, kind) in value["fields"].named { fields[name] = kind.asString }
    for (name, list) in value["parts"].named { parts[name] = list.names }
    target = value["target"].options
    for (name, list) in value["groups"].named { groups[name] = list.options }
    handlers = value["handlers"].names
    laterHandlers = value["later_handlers"].names
    laterGlobals = value["later_globals"].names
    causes = value["causes"].names
    for (name, global) in value["globals"].named where !laterGlobals.contains(name) {
      let isTable = global["table"].asBool ?? false
      globals.updateValue(isTable ? global["members"].names : nil, forKey: name)
    }
  }
}

extension LuaValue {
  fileprivate var named: [(String, LuaValue)] {
    (entries ?? []).compactMap { entry in entry.key.asString.map { ($0, entry.value) } }
  }

  fileprivate var names: Set<String> { Set((asArray ?? []).compactMap(\.asString)) }

  fileprivate var options: [Language.Option] {
    (asArray ?? []).compactMap { option in
      guard let name = option["name"].asString, let type = option["type"].asString else { return nil }
      return Language.Option(
        name: name, type: type, values: option["values"].asArray?.compactMap(\.asString),
        minimum: option["min"].asDouble, maximum: option["max"].asDouble, isLater: option["later"].asBool ?? false,
        isOptional: option["optional"].asBool ?? false)
    }
  }
}
