import NetCore
import SIPDigest
import SIPMessage

/// What the phones of the measurement send: the messages of the scenarios that `Scripts/bench` gives to sipp.
enum Texts {
  static let sdp = """
    v=0\r
    o=sipp 53655765 1 IN IP4 127.0.0.2\r
    s=-\r
    c=IN IP4 127.0.0.2\r
    t=0 0\r
    m=audio 6000 RTP/AVP 0 8 101\r
    a=rtpmap:0 PCMU/8000\r
    a=rtpmap:8 PCMA/8000\r
    a=rtpmap:101 telephone-event/8000\r
    a=fmtp:101 0-15\r
    a=ptime:20\r
    a=sendrecv\r

    """

  static func invite(_ n: Int, from: Endpoint, cseq: Int = 1, authorization: String? = nil) -> [UInt8] {
    let line = authorization.map { "Proxy-Authorization: \($0)\r\n" } ?? ""
    return Array(
      """
      INVITE sip:1001@127.0.0.1:5060 SIP/2.0\r
      Via: SIP/2.0/UDP \(from);branch=z9hG4bK-12345-\(n)-\(cseq);rport\r
      From: <sip:1000@nightjar.test>;tag=12345a\(n)\r
      To: <sip:1001@nightjar.test>\r
      Call-ID: \(n)-12345@127.0.0.2\r
      CSeq: \(cseq) INVITE\r
      Max-Forwards: 70\r
      Contact: <sip:1000@\(from);transport=UDP>\r
      \(line)Content-Type: application/sdp\r
      Content-Length:   \(sdp.utf8.count)\r
      \r
      \(sdp)
      """.utf8)
  }

  /// ACK or BYE of the caller, in the dialog that `response` made; without one the ACK to a refusal.
  static func follow(_ method: String, _ n: Int, cseq: Int, from: Endpoint, response: [Substring], branch: Int)
    -> [UInt8]
  {
    let contact = header("Contact", in: response).map { $0.dropFirst().dropLast() } ?? "sip:1001@127.0.0.1:5060"
    return Array(
      """
      \(method) \(contact) SIP/2.0\r
      Via: SIP/2.0/UDP \(from);branch=z9hG4bK-12345-\(n)-\(branch);rport\r
      From: <sip:1000@nightjar.test>;tag=12345a\(n)\r
      To: \(header("To", in: response)!)\r
      Call-ID: \(n)-12345@127.0.0.2\r
      CSeq: \(cseq) \(method)\r
      Max-Forwards: 70\r
      Content-Length: 0\r
      \r\n
      """.utf8)
  }

  /// The callee's answer to a request of the server.
  static func answer(_ status: String, to request: [Substring], tag: String?, sdp: Bool = false) -> [UInt8] {
    let body = sdp ? Texts.sdp : ""
    return Array(
      """
      SIP/2.0 \(status)\r
      Via: \(header("Via", in: request)!)\r
      From: \(header("From", in: request)!)\r
      To: \(header("To", in: request)!)\(tag.map { ";tag=\($0)" } ?? "")\r
      Call-ID: \(header("Call-ID", in: request)!)\r
      CSeq: \(header("CSeq", in: request)!)\r
      Contact: <sip:uas@127.0.0.8:5080;transport=UDP>\r
      \(sdp ? "Content-Type: application/sdp\r\n" : "")Content-Length: \(body.utf8.count)\r
      \r
      \(body)
      """.utf8)
  }

  static func register(_ n: Int, user: Int, cseq: Int, authorization: String? = nil) -> [UInt8] {
    let line = authorization.map { "Authorization: \($0)\r\n" } ?? ""
    return Array(
      """
      REGISTER sip:nightjar.test SIP/2.0\r
      Via: SIP/2.0/UDP \(Server.stranger);branch=z9hG4bK-12345-\(n)-\(cseq);rport\r
      From: <sip:\(user)@nightjar.test>;tag=12345a\(n)\r
      To: <sip:\(user)@nightjar.test>\r
      Call-ID: \(n)-12345@127.0.0.3\r
      CSeq: \(cseq) REGISTER\r
      Max-Forwards: 70\r
      Contact: <sip:\(user)@\(Server.stranger);transport=UDP>\r
      Expires: 3600\r
      \(line)Content-Length: 0\r
      \r\n
      """.utf8)
  }

  static func authorization(_ challenge: Substring, user: Int, method: String, uri: String, n: Int) -> String {
    let value = DigestClient.authorization(
      challenge: Array(challenge.utf8)[...], user: "\(user)", password: "secret", method: Array(method.utf8)[...],
      uri: Array(uri.utf8)[...], cnonce: Array("cnonce\(n)".utf8)[...], nc: 1)
    return String(decoding: value!, as: UTF8.self)
  }

  static func lines(_ bytes: [UInt8]) -> [Substring] { String(decoding: bytes, as: UTF8.self).split(separator: "\r\n") }

  static func header(_ name: String, in lines: [Substring]) -> Substring? {
    lines.first { $0.hasPrefix(name + ": ") }.map { $0.dropFirst(name.utf8.count + 2) }
  }
}
