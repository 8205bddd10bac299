import LuaRuntime
import NetCore
import SIPMessage
import SIPTransaction

/// A request outside of a call that a script decides: `on.message`, `on.subscribe`. Where its function says nothing, what
/// would have happened without it happens.
final class ScriptRequest {
  enum Kind: String { case message, subscribe }

  let id: ServerTransactionID
  let message: Message
  let admitted: CallShard.Admitted
  let kind: Kind
  var isAnswered = false
  /// Where it is kept while its script runs.
  var slot: UInt32 = 0
  var generation: UInt32 = 0
  /// The coroutine that decides.
  var task: (slot: UInt32, generation: UInt32)?
  var timer: TimerHandle?

  init(id: ServerTransactionID, message: Message, admitted: CallShard.Admitted, kind: Kind) {
    self.id = id
    self.message = message
    self.admitted = admitted
    self.kind = kind
  }
}

extension CallShard {
  /// Requests whose scripts have not ended, of one shard.
  private static let mostRequests = 1000
  /// A requester gives up after 32 s (RFC 3261 §17.1.2.2); the answer must be there before.
  private static let scriptTime = Instant.Span.seconds(25)

  func ask(_ script: ScriptGeneration, _ request: ScriptRequest) {
    guard eventState.requests.count < CallShard.mostRequests else {
      return reply(request.id, request.message, 503) { $0.header(.retryAfter, number: 5) }
    }
    let (slot, generation) = eventState.requests.reserve()
    eventState.requests.fill(slot, request)
    (request.slot, request.generation) = (slot, generation)
    request.timer = arm(.script, slot: slot, generation: generation, at: now + CallShard.scriptTime)
    let task = newTask(script, nil, .request(slot: slot, generation: generation))
    request.task = (task.slot, task.generation)
    start(task, entry: request.kind.rawValue, [fields(of: request, Int64(generation) << 32 | Int64(slot))])
  }

  /// The coroutine has ended.
  func scriptEnded(_ slot: UInt32, _ generation: UInt32, failed: Bool) {
    guard let request = eventState.requests.get(slot, generation) else { return }
    cancel(&request.timer)
    eventState.requests.remove(slot, generation)
    guard !request.isAnswered else { return }
    if failed { return reply(request.id, request.message, 500) }
    decide(request)
  }

  func scriptRequestTimedOut(_ slot: UInt32, _ generation: UInt32) {
    guard let request = eventState.requests.get(slot, generation) else { return }
    request.timer = nil
    guard !request.isAnswered else { return }
    request.isAnswered = true
    reply(request.id, request.message, 500, "Script Timeout")
    guard let (slot, generation) = request.task, let task = tasks.get(slot, generation) else { return }
    services.counters.add(.scriptsClosed)
    close(task)
    eventState.requests.remove(request.slot, request.generation)
  }

  private func decide(_ request: ScriptRequest) {
    request.isAnswered = true
    switch request.kind {
    case .message: route(request.id, request.message, request.admitted)
    case .subscribe: subscribe(request.id, request.message, request.admitted)
    }
  }

  /// What a script is told of a message: `ok`, `status`, `stored`.
  static func deliveryResult(_ status: Int) -> LuaValue {
    .record([
      "ok": .bool(status < 300), "status": .integer(Int64(status)), "stored": .bool(status == 202),
    ])
  }

  // MARK: verbs

  /// `req:accept`, `req:reject`, `req:deliver`: the first of them counts.
  func perform(_ operation: HostOperation, _ task: ScriptTask, request arguments: LuaArguments) -> VerbOutcome {
    guard let handle = arguments[0].asInt,
      let request = eventState.requests.get(
        UInt32(truncatingIfNeeded: handle), UInt32(truncatingIfNeeded: handle >> 32)), !request.isAnswered
    else { return failure("state", "the request is answered already") }
    let options = arguments[1]
    request.isAnswered = true
    switch operation {
    case .request_reject:
      reject(request, options)
      return CallShard.done
    case .request_deliver: return deliver(request, task, options)
    default:
      accept(request, options)
      return CallShard.done
    }
  }

  private func reject(_ request: ScriptRequest, _ options: LuaArgument) {
    let status = min(max(options["status"].asInt ?? 403, 300), 699)
    reply(request.id, request.message, status, options["text"].asString) { writer in
      for header in options.headers { writer.header(name: header.name[...], value: header.value[...]) }
    }
  }

  private func accept(_ request: ScriptRequest, _ options: LuaArgument) {
    switch request.kind {
    case .subscribe:
      open(
        request.id, request.message, request.admitted,
        expires: options["expires"].asDouble.map { Int(min(max($0, 0), 1e9)) })
    case .message: reply(request.id, request.message, options["status"].asInt == 202 ? 202 : 200)
    }
  }

  private func deliver(_ request: ScriptRequest, _ task: ScriptTask, _ options: LuaArgument) -> VerbOutcome {
    let place: DialTarget.Place
    if let to = options["to"].asBytes {
      guard let named = target(to)?.place else { return failure("arguments", "not a target") }
      place = named
    } else if let user = watched(request.message) {
      place = .user(user.octets)
    } else {
      reply(request.id, request.message, 404)
      return .now([CallShard.deliveryResult(404)])
    }
    if let status = unknown(place) {
      reply(request.id, request.message, status)
      return .now([CallShard.deliveryResult(status)])
    }
    task.waiting = .service
    deliver(
      textMessage(of: request.message, request.admitted, from: identity(options["from"])), to: place,
      origin: .script(request.id, slot: task.slot, generation: task.generation))
    return .waits
  }

  /// A user who does not exist has nothing kept for him.
  private func unknown(_ place: DialTarget.Place) -> Int? {
    if case .user(let name) = place, directory.user(name[...]) == nil { return 404 }
    return nil
  }

  /// `message.send`: a message of the server's own.
  func sendMessage(_ task: ScriptTask, _ options: LuaArgument) -> VerbOutcome {
    guard let to = options["to"].asBytes, let place = target(to)?.place else {
      return failure("arguments", "not a target")
    }
    if let status = unknown(place) { return .now([CallShard.deliveryResult(status)]) }
    let body = options["body"].asBytes ?? []
    guard body.count <= settings.events.messageSize else {
      return failure("limit", "a message may have \(settings.events.messageSize) octets (events.message_size)")
    }
    var headers = MessageWriter(capacity: 64)
    for header in options.headers where HeaderPolicy.isScriptable(header.name[...]) {
      headers.header(name: header.name[...], value: header.value[...])
    }
    let from = identity(options["from"]).flatMap { CallerName(script: $0) } ?? CallerName(display: nil, user: nil)
    let created = services.wallClock() / 1000
    task.waiting = .service
    deliver(
      TextMessage(
        from: from.value(domain: settings.domain),
        contentType: options["content_type"].asBytes ?? Array("text/plain;charset=UTF-8".utf8), headers: headers.bytes,
        body: body, created: created, expires: created + Int64(settings.events.keepDays) * 86_400),
      to: place, origin: .task(slot: task.slot, generation: task.generation))
    return .waits
  }
}
