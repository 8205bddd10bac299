import LuaRuntime
import NetCore
import SIPMessage

// `call:dial`: the script's tree of targets and its options, as the prelude checked and normalised them.
extension CallShard {
  func dial(_ call: Call, _ task: ScriptTask, _ arguments: [LuaValue]) -> VerbOutcome {
    guard call.dial == nil else { return failure("state", "another dial of this call is running") }
    guard call.caller.serverInvite == nil || call.caller.phase == .early else {
      return failure("state", "the caller is changing his session")
    }
    let options = arguments.count > 2 ? arguments[2] : .null
    guard let shape = shape(arguments.count > 1 ? arguments[1] : .null) else {
      return failure("arguments", "no target to dial")
    }
    let parsed = dialOptions(options)
    let caller = call.caller!
    let generates = caller.remoteAudio.map { generable($0) != nil } ?? false
    let dial = Dial(
      task: Int(task.slot), tree: DialTree(shape, rule: parsed.rule),
      ringback: RingbackMachine(
        policy: parsed.ringback, generates: generates, offered: caller.remote != nil,
        answered: caller.phase == .confirmed, takesFirst: parsed.takesFirst),
      options: parsed, started: now, firstAttempt: call.attempts.count)
    task.waiting = .dial
    begin(dial, call)
    return .waits
  }

  private func shape(_ value: LuaValue) -> DialTree.Shape? {
    switch value["kind"].asString {
    case "target":
      return target(value).map(DialTree.Shape.target)
    case "parallel":
      return list(value).map { .parallel($0) }
    case "seq":
      return list(value).map { .sequence($0, failover: rule(value)) }
    default: return nil
    }
  }

  private func list(_ value: LuaValue) -> [DialTree.Shape]? {
    guard let items = value["list"].asArray else { return nil }
    return items.compactMap(shape)
  }

  private func target(_ value: LuaValue) -> DialTarget? {
    guard let name = value["target"].asString else { return nil }
    var target: DialTarget
    let bytes = Array(name.utf8)
    if name.hasPrefix("user/") {
      target = DialTarget(place: .user(Array(bytes.dropFirst(5))), name: name)
    } else if name.hasPrefix("trunk/") {
      let parts = name.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return nil }
      target = DialTarget(place: .trunk(name: String(parts[1]), number: Array(parts[2].utf8)), name: name)
    } else if let uri = try? URI(parsing: bytes[...]), isOwn(uri), isOurPort(uri), let user = uri.decodedUser {
      target = DialTarget(place: .user(user), name: name)
    } else {
      target = DialTarget(place: .uri(bytes), name: name)
    }
    target.headers = value.headers
    target.codecs = value["codecs"].strings
    target.remove = value["remove"].strings?.map { Array($0.utf8) } ?? []
    target.from = identity(value["from"])
    target.asserted = identity(value["pai"])
    target.privacy = value["privacy"].asBytes
    target.timeout = seconds(value["timeout"])
    target.delay = seconds(value["delay"])
    return target
  }

  /// `from` and `pai`: a number, a URI, `"Name" <uri>`, or a table of user, host and display.
  private func identity(_ value: LuaValue) -> [UInt8]? {
    if let text = value.asBytes { return text }
    guard let user = value["user"].asBytes else { return nil }
    var text: [UInt8] = []
    if let display = value["display"].asBytes {
      text.append(UInt8(ascii: "\""))
      for c in display {
        if c == UInt8(ascii: "\"") || c == UInt8(ascii: "\\") { text.append(UInt8(ascii: "\\")) }
        text.append(c)
      }
      text += Array("\" ".utf8)
    }
    text += Array("<sip:".utf8) + user + [UInt8(ascii: "@")]
    text += value["host"].asBytes ?? Array(settings.domain.utf8)
    text.append(UInt8(ascii: ">"))
    return text
  }

  private func seconds(_ value: LuaValue) -> Instant.Span? {
    value.asDouble.map { .seconds(min(max($0, 0), 1e6)) }
  }

  private func dialOptions(_ value: LuaValue) -> DialOptions {
    var options = DialOptions(
      timeout: seconds(value["timeout"]) ?? settings.ringTimeout, ringback: settings.ringback,
      tone: value["tone"].asString ?? settings.country)
    let ringback = value["ringback"]
    if !ringback.isNull {
      if let name = ringback.asString, let policy = RingbackPolicy(name: name) {
        options.ringback = policy
      } else if let files = ringback["play"].strings, let file = files.first {
        options.ringbackFiles = files
        options.ringback = .play(
          file: file, loop: ringback["loop"].asBool ?? false, untilMedia: ringback["until_media"].asBool ?? false)
      }
    }
    options.rule = rule(value) ?? .any
    options.maxDuration = seconds(value["max_duration"])
    options.rtpTimeout = seconds(value["rtp_timeout"])
    options.noProgressAfter = seconds(value["no_progress_after"])
    options.takesFirst = value["early_media"].asString == "first"
    options.continuesAfterBridge = value["after_bridge"].asString == "continue"
    options.headers = value.headers
    return options
  }

  /// `failover_on` and `stop_on`: statuses and words.
  private func rule(_ value: LuaValue) -> FailoverRule? {
    guard !value["failover_on"].isNull || !value["stop_on"].isNull else { return nil }
    var rule = FailoverRule.any
    if let items = value["failover_on"].asArray {
      let (statuses, words) = conditions(items)
      rule.statuses = statuses
      rule.onTimeout = words.contains("timeout")
      rule.onUnreachable = words.contains("unreachable")
    }
    if let items = value["stop_on"].asArray {
      let (statuses, words) = conditions(items)
      rule.stop = statuses
      rule.stopOnTimeout = words.contains("timeout")
      rule.stopOnUnreachable = words.contains("unreachable")
    }
    return rule
  }

  private func conditions(_ items: [LuaValue]) -> (Set<Int>, Set<String>) {
    var statuses: Set<Int> = []
    var words: Set<String> = []
    for item in items {
      if let status = item.asInt {
        statuses.insert(Int(status))
        continue
      }
      switch item.asString {
      case "busy": statuses.formUnion([486, 600])
      case "rejected": statuses.formUnion([403, 603, 607])
      case "3xx": statuses.formUnion(300..<400)
      case "4xx": statuses.formUnion(400..<500)
      case "5xx": statuses.formUnion(500..<600)
      case "6xx": statuses.formUnion(600..<700)
      case let word?: words.insert(word)
      case nil: break
      }
    }
    return (statuses, words)
  }
}
