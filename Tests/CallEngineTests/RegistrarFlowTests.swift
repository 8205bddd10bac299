@testable import CallEngine
import NetCore
import SIPMessage
import Testing

/// Proxies between the phone and us, and the flows that they or we keep.
@Suite("RFC 3327, RFC 5626 §6: the registrar")
struct RegistrarFlowTests {
  let table = BindingTable(stripes: 4)

  private static func message(
    _ headers: [String], vias: Int = 1, callID: String = "a", cseq: Int = 1, connection: UInt64 = 0
  ) throws -> Message {
    let via = (0..<vias).map { "Via: SIP/2.0/UDP h\($0);branch=z9hG4bKa\($0)\r\n" }.joined()
    let raw =
      "REGISTER sip:nightjar.local SIP/2.0\r\n\(via)From: <sip:1000@nightjar.local>;tag=1\r\n"
      + "To: <sip:1000@nightjar.local>\r\nCall-ID: \(callID)\r\nCSeq: \(cseq) REGISTER\r\n"
      + headers.map { $0 + "\r\n" }.joined() + "Content-Length: 0\r\n\r\n"
    return try MessageParser.parse(Array(raw.utf8), flow: RegistrarTests.flow(connection: connection))
  }

  private func register(
    _ headers: String..., vias: Int = 1, callID: String = "a", cseq: Int = 1, connection: UInt64 = 0,
    path: PathPolicy = .accept
  ) throws -> (status: Int, reason: String, bindings: [Binding]) {
    var settings = RegistrarSettings(maxContacts: 10)
    settings.path = path
    let message = try RegistrarFlowTests.message(
      headers, vias: vias, callID: callID, cseq: cseq, connection: connection)
    switch Registrar(table: table).process(message, user: "1000", nowSeconds: 1000, settings: settings) {
    case .ok(let bindings, _): return (200, "", bindings)
    case .failure(let status, let reason, _): return (status, reason, [])
    }
  }

  static let flow1 = "Contact: <sip:a@h:1>;+sip.instance=\"<urn:uuid:1>\";reg-id=1"
  static let flow2 = "Contact: <sip:a@h:2>;+sip.instance=\"<urn:uuid:1>\";reg-id=2"

  @Test(
    "RFC 3327 §4: a Path that leads nowhere is 400, and nothing is bound",
    arguments: [
      "<>", "<sip:p1;lr>, <>", "<tel:1>", "<sip:p1>", "<sip:p1:0;lr>", "<sip:p1;lr?Route=%3Csip:x%3E>", "\"x",
      String(repeating: "<sip:p1;lr>,", count: 8) + "<sip:p1;lr>",
      "<sip:\(String(repeating: "a", count: 2100))@p1;lr>",
    ])
  func badPath(_ path: String) throws {
    let answer = try register("Contact: <sip:a@h>", "Path: \(path)", "Supported: path")
    #expect(answer.status == 400)
    #expect(table.counts == (0, 0))
  }

  @Test("RFC 3327 §5.3: without `Supported: path` a Path is kept all the same, or is 420 where that is configured")
  func support() throws {
    let kept = try register("Contact: <sip:a@h>", "Path: <sip:p2;lr>, <sip:p1;lr>")
    #expect(kept.bindings.first?.path.map { text($0) } == ["<sip:p2;lr>", "<sip:p1;lr>"])
    #expect(try register("Contact: <sip:a@h>", "Path: <sip:p1;lr>", cseq: 2, path: .strict).status == 420)
    #expect(
      try register("Contact: <sip:a@h>", "Path: <sip:p1;lr>", "Supported: x, PATH", cseq: 3, path: .strict).status
        == 200)
  }

  @Test("RFC 3261 §19.1.1: nobody listens on port 0")
  func portZero() throws {
    #expect(try register("Contact: <sip:a@h:0>").status == 400)
    #expect(table.counts == (0, 0))
  }

  @Test("RFC 5626 §6: behind a proxy that keeps no flow `reg-id` is refused with 439, or counts for nothing")
  func firstHop() throws {
    let refused = try register(RegistrarFlowTests.flow1, "Supported: path, outbound", vias: 2)
    #expect(refused.status == 439 && refused.reason == "First Hop Lacks Outbound Support")
    // The last value is of the proxy next to the phone.
    #expect(
      try register(
        RegistrarFlowTests.flow1, "Supported: outbound", "Path: <sip:p2;lr;ob>, <sip:p1;lr>", vias: 3
      ).status == 439)
    #expect(try register(RegistrarFlowTests.flow1, vias: 2).bindings.map(\.regID) == [nil])
    let kept = try register(
      RegistrarFlowTests.flow1, "Supported: outbound", "Path: <sip:p2;lr>, <sip:t0ken@p1;lr;ob>", vias: 3, cseq: 2)
    #expect(kept.bindings.map(\.regID) == [1])
    #expect(try register("Contact: <sip:a@h:1>;expires=0", vias: 2, cseq: 3).bindings.isEmpty)
  }

  @Test("RFC 5626 §6: directly at us two flows of an instance are two bindings; the same reg-id replaces")
  func flows() throws {
    #expect(try register(RegistrarFlowTests.flow1).bindings.count == 1)
    #expect(try register(RegistrarFlowTests.flow2, callID: "b").bindings.count == 2)
    let replaced = try register(
      "Contact: <sip:a@h:77>;+sip.instance=\"<urn:uuid:1>\";reg-id=2", callID: "c")
    #expect(Set(replaced.bindings.map { text($0.contact) }) == ["sip:a@h:1", "sip:a@h:77"])
    // §4.2: 0 is no reg-id, and without an instance there is none.
    #expect(
      try register("Contact: <sip:z@h>;reg-id=3", callID: "d").bindings.first { text($0.contact) == "sip:z@h" }?.regID
        == nil)
  }

  @Test("RFC 5626 §6: reg-id beside another contact is 400")
  func alone() throws {
    #expect(try register(RegistrarFlowTests.flow1, "Contact: <sip:b@h>").status == 400)
    #expect(table.counts == (0, 0))
  }

  @Test("thousands of contacts in one REGISTER are refused before one is read", arguments: [41, 81, 2000])
  func flood(count: Int) throws {
    let contacts = (0..<count).map { "<sip:\($0)@h>" }.joined(separator: ",")
    let clock = ContinuousClock()
    var status = 0
    let took = try clock.measure { status = try register("Contact: \(contacts)").status }
    #expect(status == 403)
    // Compared with each other they would be a million comparisons.
    #expect(took < .milliseconds(200))
    #expect(table.counts == (0, 0))
    #expect(try register("Contact: \(contacts)", "Expires: 0", cseq: 2).status == 403)
  }

  @Test("RFC 5626 §5.3: with its connection a binding goes, but for one behind a proxy, which can be connected to")
  func connectionEnds() throws {
    _ = try register("Contact: <sip:a@h>", connection: 7)
    _ = try register("Contact: <sip:b@h>", "Path: <sip:p1;lr>", callID: "b", connection: 7)
    #expect(table.remove(connection: 7).count == 1)
    let left = table.lookup(user: Array("1000".utf8), nowSeconds: 1000)
    #expect(left.map { text($0.contact) } == ["sip:b@h"] && left[0].flow.connection == 0)
  }

  @Test("one binding is removed, but not one that was refreshed meanwhile")
  func removeOne() throws {
    let old = try #require(try register("Contact: <sip:a@h>").bindings.first)
    let new = try #require(try register("Contact: <sip:a@h>", cseq: 2).bindings.first)
    #expect(table.remove(user: Array("1000".utf8), old).isEmpty)
    #expect(table.remove(user: Array("1000".utf8), new).count == 1)
  }
}
