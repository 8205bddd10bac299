@testable import CallEngine
import Logging
import LuaRuntime
import NetCore
import SIPDigest
import SIPMessage
import TestSupport
import Testing

/// Registering with a carrier, and calls that come by that registration.
@Suite("Scenario: trunk registration")
struct ScenarioTrunkRegistrationTests {
  private static let address = "203.0.113.200"

  /// A carrier and a server with a trunk to it.
  private func world(
    _ script: String = World.invite("call:reject { status = 404 }"), algorithms: [DigestAlgorithm] = [.md5, .sha256],
    shards: Int = 1, configure: (Carrier) -> Void = { _ in },
    plan: (inout TrunkPlan) -> Void = { _ in }
  ) -> (World, Carrier) {
    let network = SimulatedNetwork()
    let carrier = Carrier("alpha", Self.address, on: network, algorithms: algorithms)
    configure(carrier)
    let world = World(script, shards: shards, trunks: [carrier.registering(plan)], on: network)
    return (world, carrier)
  }

  private func status(_ world: World) -> TrunkStatus.State { world.server.services.trunks.status(of: "alpha").current }
  private func isRegistered(_ world: World) -> Bool {
    status(world).isRegistered(atMilliseconds: world.server.services.wallClock())
  }
  private func cseqs(_ messages: [Message]) -> [UInt32] { messages.map(\.cseq) }

  @Test(
    "RFC 3261 §10.2, §22.2, RFC 7616, 8760: REGISTER, its challenge answered with the strongest algorithm, then refreshed",
    arguments: [([DigestAlgorithm.md5, .sha256], "SHA-256"), ([.md5], "MD5")], [false, true])
  func registers(algorithms: ([DigestAlgorithm], String), isProxy: Bool) throws {
    let (world, carrier) = world(algorithms: algorithms.0) { $0.isProxy = isProxy }
    world.run(1)
    let sent = carrier.requests(.register)
    #expect(sent.count == 2 && carrier.admitted(.register).count == 1 && isRegistered(world))
    #expect(text(sent[0].requestURI.bytes) == "sip:\(Self.address)")
    #expect(text(sent[0].to.uri.bytes) == "sip:4930@\(Self.address)" && sent[0].toTag == nil)
    #expect(sent[0].callID == sent[1].callID && sent[0].fromTag == sent[1].fromTag && cseqs(sent) == [1, 2])
    #expect(sent[0].via.branch != sent[1].via.branch)
    let proof = try #require(sent[1].first(isProxy ? .proxyAuthorization : .authorization).map { text($0) })
    #expect(proof.contains("algorithm=\(algorithms.1)") && proof.contains("nc=00000001") && proof.contains("qop=auth"))
    #expect(!sent[0].has(.authorization) && !sent[0].has(.proxyAuthorization))

    // 600 s are granted: at 300 s again, with the nonce that is known and the next count (RFC 7616 §3.4).
    world.run(290)
    #expect(carrier.requests(.register).count == 2)
    world.run(15)
    let refresh = try #require(carrier.requests(.register).last)
    #expect(carrier.requests(.register).count == 3 && refresh.cseq == 3 && refresh.callID == sent[0].callID)
    let again = try #require(refresh.first(isProxy ? .proxyAuthorization : .authorization).map { text($0) })
    #expect(again.contains("nc=00000002"))
    #expect(refresh.first(.contact) == sent[0].first(.contact), "the same Contact for as long as we are there")
    // The nonce is too old by then: the registrar asks again, and gets an answer (no word of `stale` needed).
    world.run(330)
    #expect(carrier.admitted(.register).count >= 3 && isRegistered(world))
  }

  @Test(
    "a wrong password: asked once, logged once, asked again only after half an hour or so; 403 likewise",
    arguments: [401, 403])
  func refused(status: Int) {
    let (world, carrier) = world { if status == 403 { $0.says[.register] = 403 } else { $0.password = "other" } }
    if status == 401 { carrier.password = "changed" }
    world.run(800)
    #expect(carrier.requests(.register).count == (status == 403 ? 1 : 2) && !isRegistered(world))
    world.run(4000)
    let attempts = carrier.requests(.register).count / (status == 403 ? 1 : 2)
    #expect((3...6).contains(attempts))
    let lines = world.server.log.texts(.warning).filter { $0.contains("not registered with a trunk") }
    #expect(lines.count == 1, "\(lines)")
    #expect(self.status(world).problem?.contains("\(status)") == true)
  }

  @Test("RFC 5626 §4.5: a dead registrar is asked ever more rarely, and found again when it is back")
  func backOff() {
    let (world, carrier) = world { $0.says[.register] = 0 }
    var times: [Double] = []
    var seen: Set<UInt32> = []
    for second in 0..<4000 {
      world.run(1)
      for message in carrier.requests(.register) where seen.insert(message.cseq).inserted {
        times.append(Double(second))
      }
    }
    let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
    // 32 s until timer F, then between half and all of 60, 120, 240 … s.
    for (n, gap) in gaps.enumerated() {
      let whole = min(1800, 60 * Double(1 << n))
      #expect((32 + whole / 2 - 2...32 + whole + 2).contains(gap), "\(gaps)")
    }
    #expect(gaps.count >= 4)
    carrier.says[.register] = nil
    world.run(1900)
    #expect(isRegistered(world))
    #expect(world.server.log.texts(.notice).filter { $0.contains("registered with a trunk") }.count == 2)
  }

  @Test("over a bad network the registration comes about all the same", arguments: 1...8 as ClosedRange<UInt64>)
  func lossy(seed: UInt64) {
    let network = SimulatedNetwork(seed: seed, conditions: .mobile)
    let carrier = Carrier("alpha", Self.address, on: network)
    let world = World(
      "on.invite(function(call) call:reject { status = 404 } end)", trunks: [carrier.registering()], on: network)
    world.run(40)
    #expect(isRegistered(world) && world.server.log.texts(.warning) == [])
  }

  @Test("RFC 3261 §10.2.8: 423 with Min-Expires; §20.33 Retry-After of a 503")
  func tooBrief() {
    let (world, carrier) = world {
      $0.challenged = []
    } plan: {
      $0.registration?.expires = 60
    }
    carrier.says[.register] = 423
    carrier.lines = ["Min-Expires: 1800"]
    world.network.run(for: .milliseconds(15))
    carrier.says[.register] = nil
    carrier.lines = []
    carrier.grants = 1800
    world.run(1)
    #expect(carrier.requests(.register).map { text($0.first(.expires)) } == ["60", "1800"])
    #expect(isRegistered(world))

    let (second, busy) = self.world { $0.says[.register] = 503 }
    busy.lines = ["Retry-After: 77 (maintenance)"]
    second.run(70)
    #expect(busy.requests(.register).count == 1)
    second.run(10)
    #expect(busy.requests(.register).count == 2)
  }

  @Test("a registration that cannot be refreshed is over when its time is")
  func lapses() {
    let (world, carrier) = world()
    world.run(1)
    carrier.says[.register] = 0
    world.run(590)
    #expect(isRegistered(world))
    world.run(15)
    #expect(!isRegistered(world) && status(world).problem == "REGISTER: no answer")
  }

  @Test("RFC 3608: the Service-Route of the 200 is the Route of calls to that trunk")
  func serviceRoute() throws {
    let (world, carrier) = world(
      World.invite("call:dial('trunk/alpha/100', { timeout = 5 })"),
      configure: { $0.lines = ["Service-Route: <sip:p1.carrier.example;lr>, <sip:p2.carrier.example;lr>"] })
    let alice = world.registered("1000")[0]
    let call = alice.call("100")
    world.run(1)
    let invite = try #require(carrier.admitted(.invite).first)
    #expect(invite.all(.route).map { text($0) } == ["<sip:p1.carrier.example;lr>", "<sip:p2.carrier.example;lr>"])
    alice.hangUp(call)
    world.run(1)
  }

  // MARK: ends and changes

  @Test("RFC 3261 §10.2.2: the Contact is taken away when the server drains, which waits for it two seconds at most")
  func drains() {
    let (world, carrier) = world()
    world.run(1)
    let told = Told()
    world.server.handle(.drain { told.tell() })
    #expect(told.times == 0)
    world.run(0.5)
    #expect(told.times == 1)
    let last = carrier.requests(.register).last
    #expect(text(last?.first(.expires)) == "0" && text(last?.first(.contact))?.hasSuffix(";expires=0") == true)
    #expect(!isRegistered(world))
    world.run(4000)
    #expect(carrier.requests(.register).last?.cseq == last?.cseq)

    let (dead, gone) = self.world()
    dead.run(1)
    gone.says[.register] = 0
    let late = Told()
    dead.server.handle(.drain { late.tell() })
    dead.run(1.5)
    #expect(late.times == 0)
    dead.run(1)
    #expect(late.times == 1)
  }

  @Test("reload: an unchanged trunk is not registered anew, a changed one is, one that is gone is taken away")
  func reloads() throws {
    let (world, carrier) = world()
    world.run(1)
    func reload(_ trunks: [Trunk]) { world.server.handle(.directory(Directory(users: [], trunks: trunks))) }
    var same = carrier.registering { $0.maxCalls = 7 }
    same.context = "other"
    same.sources = [SourceNetwork("10.0.0.0/8")!]
    reload([same])
    world.run(10)
    #expect(carrier.requests(.register).count == 2)

    let first = carrier.registeredContact
    reload([carrier.registering { $0.registration?.contactUser = "+4930" }])
    world.run(10)
    let sent = Array(carrier.requests(.register).dropFirst(2))
    let second = carrier.registeredContact
    #expect(second.hasPrefix("sip:+4930@") && first != second)
    // The old one is taken away under its own Call-ID, the new one has another.
    #expect(sent.contains { text($0.first(.contact)) == "<\(first)>;expires=0" })
    #expect(Set(sent.map { text($0.callID) }).count == 2 && isRegistered(world))

    reload([])
    world.run(10)
    #expect(text(carrier.requests(.register).last?.first(.expires)) == "0")
    #expect(world.server.shards[0].trunkKeepers.count == 0)
    world.expectNothingLeft(after: 70)
  }

  // MARK: calls that come

  private static let whence = World.invite(
    """
    call.vars.trunk = call.source.trunk or "none"
    call.vars.context = call.context
    call.vars.dialled = call.ruri.user
    call:reject { status = 486 }
    """)

  @Test(
    "a call to our registration's Contact is that trunk's from whatever address, by the token in it alone",
    arguments: [1, 4])
  func inbound(shards: Int) throws {
    let (world, carrier) = world(Self.whence, shards: shards)
    let other = RawPeer("203.0.113.77:5080", on: world.network)
    world.run(1)
    let contact = carrier.registeredContact
    #expect(contact.contains(";line="))
    carrier.call(contact, from: other)
    world.run(1)
    #expect(other.statuses.last == 486)
    let record = try #require(world.record)
    func variable(_ name: String) -> String? {
      record.vars.first { $0.name == name }.flatMap { if case .string(let text) = $0.value { text } else { nil } }
    }
    #expect(variable("trunk") == "alpha" && variable("context") == "trunk" && variable("dialled") == "4930")

    // Without the token, with a wrong one, with that of nobody: a stranger, who is asked for a password.
    let bare = String(contact.prefix { $0 != ";" })
    let wrong = String(contact.dropLast(4)) + "0000"
    for (n, uri) in [bare, wrong, bare + ";line=", bare + ";line", contact + "00"].enumerated() {
      carrier.call(uri, from: other, callID: "stranger-\(n)")
      world.run(1)
      let answers = other.received.filter { !$0.isRequest && text($0.callID) == "stranger-\(n)" && $0.status != 100 }
      #expect(Set(answers.map(\.status)) == [407], "\(uri)")
    }
    // The carrier's own address is no proof of anything where `sources` does not name it.
    carrier.call(bare, callID: "own")
    world.run(1)
    #expect(carrier.peer.statuses.last == 407)
  }

  @Test("two accounts at one carrier, whose address both name: the token tells whose call it is")
  func twoAccounts() {
    let network = SimulatedNetwork()
    let carrier = Carrier("alpha", Self.address, on: network)
    carrier.challenged = []
    var alpha = carrier.registering()
    alpha.sources = [SourceNetwork(Self.address)!]
    var beta = alpha
    beta.name = "beta"
    beta.context = "second"
    let world = World(Self.whence, trunks: [alpha, beta], on: network)
    world.run(1)
    let contacts = carrier.requests(.register).compactMap { text($0.first(.contact)) }.map {
      String($0.dropFirst().prefix { $0 != ">" })
    }
    #expect(Set(contacts).count == 2)
    for (n, contact) in contacts.enumerated() { carrier.call(contact, callID: "account-\(n)") }
    carrier.call("sip:4930@nightjar.example", callID: "by-source")
    world.run(1)
    let trunks = world.server.records.all.compactMap { record in
      record.vars.first { $0.name == "trunk" }.flatMap { if case .string(let text) = $0.value { text } else { nil } }
    }
    #expect(trunks.sorted() == ["alpha", "alpha", "beta"])
  }

  @Test("a changed account's new registration is not taken for over when the old one is gone")
  func changesLate() {
    let (world, carrier) = world()
    world.run(1)
    // What takes the old Contact away is answered long after the new one was registered.
    world.network.filter = { datagram in
      !(datagram.from == carrier.peer.endpoint && text(datagram.bytes).contains("CSeq: 3 REGISTER"))
    }
    world.server.handle(
      .directory(Directory(users: [], trunks: [carrier.registering { $0.registration?.contactUser = "x" }])))
    world.run(2)
    world.network.filter = nil
    world.run(10)
    #expect(isRegistered(world) && world.server.shards[0].trunkKeepers.count == 1)
    let old = carrier.requests(.register).filter { text($0.first(.expires)) == "0" }
    #expect(old.count > 1, "it was sent again")
  }

  @Test("the token is worth nothing once the registration is over")
  func tokenEnds() {
    let (world, carrier) = world(Self.whence)
    world.run(1)
    let contact = carrier.registeredContact
    carrier.says[.register] = 0
    world.run(610)
    carrier.call(contact)
    world.run(1)
    #expect(carrier.peer.statuses.last == 407)
    let (second, another) = self.world(Self.whence)
    second.run(1)
    let old = another.registeredContact
    second.server.handle(.directory(Directory(users: [], trunks: [])))
    another.call(old)
    second.run(1)
    #expect(another.peer.statuses.last == 407)
  }
}

final class Told: Sendable {
  private let counter = KeyValueStore()
  func tell() { _ = try? counter.increment([1], by: 1, ttl: nil, nowMilliseconds: 0) }
  var times: Int { counter.get([1], nowMilliseconds: 0).asInt ?? 0 }
}
