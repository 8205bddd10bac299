import CallEngine
import Testing

@Suite struct CallRecordTests {
  private let record = CallRecord(
    id: "0100002a", startMs: 1_767_225_599_999, answerMs: 1_767_225_602_000, endMs: 1_767_225_662_500, from: "1000",
    fromName: #"Al, "the" boss"#, to: "1001", context: "internal", user: "1000", source: "udp:192.0.2.1:5070",
    generation: 3, status: 200, cause: .normalClearing, endedBy: .callee,
    attempts: [
      .init(
        target: "user/1001", uri: "sip:1001@192.0.2.7:5060", ip: "192.0.2.7:5060", status: 200, cause: .normalClearing,
        provisional: [180, 183], earlyMedia: true, ms: 2001)
    ],
    vars: [.init("tenant", "a\nb"), .init("n", 7)],
    media: [
      .init(
        leg: "caller", remote: "192.0.2.1:7078", codec: "PCMU", packetsIn: 10, packetsOut: 20, bytesIn: 1720,
        bytesOut: .max, lost: 1, jitterMs: 0.5)
    ])

  @Test("JSON has the names of the dialplan language")
  func json() {
    #expect(
      record.json == """
        {"id":"0100002a","start":"2025-12-31T23:59:59.999Z","answer":"2026-01-01T00:00:02.000Z",\
        "end":"2026-01-01T00:01:02.500Z","duration_ms":62501,"setup_ms":2001,"talk_ms":60500,"from":"1000",\
        "from_name":"Al, \\"the\\" boss","to":"1001","context":"internal","user":"1000","source":"udp:192.0.2.1:5070",\
        "generation":3,"status":200,"cause":16,"cause_name":"NORMAL_CLEARING","ended_by":"callee","attempts":[\
        {"target":"user/1001","uri":"sip:1001@192.0.2.7:5060","ip":"192.0.2.7:5060","status":200,"cause":16,\
        "provisional":[180,183],"early_media":true,"ms":2001}],"vars":{"tenant":"a\\nb","n":7},"script_error":null,\
        "media":[{"leg":"caller","remote":"192.0.2.1:7078","codec":"PCMU","packets_in":10,"packets_out":20,\
        "bytes_in":1720,"bytes_out":9223372036854775807,"lost":1,"jitter_ms":0.5}]}
        """)
  }

  @Test("RFC 4180: one line a call, as many fields as the header has")
  func csv() {
    #expect(
      record.csvLine.hasPrefix(
        #"0100002a,2025-12-31T23:59:59.999Z,2026-01-01T00:00:02.000Z,2026-01-01T00:01:02.500Z,62501,60500,1000,"#
          + #""Al, ""the"" boss",1001,internal,1000,udp:192.0.2.1:5070,3,200,16,NORMAL_CLEARING,callee,"[{"#))
    #expect(fields(record.csvLine).count == fields(CallRecord.csvHeader).count)
    var bad = record
    bad.from = "a\r\nb\"c"
    bad.scriptError = "dialplan.lua:3: x, y"
    #expect(!bad.csvLine.utf8.contains { $0 < 0x20 })
    #expect(fields(bad.csvLine).count == fields(CallRecord.csvHeader).count)
    #expect(fields(bad.csvLine).dropFirst(6).first == "a  b\"c")
  }

  @Test("An unanswered call has no talking time; a clock that steps back makes nothing negative")
  func lengths() {
    var unanswered = record
    unanswered.answerMs = nil
    #expect(unanswered.talkMs == 0)
    #expect(unanswered.setupMs == unanswered.durationMs)
    #expect(fields(unanswered.csvLine).dropFirst(2).first == "")
    unanswered.endMs = 0
    #expect(unanswered.durationMs == 0)
    unanswered.startMs = .min
    unanswered.endMs = .max
    #expect(unanswered.durationMs == 0)
  }

  @Test(
    "ISO 8601",
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (1_709_164_800_123, "2024-02-29T00:00:00.123Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
      (1_735_689_599_000, "2024-12-31T23:59:59.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ] as [(Int64, String)])
  func wallTime(ms: Int64, text: String) {
    #expect(WallTime.text(ms) == text)
    #expect(WallTime.clock(ms) == String(text.dropFirst(11).dropLast()))
  }

  @Test("RFC 8259: controls and quotes are escaped, what JSON has no number for is null")
  func jsonValues() {
    #expect(JSONValue.string("a\"\\\n\r\t\u{1}\u{7f}ü/").text == #""a\"\\\n\r\t\u0001\u007fü/""#)
    #expect(
      JSONValue.array([.null, true, 1, .number(1.5), .number(.nan), .number(.infinity), .integer(.min)]).text
        == "[null,true,1,1.5,null,null,-9223372036854775808]")
    #expect(JSONValue.object([]).text == "{}")
    #expect(JSONValue.object([.init("b", 1), .init("a\n", .array([]))]).text == #"{"b":1,"a\n":[]}"#)
    #expect(JSONValue.optional(nil) == .null)
  }

  @Test("Times far outside do not trap", arguments: [Int64.min, .max, .min + 1])
  func extremes(ms: Int64) { #expect(WallTime.text(ms).hasSuffix("Z")) }

  /// Splits one CSV line.
  private func fields(_ line: String) -> [String] {
    var fields = [""]
    var quoted = false
    for c in line {
      if c == "\"" {
        quoted.toggle()
        fields[fields.count - 1].append(c)
      } else if c == ",", !quoted {
        fields.append("")
      } else {
        fields[fields.count - 1].append(c)
      }
    }
    return fields.map { field in
      guard field.hasPrefix("\"") else { return field }
      return String(field.dropFirst().dropLast()).replacing("\"\"", with: "\"")
    }
  }
}
