import LuaRuntime
import Media
import NetCore
import SIPMessage

// Waiting verbs: what each does on the wire, and when its coroutine goes on.
extension CallShard {
  enum VerbOutcome {
    /// The coroutine goes on at once with these values.
    case now(LuaFlat)
    /// It is resumed later.
    case waits
  }

  static let done = VerbOutcome.now([.bool(true)])

  func perform(_ number: Int32, _ task: ScriptTask, _ arguments: LuaArguments) -> VerbOutcome {
    guard let operation = HostOperation(rawValue: number) else { return failure("arguments", "unknown verb") }
    if operation == .sleep { return sleep(task, arguments) }
    guard let call = call(arguments[0]) else { return failure("state", "the call is over and forgotten") }
    let options = arguments[1]
    if call.hangup != nil { return afterHangup(operation, call, task) }
    switch operation {
    case .ring: return ring(call, options)
    case .progress: return progress(call, options)
    case .answer: return answer(call, task, options)
    case .reject: return reject(call, options)
    case .hangup: return hangup(call, options)
    case .dial: return dial(call, task, arguments)
    case .play: return play(call, task, arguments)
    case .tone: return tone(call, task, arguments)
    case .echo: return echo(call, task, options)
    case .wait: return wait(task, options)
    case .refer: return refer(call, task, arguments)
    case .refer_decided: return referDecided(call, task, arguments)
    default: return failure("arguments", "\(operation) is not a verb that waits")
    }
  }

  func failure(_ kind: String, _ message: String) -> VerbOutcome { .now([.null, .failure(kind, message)]) }

  /// The call is over: each verb says so at once, and a script that does not listen is closed.
  private func afterHangup(_ operation: HostOperation, _ call: Call, _ task: ScriptTask) -> VerbOutcome {
    call.verbsLeft -= 1
    guard call.verbsLeft >= 0 else {
      services.counters.add(.scriptsClosed)
      close(task)
      if task.kind == .hook { nextHook(call) }
      checkRelease(call)
      return .waits
    }
    guard operation == .dial, let info = call.hangup else { return .now(hangupValues(call)) }
    let over = Dial(
      task: Int(task.slot), tree: DialTree(.parallel([]), rule: .any),
      ringback: RingbackMachine(
        policy: .ringing, generates: false, offered: false, answered: false, takesFirst: false),
      options: DialOptions(timeout: .zero, ringback: .ringing, tone: ""), started: now,
      firstAttempt: call.attempts.count)
    let caller = info.side == .caller
    let result = DialResult(
      ok: false, status: caller ? 487 : max(info.status, 400), cause: info.cause, reason: nil,
      by: caller ? "caller" : "system", endedBy: nil)
    return .now(flat(result, call, over))
  }

  // MARK: before the answer

  private func ring(_ call: Call, _ options: LuaArgument) -> VerbOutcome {
    guard call.caller.phase == .early else { return failure("state", "the call is answered already") }
    let reliable = options["reliable"]
    if reliable.asBool == true, !takesReliable(call.caller).possible {
      return failure("state", "the caller takes no reliable provisional responses")
    }
    provisional(
      call.caller, Int(options["status"].asInt ?? 180),
      reliable.asBool == false || reliable.equals("never") ? .never : .auto)
    return CallShard.done
  }

  private func progress(_ call: Call, _ options: LuaArgument) -> VerbOutcome {
    guard call.caller.phase == .early else { return failure("state", "the call is answered already") }
    guard let sdp = earlyDescription(call.caller) else {
      return failure("media", "the caller offered no codec that can be played, or no port is left")
    }
    provisional(call.caller, Int(options["status"].asInt ?? 183), sdp: sdp)
    if let port = call.caller.port, let source = source(options) {
      call.playToken &+= 1
      mediaCommands.append(.play(port.id, source, token: call.playToken))
    }
    return CallShard.done
  }

  private func source(_ options: LuaArgument) -> AudioSource? {
    if let tone = options["tone"].asString {
      return .tone(toneKind(tone), country: options["country"].asString ?? settings.country)
    }
    if let files = options["play"].strings, !files.isEmpty {
      return audio(files, loop: options["loop"].asBool ?? false)
    }
    return nil
  }

  private func audio(_ files: [String], loop: Bool) -> AudioSource {
    files.count == 1
      ? .file(path: path(ofSound: files[0]), loop: loop) : .list(files.map { path(ofSound: $0) }, loop: loop)
  }

  private func toneKind(_ name: String) -> ToneKind {
    switch name {
    case "busy": .busy
    case "congestion": .congestion
    case "dial": .dial
    default: .ringing
    }
  }

  private func answer(_ call: Call, _ task: ScriptTask, _ options: LuaArgument) -> VerbOutcome {
    guard call.caller.phase == .early else {
      // Who was transferred here has been answered before: now he has reached somebody.
      transferAnswered(call)
      return CallShard.done
    }
    if call.caller.remote == nil {
      // The caller made no offer: ours goes in the 200, his answer comes with the ACK (RFC 3261 §13.2.1), unless it was
      // in a 183 already.
      guard let sdp = call.caller.localSDP ?? ownOffer(call.caller) else {
        return failure("media", "no port is left")
      }
      accept(call.caller, sdp: sdp, headers: options.headers)
      return answered(call, task)
    }
    guard let sdp = ownAnswer(call.caller, codecs: options["codecs"].strings) else {
      return failure("media", "the caller offered no codec that can be played, or no port is left")
    }
    accept(call.caller, sdp: sdp, headers: options.headers)
    if let port = call.caller.port {
      let limit = settings.mediaTimeout
      mediaCommands.append(.watch(port.id, timeout: limit > .zero ? limit : nil))
    }
    return answered(call, task)
  }

  /// The 200 is out, or waits for a PRACK (RFC 3262 §3).
  private func answered(_ call: Call, _ task: ScriptTask) -> VerbOutcome {
    guard call.caller.phase == .early else { return CallShard.done }
    task.waiting = .accepted
    return .waits
  }

  // MARK: the end

  private func reject(_ call: Call, _ options: LuaArgument) -> VerbOutcome {
    guard call.caller.phase == .early || call.isAwaited else { return hangup(call, options) }
    let from = options["from"]
    var status = options["status"].asInt.map { Int($0) }
    var cause = options["cause"].asInt.flatMap { Cause(Int($0)) }
    var reason: [UInt8]?
    if from["status"].asInt != nil {
      let theirs = Int(from["status"].asInt ?? 480)
      if status == nil, cause == nil {
        // A redirection is nothing without its Contact, and the callee's is not the caller's to see.
        status = theirs < 400 && options["contacts"].isNull ? 480 : statusForCaller(theirs)
        reason = status == theirs ? from["reason"].asBytes : nil
      }
      if cause == nil { cause = from["cause"].asInt.flatMap { Cause(Int($0)) } }
    }
    let final = min(max(status ?? cause?.status ?? 480, 300), 699)
    let why = cause ?? Cause(status: final)
    if call.isAwaited {
      hangUp(call, .init(side: .system, status: final, cause: why, text: options["text"].asString))
      return CallShard.done
    }
    endEarly(
      call, status: final, cause: why, text: options["text"].asString, reason: reason, headers: options.headers,
      contacts: options["contacts"].strings ?? [])
    return CallShard.done
  }

  private func hangup(_ call: Call, _ options: LuaArgument) -> VerbOutcome {
    let cause = options["cause"].asInt.flatMap { Cause(Int($0)) }
    let status = options["status"].asInt.map { Int($0) }
    let text = options["text"].asString
    if call.caller.phase == .early {
      let final = min(max(status ?? cause?.status ?? 480, 300), 699)
      endEarly(
        call, status: final, cause: cause ?? Cause(status: final), text: text, reason: nil, headers: options.headers,
        contacts: [])
    } else {
      hangUp(
        call,
        .init(
          side: .system, status: status ?? 200, cause: cause ?? status.map { Cause(status: $0) } ?? .normalClearing,
          text: text), headers: options.headers)
    }
    return CallShard.done
  }

  /// A final response with what the script wants in it, then the end of the call as everywhere.
  private func endEarly(
    _ call: Call, status: Int, cause: Cause, text: String?, reason: [UInt8]?,
    headers: [(name: [UInt8], value: [UInt8])], contacts: [String]
  ) {
    let value: Reason = reason.map { .verbatim($0) } ?? .cause(cause)
    refuse(
      call.caller, status, text: text, reason: value, headers: headers,
      contacts: contacts.map { contact in Array((contact.contains("<") ? contact : "<\(contact)>").utf8) })
    call.caller.phase = .ended
    hangUp(call, .init(side: .system, status: status, cause: cause, text: text), reason: value)
    ended(call.caller)
  }

  // MARK: waiting

  private func sleep(_ task: ScriptTask, _ arguments: LuaArguments) -> VerbOutcome {
    // In an `on_hangup` function services go on for the grace period, and sleeping is one.
    if let call = task.call, call.hangup != nil, task.kind != .hook { return afterHangup(.sleep, call, task) }
    let seconds = arguments[0].asDouble ?? 0
    arm(task, after: .seconds(min(max(seconds, 0), 1e6)), with: [.bool(true)])
    return .waits
  }

  private func wait(_ task: ScriptTask, _ options: LuaArgument) -> VerbOutcome {
    if let seconds = options["timer"].asDouble {
      arm(task, after: .seconds(min(max(seconds, 0), 1e6)), with: [.text("timer")])
    } else {
      task.waiting = .hangup
    }
    return .waits
  }

  // MARK: audio

  /// The caller must hear us: answered, or early media with 183 now.
  private func hears(_ call: Call) -> MediaPort? {
    let caller = call.caller!
    if caller.phase == .early {
      let first = caller.localSDP == nil
      guard let sdp = earlyDescription(caller) else { return nil }
      if first { provisional(caller, 183, sdp: sdp) }
    }
    return caller.port
  }

  private func play(_ call: Call, _ task: ScriptTask, _ arguments: LuaArguments) -> VerbOutcome {
    guard let files = arguments[1].strings, !files.isEmpty else { return failure("arguments", "no file") }
    guard let port = hears(call) else { return failure("media", "the caller has no codec that can be played") }
    let options = arguments[2]
    call.playToken &+= 1
    mediaCommands.append(
      .play(port.id, audio(files, loop: options["loop"].asBool ?? false), token: call.playToken))
    task.waiting = .played(token: call.playToken)
    return .waits
  }

  private func tone(_ call: Call, _ task: ScriptTask, _ arguments: LuaArguments) -> VerbOutcome {
    guard let port = hears(call) else { return failure("media", "the caller has no codec that can be played") }
    let options = arguments[2]
    let kind = toneKind(arguments[1].asString ?? "")
    call.playToken &+= 1
    mediaCommands.append(
      .play(port.id, .tone(kind, country: options["country"].asString ?? settings.country), token: call.playToken))
    waitForEnd(task, options)
    return .waits
  }

  private func echo(_ call: Call, _ task: ScriptTask, _ options: LuaArgument) -> VerbOutcome {
    guard call.isAnswered, let port = call.caller.port else { return failure("state", "answer the call first") }
    mediaCommands.append(.echo(port.id, true))
    waitForEnd(task, options)
    return .waits
  }

  private func waitForEnd(_ task: ScriptTask, _ options: LuaArgument) {
    if let seconds = options["duration"].asDouble {
      task.stopsPlaying = true
      arm(task, after: .seconds(min(max(seconds, 0), 1e6)), with: [.text("finished")])
    } else {
      task.waiting = .hangup
    }
  }

  func played(_ call: Call, _ token: UInt32, _ ended: PlaybackEnd) {
    for slot in call.tasks {
      guard let task = task(at: slot), task.waiting == .played(token: token) else { continue }
      switch ended {
      case .finished: wake(slot, [.text("finished")])
      case .stopped: wake(slot, [.text("stopped")])
      case .failed(let why): wake(slot, [.null, .failure("media", why)])
      }
    }
  }
}

extension LuaArgument {
  /// A list of strings, or one string.
  var strings: [String]? {
    if let one = asString { return [one] }
    return asArray?.compactMap(\.asString)
  }

  /// `headers = [[name, value] …]` as the prelude hands them over.
  var headers: [(name: [UInt8], value: [UInt8])] {
    guard let list = self["headers"].asArray else { return [] }
    return list.compactMap { pair in
      guard let two = pair.asArray, two.count == 2, let name = two[0].asBytes, let value = two[1].asBytes else {
        return nil
      }
      return (name, value)
    }
  }
}
