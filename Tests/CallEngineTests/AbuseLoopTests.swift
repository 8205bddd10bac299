@testable import CallEngine
import Foundation
import NetCore
import SIPMessage
import TestSupport
import Testing

/// Calls that come back to us, and what strangers put into routing headers.
@Suite("Abuse: loops and routes")
struct AbuseLoopTests {
  private static func carrier(_ address: String) -> Trunk {
    Trunk(
      name: "carrier", destination: Endpoint(address)!, host: address, transport: .udp, context: "public",
      sources: [SourceNetwork(String(address.split(separator: ":")[0]))!])
  }
  private static let outward = """
    on.invite(function(call)
      local r = call:dial("trunk/carrier/" .. call.ruri.user, { timeout = 30, ringback = "180" })
      if not r.ok then call:reject { from = r } end
    end)
    """

  @Test("RFC 3261 §16.3 item 4: a proxy sends our INVITE back to us: 482, and the caller is told at once")
  func proxyLoop() {
    let world = World(Self.outward, open: ["192.0.2.111"], trunks: [Self.carrier("192.0.2.200:5060")])
    let proxy = RawPeer("192.0.2.200:5060", on: world.network)
    var sentBack = 0
    proxy.answer = { message in
      guard message.isRequest, message.method == .invite else {
        // What we say to the request that came back goes on to us as its answer.
        if !message.isRequest, message.method == .invite, message.status >= 200 {
          proxy.send(Self.withoutTopVia(message))
        }
        return
      }
      sentBack += 1
      proxy.send(Self.withVia("SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bKp\(sentBack)", message))
    }
    let phone = world.phone("1000")
    let call = phone.call("4711")
    world.run(3)
    // Once more, as what it is asked for then is not yet what it was asked for first.
    #expect(sentBack == 2)
    #expect(call.statuses.last == 482)
    world.run(120)
    #expect(world.server.callCount == 0 && world.server.transactionCount == 0)
  }

  @Test("RFC 3261 §8.1.1.6: what another server sends in a circle ends with 483 after 70 hops at most")
  func circle() {
    let world = World(Self.outward, open: ["192.0.2.111"], trunks: [Self.carrier("192.0.2.200:5060")])
    let other = RawPeer("192.0.2.200:5060", on: world.network)
    var hops: [Int] = []
    other.answer = { message in
      guard message.isRequest, message.method == .invite else { return }
      other.respond(message, 100)
      hops.append(message.maxForwards ?? -1)
      // A call of its own, as a back-to-back user agent makes it.
      other.request(
        "INVITE", "sip:4711@nightjar.example", branch: "z9hG4bKh\(hops.count)", callID: "hop\(hops.count)",
        tag: "t\(hops.count)", maxForwards: message.maxForwards ?? 70, type: "application/sdp",
        body: text(PhoneSDP.audio(Endpoint(other.endpoint.ip, 4_000))))
    }
    let phone = world.phone("1000")
    phone.script = .silent
    let call = phone.call("4711")
    world.run(20)
    #expect(hops.first == 69 && hops == hops.sorted(by: >) && hops.count == 70)
    #expect(other.statuses.contains(483))
    phone.hangUp(call)
    world.run(200)
    #expect(world.server.callCount == 0)
  }

  @Test("RFC 3261 §8.1.1.6: a caller's Max-Forwards of 255 is no more than 70 on the other leg")
  func greedy() {
    let world = World(open: ["192.0.2.200"])
    let bob = world.registered("1001")[0]
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    peer.request(
      "INVITE", maxForwards: 255, type: "application/sdp", body: text(PhoneSDP.audio(Endpoint(peer.endpoint.ip, 4_000)))
    )
    world.run(0.5)
    #expect(bob.requests.first?.maxForwards == 70)
  }

  @Test("RFC 3261 §16.4, §19.1.5: a preloaded Route of a caller is not followed; R-URI headers are 400")
  func preloadedRoute() {
    let world = World(open: ["192.0.2.200"])
    let bob = world.registered("1001")[0]
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    let elsewhere = RawPeer("203.0.113.9:5060", on: world.network)
    peer.request(
      "INVITE", lines: ["Route: <sip:198.51.100.1;lr>", "Route: <sip:203.0.113.9;lr>"], type: "application/sdp",
      body: text(PhoneSDP.audio(Endpoint(peer.endpoint.ip, 4_000))))
    world.run(0.5)
    #expect(elsewhere.received.isEmpty)
    #expect(bob.requests.count == 1 && bob.requests.first?.has(.route) == false)
    peer.request("INVITE", "sip:1001@nightjar.example?Route=%3Csip:203.0.113.9%3E", branch: "z9hG4bK2", callID: "r2")
    world.run(0.5)
    #expect(peer.statuses.last == 400 && elsewhere.received.isEmpty && bob.requests.count == 1)
  }

  @Test("RFC 3261 §20.1, RFC 4475 §3.3.15: a caller who reads no session description gets 406, with what there is")
  func unreadable() throws {
    let world = World(open: ["192.0.2.200"])
    let bob = world.registered("1001")[0]
    let peer = RawPeer("192.0.2.200:5060", on: world.network)
    peer.request("INVITE", lines: ["Accept: text/nobodyKnowsThis"])
    world.run(0.5)
    let answer = try #require(peer.received.last)
    #expect(answer.status == 406 && text(answer.first(.accept)) == "application/sdp" && bob.requests.isEmpty)
    for (i, good) in ["application/SDP;level=1, text/plain", "application/*", "*/*;q=0.1"].enumerated() {
      peer.request(
        "INVITE", branch: "z9hG4bKa\(i)", callID: "a\(i)", lines: ["Accept: \(good)"], type: "application/sdp",
        body: text(PhoneSDP.audio(Endpoint(peer.endpoint.ip, 4_000))))
    }
    world.run(0.5)
    #expect(bob.requests.count == 3)
  }

  @Test("RFC 3264, RFC 3960: a 183 that cannot be negotiated is a ring; the next one that can opens the media")
  func twoProgresses() {
    for policy in ["passthrough", "tone_until_media"] {
      let world = World(World.dialling("{ timeout = 30, ringback = '\(policy)' }"))
      let phones = world.registered("1000", "1001")
      let bad = [
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 77\r\n"
          + "a=rtpmap:77 unheard-of/8000\r\n",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\nm=video 4000 RTP/AVP 31\r\n", "this is no description",
      ]
      phones[1].script = PhoneScript(
        bad.map { .respond(183, after: .milliseconds(100), body: Array($0.utf8)) } + [
          .respond(183, after: .milliseconds(100), body: phones[1].sdp),
          .respond(200, after: .seconds(1), body: phones[1].sdp),
        ])
      let call = phones[0].call("1001")
      world.run(3)
      #expect(call.state == .answered, "\(policy): \(call.statuses)")
      #expect(call.statuses.last == 200, "\(policy): \(call.statuses)")
      // Whatever the caller was shown before, it is what he has in the end: no offer that nobody can answer.
      let described = phones[0].responses(to: .invite).filter { $0.status >= 180 && !$0.body.isEmpty }
      #expect(described.allSatisfy { text($0.body)?.contains("unheard-of") == false }, "\(policy)")
      #expect(described.contains { $0.status == 183 }, "\(policy)")
      phones[0].hangUp(call)
      world.expectNothingLeft(records: 1, policy)
    }
  }

  // MARK: what a proxy does

  private static func withVia(_ via: String, _ message: Message) -> [UInt8] {
    let lines = String(decoding: message.bytes, as: UTF8.self)
    let end = lines.range(of: "\r\n")!.upperBound
    return Array((lines[..<end] + "Via: \(via)\r\n" + lines[end...]).utf8)
  }

  private static func withoutTopVia(_ message: Message) -> [UInt8] {
    var lines = String(decoding: message.bytes, as: UTF8.self).components(separatedBy: "\r\n")
    if let top = lines.firstIndex(where: { $0.hasPrefix("Via:") }) { lines.remove(at: top) }
    return Array(lines.joined(separator: "\r\n").utf8)
  }
}
