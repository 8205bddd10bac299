import CallEngine
import NetCore
import SIPMessage
import Testing

@Suite("RFC 3261 §10.3: the registrar")
struct RegistrarTests {
  let table = BindingTable(stripes: 4)
  let settings = RegistrarSettings(minExpires: 60, maxExpires: 3600, maxContacts: 3)

  /// What came of a REGISTER, in a form that reads well in an expectation.
  struct Answer: Equatable, CustomStringConvertible {
    var status = 200
    var contacts: [String] = []
    /// `+uri` and `-uri`.
    var changes: [String] = []
    var minExpires: Int?
    var reason = ""
    var description: String { "\(status) \(reason) \(contacts) \(changes)" }
  }

  static func message(
    _ headers: String, callID: String = "a", cseq: Int = 1, to: String = "<sip:1000@nightjar.local>", flow: Flow? = nil
  ) throws -> Message {
    let raw =
      "REGISTER sip:nightjar.local SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:1000@nightjar.local>;tag=1\r\n"
      + "To: \(to)\r\nCall-ID: \(callID)\r\nCSeq: \(cseq) REGISTER\r\n\(headers)Content-Length: 0\r\n\r\n"
    return try MessageParser.parse(Array(raw.utf8), flow: flow ?? RegistrarTests.flow())
  }

  static func flow(connection: UInt64 = 0, port: UInt16 = 5070) -> Flow {
    let ip = IPAddress(v4: 0x7f00_0001)
    return Flow(
      transport: connection == 0 ? .udp : .tcp, listener: 0, connection: connection, remote: Endpoint(ip, port),
      local: Endpoint(ip, 5060))
  }

  @discardableResult
  private func register(
    _ headers: String, callID: String = "a", cseq: Int = 1, at now: Int64 = 1000,
    to: String = "<sip:1000@nightjar.local>"
  ) throws -> Answer {
    let message = try RegistrarTests.message(headers, callID: callID, cseq: cseq, to: to)
    switch Registrar(table: table).process(message, user: "1000", nowSeconds: now, settings: settings) {
    case .ok(let bindings, let changes):
      return Answer(
        contacts: bindings.map { String(decoding: $0.contactValue(nowSeconds: now), as: UTF8.self) },
        changes: changes.map {
          switch $0 {
          case .upsert(_, let binding): "+" + String(decoding: binding.contact, as: UTF8.self)
          case .remove(_, let contact): "-" + String(decoding: contact, as: UTF8.self)
          }
        })
    case .failure(let status, let reason, let minExpires):
      return Answer(status: status, minExpires: minExpires, reason: reason)
    }
  }

  @Test("RFC 3261 §10.2.1: a binding is made, refreshed, listed and removed")
  func life() throws {
    #expect(try register("").contacts.isEmpty)
    let made = try register("Contact: <sip:a@h:5070;transport=tcp>\r\nExpires: 300\r\n")
    #expect(
      made.contacts == ["<sip:a@h:5070;transport=tcp>;expires=300"] && made.changes == ["+sip:a@h:5070;transport=tcp"])
    #expect(try register("", at: 1100) == Answer(contacts: ["<sip:a@h:5070;transport=tcp>;expires=200"]))
    let refreshed = try register("Contact: <sip:a@H:5070;transport=TCP>;expires=60\r\n", cseq: 2, at: 1100)
    #expect(refreshed.contacts == ["<sip:a@H:5070;transport=TCP>;expires=60"])
    #expect(refreshed.changes == ["-sip:a@h:5070;transport=tcp", "+sip:a@H:5070;transport=TCP"])
    let removed = try register("m: <sip:a@h:5070;transport=tcp>;expires=0\r\n", cseq: 3, at: 1100)
    #expect(removed.contacts.isEmpty && removed.changes == ["-sip:a@H:5070;transport=TCP"])
    #expect(try register("Contact: <sip:none@h>;expires=0\r\n", cseq: 4) == Answer())
    #expect(table.counts == (0, 0))
  }

  @Test("RFC 3261 §10.3 step 8: several contacts, the best q first; expires of its own before the header's")
  func several() throws {
    let answer = try register(
      "Contact: <sip:a@h>;q=0.3, \"B\" <sip:b@h>;expires=120\r\nContact: sip:c@h;q=0.75;+sip.instance=\"<urn:uuid:1>\"\r\n"
        + "Expires: 600\r\n")
    #expect(
      answer.contacts == [
        "<sip:b@h>;expires=120", "<sip:c@h>;expires=600;q=0.750;+sip.instance=\"<urn:uuid:1>\"",
        "<sip:a@h>;expires=600;q=0.300",
      ])
    #expect(table.lookup(user: Array("1000".utf8), nowSeconds: 1120).map(\.q) == [750, 300])
  }

  @Test(
    "RFC 3261 §10.3 step 7, §20.10: lifetimes",
    arguments: [
      ("Contact: <sip:a@h>\r\n", 3600), ("Contact: <sip:a@h>\r\nExpires: 99999\r\n", 3600),
      ("Contact: <sip:a@h>;expires=60\r\n", 60), ("Contact: <sip:a@h>;expires=junk\r\nExpires: 100\r\n", 3600),
      ("Contact: <sip:a@h>;expires\r\n", 3600), ("Contact: <sip:a@h>;expires=\"90\"\r\n", 3600),
      ("Contact: <sip:a@h>\r\nExpires: 99999999999999999999\r\n", 3600), ("Contact: <sip:a@h>\r\nExpires: x\r\n", 3600),
    ])
  func lifetimes(_ headers: String, _ seconds: Int) throws {
    #expect(try register(headers).contacts == ["<sip:a@h>;expires=\(seconds)"])
  }

  @Test("RFC 3261 §21.4.17: too brief an interval changes nothing")
  func tooBrief() throws {
    let answer = try register("Contact: <sip:a@h>;expires=600, <sip:b@h>;expires=59\r\n")
    #expect(answer == Answer(status: 423, minExpires: 60, reason: "Interval Too Brief"))
    #expect(table.counts == (0, 0))
  }

  @Test("RFC 3261 §10.2.2: * removes all, with Expires: 0 and alone")
  func star() throws {
    try register("Contact: <sip:a@h>, <sip:b@h>\r\n")
    try register("Contact: <sip:c@h>\r\n", callID: "other", cseq: 9)
    for bad in [
      "Contact: *\r\n", "Contact: *\r\nExpires: 60\r\n", "Contact: *\r\nContact: <sip:a@h>\r\nExpires: 0\r\n",
      "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
    ] { #expect(try register(bad, cseq: 2).status == 400) }
    #expect(table.counts == (1, 3))
    #expect(try register("Contact: *\r\nExpires: 0\r\n", cseq: 1).status == 500)
    let gone = try register("Contact: *\r\nExpires: 0\r\n", cseq: 2)
    #expect(gone.contacts.isEmpty && gone.changes.sorted() == ["-sip:a@h", "-sip:b@h", "-sip:c@h"])
    #expect(table.counts == (0, 0))
  }

  @Test("RFC 3261 §10.3 step 7: a lower or equal CSeq of the same Call-ID fails, and nothing of it is done")
  func order() throws {
    try register("Contact: <sip:a@h>\r\n", cseq: 5)
    for cseq in [4, 5] {
      let late = try register("Contact: <sip:new@h>, <sip:a@h>;expires=0\r\n", cseq: cseq)
      #expect(late.status == 500 && late.reason == "CSeq Out Of Order")
    }
    #expect(try register("").contacts == ["<sip:a@h>;expires=3600"])
    #expect(try register("Contact: <sip:a@h>;expires=0\r\n", callID: "rebooted", cseq: 1).contacts.isEmpty)
  }

  @Test("the same contact twice in one REGISTER: the last one counts")
  func twice() throws {
    let answer = try register("Contact: <sip:a@h>;expires=100, <sip:%61@h>;expires=200\r\n")
    #expect(answer.contacts == ["<sip:%61@h>;expires=200"] && table.counts == (1, 1))
    #expect(try register("Contact: <sip:a@h>, <sip:a@h>;expires=0\r\n", cseq: 2).contacts.isEmpty)
  }

  @Test("RFC 3261 §19.1.4: contacts are compared as URIs")
  func equality() throws {
    try register("Contact: <sip:a@h>\r\n")
    #expect(try register("Contact: <sip:a@h:5060>\r\n", cseq: 2).contacts.count == 2)
    #expect(try register("Contact: <sip:a@H;x=y>\r\n", cseq: 3).contacts.count == 2)
    #expect(try register("Contact: <sip:A@h>\r\n", cseq: 4).contacts.count == 3)
  }

  @Test("no more than maxContacts; those that have ended do not count")
  func limit() throws {
    try register("Contact: <sip:a@h>;expires=60, <sip:b@h>, <sip:c@h>\r\n")
    let refused = try register("Contact: <sip:d@h>\r\n", callID: "b")
    #expect(refused == Answer(status: 403, reason: "Too Many Contacts"))
    #expect(try register("").contacts.count == 3)
    let later = try register("Contact: <sip:d@h>\r\n", callID: "b", cseq: 2, at: 1060)
    #expect(later.contacts.count == 3 && later.changes == ["-sip:a@h", "+sip:d@h"])
  }

  @Test("a phone that restarts with a new port pushes out its own oldest contact, nobody else's")
  func instance() throws {
    func contact(_ port: Int, _ instance: Int) -> String {
      "Contact: <sip:a@h:\(port)>;+sip.instance=\"<urn:uuid:\(instance)>\"\r\n"
    }
    try register(contact(1, 1), callID: "1")
    try register(contact(2, 1), callID: "2", at: 1001)
    try register(contact(3, 2), callID: "3", at: 1002)
    let fourth = try register(contact(4, 1), callID: "4", at: 1003)
    #expect(fourth.status == 200 && fourth.changes == ["+sip:a@h:4", "-sip:a@h:1"])
    #expect(try register(contact(5, 3), callID: "5", at: 1004).status == 403)
  }

  @Test("RFC 5626 §6: instance and reg-id make the binding, whatever its URI")
  func outbound() throws {
    try register("Contact: <sip:a@h:1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n")
    let moved = try register("Contact: <sip:a@h:2>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n", callID: "b")
    #expect(moved.contacts == ["<sip:a@h:2>;expires=3600;+sip.instance=\"<urn:uuid:1>\";reg-id=1"])
    #expect(
      try register("Contact: <sip:a@h:3>;reg-id=2;+sip.instance=\"<urn:uuid:1>\"\r\n", callID: "c").contacts.count == 2)
  }

  @Test(
    "RFC 4475 §3.3.4: what is no SIP address is refused",
    arguments: [
      ("Contact: <name:John_Smith>\r\n", "<sip:1000@h>"), ("Contact: <sip:a@h>\r\n", "isbn:2983792873"),
      ("Contact: <tel:123>\r\n", "<sip:1000@h>"),
      ("Contact: <sip:\(String(repeating: "a", count: 2100))@h>\r\n", "<sip:1000@h>"),
    ])
  func schemes(_ headers: String, _ to: String) throws {
    #expect(try register(headers, to: to).status == 400)
  }

  @Test("RFC 4475 §3.3.13, §3.3.14, §3.1.1.4: parameters and headers inside <> are kept; a NUL ends nothing")
  func verbatim() throws {
    let answer = try register("Contact: <sip:a@h;unknownparam>, <sip:b@h?Route=%3Csip:x%3E>, <sip:%00@h>\r\n")
    #expect(
      answer.contacts.map { $0.prefix { $0 != ">" } }.sorted() == [
        "<sip:%00@h", "<sip:a@h;unknownparam", "<sip:b@h?Route=%3Csip:x%3E",
      ])
  }

  @Test("what is kept of a REGISTER")
  func details() throws {
    try register("Contact: <sip:a@h>\r\nUser-Agent: Phone/1\r\nPath: <sip:p1;lr>, <sip:p2;lr>\r\n", cseq: 7)
    let binding = try #require(table.lookup(user: Array("1000".utf8), nowSeconds: 1000).first)
    #expect(binding.userAgent == Array("Phone/1".utf8)[...])
    #expect(binding.cseq == 7 && binding.callID == [UInt8(ascii: "a")])
    #expect(binding.path == [Array("<sip:p1;lr>".utf8), Array("<sip:p2;lr>".utf8)])
    #expect(binding.flow == RegistrarTests.flow() && binding.expires == 4600)
  }
}
