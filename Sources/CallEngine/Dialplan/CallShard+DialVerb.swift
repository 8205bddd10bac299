import LuaRuntime
import NetCore
import SIPMessage

// `call:dial`: the script's tree of targets and its options, as the prelude checked and normalised them.
extension CallShard {
  func dial(_ call: Call, _ task: ScriptTask, _ arguments: LuaArguments) -> VerbOutcome {
    guard call.dial == nil else { return failure("state", "another dial of this call is running") }
    guard call.caller.serverInvite == nil || call.caller.phase == .early else {
      return failure("state", "the caller is changing his session")
    }
    guard let shape = shape(arguments[1]) else { return failure("arguments", "no target to dial") }
    let parsed = dialOptions(arguments[2])
    let caller = call.caller!
    let offersEarly = canOfferEarly(caller)
    let generates = caller.remoteAudio.map { generable($0) != nil } ?? offersEarly
    let dial = Dial(
      task: Int(task.slot), tree: DialTree(shape, rule: parsed.rule),
      ringback: RingbackMachine(
        policy: parsed.ringback, generates: generates, offered: caller.remote != nil || offersEarly,
        answered: caller.phase == .confirmed, takesFirst: parsed.takesFirst),
      options: parsed, started: now, firstAttempt: call.attempts.count)
    task.waiting = .dial
    begin(dial, call)
    return .waits
  }

  private func shape(_ value: LuaArgument) -> DialTree.Shape? {
    if let name = value.asBytes { return target(name).map(DialTree.Shape.target) }
    let kind = value["kind"]
    if kind.equals("target") { return target(value).map(DialTree.Shape.target) }
    if kind.equals("hunt") { return hunt(value) }
    guard let shapes = value["list"].asArray?.compactMap(shape) else { return nil }
    if kind.equals("parallel") { return .parallel(shapes) }
    return kind.equals("seq") ? .sequence(shapes, failover: rule(value)) : nil
  }

  private func hunt(_ value: LuaArgument) -> DialTree.Shape? {
    guard let strategy = Hunt.Strategy(rawValue: value["strategy"].asString ?? ""),
      let shapes = value["list"].asArray?.compactMap(shape), let weights = value["weights"].asArray,
      weights.count == shapes.count
    else { return nil }
    let names = shapes.map { $0.huntKey }
    let hunt = Hunt(
      strategy: strategy, weights: weights.map { $0.asDouble ?? 1 },
      key: Array(strategy.rawValue.utf8) + names.flatMap { [0] + $0 })
    return .hunt(hunt, strategy == .leastCalls ? shapes.map { $0.counted() } : shapes, failover: rule(value))
  }

  /// A target without options of its own: `user/1001`, `trunk/alpha/4930123`, `sip:…`.
  func target(_ name: [UInt8]) -> DialTarget? {
    if name.starts(with: "user/".utf8) { return DialTarget(place: .user(Array(name[5...])), name: name) }
    if name.starts(with: "trunk/".utf8) {
      guard let slash = name[6...].firstIndex(of: UInt8(ascii: "/")) else { return nil }
      let trunk = String(decoding: name[6..<slash], as: UTF8.self)
      return DialTarget(place: .trunk(name: trunk, number: Array(name[(slash + 1)...])), name: name)
    }
    if let uri = try? URI(parsing: name[...]), isOwn(uri), isOurPort(uri), let user = uri.decodedUser {
      return DialTarget(place: .user(user), name: name)
    }
    return DialTarget(place: .uri(name), name: name)
  }

  private func target(_ value: LuaArgument) -> DialTarget? {
    guard let name = value["target"].asBytes, var target = target(name) else { return nil }
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
  private func identity(_ value: LuaArgument) -> [UInt8]? {
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

  private func seconds(_ value: LuaArgument) -> Instant.Span? {
    value.asDouble.map { .seconds(min(max($0, 0), 1e6)) }
  }

  private func dialOptions(_ value: LuaArgument) -> DialOptions {
    var options = DialOptions(
      timeout: settings.ringTimeout, ringback: settings.ringback, tone: settings.country)
    value.forEachEntry { name, value in
      if name.equals("timeout") {
        options.timeout = seconds(value) ?? settings.ringTimeout
      } else if name.equals("ringback") {
        ringback(value, &options)
      } else if name.equals("tone") {
        options.tone = value.asString ?? settings.country
      } else if name.equals("max_duration") {
        options.maxDuration = seconds(value)
      } else if name.equals("rtp_timeout") {
        options.rtpTimeout = seconds(value)
      } else if name.equals("no_progress_after") {
        options.noProgressAfter = seconds(value)
      } else if name.equals("early_media") {
        options.takesFirst = value.equals("first")
      } else if name.equals("after_bridge") {
        options.continuesAfterBridge = value.equals("continue")
      } else if name.equals("on_refer") {
        options.referHandling = value.equals("pass") ? .pass : .ask
      } else if name.equals("redirects") {
        options.redirects = value.asInt.map { Int($0) } ?? 0
      } else if name.equals("redirect_to") {
        options.redirectsAnywhere = value.equals("anywhere")
      }
    }
    options.rule = rule(value) ?? .any
    options.headers = value.headers
    return options
  }

  private func ringback(_ value: LuaArgument, _ options: inout DialOptions) {
    if let name = value.asString, let policy = RingbackPolicy(name: name) {
      options.ringback = policy
    } else if let files = value["play"].strings, let file = files.first {
      options.ringbackFiles = files
      options.ringback = .play(
        file: file, loop: value["loop"].asBool ?? false, untilMedia: value["until_media"].asBool ?? false)
    }
  }

  /// `failover_on` and `stop_on`: statuses and words.
  private func rule(_ value: LuaArgument) -> FailoverRule? {
    let failover = value["failover_on"], stop = value["stop_on"]
    guard !failover.isNull || !stop.isNull else { return nil }
    var rule = FailoverRule.any
    if let items = failover.asArray {
      rule.statuses = statuses(items)
      rule.onTimeout = items.contains { $0.equals("timeout") }
      rule.onUnreachable = items.contains { $0.equals("unreachable") }
    }
    if let items = stop.asArray {
      rule.stop = statuses(items)
      rule.stopOnTimeout = items.contains { $0.equals("timeout") }
      rule.stopOnUnreachable = items.contains { $0.equals("unreachable") }
    }
    return rule
  }

  private func statuses(_ items: [LuaArgument]) -> Set<Int> {
    var statuses: Set<Int> = []
    for item in items {
      if let status = item.asInt {
        statuses.insert(status)
        continue
      }
      switch item.asString {
      case "busy": statuses.formUnion([486, 600])
      case "rejected": statuses.formUnion([403, 603, 607])
      case "3xx": statuses.formUnion(300..<400)
      case "4xx": statuses.formUnion(400..<500)
      case "5xx": statuses.formUnion(500..<600)
      case "6xx": statuses.formUnion(600..<700)
      default: break
      }
    }
    return statuses
  }
}
