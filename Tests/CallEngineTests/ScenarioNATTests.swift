@testable import CallEngine
import Media
import NetCore
import SIPMessage
import TestSupport
import Testing

/// Phones that do not know where they are, and a server that has to be told.
@Suite("Scenario: NAT")
struct ScenarioNATTests {
  private static let inside = "10.0.0.5"

  /// A binding of user 1001 whose Contact is an address behind the NAT, and whose flow leads to `peer`.
  private func bind(_ world: World, to peer: RawPeer, contact: String = "sip:1001@\(inside):5060", path: [[UInt8]] = [])
  {
    world.server.services.bindings.load([
      (
        Array("1001".utf8),
        Binding(
          contact: Array(contact.utf8)[...], expires: 4_000_000_000, callID: [1], cseq: 1,
          flow: Flow(transport: .udp, listener: 0, remote: peer.endpoint, local: ServerNode.address), path: path)
      )
    ])
  }

  private func sdp(_ address: String, _ port: Int = 4000) -> [UInt8] {
    PhoneSDP.audio(Endpoint("\(address):\(port)")!)
  }

  /// Where media was last told to go, of what belongs to SDP port 4000.
  private func destinations(_ world: World) -> [Endpoint?] {
    world.server.media.commands.compactMap { command in
      if case .remote(_, let rtp, _, _, _, _, _) = command, rtp?.port == 4000 { rtp } else { nil }
    }
  }

  @Test("RFC 3581 §4, RFC 5626 §5.3: every request goes where the phone's come from; its Contact stays its Request-URI")
  func contact() throws {
    let world = World()
    let alice = world.registered("1000")[0]
    let nat = RawPeer("203.0.113.50:31000", on: world.network)
    bind(world, to: nat)
    nat.answer = { message in
      if message.method == .invite {
        nat.respond(
          message, 200, lines: ["Contact: <sip:1001@\(ScenarioNATTests.inside):5060>"],
          body: self.sdp(ScenarioNATTests.inside))
      } else if message.method != .ack {
        nat.respond(message, 200)
      }
    }
    let call = alice.call("1001")
    world.run(2)
    #expect(call.statuses.last == 200)
    alice.hangUp(call)
    world.run(2)
    #expect(nat.received.map(\.method) == [.invite, .ack, .bye])
    #expect(nat.received.allSatisfy { text($0.requestURI.bytes) == "sip:1001@\(ScenarioNATTests.inside):5060" })
    // And its media to the host that it speaks from.
    #expect(destinations(world).last == Endpoint("203.0.113.50:4000"))
    world.expectNothingLeft(records: 1)
  }

  @Test("a private address in SDP is replaced only for a phone that speaks from a public one, and not behind a proxy")
  func media() {
    for (address, path, expected) in [
      ("10.0.0.5", "", "203.0.113.50"), ("192.168.1.2", "", "203.0.113.50"), ("100.64.1.1", "", "203.0.113.50"),
      ("192.0.2.200", "", "192.0.2.200"), ("10.0.0.5", "<sip:p;lr>", "10.0.0.5"),
    ] {
      let world = World()
      let alice = world.registered("1000")[0]
      let nat = RawPeer("203.0.113.50:31000", on: world.network)
      bind(world, to: nat, path: path.isEmpty ? [] : [Array(path.utf8)])
      nat.answer = { message in
        guard message.method != .ack else { return }
        nat.respond(
          message, 200, lines: ["Contact: <sip:1001@10.0.0.5>"],
          body: message.method == .invite ? self.sdp(address) : [])
      }
      let call = alice.call("1001")
      world.run(2)
      #expect(destinations(world).last == Endpoint("\(expected):4000"), "\(address) \(path)")
      alice.hangUp(call)
      world.expectNothingLeft(records: 1)
    }
  }

  /// A call from 1000 to a phone at `203.0.113.50:31000`, then a request of that phone from another address.
  private func moved(to address: String, _ method: String, rport: Bool = true) throws -> (old: Int, new: Int) {
    let world = World()
    let alice = world.registered("1000")[0]
    let nat = RawPeer("203.0.113.50:31000", on: world.network)
    let later = RawPeer(address, on: world.network)
    bind(world, to: nat)
    for peer in [nat, later] {
      peer.answer = { message in
        guard message.isRequest, message.method != .ack else { return }
        peer.respond(
          message, 200, lines: ["Contact: <sip:1001@10.0.0.5>"],
          body: message.method == .invite ? self.sdp("10.0.0.5") : [])
      }
    }
    let call = alice.call("1001")
    world.run(2)
    let invite = try #require(nat.received.first)
    var request =
      "\(method) sip:x@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKn\(rport ? ";rport" : "")\r\n"
    request +=
      "Max-Forwards: 70\r\nFrom: <\(text(invite.to.uri.bytes))>;tag=raw-to\r\nTo: \(text(invite.from.bytes))\r\n"
    request +=
      "Call-ID: \(text(invite.callID))\r\nCSeq: 7 \(method)\r\nContact: <sip:1001@10.0.0.5>\r\nContent-Length: 0\r\n\r\n"
    later.send(Array(request.utf8))
    world.run(1)
    if method == "INVITE" {
      var ack = request.replacing("INVITE", with: "ACK").replacing("z9hG4bKn", with: "z9hG4bKa")
      let body = text(sdp("10.0.0.5"))
      ack = ack.replacing(
        "Content-Length: 0\r\n\r\n",
        with: "Content-Type: application/sdp\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      later.send(Array(ack.utf8))
      world.run(1)
    }
    alice.hangUp(call)
    world.run(2)
    world.expectNothingLeft(records: 1)
    func byes(_ peer: RawPeer) -> Int { peer.received.filter { $0.isRequest && $0.method == .bye }.count }
    return (byes(nat), byes(later))
  }

  @Test("the NAT gives the phone another port in mid-call: our next request goes there")
  func newPort() throws {
    #expect(try moved(to: "203.0.113.50:31999", "INFO") == (0, 1))
    #expect(try moved(to: "203.0.113.50:31999", "OPTIONS") == (0, 1))
  }

  @Test("RFC 3261 §12.2: to another host only with what changes the target")
  func newHost() throws {
    #expect(try moved(to: "203.0.113.99:31999", "INFO").new == 0)
    #expect(try moved(to: "203.0.113.99:31999", "INVITE") == (0, 1))
  }

  @Test("RFC 3581 §4: who sends no rport listens where he says, not where he sends from")
  func noRport() throws {
    #expect(try moved(to: "203.0.113.50:31999", "INFO", rport: false).new == 0)
  }

  @Test("sip.advertise: strangers are told the address of the NAT, peers of local_networks the server's own")
  func advertise() throws {
    let world = World {
      $0.listeners = [
        .init(transport: .udp, local: ServerNode.address, advertised: Endpoint("203.0.113.1:5060")!)
      ]
      $0.advertisedMedia = [IPAddress("203.0.113.2")!]
      $0.localNetworks = [SourceNetwork("192.0.2.0/24")!]
    }
    let phones = world.registered("1000", "1001")  // 192.0.2.111, 203.0.113.122
    let call = phones[0].call("1001")
    world.run(3)
    #expect(call.statuses.last == 200)
    let far = try #require(phones[1].calls[0].message)
    #expect(text(far.first(.contact)) == "<sip:203.0.113.1:5060>")
    #expect(text(far.via.bytes).hasPrefix("SIP/2.0/UDP 203.0.113.1:5060;"))
    #expect(text(far.body).contains("c=IN IP4 203.0.113.2\r\n"))
    let near = try #require(phones[0].responses(to: .invite).last { $0.status == 200 })
    #expect(text(near.first(.contact)) == "<sip:\(ServerNode.address)>")
    #expect(text(near.body).contains("c=IN IP4 198.51.100.2\r\n"))
    phones[0].hangUp(call)
    world.expectNothingLeft(records: 1)
  }
}
