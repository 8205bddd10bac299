import Foundation
import Logging
import Testing

@testable import Server

@Suite("Log lines")
struct LineLogHandlerTests {
  private func logger(_ settings: LogSettings, _ lines: LineCollector) -> Logger {
    Logger(label: "nightjar") {
      LineLogHandler(
        label: $0, settings: settings, write: lines.add, now: { Date(timeIntervalSince1970: 1_700_000_000.25) })
    }
  }

  private func settings(_ format: ServerConfiguration.Log.Format) -> LogSettings {
    LogSettings(.init(level: .info, format: format))
  }

  @Test("text for people")
  func text() {
    let lines = LineCollector()
    var logger = logger(settings(.text), lines)
    logger[metadataKey: "call"] = "abc"
    logger.info("call failed", metadata: ["generation": "3", "reason": "no route to host", "empty": ""])
    #expect(
      lines.all == [
        "2023-11-14T22:13:20.250Z info nightjar: call failed call=abc empty=\"\" generation=3 reason=\"no route to host\""
      ])
  }

  @Test("JSON for machines")
  func json() throws {
    let lines = LineCollector()
    var logger = logger(settings(.json), lines)
    logger[metadataKey: "call"] = "abc"
    logger.warning(
      "a \"b\"",
      metadata: ["generation": .stringConvertible(3), "list": ["x", "y"], "level": "mine", "map": ["k": "v"]])
    #expect(
      lines.all == [
        #"{"time":"2023-11-14T22:13:20.250Z","level":"warning","logger":"nightjar","message":"a \"b\"","call":"abc","#
          + #""generation":3,"field_level":"mine","list":["x","y"],"map":{"k":"v"}}"#
      ])
  }

  @Test(
    "what a peer sent cannot forge a line or move the cursor",
    arguments: [
      ("a\nb", #"a\nb"#), ("a\r\tb", #"a\r\tb"#), ("\u{1b}[2J", #"\u001b[2J"#), ("\u{7f}\u{9b}", #"\u007f\u009b"#),
      ("\u{2028}\u{202e}", #"\u2028\u202e"#), ("\u{0}", #"\u0000"#), (#"a\nb"#, #"a\\nb"#), ("Grüße 你好", "Grüße 你好"),
    ])
  func escaped(raw: String, shown: String) throws {
    #expect(LogEscape.text(raw) == shown)
    for format in ServerConfiguration.Log.Format.allCases {
      let lines = LineCollector()
      logger(settings(format), lines).error("\(raw)", metadata: ["\(raw)": "\(raw)"])
      let line = try #require(lines.all.first)
      #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control })
      guard format == .json else { continue }
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
      #expect(object?["message"] == raw)
      #expect(object?[raw] == raw)
    }
  }

  @Test("the level is the configuration's, changes for all at a reload, and builds nothing below it")
  func level() {
    let lines = LineCollector()
    let settings = settings(.text)
    let logger = logger(settings, lines)
    var own = logger
    own.logLevel = .error
    var built = false
    logger.debug("\({ built = true; return "x" }())")
    #expect(!built)
    settings.level = .debug
    logger.debug("now")
    own.debug("not me")
    #expect(lines.all.count == 1)
    #expect(ServerConfiguration.Log.Level.allCases.map(\.logging) == Logger.Level.allCases)
  }
}
