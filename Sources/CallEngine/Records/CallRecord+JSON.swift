extension CallRecord {
  /// Everything the record holds, with the names of the dialplan language (snake case). Times are ISO 8601 in UTC.
  public var json: JSONValue {
    .object([
      .init("id", .string(id)),
      .init("start", .string(WallTime.text(startMs))),
      .init("answer", .optional(answerMs.map(WallTime.text))),
      .init("end", .string(WallTime.text(endMs))),
      .init("duration_ms", .integer(durationMs)),
      .init("setup_ms", .integer(setupMs)),
      .init("talk_ms", .integer(talkMs)),
      .init("from", .string(from)),
      .init("from_name", .string(fromName)),
      .init("to", .string(to)),
      .init("context", .string(context)),
      .init("user", .optional(user)),
      .init("source", .string(source)),
      .init("generation", .integer(Int64(generation))),
      .init("status", .integer(Int64(status))),
      .init("cause", .integer(Int64(cause.value))),
      .init("cause_name", .string(cause.name)),
      .init("ended_by", .string(endedBy.rawValue)),
      .init("attempts", attemptsJSON),
      .init("vars", varsJSON),
      .init("script_error", .optional(scriptError)),
      .init("media", mediaJSON),
    ])
  }

  /// The attempts alone, as one column of a table keeps them.
  public var attemptsJSON: JSONValue { .array(attempts.map(\.json)) }
  public var varsJSON: JSONValue { .object(vars.map { JSONValue.Member($0.name, $0.value) }) }
  public var mediaJSON: JSONValue { .array(media.map(\.json)) }
}

extension CallRecord.Attempt {
  public var json: JSONValue {
    .object([
      .init("target", .string(target)),
      .init("uri", .string(uri)),
      .init("ip", .string(ip)),
      .init("status", .integer(Int64(status))),
      .init("cause", .integer(Int64(cause.value))),
      .init("provisional", .array(provisional.map { .integer(Int64($0)) })),
      .init("early_media", .bool(earlyMedia)),
      .init("ms", .integer(ms)),
    ])
  }
}

extension CallRecord.LegMedia {
  public var json: JSONValue {
    .object([
      .init("leg", .string(leg)),
      .init("remote", .string(remote)),
      .init("codec", .string(codec)),
      .init("packets_in", .count(packetsIn)),
      .init("packets_out", .count(packetsOut)),
      .init("bytes_in", .count(bytesIn)),
      .init("bytes_out", .count(bytesOut)),
      .init("lost", .count(lost)),
      .init("jitter_ms", .number(jitterMs)),
    ])
  }
}

extension JSONValue {
  fileprivate static func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
}
