@testable import CallEngine
import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction
import TestSupport
import Testing

/// RFC 3262 towards callees: what they send reliably is acknowledged, each fork in a dialog of its own.
@Suite("100rel and UPDATE before the answer, of callees")
struct EarlyDialogTests {
  private static let carrier = Trunk(
    name: "carrier", destination: Endpoint("203.0.113.200:5060")!, host: "203.0.113.200", transport: .udp,
    context: "public", sources: [])

  /// A caller, and a carrier who says what a test writes.
  private struct Setup {
    let world: World
    let alice: ScriptedPhone
    let peer: RawPeer
    let call: PhoneCall
    let invite: Message

    init(ringback: String = "passthrough", headers: [String] = [], body: [UInt8]? = nil) throws {
      world = World(
        World.invite(
          "local r = call:dial('trunk/carrier/49', { timeout = 40, ringback = '\(ringback)' })\nif not r.ok then call:reject { from = r } end"
        ), trunks: [EarlyDialogTests.carrier])
      alice = world.registered("1000")[0]
      peer = RawPeer("203.0.113.200:5060", on: world.network)
      call = alice.call("49", headers: headers, body: body)
      world.run(0.5)
      invite = try #require(peer.received.first { $0.method == .invite })
    }

    var sdp: [UInt8] { PhoneSDP.audio(Endpoint("203.0.113.200:30000")!) }

    func reliable(_ rseq: Int, tag: String = "fork1", status: Int = 183, body: [UInt8]? = nil) {
      peer.respond(
        invite, status, tag: tag,
        lines: ["Require: 100rel", "RSeq: \(rseq)", "Contact: <sip:\(tag)@203.0.113.200>", "Allow: INVITE, UPDATE"],
        body: body ?? sdp)
      world.run(0.1)
    }

    func answer(tag: String = "fork1", body: [UInt8]? = nil) {
      peer.respond(
        invite, 200, tag: tag, lines: ["Contact: <sip:\(tag)@203.0.113.200>", "Allow: INVITE, UPDATE"],
        body: body ?? sdp)
      world.run(0.2)
    }

    var pracks: [Message] { unique(.prack) }

    func unique(_ method: SIPMessage.Method) -> [Message] {
      var seen: Set<[UInt8]> = []
      return peer.received.filter {
        $0.isRequest && $0.method == method && seen.insert(Array($0.via.branch ?? [])).inserted
      }
    }

    /// Says 200 to every request that has had no answer yet.
    func obey() {
      peer.answer = { [peer] message in
        if message.isRequest, message.method != .ack, message.method != .invite { peer.respond(message, 200) }
      }
    }

    /// A request of the carrier in the dialog that his `tag` and our INVITE make.
    func request(_ method: String, cseq: Int, tag: String = "fork1", lines: [String] = [], body: [UInt8] = []) {
      let text =
        "\(method) sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.200:5060;branch=z9hG4bK\(method)\(cseq)\(tag)\r\n"
        + "Max-Forwards: 70\r\nFrom: <sip:49@203.0.113.200>;tag=\(tag)\r\nTo: \(CallEngineTests.text(invite.from.bytes))\r\n"
        + "Call-ID: \(CallEngineTests.text(invite.callID))\r\nCSeq: \(cseq) \(method)\r\nContact: <sip:\(tag)@203.0.113.200>\r\n"
        + lines.map { $0 + "\r\n" }.joined()
        + (body.isEmpty ? "" : "Content-Type: application/sdp\r\n") + "Content-Length: \(body.count)\r\n\r\n"
      peer.send(Array(text.utf8) + body)
      world.run(0.2)
    }

    var lastResponse: Message? { peer.received.last { !$0.isRequest } }

    func end() {
      obey()
      alice.hangUp(call)
      world.run(120)
      #expect(world.server.callCount == 0 && world.server.media.violations.isEmpty)
      #expect(world.server.shards.allSatisfy { $0.legs.count == 0 && $0.wheel.count == 0 })
    }
  }

  @Test("RFC 3262 §4: our INVITE has Supported: 100rel; a reliable 183 gets a PRACK with RAck, in its early dialog")
  func acknowledged() throws {
    let setup = try Setup()
    #expect(setup.invite.hasToken("100rel", in: .supported))
    setup.reliable(9021)
    let prack = try #require(setup.pracks.first)
    #expect(text(prack.first(.rAck)) == "9021 \(setup.invite.cseq) INVITE")
    #expect(prack.cseq == setup.invite.cseq + 1 && text(prack.toTag) == "fork1" && prack.callID == setup.invite.callID)
    #expect(text(prack.requestURI.bytes) == "sip:fork1@203.0.113.200")
    #expect(setup.call.statuses.contains(183))
    setup.obey()
    setup.answer()
    let ack = try #require(setup.peer.received.last { $0.method == .ack })
    #expect(ack.cseq == setup.invite.cseq && setup.call.state == .answered)
    // The dialog goes on where its PRACK left off (RFC 3261 §12.2.1.1).
    setup.alice.hangUp(setup.call)
    setup.world.run(1)
    #expect(setup.unique(.bye).map(\.cseq) == [setup.invite.cseq + 2])
    setup.end()
  }

  @Test("RFC 3262 §4: a copy gets no second PRACK, one out of order none before the gap is closed")
  func order() throws {
    let setup = try Setup()
    setup.obey()
    setup.reliable(5, status: 180, body: [])
    setup.reliable(5, status: 180, body: [])
    setup.reliable(7)
    #expect(setup.pracks.count == 1 && !setup.call.statuses.contains(183))
    setup.reliable(6, status: 182, body: [])
    setup.reliable(7)
    #expect(setup.pracks.map { text($0.first(.rAck)) } == ["5 1 INVITE", "6 1 INVITE", "7 1 INVITE"])
    #expect(setup.pracks.map(\.cseq) == [2, 3, 4] && setup.call.statuses.contains(183))
    setup.end()
  }

  @Test("RFC 3262 §4: each fork has numbers and a dialog of its own; the one that answers is talked with")
  func forks() throws {
    let setup = try Setup()
    setup.obey()
    let other = PhoneSDP.audio(Endpoint("203.0.113.200:31000")!, formats: [(8, "PCMA/8000")])
    setup.reliable(100, tag: "fork1")
    setup.reliable(7, tag: "fork2", body: other)
    #expect(setup.pracks.map { text($0.toTag) } == ["fork1", "fork2"] && setup.pracks.map(\.cseq) == [2, 2])
    setup.answer(tag: "fork2", body: [])
    #expect(setup.call.state == .answered)
    let bob = try #require(setup.world.server.shards[0].calls.elements.first?.bridged)
    #expect(bob.remoteAudio?.rtp.port == 31_000)
    setup.end()
    #expect(setup.unique(.bye).allSatisfy { text($0.toTag) == "fork2" && $0.cseq == 3 })
  }

  @Test("RFC 3261 §13.2.2.4: of several early dialogs the first usable description is heard, until one answers")
  func firstHeard() throws {
    let setup = try Setup()
    let bad: [UInt8] = Array("v=0\r\no=- 1 1 IN IP4 203.0.113.200\r\ns=-\r\nt=0 0\r\nm=video 4000 RTP/AVP 99\r\n".utf8)
    for (tag, body) in [("a", bad), ("b", setup.sdp), ("c", PhoneSDP.audio(Endpoint("203.0.113.200:32000")!))] {
      setup.peer.respond(setup.invite, 183, tag: tag, lines: ["Contact: <sip:x@203.0.113.200>"], body: body)
      setup.world.run(0.1)
    }
    let leg = try #require(setup.world.server.shards[0].calls.elements.first?.callees.first)
    #expect(leg.remoteAudio?.rtp.port == 30_000)
    setup.obey()
    setup.answer(tag: "c", body: PhoneSDP.audio(Endpoint("203.0.113.200:32000")!))
    #expect(leg.remoteAudio?.rtp.port == 32_000 && setup.call.state == .answered)
    setup.end()
  }

  @Test("RFC 6337 §3.1.1: what was answered reliably is the answer, whatever the 200 says")
  func firstAnswerCounts() throws {
    let setup = try Setup()
    setup.obey()
    setup.reliable(1)
    setup.answer(body: PhoneSDP.audio(Endpoint("203.0.113.200:39000")!))
    let bob = try #require(setup.world.server.shards[0].calls.elements.first?.bridged)
    #expect(bob.remoteAudio?.rtp.port == 30_000)
    setup.end()
  }

  @Test("no more early dialogs than a proxy forks to")
  func bounded() throws {
    let setup = try Setup()
    setup.obey()
    for fork in 0..<20 { setup.reliable(1, tag: "fork\(fork)") }
    #expect(setup.pracks.count == EarlyDialog.limit)
    setup.end()
  }

  @Test("RFC 3311 §5.2: UPDATE of a callee before the answer: 200 with an answer once his own was reliable, else 481")
  func updateOfCallee() throws {
    let setup = try Setup()
    setup.obey()
    setup.request("UPDATE", cseq: 1, body: setup.sdp)
    #expect(setup.lastResponse?.status == 481)
    setup.reliable(1)
    let changed = PhoneSDP.audio(Endpoint("203.0.113.200:33000")!, formats: [(0, "PCMU/8000")], version: 2)
    setup.request("UPDATE", cseq: 2, body: changed)
    let ok = try #require(setup.lastResponse)
    #expect(ok.status == 200 && ok.has(.contact))
    #expect(try OfferAnswerSDP.audio(in: SessionDescription(parsing: ok.body)).codecs.map(\.name) == ["PCMU"])
    #expect(
      setup.world.server.media.commands.contains {
        if case .remote(_, rtp: Endpoint("203.0.113.200:33000")!, _, _, _, _, _) = $0 { true } else { false }
      })
    // No offer: nothing but 200. An old CSeq: 500. A BYE is not his to send (RFC 3261 §15).
    setup.request("UPDATE", cseq: 3)
    #expect(setup.lastResponse?.status == 200 && setup.lastResponse?.body.isEmpty == true)
    setup.request("INFO", cseq: 2)
    #expect(setup.lastResponse?.status == 500)
    setup.request("BYE", cseq: 9)
    #expect(setup.lastResponse?.status == 403)
    setup.answer(body: [])
    #expect(setup.call.state == .answered)
    setup.end()
  }

  @Test("RFC 3311 §5.2: a callee's UPDATE with an offer before ours is answered: 491")
  func glare() throws {
    let setup = try Setup()
    setup.obey()
    setup.reliable(1, status: 180, body: [])
    setup.request("UPDATE", cseq: 1, body: setup.sdp)
    #expect(setup.lastResponse?.status == 491)
    setup.end()
  }

  @Test("RFC 3262 §5: early media through the relay, reliable on both legs; UPDATE of the caller before the answer")
  func bothReliable() throws {
    let setup = try Setup(headers: ["Supported: 100rel"])
    setup.obey()
    setup.alice.send(.update, in: setup.call, body: setup.alice.sdp)
    setup.reliable(1)
    #expect(setup.call.prackStatuses == [200])
    setup.alice.send(
      .update, in: setup.call, body: PhoneSDP.audio(Endpoint(setup.alice.endpoint.ip, 48_000), version: 2))
    setup.world.run(0.3)
    #expect(setup.alice.otherStatuses == [200])
    let answer = try #require(setup.alice.responses(to: .update).last?.body)
    #expect(try OfferAnswerSDP.audio(in: SessionDescription(parsing: answer)).rtp.ip == IPAddress("198.51.100.2"))
    #expect(setup.unique(.update).isEmpty)
    setup.answer(body: [])
    #expect(setup.call.state == .answered && setup.call.message?.body.isEmpty == true)
    setup.end()
  }

  @Test("RFC 3262 §5: early media of a callee for a caller who made no offer: ours in the reliable 183")
  func delayedEarlyMedia() throws {
    let setup = try Setup(headers: ["Supported: 100rel"], body: [])
    setup.obey()
    setup.reliable(1, body: PhoneSDP.audio(Endpoint("203.0.113.200:30000")!, formats: [(8, "PCMA/8000")]))
    let early = try #require(setup.call.bodies.first)
    #expect(try OfferAnswerSDP.audio(in: SessionDescription(parsing: early[...])).codecs.map(\.name) == ["PCMA"])
    #expect(setup.call.prackStatuses == [200])
    #expect(setup.world.server.media.commands.contains { $0.name == "bridge" })
    setup.answer(body: [])
    #expect(setup.call.state == .answered && setup.call.message?.body.isEmpty == true)
    setup.end()
  }
}
