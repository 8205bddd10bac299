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
  /// The attempt whose failure it is.
  var attempt: Int?

  fileprivate func write(_ call: Call, _ dial: Dial, now: Instant, _ writer: LuaWriter) {
    let table = writer.openTable()
    var fields = 7
    writer.field(.ok, ok)
    writer.field(.status, status)
    writer.field(.cause, Int(cause.value))
    writer.field(.cause_name, text: cause.name)
    writer.field(.by, text: by)
    if let reason {
      writer.field(.reason, reason)
      fields += 1
    }
    if let endedBy {
      writer.field(.ended_by, text: endedBy)
      fields += 1
    }
    if let attempt, !call.attempts[attempt].contacts.isEmpty {
      writer.name(.contacts)
      call.attempts[attempt].writeContacts(writer)
      fields += 1
    }
    let attempts = call.attempts.indices[dial.firstAttempt...]
    if ok, let answered = attempts.first(where: { call.attempts[$0].status == 200 }) {
      writer.field(.answered_by, call.attempts[answered].target)
      fields += 1
    }
    if let first = dial.firstRing ?? dial.answered {
      let ringing = dial.firstRing.map { (dial.answered ?? now) - $0 } ?? .zero
      writer.field(.setup_ms, Int((first - dial.started).milliseconds))
      writer.field(.ring_ms, Int(ringing.milliseconds))
      fields += 2
    }
    writer.field(.duration, dial.answered.map { (now - $0).seconds } ?? 0)
    writer.name(.attempts)
    writer.list(attempts.count)
    for attempt in attempts { call.attempts[attempt].write(writer) }
    writer.closeTable(table, entries: fields)
  }
}

extension CallShard {
  /// What the script gets of a dial that is over.
  func flat(_ result: DialResult, _ call: Call, _ dial: Dial) -> LuaFlat {
    writer.clear()
    result.write(call, dial, now: now, writer)
    return writer.flat
  }
}

/// One b-leg that was tried, while the call lives. Octets and numbers: texts are made for a script or a record that asks.
struct CallAttempt {
  /// In the script's words, which may be the same octets as `uri`.
  var target: [UInt8]
  var uri: [UInt8]
  /// Where the INVITE went.
  var remote: Endpoint?
  /// Zero while it rings.
  var status = 0
  var cause = Cause.normalUnspecified
  private(set) var provisional = ProvisionalStatuses()
  var earlyMedia = false
  var startMilliseconds: Int64 = 0
  var milliseconds: Int64 = 0
  /// Where a 3xx sent us, the best first.
  var contacts: [[UInt8]] = []

  init(target: [UInt8], uri: [UInt8] = []) {
    self.target = target
    self.uri = uri
  }

  /// A 1xx that came; those behind the 16th are not kept.
  mutating func ring(_ status: Int) { provisional.append(status) }

  mutating func end(status: Int, cause: Cause, at wall: Int64) {
    guard self.status == 0 else { return }
    self.status = status
    self.cause = cause
    milliseconds = max(0, wall - startMilliseconds)
  }

  private var ip: String { remote.map(\.description) ?? "" }

  fileprivate func write(_ writer: LuaWriter) {
    writer.table(contacts.isEmpty ? 8 : 9)
    if !contacts.isEmpty {
      writer.name(.contacts)
      writeContacts(writer)
    }
    writer.field(.target, target)
    writer.field(.uri, uri)
    writer.field(.ip, text: ip)
    writer.field(.status, status)
    writer.field(.cause, Int(cause.value))
    writer.name(.provisional)
    writer.list(provisional.count)
    for status in provisional.all { writer.integer(status) }
    writer.field(.early_media, earlyMedia)
    writer.field(.ms, Int(milliseconds))
  }

  fileprivate func writeContacts(_ writer: LuaWriter) {
    writer.list(contacts.count)
    for contact in contacts { writer.string(contact) }
  }

  var record: CallRecord.Attempt {
    CallRecord.Attempt(
      target: String(decoding: target, as: UTF8.self), uri: String(decoding: uri, as: UTF8.self), ip: ip,
      status: status, cause: cause, provisional: Array(provisional.all), earlyMedia: earlyMedia, ms: milliseconds)
  }
}

/// Up to 16 statuses from 100 to 199 in their order, an octet each.
struct ProvisionalStatuses {
  private var octets: (UInt64, UInt64) = (0, 0)
  private(set) var count = 0

  mutating func append(_ status: Int) {
    guard count < 16, let octet = UInt8(exactly: status - 100) else { return }
    if count < 8 { octets.0 |= UInt64(octet) << (8 * count) } else { octets.1 |= UInt64(octet) << (8 * (count - 8)) }
    count += 1
  }

  var all: some Collection<Int> {
    (0..<count).lazy.map { [octets] in
      100 + Int(truncatingIfNeeded: ($0 < 8 ? octets.0 >> (8 * $0) : octets.1 >> (8 * ($0 - 8))) & 0xff)
    }
  }
}
