import NetCore
import SIPDialog
import SIPMessage
import Testing

@Suite("RFC 4028: session timers, the rules")
struct SessionTimerRuleTests {
  private func request(_ lines: String...) throws -> Message {
    let text =
      "INVITE sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
      + "To: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
    let endpoint = Endpoint("192.0.2.1:5060")!
    return try MessageParser.parse(
      Array(text.utf8), flow: Flow(transport: .udp, listener: 0, remote: endpoint, local: endpoint))
  }

  private func agreed(_ interval: UInt32, _ refresher: SessionExpires.Refresher, required: Bool = true)
    -> SessionTimer.Verdict
  {
    .agreed(SessionExpires(interval: interval, refresher: refresher), required: required)
  }

  @Test(
    "§4: Session-Expires",
    arguments: [
      ("1800", 1800, nil), ("90;refresher=uac", 90, .uac), (" 90 ; x=y ; Refresher = UAS ", 90, .uas),
      ("3600;refresher=me", 3600, nil), ("x", nil, nil), ("", nil, nil), ("-5", nil, nil), ("99999999999", nil, nil),
    ] as [(String, UInt32?, SessionExpires.Refresher?)])
  func parsing(text: String, interval: UInt32?, refresher: SessionExpires.Refresher?) {
    let value = SessionExpires(Array(text.utf8)[...])
    #expect(value?.interval == interval && value?.refresher == refresher)
  }

  @Test("§9: what the 2xx to a first request says")
  func verdicts() throws {
    let timer = SessionTimer()
    func verdict(_ lines: String..., wanted: UInt32 = 1800, minimum: UInt32 = 90) throws -> SessionTimer.Verdict {
      let joined = lines.joined(separator: "\r\n")
      return timer.verdict(on: try request(joined.isEmpty ? "X-Y: z" : joined), wanted: wanted, minimum: minimum)
    }
    // Who does not know timers has none; unless a proxy wants one, and then only we can refresh.
    #expect(try verdict() == .none && verdict("Supported: 100rel") == .none)
    #expect(try verdict("Session-Expires: 600") == agreed(600, .uas, required: false))
    // Who does: ours where he asks for none, his where it is shorter, never below a Min-SE.
    #expect(try verdict("Supported: timer") == agreed(1800, .uas))
    #expect(try verdict("Supported: timer", wanted: 0) == .none)
    #expect(try verdict("k: timer", "x: 600") == agreed(600, .uac))
    #expect(try verdict("Require: timer", "Session-Expires: 600;refresher=uas") == agreed(600, .uas))
    #expect(try verdict("Supported: timer", "Session-Expires: 4000") == agreed(1800, .uac))
    #expect(try verdict("Supported: timer", "Session-Expires: 4000", "Min-SE: 3000") == agreed(3000, .uac))
    #expect(try verdict("Supported: timer", "Session-Expires: 4000", wanted: 0) == agreed(4000, .uac))
    // §9: too short is 422, for who understands it.
    #expect(
      try verdict("Supported: timer", "Session-Expires: 100", minimum: 120) == .tooSmall(minimum: 120))
    #expect(try verdict("Session-Expires: 100", minimum: 120) == agreed(120, .uas, required: false))
  }

  @Test("§7.4: who refreshes stays where a request does not say")
  func kept() throws {
    var timer = SessionTimer()
    timer.agree(SessionExpires(interval: 1800, refresher: .uac), isUAC: true, now: .zero)
    #expect(timer.isOurs && timer.renewal == SessionExpires(interval: 1800, refresher: .uac))
    let again = try request("Supported: timer", "Session-Expires: 1800")
    #expect(timer.verdict(on: again, wanted: 1800, minimum: 90) == agreed(1800, .uas))
    timer.agree(SessionExpires(interval: 1800, refresher: .uac), isUAC: false, now: .zero)
    #expect(!timer.isOurs && timer.renewal == SessionExpires(interval: 1800, refresher: .uas))
    #expect(timer.verdict(on: again, wanted: 1800, minimum: 90) == agreed(1800, .uac))
  }

  @Test("§10: the refresher acts at half of the interval, the other ends it min(32, a third) before its end")
  func times() {
    var timer = SessionTimer()
    timer.agree(SessionExpires(interval: 1800, refresher: .uac), isUAC: true, now: .zero)
    #expect(timer.wait == .seconds(900) && timer.patience == .seconds(1768))
    timer.agree(SessionExpires(interval: 90, refresher: .uas), isUAC: true, now: .zero)
    #expect(!timer.isOurs && timer.wait == .seconds(60))
    // §5: nobody may have less than 90.
    timer.agree(SessionExpires(interval: 1, refresher: .uac), isUAC: true, now: .zero)
    #expect(timer.interval == 90)
    timer.agree(nil, isUAC: true, now: .zero)
    #expect(!timer.isActive)
  }
}
