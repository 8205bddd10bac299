import CallEngine
import Foundation
import Logging

/// One event, written out.
struct LogLine {
  var time: Date
  var level: Logger.Level
  var label: String
  var message: String
  var fields: [(key: String, value: Logger.Metadata.Value)]

  /// `2026-01-31T12:00:00.123Z info nightjar: message call=… generation=3`
  var text: String {
    var line =
      "\(WallTime.text(Int64(time.timeIntervalSince1970 * 1000))) \(level) \(LogEscape.text(label)): \(LogEscape.text(message))"
    for (key, value) in fields {
      let shown = LogEscape.text(Self.plain(value))
      let quoted = shown.isEmpty || shown.contains { " \"=".contains($0) }
      line += " \(LogEscape.text(key))="
      line += quoted ? "\"\(shown.replacing("\"", with: "\\\""))\"" : shown
    }
    return line
  }

  /// `{"time":"…","level":"info","logger":"nightjar","message":"…","call":"…"}`
  var json: String {
    var line = "{\"time\":\"\(WallTime.text(Int64(time.timeIntervalSince1970 * 1000)))\",\"level\":\"\(level)\""
    line += ",\"logger\":\(LogEscape.json(label)),\"message\":\(LogEscape.json(message))"
    let own: Set<String> = ["time", "level", "logger", "message"]
    for (key, value) in fields {
      // A field must not pass for one of ours.
      line += ",\(LogEscape.json(own.contains(key) ? "field_" + key : key)):\(Self.json(value))"
    }
    return line + "}"
  }

  private static func plain(_ value: Logger.Metadata.Value) -> String {
    switch value {
    case .string(let text): text
    case .stringConvertible(let value): value.description
    case .array(let values): "[" + values.map(plain).joined(separator: ", ") + "]"
    case .dictionary(let values):
      "{" + values.sorted { $0.key < $1.key }.map { "\($0.key): \(plain($0.value))" }.joined(separator: ", ") + "}"
    }
  }

  private static func json(_ value: Logger.Metadata.Value) -> String {
    switch value {
    case .string(let text): LogEscape.json(text)
    case .stringConvertible(let value):
      value is any BinaryInteger ? value.description : LogEscape.json(value.description)
    case .array(let values): "[" + values.map(json).joined(separator: ",") + "]"
    case .dictionary(let values):
      "{"
        + values.sorted { $0.key < $1.key }.map { "\(LogEscape.json($0.key)):\(json($0.value))" }.joined(separator: ",")
        + "}"
    }
  }
}
