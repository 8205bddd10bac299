extension CallRecord {
  /// The first line of a file of `csvLine`s, without a line end. Columns are added at the end only.
  public static let csvHeader =
    "id,start,answer,end,duration_ms,talk_ms,from,from_name,to,context,user,source,generation,status,cause,"
    + "cause_name,ended_by,attempts,vars,script_error,media,transferred_by,transfer_target"

  /// One line by RFC 4180, without its line end: always a single line, as line ends inside a field become spaces.
  /// `attempts`, `vars` and `media` are JSON.
  public var csvLine: String {
    let fields: [String] = [
      id, WallTime.text(startMs), answerMs.map(WallTime.text) ?? "", WallTime.text(endMs), String(durationMs),
      String(talkMs), from, fromName, to, context, user ?? "", source, String(generation), String(status),
      String(cause.value), cause.name, endedBy.rawValue, attemptsJSON, varsJSON, scriptError ?? "",
      mediaJSON, transferredBy ?? "", transferTarget ?? "",
    ]
    var line: [UInt8] = []
    line.reserveCapacity(512)
    for (i, field) in fields.enumerated() {
      if i > 0 { line.append(UInt8(ascii: ",")) }
      CallRecord.appendCSV(field, to: &line)
    }
    return String(decoding: line, as: UTF8.self)
  }

  /// RFC 4180 §2: a field with a comma, a quote or a blank at either end is quoted, quotes inside are doubled.
  private static func appendCSV(_ field: String, to line: inout [UInt8]) {
    let quoted = field.utf8.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 <= 0x20 }
    if quoted { line.append(UInt8(ascii: "\"")) }
    for c in field.utf8 {
      switch c {
      case UInt8(ascii: "\""):
        line.append(c)
        line.append(c)
      case 0..<0x20: line.append(0x20)
      default: line.append(c)
      }
    }
    if quoted { line.append(UInt8(ascii: "\"")) }
  }
}
