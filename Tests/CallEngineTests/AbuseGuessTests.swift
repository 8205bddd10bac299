@testable import CallEngine
import NetCore
import SIPDigest
import SIPMessage
import TestSupport
import Testing

/// Who guesses passwords, or wants to know which users there are.
@Suite("Abuse: passwords and names")
struct AbuseGuessTests {
  private static let home = "sip:nightjar.example"

  /// A REGISTER with credentials for a challenge that the peer has got.
  private func attempt(
    _ peer: RawPeer, user: String, password: String, challenge: Message?, number: Int, aor: String? = nil
  ) {
    guard let value = challenge?.all(.wwwAuthenticate).first else { return }
    let credentials = DigestClient.authorization(
      challenge: value, user: user, password: password, method: Array("REGISTER".utf8)[...],
      uri: Array(Self.home.utf8)[...], cnonce: Array("c".utf8)[...], nc: UInt32(number))
    peer.request(
      "REGISTER", Self.home, branch: "z9hG4bKg\(number)", callID: "guess-\(number)", cseq: number,
      lines: ["Authorization: \(text(credentials?[...]) ?? "")"])
  }

  private func challenge(_ peer: RawPeer, _ world: World) -> Message? {
    peer.request("REGISTER", Self.home, branch: "z9hG4bKfirst\(peer.received.count)")
    world.run(0.1)
    return peer.received.last { $0.status == 401 }
  }

  private func guarded(_ failures: Int = 5) -> World {
    World { settings in
      settings.abuse.banFailures = failures
      settings.abuse.banDuration = .seconds(60 as Int64)
      settings.abuse.banWindow = .seconds(100 as Int64)
    }
  }

  private func isBanned(_ world: World, _ peer: RawPeer) -> Bool {
    world.server.services.abuse.bans.holds(peer.endpoint.ip, now: world.network.clock.now)
  }

  @Test("wrong passwords ban their source, known user or not; the ban ends by itself", arguments: ["1000", "nobody"])
  func ban(user: String) {
    let world = guarded()
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    let asked = challenge(peer, world)
    for i in 1...4 { attempt(peer, user: user, password: "wrong", challenge: asked, number: i) }
    world.run(0.5)
    #expect(peer.statuses.filter { $0 == 403 }.count == 4 && !isBanned(world, peer))
    attempt(peer, user: user, password: "wrong", challenge: asked, number: 5)
    world.run(0.5)
    #expect(isBanned(world, peer) && world.server.services.abuse.counts.bans == 1)
    let list = world.server.services.abuse.bans.list(now: world.network.clock.now)
    #expect(list.map(\.source) == [peer.endpoint.ip])
    world.run(61)
    #expect(!isBanned(world, peer) && world.server.services.abuse.bans.isEmpty)
  }

  @Test("what is guessed slowly is forgotten: a phone with an old password is not banned")
  func slow() {
    let world = guarded()
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    for i in 1...20 {
      attempt(peer, user: "1000", password: "old", challenge: challenge(peer, world), number: i)
      world.run(30)
    }
    #expect(peer.statuses.filter { $0 == 403 }.count == 20 && world.server.services.abuse.counts.bans == 0)
  }

  @Test("phones behind one address: those that prove their passwords lift what one of them may get wrong")
  func behindNAT() {
    let world = guarded()
    let guardOf = world.server.services.abuse
    let ip = IPAddress(v4: 0xc000_0201)
    var settings = AbuseSettings()
    settings.banFailures = 5
    let now = Instant(nanoseconds: 1_000_000_000)
    func wrong() -> Bool { guardOf.failed(ip, settings, now: now, wallMilliseconds: 0) }
    #expect(!wrong())
    for user in 0..<20 { guardOf.succeeded(ip, user: Array("\(2000 + user)".utf8)) }
    for _ in 0..<25 { #expect(!wrong()) }
    // One account that is proved again and again lifts it by two and no more.
    let other = IPAddress(v4: 0xc000_0202)
    var until = 0
    while !guardOf.failed(other, settings, now: now, wallMilliseconds: 0) {
      guardOf.succeeded(other, user: Array("1000".utf8))
      until += 1
    }
    #expect(until + 1 == 7)
  }

  @Test("a trunk and a network that `limits.ban.never` names are never banned")
  func never() {
    let world = World(
      trunks: [
        Trunk(
          name: "carrier", destination: Endpoint("192.0.2.200:5060")!, host: "192.0.2.200", transport: .udp,
          context: "public", sources: [SourceNetwork("192.0.2.200")!])
      ]
    ) { settings in
      settings.abuse.banFailures = 2
      settings.abuse.neverBanned = [SourceNetwork("192.0.2.201")!]
    }
    for address in ["192.0.2.200:5060", "192.0.2.201:5060"] {
      let peer = RawPeer(address, on: world.network)
      let asked = challenge(peer, world)
      for i in 1...10 { attempt(peer, user: "1000", password: "wrong", challenge: asked, number: i) }
      world.run(0.5)
      #expect(peer.statuses.filter { $0 == 403 }.count == 10 && !isBanned(world, peer))
    }
  }

  @Test("a nonce is good for the source that it was given to: nobody can have another one banned")
  func boundToSource() {
    let world = guarded(3)
    let attacker = RawPeer("192.0.2.200:5060", on: world.network)
    let victim = RawPeer("192.0.2.201:5060", on: world.network)
    let asked = challenge(attacker, world)
    // As if forged: they come from the victim's address, with the attacker's nonce.
    for i in 1...10 { attempt(victim, user: "1000", password: "wrong", challenge: asked, number: i) }
    world.run(0.5)
    #expect(!isBanned(world, victim))
    #expect(victim.statuses.allSatisfy { $0 == 401 })
    #expect(victim.received.allSatisfy { text($0.all(.wwwAuthenticate).first)?.contains("stale=true") == true })
  }

  @Test("RFC 3261 §10.3 step 4: nobody binds another's address of record, and trying to counts")
  func anothersAddress() {
    let world = guarded(3)
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    let asked = challenge(peer, world)
    guard let value = asked?.all(.wwwAuthenticate).first else { return #expect(Bool(false), "no challenge") }
    // Three, and two more for the one user who has proved his password.
    for i in 1...5 {
      let credentials = DigestClient.authorization(
        challenge: value, user: "1000", password: "secret", method: Array("REGISTER".utf8)[...],
        uri: Array(Self.home.utf8)[...], cnonce: Array("c".utf8)[...], nc: UInt32(i))
      let request =
        "REGISTER sip:nightjar.example SIP/2.0\r\nVia: SIP/2.0/UDP \(peer.endpoint);branch=z9hG4bKx\(i)\r\n"
        + "From: <sip:1000@nightjar.example>;tag=1\r\nTo: <sip:1001@nightjar.example>\r\nCall-ID: x\(i)\r\n"
        + "CSeq: \(i) REGISTER\r\nContact: <sip:me@\(peer.endpoint)>\r\n"
        + "Authorization: \(text(credentials?[...]) ?? "")\r\nContent-Length: 0\r\n\r\n"
      peer.send(Array(request.utf8))
    }
    world.run(0.5)
    #expect(peer.statuses.filter { $0 == 403 }.count == 5)
    #expect(world.server.services.bindings.lookup(user: Array("1001".utf8), nowSeconds: 0).isEmpty)
    #expect(isBanned(world, peer))
  }

  @Test(
    "an unknown user is answered as a known one, whatever he is asked", arguments: ["REGISTER", "INVITE", "OPTIONS"])
  func enumeration(method: String) throws {
    /// Every answer with what is random in it taken out.
    func answers(user: String) throws -> [String] {
      let world = guarded()
      let peer = RawPeer("192.0.2.200:5060", on: world.network)
      func ask(_ line: String?, _ number: Int) {
        let uri = method == "REGISTER" ? Self.home : "sip:\(user)@nightjar.example"
        peer.send(
          Array(
            ("\(method) \(uri) SIP/2.0\r\nVia: SIP/2.0/UDP \(peer.endpoint);branch=z9hG4bK\(number)\r\n"
              + "From: <sip:x@nightjar.example>;tag=1\r\nTo: <sip:\(user)@nightjar.example>\r\nCall-ID: \(number)\r\n"
              + "CSeq: \(number) \(method)\r\nContact: <sip:x@\(peer.endpoint)>\r\n\(line.map { $0 + "\r\n" } ?? "")"
              + "Content-Length: 0\r\n\r\n").utf8))
        world.run(0.2)
      }
      ask(nil, 1)
      let header: HeaderName = method == "INVITE" ? .proxyAuthenticate : .wwwAuthenticate
      if let value = peer.received.last?.all(header).first {
        let credentials = DigestClient.authorization(
          challenge: value, user: user, password: "wrong", method: Array(method.utf8)[...],
          uri: Array(Self.home.utf8)[...], cnonce: Array("c".utf8)[...], nc: 1)
        ask("\(method == "INVITE" ? "Proxy-" : "")Authorization: \(text(credentials?[...]) ?? "")", 2)
      }
      return peer.received.map { message in
        String(decoding: message.bytes, as: UTF8.self)
          .replacing(/tag=[0-9a-f]{32}/, with: "tag").replacing(/nonce="[0-9a-f]+"/, with: "nonce")
          .replacing(user, with: "USER")
      }
    }
    let known = try answers(user: "1001")
    let unknown = try answers(user: "9999")
    #expect(known == unknown && !known.isEmpty)
  }
}
