import LuaRuntime
import NetCore

/// What `call:dial` returns: an outcome, never an error. `status` is always a final one.
struct DialResult {
  var ok: Bool
  var status: Int
  var cause: Cause
  /// The callee's own Reason value, which `reject{from=}` passes on.
  var reason: [UInt8]?
  /// "remote", "timeout", "caller" or "system".
  var by: String
  /// Who ended an answered bridge: "caller", "callee" or "system".
  var endedBy: String?

  func value(_ call: Call, _ dial: Dial, now: Instant) -> LuaValue {
    func milliseconds(_ a: Instant, _ b: Instant) -> LuaValue { .integer((b - a).milliseconds) }
    var fields: [(key: LuaValue, value: LuaValue)] = []
    func set(_ key: String, _ value: LuaValue) { fields.append((.text(key), value)) }
    set("ok", .bool(ok))
    set("status", .integer(Int64(status)))
    set("cause", .integer(Int64(cause.value)))
    set("cause_name", .text(cause.name))
    set("by", .text(by))
    if let reason { set("reason", .string(reason)) }
    if let endedBy { set("ended_by", .text(endedBy)) }
    let attempts = call.attempts[dial.firstAttempt...]
    if ok, let answered = attempts.first(where: { $0.status == 200 }) { set("answered_by", .text(answered.target)) }
    if let ring = dial.firstRing {
      set("setup_ms", milliseconds(dial.started, ring))
      set("ring_ms", milliseconds(ring, dial.answered ?? now))
    } else if let answered = dial.answered {
      set("setup_ms", milliseconds(dial.started, answered))
      set("ring_ms", .integer(0))
    }
    set("duration", .number(dial.answered.map { (now - $0).seconds } ?? 0))
    set("attempts", .array(attempts.map(\.value)))
    return .table(fields)
  }
}

/// One b-leg that was tried, while the call lives.
struct CallAttempt {
  var target: String
  var uri: String
  var ip = ""
  /// Zero while it rings.
  var status = 0
  var cause = Cause.normalUnspecified
  var provisional: [Int] = []
  var earlyMedia = false
  var startMilliseconds: Int64 = 0
  var milliseconds: Int64 = 0

  init(target: String, uri: String) {
    self.target = target
    self.uri = uri
  }

  mutating func end(status: Int, cause: Cause, at wall: Int64) {
    guard self.status == 0 else { return }
    self.status = status
    self.cause = cause
    milliseconds = max(0, wall - startMilliseconds)
  }

  fileprivate var value: LuaValue {
    .table([
      (key: "target", value: .text(target)), (key: "uri", value: .text(uri)), (key: "ip", value: .text(ip)),
      (key: "status", value: .integer(Int64(status))), (key: "cause", value: .integer(Int64(cause.value))),
      (key: "provisional", value: .array(provisional.map { .integer(Int64($0)) })),
      (key: "early_media", value: .bool(earlyMedia)), (key: "ms", value: .integer(milliseconds)),
    ])
  }

  var record: CallRecord.Attempt {
    CallRecord.Attempt(
      target: target, uri: uri, ip: ip, status: status, cause: cause, provisional: provisional,
      earlyMedia: earlyMedia, ms: milliseconds)
  }
}
