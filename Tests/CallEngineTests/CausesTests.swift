import CallEngine
import Testing

private func slice(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }
private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

@Suite struct CausesTests {
  @Test(
    "RFC 3398 §7.2.4.1: a cause's status",
    arguments: [
      (1, 404), (2, 404), (3, 404), (17, 486), (18, 408), (19, 480), (20, 480), (22, 410), (23, 410), (26, 404),
      (27, 502), (28, 484), (29, 501), (31, 480), (34, 503), (38, 503), (41, 503), (42, 503), (47, 503), (55, 403),
      (57, 403), (58, 503), (65, 488), (70, 488), (79, 501), (87, 403), (88, 503), (102, 504), (111, 500), (127, 500),
      // "Any other cause", and what the RFC leaves to us: 16, and 21 of a user.
      (6, 500), (63, 500), (96, 500), (16, 480), (21, 603),
    ])
  func status(cause: Int, status: Int) throws {
    #expect(try #require(Cause(cause)).status == status)
  }

  @Test(
    "RFC 3398 §8.2.6.1: a status's cause",
    arguments: [
      (400, 41), (401, 21), (402, 21), (403, 21), (404, 1), (405, 63), (406, 79), (407, 21), (408, 102), (410, 22),
      (413, 127), (414, 127), (415, 79), (416, 127), (420, 127), (421, 127), (423, 127), (480, 18), (481, 41),
      (482, 25), (483, 25), (484, 28), (485, 1), (486, 17), (500, 41), (501, 79), (502, 38), (503, 41), (504, 102),
      (505, 127), (513, 127), (600, 17), (603, 21), (604, 1),
      // No mapping in the RFC, or newer than it.
      (487, 16), (488, 88), (606, 88), (302, 23), (433, 21), (607, 21), (422, 127),
      // RFC 3261 §8.1.3.2: an unknown one is its class's x00.
      (499, 41), (599, 41), (699, 17), (0, 41),
    ])
  func cause(status: Int, cause: Int) {
    #expect(Cause(status: status).value == UInt8(cause))
  }

  @Test("Q.850 numbers are 1 to 127")
  func range() {
    #expect(Cause(0) == nil)
    #expect(Cause(128) == nil)
    #expect(Cause(-1) == nil)
    for number in 1...127 {
      let cause = Cause(number)
      #expect(cause.map { Cause(name: $0.name) } == cause, "\(number)")
      #expect((400...699).contains(cause?.status ?? 0))
      #expect(cause?.text.isEmpty == false)
    }
    #expect(Cause(35)?.name == "CAUSE_35")
  }

  @Test(
    "Names as FreeSWITCH and Q.850 spell them, in any case",
    arguments: [
      ("UNALLOCATED_NUMBER", 1), ("NO_ROUTE_DESTINATION", 3), ("NORMAL_CLEARING", 16), ("user_busy", 17),
      ("NO_USER_RESPONSE", 18), ("NO_ANSWER", 19), ("SUBSCRIBER_ABSENT", 20), ("Call_Rejected", 21),
      ("NUMBER_CHANGED", 22), ("REDIRECTION_TO_NEW_DESTINATION", 23), ("EXCHANGE_ROUTING_ERROR", 25),
      ("DESTINATION_OUT_OF_ORDER", 27), ("INVALID_NUMBER_FORMAT", 28), ("FACILITY_REJECTED", 29),
      ("RESPONSE_TO_STATUS_ENQUIRY", 30), ("NORMAL_UNSPECIFIED", 31), ("NORMAL_CIRCUIT_CONGESTION", 34),
      ("NETWORK_OUT_OF_ORDER", 38), ("NORMAL_TEMPORARY_FAILURE", 41), ("SWITCH_CONGESTION", 42),
      ("ACCESS_INFO_DISCARDED", 43), ("REQUESTED_CHAN_UNAVAIL", 44), ("PRE_EMPTED", 45),
      ("FACILITY_NOT_SUBSCRIBED", 50), ("OUTGOING_CALL_BARRED", 52), ("INCOMING_CALL_BARRED", 54),
      ("BEARERCAPABILITY_NOTAUTH", 57), ("BEARERCAPABILITY_NOTAVAIL", 58), ("SERVICE_UNAVAILABLE", 63),
      ("BEARERCAPABILITY_NOTIMPL", 65), ("CHAN_NOT_IMPLEMENTED", 66), ("FACILITY_NOT_IMPLEMENTED", 69),
      ("SERVICE_NOT_IMPLEMENTED", 79), ("INVALID_CALL_REFERENCE", 81), ("INCOMPATIBLE_DESTINATION", 88),
      ("INVALID_MSG_UNSPECIFIED", 95), ("MANDATORY_IE_MISSING", 96), ("MESSAGE_TYPE_NONEXIST", 97),
      ("WRONG_MESSAGE", 98), ("IE_NONEXIST", 99), ("INVALID_IE_CONTENTS", 100), ("WRONG_CALL_STATE", 101),
      ("RECOVERY_ON_TIMER_EXPIRE", 102), ("MANDATORY_IE_LENGTH_ERROR", 103), ("PROTOCOL_ERROR", 111),
      ("INTERWORKING", 127), ("CAUSE_35", 35), ("BUSY", 17),
    ])
  func names(name: String, value: Int) {
    #expect(Cause(name: name)?.value == UInt8(value))
  }

  @Test("A misspelt name is told its nearest")
  func suggestions() {
    #expect(Cause(name: "USER_BUZY") == nil)
    #expect(Cause.nearestName(to: "USER_BUZY") == "USER_BUSY")
    #expect(Cause.nearestName(to: "user_bsuy") == "USER_BUSY")
    #expect(Cause.nearestName(to: "UNALOCATED_NUMBER") == "UNALLOCATED_NUMBER")
    #expect(Cause.nearestName(to: "NO_ANSWR") == "NO_ANSWER")
    #expect(Cause.nearestName(to: "completely different") == nil)
    #expect(Cause.nearestName(to: "") == nil)
    #expect(Cause(name: "CAUSE_0") == nil && Cause(name: "CAUSE_128") == nil && Cause(name: "CAUSE_x") == nil)
    #expect(nearest("ringbak", among: ["ringback", "timeout"]) == "ringback")
    #expect(nearest(String(repeating: "x", count: 10_000), among: ["a"]) == nil)
  }

  @Test("RFC 3326 §2: what is written is read again")
  func reason() throws {
    #expect(text(Cause.userBusy.reasonHeader()) == #"Q.850;cause=17;text="User busy""#)
    #expect(
      text(Cause.userBusy.reasonHeader(text: "He said \"no\"\r\nX: y"))
        == #"Q.850;cause=17;text="He said \"no\"  X: y""#)
    #expect(
      text(ReasonHeader.completedElsewhere.value) == #"SIP;cause=200;text="Call completed elsewhere""#)
    for number in 1...127 {
      let cause = try #require(Cause(number))
      #expect(ReasonHeader.parse([cause.reasonHeader()[...]]) == [ReasonHeader(cause)])
      #expect(Cause(reasonHeader: cause.reasonHeader()[...]) == cause)
    }
  }

  @Test("RFC 3326 §2: several values, spaces, any case, quoted commas, foreign protocols")
  func parsing() {
    let lines = [
      slice(#"SIP ;cause=600 ;text="Busy, everywhere; really", q.850 ; CAUSE = 16 ;text=Terminated"#),
      slice(#"Preemption ;cause=1 ;text="a \"b\"";x"#),
    ]
    let parsed = ReasonHeader.parse(lines)
    #expect(parsed.count == 3)
    #expect(parsed.first == ReasonHeader(.sip, number: 600, text: Array("Busy, everywhere; really".utf8)))
    #expect(parsed.dropFirst().first == ReasonHeader(.q850, number: 16, text: Array("Terminated".utf8)))
    #expect(parsed.last == ReasonHeader(.other(Array("preemption".utf8)), number: 1, text: Array("a \"b\"".utf8)))
    #expect(ReasonHeader.cause(in: lines) == .normalClearing)
  }

  @Test(
    "What cannot be read of a Reason is left out",
    arguments: [
      "", ";cause=16", "Q.850", "Q.850;cause", "Q.850;cause=", "Q.850;cause=x", "Q.850;cause=-1",
      "Q.850;cause=999999999999999999999", "Q.850;cause=0", "Q.850;cause=128", "SIP;cause=486", "a b;cause=16", ",,,",
      "Q.850;text=\"cause=16", "\"Q.850;cause=16\"",
    ])
  func broken(value: String) {
    #expect(Cause(reasonHeader: slice(value)) == nil)
  }

  @Test(
    "RFC 3261 §16.7, step 6: which final response goes to the caller",
    arguments: [
      ([486], 486), ([486, 603], 603), ([404, 302, 486], 302), ([500, 486, 503], 486), ([480, 486], 480),
      ([486, 480], 486), ([480, 484], 484), ([486, 415], 415), ([408, 486], 486), ([408, 408], 408), ([503, 500], 500),
      ([600, 603], 600),
      // 401 and the like become 502 for the caller, so a phone's own answer goes first.
      ([401, 486], 486), ([407, 503], 407), ([503, 408], 408),
    ])
  func best(statuses: [Int], expected: Int) {
    #expect(bestResponse(statuses).map { statuses[$0] } == expected)
  }

  @Test("Nothing to choose from")
  func none() { #expect(bestResponse([]) == nil) }

  @Test("What is between this server and the callee is 502 to the caller")
  func crossing() {
    for status in 300...699 {
      let hidden: Set = [401, 407, 420, 421, 422, 494]
      #expect(statusForCaller(status) == (hidden.contains(status) ? 502 : status))
    }
  }

  @Test("No Reason line traps, and what was read is written again", arguments: 0..<4)
  func noise(seed: UInt64) {
    var state = seed
    let alphabet = Array("Q.850;cause=16,text=\"\\ SIP\r\n\u{0}ü9".utf8)
    for _ in 0..<2000 {
      var line: [UInt8] = Array("Q.850;cause=16;text=\"x\"".utf8)
      for _ in 0..<8 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        line.insert(alphabet[Int(state >> 40) % alphabet.count], at: Int(state >> 20 & 0xffff) % (line.count + 1))
      }
      for reason in ReasonHeader.parse([line[...]]) {
        let written = reason.value
        #expect(!written.contains { $0 < 0x20 })
        #expect(ReasonHeader.parse([written[...]]).first?.number == reason.number)
      }
    }
  }
}
