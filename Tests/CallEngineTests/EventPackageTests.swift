@testable import CallEngine
import Logging
import NetCore
import SIPMessage
import TestSupport
import Testing

/// True where every tag is closed and nothing is left raw; by the scanner that published documents are read with.
func isWellFormed(_ document: some Collection<UInt8>) -> Bool {
  var scanner = XMLScanner(Array(document)[...])
  while true {
    guard let token = try? scanner.next() else { return false }
    if token == .end { return true }
  }
}

@Suite("Event packages")
struct EventPackageTests {
  @Test("RFC 3680 §5: bindings: all of them first, then what changed", arguments: [1, 4])
  func registrations(shards: Int) throws {
    let world = World(shards: shards)
    let watcher = world.registered("1000")[0]
    let watched = world.phone("1001")
    let watch = world.subscribe(watcher, "reg", to: "1001")
    watched.register()
    world.run(6)
    watched.register()
    world.run(6)
    watched.register(expires: 0)
    world.run(6)
    let documents = watcher.notifications(of: watch).map(\.document)
    #expect(documents.count == 4)
    #expect(documents.allSatisfy { isWellFormed($0.utf8) && $0.contains("aor=\"sip:1001@nightjar.example\"") })
    let expected = [
      ["version=\"0\" state=\"full\"", "state=\"init\""],
      ["version=\"1\" state=\"partial\"", "state=\"active\" event=\"created\" expires=\"3", "<uri>sip:1001@"],
      ["version=\"2\" state=\"partial\"", "event=\"refreshed\""],
      ["version=\"3\" state=\"partial\"", "state=\"terminated\"", "event=\"unregistered\""],
    ]
    for (document, words) in zip(documents, expected) {
      for word in words { #expect(document.contains(word), "\(word) in \(document)") }
    }
  }

  @Test("RFC 3680 §5.1: a binding that runs out is told as expired")
  func expired() {
    let world = World()
    let watcher = world.registered("1000")[0]
    let watched = world.phone("1001")
    watched.register(expires: 60)
    world.run(1)
    let watch = world.subscribe(watcher, "reg", to: "1001")
    world.run(70)
    world.server.services.journal.record(
      world.server.services.bindings.expire(nowSeconds: world.server.services.wallClock() / 1000))
    world.run(1)
    #expect(watcher.notifications(of: watch).last?.document.contains("event=\"expired\"") == true)
  }

  @Test("RFC 4235 §4.1: both sides of a call: trying, early, confirmed, terminated", arguments: [1, 4])
  func lamps(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001", "1002")
    phones[2].script = PhoneScript([.respond(180, after: .seconds(2)), .respond(200, after: .seconds(3))])
    let caller = world.subscribe(phones[0], "dialog", to: "1001")
    let callee = world.subscribe(phones[0], "dialog", to: "1002")
    let call = phones[1].call("1002")
    world.run(8)
    phones[1].hangUp(call)
    world.run(3)
    for (watch, direction, remote) in [(caller, "initiator", "1002"), (callee, "recipient", "1001")] {
      let documents = phones[0].notifications(of: watch).map(\.document)
      #expect(documents.allSatisfy { isWellFormed($0.utf8) })
      let states = documents.dropFirst().map { document in
        ["trying", "early", "confirmed", "terminated"].first { document.contains("<state>\($0)</state>") } ?? "none"
      }
      #expect(states == ["trying", "early", "confirmed", "terminated"])
      #expect(documents.dropFirst().allSatisfy { $0.contains("direction=\"\(direction)\"") })
      #expect(documents.last?.contains("<target uri=\"sip:\(remote)@nightjar.example\"/>") == true)
      #expect(!documents[0].contains("<dialog id"))
    }
    // Nothing that would let a watcher take the call over.
    #expect(!phones[0].requests.contains { $0.document.contains("call-id") || $0.document.contains("-tag") })
    phones[0].request(.subscribe, "1001", headers: ["Event: dialog", "Expires: 0"], in: caller)
    phones[0].request(.subscribe, "1002", headers: ["Event: dialog", "Expires: 0"], in: callee)
    world.expectNothingLeft(records: 1)
    world.expectNoSubscriptions()
  }

  @Test("RFC 4235 §4.1.3: who comes late sees the calls that are there, several of them", arguments: [1, 4])
  func several(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001", "1002")
    phones[2].script = .ringOnly
    _ = (phones[0].call("1002"), phones[1].call("1002"))
    world.run(2)
    let watch = world.subscribe(phones[0], "dialog", to: "1002", seconds: 2)
    let last = try #require(phones[0].notifications(of: watch).last?.document)
    #expect(last.split(separator: "<dialog id=").count == 3)
    #expect(last.contains(">sip:1000@") && last.contains(">sip:1001@"))
  }

  @Test("RFC 3323 §4.2: a caller who wants privacy is not named to those who watch")
  func privacy() throws {
    let world = World()
    let phones = world.registered("1000", "1001", "1002")
    let callee = world.subscribe(phones[0], "dialog", to: "1002")
    let caller = world.subscribe(phones[0], "dialog", to: "1001")
    phones[1].call("1002", headers: ["Privacy: id"])
    world.run(3)
    for watch in [callee, caller] {
      let last = try #require(phones[0].notifications(of: watch).last?.document)
      #expect(last.contains("<state>confirmed</state>") && !last.contains("<remote>"))
    }
  }

  @Test("XML 1.0 §2.4: names are escaped, whatever is in them")
  func escaped() throws {
    let world = World(
      users: [.init("1000"), .init("1001", callerName: "<b>&\"Ann'\u{7}</b>"), .init("1002")])
    let phones = world.registered("1000", "1001", "1002")
    let watch = world.subscribe(phones[0], "dialog", to: "1002")
    phones[1].call("1002")
    world.run(3)
    let last = try #require(phones[0].notifications(of: watch).last)
    #expect(isWellFormed(last.body))
    #expect(last.document.contains("display=\"&lt;b&gt;&amp;&quot;Ann&apos; &lt;/b&gt;\""))
    let hostile = XMLWriterProbe.document([0xff, 0x00, 0x0b, UInt8(ascii: "<")] + Array("\u{fffe}é".utf8))
    #expect(hostile == "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a x=\"\u{fffd}&lt;é\"/>")
  }

  @Test("RFC 3842 §5.2: what the script says of a mailbox; the same again is no change", arguments: [1, 4])
  func mailbox(shards: Int) throws {
    let world = World(
      World.invite(
        """
        assert(mwi.set("1000", { new = 2, old = 8, urgent_new = 1 }))
        assert(mwi.get("1000").new == 2 and mwi.get("1000").urgent_old == 0)
        local ok, err = mwi.set("nobody", { new = 1 })
        assert(ok == nil and err.kind == "user")
        call:reject { status = 486 }
        """), shards: shards)
    let phones = world.registered("1000", "1001")
    let watch = world.subscribe(phones[0], "message-summary", to: "1000")
    for _ in 0..<2 {
      phones[1].call("1000")
      world.run(3)
    }
    #expect(world.server.log.texts(.error) == [])
    let bodies = phones[0].notifications(of: watch).map(\.document)
    let account = "Message-Account: sip:1000@nightjar.example\r\n"
    #expect(
      bodies == [
        "Messages-Waiting: no\r\n\(account)Voice-Message: 0/0 (0/0)\r\n",
        "Messages-Waiting: yes\r\n\(account)Voice-Message: 2/8 (1/0)\r\n",
      ])
  }
}

enum XMLWriterProbe {
  static func document(_ octets: [UInt8]) -> String {
    var xml = XMLWriter("<a")
    xml.attribute("x", octets)
    xml.raw("/>")
    return text(xml.bytes)
  }
}
