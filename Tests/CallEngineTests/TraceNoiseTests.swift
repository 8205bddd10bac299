import CallEngine
import NetCore
import Testing

@Suite struct TraceNoiseTests {
  @Test("Whatever comes off a socket can be drawn, and the mask never lets a digest response through", arguments: 0..<4)
  func noise(seed: UInt64) {
    var state = seed &+ 7
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    let base = Array(
      ("REGISTER sip:u:pw@x SIP/2.0\r\nFrom: <sip:1@x>;tag=a\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
        + "Authorization: Digest username=\"1\", response=\"5ecret5ecret5ecret5ecret\",\r\n nonce=\"n\"\r\n"
        + "Content-Type: application/sdp\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 0 x\r\na=rtpmap:0 PCMU/8000\r\n").utf8)
    let alphabet = Array("\r\n \t:;=\",<>@/\u{0}aA0sip".utf8)
    let flow = Flow(
      transport: .udp, listener: 0, remote: Endpoint(IPAddress(v4: 1), 1), local: Endpoint(IPAddress(v4: 1), 1))
    var ladder = Ladder()
    for _ in 0..<2000 {
      var bytes = base
      // After the credentials only: a message whose header name is broken has none that could be known.
      let safe = (bytes.firstRange(of: Array("nonce=".utf8))?.lowerBound ?? 0)
      for _ in 0..<next(6) {
        let at = safe + next(bytes.count - safe)
        switch next(3) {
        case 0: bytes[at] = alphabet[next(alphabet.count)]
        case 1: bytes.insert(alphabet[next(alphabet.count)], at: at)
        default: bytes.removeSubrange(at..<min(bytes.count, at + next(20)))
        }
        if bytes.count <= safe + 1 { break }
      }
      let entry = TraceEntry(bytes: bytes[...], flow: flow, sent: false, wallMs: 0)
      #expect(!entry.summary.message.contains("5ecret") && !entry.summary.message.contains(":pw@"))
      #expect(!ladder.lines(entry).joined().utf8.contains { $0 < 0x20 })
      _ = entry.json.text
      let cut = bytes[..<next(bytes.count)]
      _ = TraceEntry(bytes: cut, flow: flow, sent: true, wallMs: 0)
    }
  }
}
