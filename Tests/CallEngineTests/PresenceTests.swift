@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

@Suite("RFC 3856, 3903: presence")
struct PresenceTests {
  private static func pidf(_ basic: String, note: String = "") -> [UInt8] {
    Array(
      """
      <?xml version="1.0"?><p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" entity="pres:1001@nightjar.example">
      <p:tuple id="a"><p:status><p:basic>\(basic)</p:basic></p:status></p:tuple>\(note)</p:presence>
      """.utf8)
  }

  private static let type = "Content-Type: application/pidf+xml"

  @discardableResult
  private func publish(
    _ world: World, _ phone: ScriptedPhone, body: [UInt8] = [], expires: Int? = 600, match: String? = nil,
    to user: String = "1001", type: String = PresenceTests.type
  ) -> PhoneRequest {
    let request = phone.request(
      .publish, user,
      headers: ["Event: presence"] + (expires.map { ["Expires: \($0)"] } ?? [])
        + (match.map { ["SIP-If-Match: \($0)"] } ?? []) + (body.isEmpty ? [] : [type]), body: body)
    world.run(6)
    return request
  }

  private func basic(_ message: Message?) -> String? {
    guard let document = message?.document, isWellFormed(document.utf8) else { return nil }
    return document.contains("<basic>open</basic>")
      ? "open" : document.contains("<basic>closed</basic>") ? "closed" : nil
  }

  @Test("RFC 3903 §6: published, refreshed, modified and removed; each answer has a tag of its own", arguments: [1, 4])
  func published(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001")
    let watch = world.subscribe(phones[0], "presence", to: "1001")
    func last() -> Message? { phones[0].notifications(of: watch).last }
    #expect(basic(last()) == "open", "he is registered")
    let first = publish(world, phones[1], body: PresenceTests.pidf("closed", note: "<note>a &lt;b&gt; &amp; c</note>"))
    #expect(first.statuses == [407, 200] && first.header("Expires") == "600")
    #expect(basic(last()) == "closed")
    #expect(last()?.document.contains("<note>a &lt;b&gt; &amp; c</note>") == true)
    let tag = try #require(first.header("SIP-ETag"))
    let refresh = publish(world, phones[1], match: tag)
    #expect(refresh.status == 200 && refresh.header("SIP-ETag") != tag)
    #expect(publish(world, phones[1], match: tag).status == 412)
    let second = try #require(refresh.header("SIP-ETag"))
    let modified = publish(world, phones[1], body: PresenceTests.pidf("open"), match: second)
    #expect(modified.status == 200 && basic(last()) == "open")
    let third = try #require(modified.header("SIP-ETag"))
    phones[1].register(expires: 0)
    world.run(6)
    #expect(basic(last()) == "open", "what he publishes counts")
    let removed = publish(world, phones[1], expires: 0, match: third)
    #expect(removed.status == 200 && removed.header("Expires") == "0")
    #expect(basic(last()) == "closed", "neither registered nor published")
    #expect(!world.server.services.events.hub.hasPublications)
  }

  @Test("RFC 3903 §6 step 5: what runs out is composed no more", arguments: [1, 4])
  func expired(shards: Int) {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001")
    let watch = world.subscribe(phones[0], "presence", to: "1001")
    publish(world, phones[1], body: PresenceTests.pidf("closed"), expires: 60)
    world.run(70)
    #expect(phones[0].notifications(of: watch).map { basic($0) } == ["open", "closed", "open"])
    #expect(!world.server.services.events.hub.hasPublications)
  }

  @Test("RFC 3863 §4.1.4: open where one device of several is; devices beyond the limit push the oldest out")
  func composed() {
    let world = World()
    let phones = world.registered("1000", "1001")
    let watch = world.subscribe(phones[0], "presence", to: "1001")
    publish(world, phones[1], body: PresenceTests.pidf("open"))
    publish(world, phones[1], body: PresenceTests.pidf("closed"))
    #expect(basic(phones[0].notifications(of: watch).last) == "open")
    for _ in 0..<EventSettings.mostPublications { publish(world, phones[1], body: PresenceTests.pidf("closed")) }
    #expect(basic(phones[0].notifications(of: watch).last) == "closed")
    let seconds = world.server.services.wallClock() / 1000
    let kept = world.server.services.events.hub.publications(of: Array("1001".utf8), nowSeconds: seconds)
    #expect(kept.count == EventSettings.mostPublications)
  }

  @Test(
    "RFC 3903 §6: what is refused",
    arguments: [
      ("presence", "1001", "application/pidf+xml", "<presence><tuple></presence>", 400),
      ("presence", "1001", "application/pidf+xml", "<other/>", 400),
      ("presence", "1001", "application/pidf+xml", "<!DOCTYPE a [<!ENTITY b \"c\">]><presence/>", 400),
      ("presence", "1001", "text/plain", "open", 415), ("presence", "1001", "application/pidf+xml", "", 400),
      ("presence", "1000", "application/pidf+xml", "<presence/>", 403),
      ("presence", "1999", "application/pidf+xml", "<presence/>", 404),
      ("dialog", "1001", "application/pidf+xml", "<presence/>", 489),
      ("presence", "1001", "application/pidf+xml", "<presence/>", 200),
    ])
  func refused(event: String, user: String, type: String, body: String, status: Int) {
    let world = World()
    let phone = world.registered("1001")[0]
    let request = phone.request(
      .publish, user, headers: ["Event: \(event)", "Content-Type: \(type)"], body: Array(body.utf8))
    world.run(1)
    #expect(request.status == status)
    #expect(world.server.services.events.hub.hasPublications == (status == 200))
  }

  @Test("RFC 4480 §3.2: a user in a call is on the phone; one who is only rung is not", arguments: [1, 4])
  func onThePhone(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001", "1002")
    phones[2].script = .answer(after: .seconds(10))
    let watch = world.subscribe(phones[0], "presence", to: "1002")
    func isOnPhone() -> Bool {
      phones[0].notifications(of: watch).last?.document.contains("<rpid:on-the-phone/>") == true
    }
    let call = phones[1].call("1002")
    world.run(7)
    #expect(!isOnPhone())
    world.run(10)
    #expect(isOnPhone() && phones[0].notifications(of: watch).last.map { isWellFormed($0.body) } == true)
    phones[1].hangUp(call)
    world.run(10)
    #expect(!isOnPhone())
  }

  @Test(
    "XML 1.0: documents that are none are refused, without harm",
    arguments: [
      "", "text", "<presence>", "</presence>", "<presence/><presence/>", "<presence a=b/>", "<presence a='<'/>",
      "<presence>&nbsp;</presence>", "<presence>&#0;</presence>", "<presence>&#xD800;</presence>", "<presence",
      "<presence><!-- ", "<presence>&lt</presence>", "<a:presence></b:presence>", "<presence/>x", "<![CDATA[x]]>",
      "<presence>" + String(repeating: "<a>", count: 40),
    ])
  func malformed(document: String) {
    #expect(throws: XMLScanner.Malformed.self) { try PublishedState(parsing: Array(document.utf8)[...]) }
  }

  @Test("RFC 3863 §4: what is read of a document")
  func read() throws {
    let document = """
      \u{feff}<?xml version="1.0"?><!-- c --><presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:r="x">
      <tuple id="1"><status><basic> closed </basic></status><note xml:lang="en">b&#x65; <![CDATA[<right>]]></note></tuple>
      <tuple id="2"><status><basic>open</basic></status></tuple>
      <person><r:activities><r:on-the-phone/></r:activities></person></presence>
      """
    let state = try PublishedState(parsing: Array(document.utf8)[...])
    #expect(state.isOpen == true && state.isOnPhone && text(state.note) == "be <right>")
    let long = try PublishedState(
      parsing: Array("<presence><note>\(String(repeating: "é", count: 300))</note></presence>".utf8)[...])
    #expect(long.note.count <= 256 && String(validating: long.note, as: UTF8.self) != nil)
  }
}
