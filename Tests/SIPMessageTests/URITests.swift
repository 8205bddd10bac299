import NetCore
import SIPMessage
import Testing

@Suite("RFC 3261 §19.1: URIs")
struct URITests {
  @Test("RFC 3261 §19.1.1: the parts")
  func parts() throws {
    let u = try uri("SIPS:al%69ce;x=1:pass@Example.COM:5061;transport=TLS;lr;m%61ddr=10.0.0.1?subject=a&to=b")
    #expect(u.scheme == .sips && text(u.user) == "al%69ce;x=1" && text(u.decodedUser) == "alice;x=1")
    #expect(text(u.password) == "pass" && text(u.host) == "Example.COM" && u.port == 5061 && u.transport == .tls)
    #expect(u.parameter("lr") == .some(nil) && text(u.parameter("maddr") ?? nil) == "10.0.0.1")
    #expect(u.parameter("none") == nil && text(u.headersPart) == "subject=a&to=b")
    #expect(text(u.aorKey) == "alice;x=1@example.com")
  }

  @Test("hosts without a user; IPv6; what phones dial")
  func hosts() throws {
    let plain = try uri("sip:example.com")
    #expect(plain.user == nil && text(plain.host) == "example.com" && text(plain.aorKey) == "@example.com")
    let six = try uri("sip:[2001:db8::1]:5070;transport=tcp")
    #expect(text(six.host) == "[2001:db8::1]" && six.port == 5070 && six.transport == .tcp)
    #expect(text(try uri("sip:*98#@h").decodedUser) == "*98#")
    #expect(try uri("sip:a@h;transport=sctp").transport == nil)
  }

  @Test("RFC 3966: tel, and schemes that are not ours")
  func others() throws {
    let tel = try uri("tel:+1-201-555-0123;phone-context=example.com")
    #expect(tel.scheme == .tel && text(tel.user) == "+1-201-555-0123" && tel.host.isEmpty)
    #expect(text(tel.parameter("phone-context") ?? nil) == "example.com")
    let urn = try uri("urn:service:sos")
    #expect(urn.scheme == .other && text(urn.schemeName) == "urn" && urn.user == nil && urn.port == nil)
    #expect(try tel.isEquivalent(to: uri("tel:+12015550123;phone-context=EXAMPLE.com")))
    #expect(try !tel.isEquivalent(to: uri("tel:+12015550123")))
    #expect(try urn.isEquivalent(to: uri("urn:service:sos")) && !urn.isEquivalent(to: uri("urn:service:fire")))
  }

  static let equal: [(String, String)] = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
      "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
      "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
    ),
    (
      "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
      "sip:alice@atlanta.com?priority=urgent&subject=project%20x"
    ),
    ("sip:a@h;%6C%72", "sip:a@h;lr"), ("SIP:a@h", "sip:a@h"), ("sip:a:p@h", "sip:a:p@h"),
    ("sip:%00@h", "sip:%00@h"), ("sip:a@h;lr", "sip:a@h"),
  ]

  static let different: [(String, String)] = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@h", "sips:a@h"), ("sip:a@h;user=phone", "sip:a@h"), ("sip:a@h;ttl=1", "sip:a@h"),
    ("sip:a@h;method=INVITE", "sip:a@h"), ("sip:a@h;maddr=1.2.3.4", "sip:a@h"), ("sip:a:p@h", "sip:a@h"),
    ("sip:a%3Bb@h", "sip:a;b@h"), ("sip:%00@h", "sip:%00%00@h"), ("sip:h", "sip:a@h"),
    ("sip:a@h?x=1", "sip:a@h?x=2"), ("sip:a@h?x=1", "sip:a@h?x=1&y=1"), ("sip:a@h;lr", "sip:a@h;lr=on"),
  ]

  @Test("RFC 3261 §19.1.4: equivalent", arguments: equal)
  func equivalent(_ a: String, _ b: String) throws {
    #expect(try uri(a).isEquivalent(to: uri(b)) && uri(b).isEquivalent(to: uri(a)))
  }

  @Test("RFC 3261 §19.1.4: not equivalent", arguments: different)
  func notEquivalent(_ a: String, _ b: String) throws {
    #expect(try !uri(a).isEquivalent(to: uri(b)) && !uri(b).isEquivalent(to: uri(a)))
  }

  @Test(
    "malformed",
    arguments: [
      "", ":", "sip", "sip:", "1sip:a@h", "sip:a b@h", "sip:a@h>", "sip:a@", "sip:@h", "sip:a@h:0x10", "sip:a@[x]",
      "sip:a@[]", "sip:a@h/x", "sip:a@h;", "sip:a@h;=x", "tel:", "tel:;x", "sip:a\u{e9}@h", "sip:a@h:65536", "sip:a%@h",
    ])
  func malformed(_ text: String) {
    #expect(throws: SIPError.self) { try uri(text) }
  }

  @Test("a view keeps its place in the array it was cut from")
  func offsets() throws {
    let whole = Array("xxxx<sip:bob@host:5070;lr>".utf8)
    let u = try URI(parsing: whole[5..<25])
    #expect(text(u.user) == "bob" && text(u.host) == "host" && u.port == 5070 && u.parameter("lr") == .some(nil))
  }
}

@Suite("RFC 3261 §20.10: addresses")
struct NameAddressTests {
  @Test("forms")
  func forms() throws {
    func address(_ text: String) throws(SIPError) -> NameAddress { try NameAddress(parsing: bytes(text)) }
    let quoted = try address(#""A \"B\", C" <sip:a@h;lr?x=y> ; tag = 1 ;q=0.5;+sip.instance="<urn:uuid:1>""#)
    #expect(quoted.displayName == #"A "B", C"# && text(quoted.tag) == "1" && quoted.qValue == 500)
    #expect(text(quoted.uri.bytes) == "sip:a@h;lr?x=y")
    #expect(text(quoted.parameter("+sip.instance") ?? nil) == "\"<urn:uuid:1>\"")
    #expect(
      text(quoted.parameters)?.hasPrefix("; tag = 1") == true || text(quoted.parameters)?.hasPrefix(" ; tag") == true)
    let bare = try address("sip:a@h;tag=x;expires=5")
    #expect(
      bare.displayName == nil && text(bare.uri.bytes) == "sip:a@h" && text(bare.parameter("EXPIRES") ?? nil) == "5")
    #expect(try address("Jörg Müller<sip:a@h>").displayName == "Jörg Müller")
    #expect(try address("<sip:a@h>").parameters.isEmpty)
    #expect(try address("\"\" <sip:a@h>").displayName == "")
  }

  @Test(
    "RFC 3261 §20.10: q", arguments: [("1", 1000), ("0", 0), ("0.7", 700), ("1.000", 1000), ("0.333", 333), ("0.", 0)])
  func q(_ text: String, _ expected: Int) throws {
    #expect(try NameAddress(parsing: bytes("<sip:a@h>;q=\(text)")).qValue == expected)
  }

  @Test("malformed q", arguments: ["2", "1.1", "0.3333", "x", "0x5", "-1"])
  func badQ(_ text: String) throws {
    #expect(try NameAddress(parsing: bytes("<sip:a@h>;q=\(text)")).qValue == nil)
  }
}
