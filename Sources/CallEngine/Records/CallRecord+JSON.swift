extension CallRecord {
  /// Everything the record holds, with the names of the dialplan language (snake case). Times are ISO 8601 in UTC.
  public func write(into json: inout JSONWriter) {
    json.open("{")
    json.member("id", id)
    json.member("start", WallTime.text(startMs))
    json.member("answer", answerMs.map(WallTime.text))
    json.member("end", WallTime.text(endMs))
    json.member("duration_ms", durationMs)
    json.member("setup_ms", setupMs)
    json.member("talk_ms", talkMs)
    json.member("from", from)
    json.member("from_name", fromName)
    json.member("to", to)
    json.member("context", context)
    json.member("user", user)
    json.member("source", source)
    json.member("generation", Int64(generation))
    json.member("status", Int64(status))
    json.member("cause", Int64(cause.value))
    json.member("cause_name", cause.name)
    json.member("ended_by", endedBy.rawValue)
    json.name("attempts")
    writeAttempts(into: &json)
    json.name("vars")
    writeVars(into: &json)
    json.member("script_error", scriptError)
    json.name("media")
    writeMedia(into: &json)
    if let transferredBy { json.member("transferred_by", transferredBy) }
    if let transferTarget { json.member("transfer_target", transferTarget) }
    json.close("}")
  }

  public var json: String { CallRecord.text(write) }
  var attemptsJSON: String { CallRecord.text(writeAttempts) }
  var varsJSON: String { CallRecord.text(writeVars) }
  var mediaJSON: String { CallRecord.text(writeMedia) }

  private static func text(_ write: (inout JSONWriter) -> Void) -> String {
    var json = JSONWriter()
    write(&json)
    return json.text
  }

  /// The attempts alone, as one column of a table keeps them.
  public func writeAttempts(into json: inout JSONWriter) {
    json.open("[")
    for attempt in attempts { attempt.write(into: &json) }
    json.close("]")
  }

  public func writeVars(into json: inout JSONWriter) {
    json.open("{")
    for one in vars {
      json.name(one.name)
      json.value(one.value)
    }
    json.close("}")
  }

  public func writeMedia(into json: inout JSONWriter) {
    json.open("[")
    for leg in media { leg.write(into: &json) }
    json.close("]")
  }
}

extension CallRecord.Attempt {
  fileprivate func write(into json: inout JSONWriter) {
    json.open("{")
    json.member("target", target)
    json.member("uri", uri)
    json.member("ip", ip)
    json.member("status", Int64(status))
    json.member("cause", Int64(cause.value))
    json.name("provisional")
    json.open("[")
    for status in provisional { json.value(Int64(status)) }
    json.close("]")
    json.name("early_media")
    json.value(earlyMedia)
    json.member("ms", ms)
    json.close("}")
  }
}

extension CallRecord.LegMedia {
  fileprivate func write(into json: inout JSONWriter) {
    json.open("{")
    json.member("leg", leg)
    json.member("remote", remote)
    json.member("codec", codec)
    json.member("packets_in", Int64(clamping: packetsIn))
    json.member("packets_out", Int64(clamping: packetsOut))
    json.member("bytes_in", Int64(clamping: bytesIn))
    json.member("bytes_out", Int64(clamping: bytesOut))
    json.member("lost", Int64(clamping: lost))
    json.name("jitter_ms")
    json.value(jitterMs)
    json.close("}")
  }
}

extension JSONWriter {
  fileprivate mutating func member(_ name: StaticString, _ text: String?) {
    self.name(name)
    value(text)
  }

  fileprivate mutating func member(_ name: StaticString, _ number: Int64) {
    self.name(name)
    value(number)
  }
}
