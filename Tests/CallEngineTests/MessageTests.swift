@testable import CallEngine
import NetCore
import SIPMessage
import TestSupport
import Testing

extension World {
  /// A MESSAGE that has been answered.
  @discardableResult
  func send(
    _ phone: ScriptedPhone, to user: String, _ body: [UInt8], type: String = "text/plain", headers: [String] = [],
    seconds: Double = 1
  ) -> PhoneRequest {
    let request = phone.request(
      .message, user, headers: ["Content-Type: \(type)"] + headers, body: body)
    run(seconds)
    return request
  }

  @discardableResult
  func send(_ phone: ScriptedPhone, to user: String, _ words: String, seconds: Double = 1) -> PhoneRequest {
    send(phone, to: user, Array(words.utf8), seconds: seconds)
  }

  var stored: Int { server.services.events.messages.count }
}

extension ScriptedPhone {
  var messages: [Message] { requests.filter { $0.method == .message } }
  var words: [String] { messages.map(\.document) }
}

@Suite("RFC 3428: messages")
struct MessageTests {
  @Test("RFC 3428 §5: to every phone of the user, octet for octet; 200 when one takes it", arguments: [1, 4])
  func delivered(shards: Int) throws {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001", "1001")
    phones[1].answer = { _ in 486 }
    let body = (0...255).map { UInt8($0) } + Array("\r\n\r\n--b--".utf8)
    let request = world.send(
      phones[0], to: "1001", body, type: "multipart/mixed; boundary=\"b\"",
      headers: ["Subject: hello", "X-Tag: 7", "Organization: none", "Route: <sip:192.0.2.66;lr>"])
    #expect(request.statuses == [407, 200])
    for phone in phones[1...] {
      let message = try #require(phone.messages.first)
      #expect(phone.messages.count == 1 && Array(message.body) == body)
      #expect(text(message.contentType) == "multipart/mixed; boundary=\"b\"")
      #expect(message.has(.subject) && message.first(named: "X-Tag") != nil && !message.has(.organization))
      #expect(text(message.from.uri.bytes) == "sip:1000@nightjar.example" && message.from.displayName == "Phone 1000")
      #expect(message.maxForwards == 69 && !message.has(.contact) && !message.has(.route))
      #expect(!message.has(.proxyAuthorization))
      #expect(text(message.requestURI.bytes).hasPrefix("sip:1001@\(phone.endpoint.ip)"))
    }
    world.expectNothingLeft()
    #expect(world.stored == 0)
  }

  @Test(
    "RFC 3428 §5, no relay: what is refused",
    arguments: [
      ("1999", 404), ("sip:1001@elsewhere.example", 403), ("sip:192.0.2.77", 403), ("2001", 403),
      ("sip:1001@198.51.100.1:5099", 403),
    ])
  func refused(to: String, status: Int) {
    let world = World(users: [.init("1000"), .init("1001"), .init("2001", context: "other")])
    let phone = world.registered("1000")[0]
    #expect(world.send(phone, to: to, "hello").status == status)
    #expect(world.stored == 0 && !world.network.trace.contains { $0.datagram.to.ip == IPAddress("192.0.2.77")! })
    world.expectNothingLeft()
  }

  @Test("RFC 3428 §8: a body beyond events.message_size: 413; one without a type: 400")
  func tooLarge() {
    let world = World { $0.events.messageSize = 100 }
    let phone = world.registered("1000")[0]
    #expect(world.send(phone, to: "1001", [UInt8](repeating: 65, count: 101)).status == 413)
    let untyped = phone.request(.message, "1001", body: [65])
    world.run(1)
    #expect(untyped.status == 400)
  }

  @Test("A trunk writes to users of ours; a stranger and an access rule's context to nobody", arguments: [1, 4])
  func admitted(shards: Int) {
    let world = World(
      shards: shards, open: ["192.0.2.200"],
      trunks: [
        Trunk(
          name: "alpha", destination: Endpoint("192.0.2.201:5060")!, host: "192.0.2.201", transport: .udp,
          context: "public", sources: [SourceNetwork("192.0.2.201")!])
      ])
    let phone = world.registered("1001")[0]
    for (address, status) in [("192.0.2.199:5060", 407), ("192.0.2.200:5060", 403), ("192.0.2.201:5060", 200)] {
      let peer = RawPeer(address, on: world.network)
      peer.request("MESSAGE", callID: address, type: "text/plain", body: address)
      world.run(1)
      #expect(peer.statuses == [status])
    }
    #expect(phone.words == ["192.0.2.201:5060"])
  }

  @Test("RFC 3428 §7: kept for an absent user, delivered once and in order when he registers", arguments: [1, 4])
  func stored(shards: Int) throws {
    let world = World(shards: shards)
    let sender = world.registered("1000")[0]
    let late = world.phone("1001")
    for n in 1...5 { #expect(world.send(sender, to: "1001", "message \(n)").status == 202) }
    #expect(world.stored == 5)
    late.register()
    world.run(5)
    #expect(late.words == (1...5).map { "message \($0)" } && world.stored == 0)
    let wire = world.ladder(late)
    let accepted = try #require(wire.firstIndex(of: "< 200"))
    #expect(try #require(wire.firstIndex(of: "< MESSAGE")) > accepted, "after the answer to REGISTER")
    late.register()
    world.run(5)
    #expect(late.messages.count == 5)
    world.expectNothingLeft()
  }

  @Test("Two phones of one user that register at once get each message once between them", arguments: [1, 4])
  func race(shards: Int) {
    let world = World(shards: shards)
    let sender = world.registered("1000")[0]
    let (one, other) = (world.phone("1001"), world.phone("1001"))
    for n in 1...5 { world.send(sender, to: "1001", "\(n)") }
    one.register()
    other.register()
    world.run(10)
    // Those that begin when both are there go to both; none twice to one.
    for phone in [one, other] { #expect(Set(phone.words).count == phone.words.count) }
    #expect(Set(one.words + other.words) == ["1", "2", "3", "4", "5"] && world.stored == 0)
  }

  @Test("A message that comes while others are delivered does not overtake them")
  func order() {
    let world = World()
    let sender = world.registered("1000")[0]
    let late = world.phone("1001")
    world.send(sender, to: "1001", "1")
    world.send(sender, to: "1001", "2")
    var slow = true
    late.answer = { message in message.method == .message && slow ? nil : 200 }
    late.register()
    world.run(0.5)
    let third = world.send(sender, to: "1001", "3")
    #expect(third.status == 202)
    slow = false
    // What is not answered is sent again, and is the same transaction: the phone's own copy stays unanswered.
    world.run(40)
    late.register()
    world.run(5)
    #expect(late.words == ["1", "1", "2", "3"] && world.stored == 0)
  }

  @Test("What waits is bounded, in number and in age; then the sender is told 480")
  func bounds() {
    let world = World {
      $0.events.storedMessages = 2
      $0.events.keepDays = 1
    }
    let sender = world.registered("1000")[0]
    #expect((1...3).map { world.send(sender, to: "1001", "\($0)").status } == [202, 202, 480])
    let short = sender.request(
      .message, "1002", headers: ["Content-Type: text/plain", "Expires: 60"], body: Array("short".utf8))
    world.run(61)
    #expect(short.status == 202)
    let phone = world.registered("1002")[0]
    world.run(2)
    #expect(phone.words == [], "RFC 3428 §7: beyond its Expires nobody reads it")
    let seconds = world.server.services.wallClock() / 1000
    #expect(world.server.services.events.messages.expire(nowSeconds: seconds + 86_400).count == 2)
    #expect(world.stored == 0)
  }

  @Test(
    "A binding that is dead: 202 while the sender still waits; a late answer takes the copy away", arguments: [1, 4])
  func patience(shards: Int) {
    let world = World(shards: shards)
    let phones = world.registered("1000", "1001")
    var deaf = true
    world.network.filter = { datagram in !deaf || datagram.to != phones[1].endpoint }
    let request = world.send(phones[0], to: "1001", "hello", seconds: 7)
    #expect(request.status == 407, "nothing yet")
    world.run(3)
    #expect(request.status == 202 && world.stored == 1)
    phones[1].register()
    world.run(3)
    deaf = false
    world.run(10)
    #expect(phones[1].words == ["hello"] && world.stored == 0)
    phones[1].register()
    world.run(40)
    #expect(phones[1].words == ["hello"], "once")
    world.expectNothingLeft()
  }

  @Test("A user whose phone is dead and who comes back while the attempt runs gets it when that has failed")
  func comesBack() {
    let world = World()
    let phones = world.registered("1000", "1001")
    world.network.detach(phones[1])
    world.send(phones[0], to: "1001", "hello", seconds: 20)
    let again = world.phone("1001")
    again.register()
    world.run(5)
    #expect(again.words == [] && world.stored == 1)
    world.run(20)
    #expect(again.words == ["hello"] && world.stored == 0)
  }

  @Test("RFC 3428 §5: a phone's own refusal is the sender's answer, and nothing is kept", arguments: [415, 603, 488])
  func phoneRefuses(status: Int) {
    let world = World()
    let phones = world.registered("1000", "1001")
    phones[1].answer = { _ in status }
    #expect(world.send(phones[0], to: "1001", "hello").status == status)
    #expect(world.stored == 0)
  }

  @Test("A stored message that a phone refuses is dropped, and the next one is delivered")
  func refusedLater() {
    let world = World()
    let sender = world.registered("1000")[0]
    let late = world.phone("1001")
    world.send(sender, to: "1001", [1], type: "image/png")
    world.send(sender, to: "1001", "2")
    late.answer = { text($0.contentType) == "image/png" ? 415 : 200 }
    late.register()
    world.run(5)
    #expect(late.messages.count == 2 && world.stored == 0)
  }

  @Test("RFC 3428: over a network that loses packets each message arrives once, in order", arguments: [1, 2, 3])
  func lossy(seed: UInt64) {
    let world = World(seed: seed, conditions: .mobile)
    let sender = world.registered("1000")[0]
    let late = world.phone("1001")
    for n in 1...3 { world.send(sender, to: "1001", "\(n)", seconds: 40) }
    #expect(world.stored == 3)
    for _ in 0..<10 where world.stored > 0 {
      late.register()
      world.run(100)
    }
    var order: [String] = []
    for word in late.words where order.last != word { order.append(word) }
    #expect(order == ["1", "2", "3"])
    world.expectNothingLeft()
  }

  @Test("The store: ids go up over a restart, one run at a time")
  func store() {
    let store = MessageStore()
    store.load([(Array("1001".utf8), TextMessage(id: 7, from: [], contentType: [], body: [65], created: 0))])
    #expect(store.count == 1)
    let kept = store.add(
      TextMessage(from: [], contentType: [], body: [66], created: 0), for: Array("1001".utf8), most: 10, isHeld: false,
      nowMilliseconds: 0)
    #expect(kept?.id == 8)
    #expect(store.begin(Array("1001".utf8))?.id == 7 && store.begin(Array("1001".utf8)) == nil)
    #expect(store.next(Array("1001".utf8), after: 7)?.id == 8 && store.next(Array("1001".utf8), after: 8) == nil)
    #expect(store.count == 0 && !store.isRunning(Array("1001".utf8)))
  }
}
