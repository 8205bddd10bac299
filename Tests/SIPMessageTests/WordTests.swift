import SIPMessage
import Testing

// What is done eight octets at a time, against what it means octet by octet: every length and every offset around a
// word's end, every octet.

@testable import struct SIPMessage.HeaderNameTable
@testable import enum SIPMessage.Hex
@testable import struct SIPMessage.OctetSet
@testable import enum SIPMessage.Word

@Suite("Octets by the word")
struct WordTests {
  private static func lower(_ c: UInt8) -> UInt8 { c >= 0x41 && c <= 0x5a ? c + 0x20 : c }

  struct Class: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var set: OctetSet
    var more: String
    /// Letters and digits are in every one of them.
    var alphanumeric = true
    var beyond = false
  }

  @Test(
    "RFC 3261 §25.1: the character classes, all 256 octets of each",
    arguments: [
      Class(testDescription: "token", set: .token, more: "-.!%*_+`'~"),
      Class(testDescription: "URI less @ and %", set: .uri, more: "!#$&'()*+,-./:;=?[\\]^_`{|}~"),
      Class(testDescription: "host", set: .host, more: "-._"),
      Class(testDescription: "scheme", set: .scheme, more: "+-."),
      Class(
        testDescription: "display name", set: .displayName, more: " \t\r\n!#$%&'()*+-./=@[]^_`{|}~", beyond: true),
      Class(testDescription: "parameter value", set: .parameterValue, more: "!#$%&'()*+-./:=?@[]^_`{|}~"),
      Class(testDescription: "visible", set: .visible, more: "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
      Class(testDescription: "LWS", set: .lws, more: " \t\r\n", alphanumeric: false),
    ])
  func classes(_ c: Class) {
    var members = Set(c.more.unicodeScalars.map { UInt8($0.value) })
    if c.alphanumeric { for first in Array("Aa".utf8) { members.formUnion(first..<first + 26) } }
    if c.alphanumeric { members.formUnion(0x30...0x39) }
    if c.beyond { members.formUnion(128...255) }
    var wrong: [UInt8] = []
    for octet in UInt8.min ... .max {
      let isMember = members.contains(octet)
      if c.set.contains(octet) != isMember { wrong.append(octet) }
      // At each place of a run, and at its end.
      for n in 0...9 {
        let run = [UInt8](repeating: 0x61, count: c.alphanumeric ? n : 0) + [octet, 0x22, 0x61]
        let at = run.count - 3
        if run.span.skip(c.set, 0, at + 1) != at + (isMember ? 1 : 0) { wrong.append(octet) }
      }
    }
    #expect(wrong == [])
  }

  @Test("case is folded for A to Z and nothing else, at each place of a word")
  func lowercase() {
    var wrong: [UInt8] = []
    for c in UInt8.min ... .max {
      for k in 0..<8 {
        var octets = [UInt8](repeating: 0xff, count: 8)
        octets[k] = c
        let word = Word.lowercased(octets.span.load(0))
        for j in 0..<8 {
          if UInt8(truncatingIfNeeded: word >> UInt64(8 * j)) != (j == k ? Self.lower(c) : 0xff) { wrong.append(c) }
        }
      }
    }
    #expect(wrong == [])
  }

  @Test("a text is a word of its own up to eight octets, wherever its memory ends", arguments: 0...10)
  func words(_ n: Int) {
    let text = Array("aBcDeFgHiJ".utf8.prefix(n))
    for behind in 0...9 {
      let octets = text + [UInt8](repeating: 0x58, count: behind)
      var expected: UInt64 = 0
      if n <= 8 { for k in 0..<n { expected |= UInt64(Self.lower(text[k])) << UInt64(8 * k) } }
      let word = octets.span.word(0, n)
      #expect(word == expected)
    }
    let ended = text + [0]
    let word = ended.span.word(0, n + 1)
    #expect(word == 0, "a NUL at the end would not show")
  }

  @Test("an octet and a line break are found at each place, past octets that are near", arguments: 0...20)
  func search(_ place: Int) {
    for filler: UInt8 in [0x00, 0x09, 0x0b, 0x0c, 0x0e, 0x20, 0x39, 0x3b, 0x7f, 0x80, 0x8a, 0x8d, 0xba, 0xff] {
      for tail in 0...9 {
        var octets = [UInt8](repeating: filler, count: place + 1 + tail)
        octets[place] = 0x3a
        var found = octets.span.find(0x3a, 0, octets.count)
        #expect(found == place)
        found = octets.span.find(0x3a, 0, place)
        #expect(found == nil)
        for end: UInt8 in [0x0d, 0x0a] {
          octets[place] = end
          let (all, before) = (octets.span.lineBreak(0, octets.count), octets.span.lineBreak(0, place))
          #expect(all == place && before == place)
        }
        octets[place] = 0
        let (all, before) = (octets.span.hasControl(0, octets.count), octets.span.hasControl(0, place))
        #expect(all && before == (place > 0 && filler < 0x0e))
      }
    }
  }

  @Test("texts are the same octet by octet", arguments: 0...18)
  func same(_ n: Int) {
    let a = (0..<n).map { UInt8(truncatingIfNeeded: 0x79 + $0) }
    #expect(a[...].hasSameOctets(as: ([1] + a).dropFirst()))
    #expect(!a[...].hasSameOctets(as: (a + [0])[...]))
    for k in 0..<n {
      var b = a
      b[k] ^= 0x20
      let shorter = a.span.sameOctets(0..<n, 0..<(n - 1))
      #expect(!a[...].hasSameOctets(as: b[...]) && !shorter)
    }
  }

  @Test("RFC 3261 §7.3.1: a header's name before its colon", arguments: HeaderName.allCases.filter { $0 != .other })
  func names(_ name: HeaderName) {
    let text = Array("\(name.text)".utf8)
    for (written, known) in [
      (text, true), (text.map(Self.lower), true), (Array("\(name.text)".uppercased().utf8), true),
      (text + [0], false), (text + [0x20], false), (text.map { $0 == 0x2d ? 0x0d : $0 }, !text.contains(0x2d)),
      (text.map { $0 | 0x80 }, false), (text.map { $0 & 0x5f }, !text.contains(0x2d)), (text.dropLast() + [0], false),
    ] {
      for tail in 0...24 {
        let line = written + [0x3a] + [UInt8](repeating: 0x3a, count: tail)
        let found = HeaderNameTable.shared.find(line.span, before: line.count, from: 0)
        // Where too little follows nothing is found, and the line is looked at octet by octet.
        let words = (written.count / 8 + 1) * 8
        #expect((found != nil) == (known && line.count >= words), "\(written) \(tail)")
        if let found { #expect(found.name == name && found.colon == written.count) }
      }
    }
  }

  @Test("RFC 3261 §7.3.1: blanks before the colon, unknown and compact names, near the end of the message")
  func headerEnds() throws {
    for (last, name) in [
      ("l: 0", HeaderName.contentLength), ("L:0", .contentLength), ("Content-Length:0", .contentLength),
      ("Content-Length : 0", .contentLength), ("content-length\t:  0  ", .contentLength), ("X:", .sessionExpires),
      ("Y:", .other), ("Subject:", .subject), ("Via-X: 0", .other), ("X-Custom-Thing-That-Is-Longer: 0", .other),
    ] {
      let request = Fixture.request().replacing("Content-Length: 0", with: last)
      let line = try #require(try Fixture.parse(request).headers.map { $0 }.last)
      #expect(line.name == name && line.nameBytes.count == last.prefix { $0 != ":" && $0 != " " && $0 != "\t" }.count)
      #expect(text(line.value) == (last.contains("0") ? "0" : ""))
    }
  }

  @Test("hex digits, all octets at all places")
  func hex() {
    for value: UInt32 in [0, 1, 0x9abc_def0, 0x0123_4567, .max, 0xa0a0_a0a0, 0x8000_0001] {
      let digits = Hex.digits(value)
      let written = String(value, radix: 16)
      let expected = Array((String(repeating: "0", count: 8 - written.count) + written).utf8)
      #expect((0..<8).map { UInt8(truncatingIfNeeded: digits >> UInt64(8 * $0)) } == expected)
      #expect(Hex.value(digits) == UInt64(value))
    }
    for c in UInt8.min ... .max {
      let isDigit = Array("0123456789abcdef".utf8).contains(c)
      for k in 0..<8 {
        var octets = Array("0a9f0a9f".utf8)
        octets[k] = c
        let value = Hex.value(octets.span.load(0))
        #expect((value != nil) == isDigit, "\(c)")
      }
    }
  }

  @Test("RFC 3261 §7.1: methods of any length, in their case only", arguments: [0, 1, 2, 3, 7, 8, 9, 10])
  func methods(_ n: Int) {
    for method in Method.allCases where method != .unknown {
      let name = Array("\(method.name)".utf8)
      let cut = Array(name.prefix(n))
      #expect(Method(cut[...]) == (cut == name ? method : .unknown))
      #expect(Method((name + [0])[...]) == .unknown && Method((name + [0x45])[...]) == .unknown)
      #expect(Method(name.map { $0 | 0x80 }[...]) == .unknown)
    }
  }

  @Test("values with CR, LF or NUL at each place are cleaned, tabs are left", arguments: 0...17)
  func cleaned(_ place: Int) {
    for c: UInt8 in [0x00, 0x09, 0x0a, 0x0d, 0x1f, 0x80] {
      var value = [UInt8](repeating: 0x61, count: 18)
      value[place] = c
      var w = MessageWriter()
      w.header(.subject, value)
      var expected = value
      if c == 0 || c == 0x0a || c == 0x0d { expected[place] = 0x20 }
      #expect(w.bytes == Array("Subject: ".utf8) + expected + [0x0d, 0x0a])
    }
  }

  @Test("RFC 3261 §8.2.6: a response repeats its request's lines in any order, with the tag behind To")
  func response() throws {
    let lines = [
      "t: Bob <sip:bob@h>  ", "X: 1", "From: <sip:a@h>;tag=1", "i : 7", "Timestamp: 5", "CSEQ: 1 OPTIONS",
      "Via: SIP/2.0/UDP h;RPORT;branch=z9hG4bKa;Received=1.1.1.1;received",
    ]
    for shift in 0..<lines.count {
      let order = lines[shift...] + lines[..<shift]
      let request = try Fixture.parse("OPTIONS sip:h SIP/2.0\r\n" + order.joined(separator: "\r\n") + "\r\n\r\n")
      for (status, toTag) in [(100, nil), (200, bytes("new"))] {
        var w = MessageWriter.response(to: request, status: status, toTag: toTag)
        w.finish()
        let answer = try MessageParser.parse(w.bytes, flow: Fixture.flow)
        #expect(text(answer.to.uri.bytes) == "sip:bob@h" && text(answer.toTag) == (toTag == nil ? nil : "new"))
        #expect(text(answer.callID) == "7" && text(answer.fromTag) == "1" && answer.cseq == 1)
        #expect(answer.has(.timestamp) == (status == 100) && !answer.headers.contains { $0.name == .other })
        #expect(
          text(answer.via.bytes) == "SIP/2.0/UDP h;branch=z9hG4bKa;rport=40000;received=127.0.0.2" && answer.hasOneVia)
      }
    }
  }

  @Test(
    "RFC 3261 §8.1.3.3: whether there is one Via only",
    arguments: [
      ("SIP/2.0/UDP h", "", true), ("SIP/2.0/UDP h;x=\"a,b\"", "", true), ("SIP/2.0/UDP h,", "", true),
      ("SIP/2.0/UDP h, SIP/2.0/UDP i", "", false), ("SIP/2.0/UDP h", "v: SIP/2.0/UDP i\r\n", false),
    ])
  func oneVia(_ via: String, _ more: String, _ expected: Bool) throws {
    #expect(try Fixture.parse(Fixture.request(via: via, headers: more)).hasOneVia == expected)
  }
}
