import NetCore
import SIPMessage
import Testing

/// What the tests of this target share: a flow, and short ways to a message.
enum Fixture {
  static let flow = Flow(
    transport: .udp, listener: 0, remote: Endpoint(IPAddress(v4: 0x7f00_0002), 40000),
    local: Endpoint(IPAddress(v4: 0x7f00_0001), 5060))

  static func parse(_ text: String, flow: Flow = flow) throws(ParseFailure) -> Message {
    try MessageParser.parse(Array(text.utf8), flow: flow)
  }

  /// A request with what every request needs; `headers` are whole lines, each with its CRLF.
  static func request(
    _ method: String = "OPTIONS", uri: String = "sip:bob@example.com", via: String? = nil, from: String? = nil,
    to: String? = nil, callID: String = "abc@host", cseq: String? = nil, headers: String = "", body: String = ""
  ) -> String {
    """
    \(method) \(uri) SIP/2.0\r
    Via: \(via ?? "SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK776asdhds")\r
    Max-Forwards: 70\r
    From: \(from ?? "Alice <sip:alice@example.com>;tag=1928301774")\r
    To: \(to ?? "Bob <sip:bob@example.com>")\r
    Call-ID: \(callID)\r
    CSeq: \(cseq ?? "1 \(method)")\r
    \(headers)Content-Length: \(body.utf8.count)\r
    \r
    \(body)
    """
  }

  static func failure(_ text: String, flow: Flow = flow) -> ParseFailure? {
    do throws(ParseFailure) {
      _ = try parse(text, flow: flow)
      return nil
    } catch {
      return error
    }
  }

  /// The error of a text that must not parse.
  static func error(_ text: String) -> SIPError? { failure(text)?.error }
}

func text(_ bytes: Bytes?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
func bytes(_ text: String) -> Bytes { Array(text.utf8)[...] }
func uri(_ text: String) throws(SIPError) -> URI { try URI(parsing: bytes(text)) }

/// A small seeded generator, so that a random test that fails can be run again.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
