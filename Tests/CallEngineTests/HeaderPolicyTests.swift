import CallEngine
import NetCore
import SIPMessage
import Testing

private func message(_ headers: String) throws -> Message {
  let text =
    "INVITE sip:1001@nightjar.local SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    + "From: <sip:1@x>;tag=1\r\nTo: <sip:2@x>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\(headers)\r\nContent-Length: 0\r\n\r\n"
  let here = Endpoint(IPAddress(v4: 0x7f00_0001), 5060)
  return try MessageParser.parse(
    Array(text.utf8), flow: Flow(transport: .udp, listener: 0, remote: here, local: here))
}

private func passing(_ headers: String, _ changes: HeaderChanges = HeaderChanges()) throws -> [String] {
  var lines: [String] = []
  for line in try message(headers).headers where HeaderPolicy.passes(line) && !changes.replaces(line) {
    lines.append(String(decoding: line.line, as: UTF8.self))
  }
  return lines + changes.added.map { "\(text($0.name)): \(text($0.value))" }
}

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct HeaderPolicyTests {
  @Test("The allow-list crosses byte for byte: folding, case, compact names and blanks included")
  func allowed() throws {
    let lines = [
      "Subject:  Need  more\r\n   boxes", "s: compact", "PRIORITY : emergency",
      "Alert-Info: <http://x/r.wav>;info=alert-autoanswer", "Call-Info: <sip:x>;answer-after=0",
      "User-to-User: 00FF;encoding=hex", "X-Foo: bar", "x-foo: again, \"q\\\"\"", "X-A:",
    ]
    #expect(try passing(lines.joined(separator: "\r\n")) == lines.map { $0 == "X-A:" ? "X-A:" : $0 })
  }

  @Test(
    "What belongs to a leg stays there",
    arguments: [
      "Supported: 100rel, timer, replaces", "k: path", "Require: x-foo", "Proxy-Require: sec-agree", "Allow: INVITE",
      "Allow-Events: x", "Route: <sip:x;lr>", "Record-Route: <sip:x;lr>", "Path: <sip:x>", "Service-Route: <sip:x>",
      "Contact: <sip:x>", "Authorization: Digest username=\"x\"", "Proxy-Authorization: Digest x=\"y\"",
      "Session-Expires: 1800", "Min-SE: 90", "RSeq: 1", "Replaces: a;to-tag=b;from-tag=c", "Referred-By: <sip:x>",
      "P-Asserted-Identity: <sip:x>", "P-Preferred-Identity: <sip:x>", "Remote-Party-ID: <sip:x>", "Privacy: id",
      "Diversion: <sip:x>", "History-Info: <sip:x>", "User-Agent: phone", "Server: x", "Organization: x", "Date: x",
      "Timestamp: 1", "Content-Disposition: session", "Content-Encoding: gzip", "Accept: */*", "Accept-Language: de",
      "Reason: SIP;cause=200", "Warning: 399 x \"y\"", "Event: x", "Expires: 60", "In-Reply-To: x", "Reply-To: <sip:x>",
      "Error-Info: <sip:x>", "MIME-Version: 1.0", "P-Charging-Vector: x", "Identity: x", "Geolocation: <cid:x>", "X: y",
      "XX-Y: z",
    ])
  func refused(line: String) throws {
    #expect(try passing(line) == [])
  }

  @Test("A script replaces, adds and removes, by any case and by compact names")
  func changes() throws {
    let came = "Subject: old\r\nX-A: 1\r\nX-A: 2\r\nX-B: 3"
    var changes = HeaderChanges()
    #expect(changes.isEmpty)
    #expect(try passing(came, changes) == ["Subject: old", "X-A: 1", "X-A: 2", "X-B: 3"])
    changes.add(bytes("X-A"), bytes("4"))
    #expect(try passing(came, changes) == ["Subject: old", "X-A: 1", "X-A: 2", "X-B: 3", "X-A: 4"])
    changes.set(bytes("x-a"), bytes("5"))
    #expect(try passing(came, changes) == ["Subject: old", "X-B: 3", "x-a: 5"])
    changes.remove(bytes("S"))
    changes.remove(bytes("X-a"))
    #expect(try passing(came, changes) == ["X-B: 3"])
    changes.set(bytes("Subject"), bytes("new"))
    changes.add(bytes("X-New"), bytes("6"))
    changes.add(bytes("X-New"), bytes("7"))
    #expect(try passing(came, changes) == ["X-B: 3", "Subject: new", "X-New: 6", "X-New: 7"])
    #expect(changes.value(bytes("x-new")) == bytes("6"))
    #expect(changes.values(bytes("X-NEW")) == [bytes("6"), bytes("7")])
    #expect(changes.value(bytes("s")) == bytes("new"))
    #expect(changes.value(bytes("X-A")) == nil && changes.replaces(named: bytes("X-A")))
    #expect(!changes.isEmpty)
  }

  @Test(
    "The server's own headers are not a script's",
    arguments: [
      "Via", "v", "From", "f", "To", "Call-ID", "i", "CSeq", "Max-Forwards", "Contact", "m", "Route", "Record-Route",
      "Content-Length", "l", "Content-Type", "c", "Require", "Supported", "k", "Allow", "Authorization",
      "Proxy-Authorization", "WWW-Authenticate", "Session-Expires", "x", "P-Asserted-Identity", "Privacy", "Replaces",
      "Refer-To", "r", "Event", "o", "", "a b", "a:b", "a\r\nb", "ü",
    ])
  func protected(name: String) throws {
    var changes = HeaderChanges()
    let done = [
      changes.set(bytes(name), bytes("1")), changes.add(bytes(name), bytes("1")), changes.remove(bytes(name)),
    ]
    #expect(done == [false, false, false])
    #expect(changes.isEmpty)
  }

  @Test(
    "What is a script's", arguments: ["X-Foo", "Subject", "Alert-Info", "Diversion", "History-Info", "Date", "Foo"])
  func scriptable(name: String) { #expect(HeaderPolicy.isScriptable(bytes(name)[...])) }
}
