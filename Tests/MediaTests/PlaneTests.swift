import CNet
import Glibc
import NetCore
import Synchronization
import Testing

@testable import Media

/// The whole media plane over loopback sockets. Every wait has a limit, and none is a sleep.
@Suite(.serialized) struct PlaneTests {
  static let v4 = CoreHarness.address
  static let v6 = IPAddress(high: 0, low: 1)

  private func plane(
    _ box: EventBox, addresses: [IPAddress] = [PlaneTests.v4], ports: ClosedRange<UInt16> = 21_000...21_399,
    workers: Int = 1, quarantine: Instant.Span = .zero
  ) throws -> MediaPlane {
    let plane = try MediaPlane(
      MediaConfiguration(
        addresses: addresses, ports: ports, workers: workers, ahead: 8, quarantine: quarantine)
    ) { box.deliver($0, $1) }
    plane.start()
    return plane
  }

  private func remote(_ port: MediaPort, _ phone: Endpoint) -> MediaCommand {
    .remote(
      port.id, rtp: phone, rtcp: nil, codecs: CoreHarness.codecs, sending: true, receiving: true, latch: true)
  }

  /// Returns when the worker has done all that was sent before.
  private func settle(_ plane: MediaPlane, _ box: EventBox, _ id: MediaEndpointID) -> MediaStatistics? {
    plane.send([.statistics(id, token: 999)])
    return box.wait { _, event in
      if case .statistics(id, 999, let statistics) = event { statistics } else { nil }
    }
  }

  @Test("two phones hear each other, each from the port that its SDP names", arguments: [v4, v6])
  func relay(ip: IPAddress) throws {
    guard let alice = PhoneSocket(ip), let bob = PhoneSocket(ip) else { return }  // no IPv6 here
    let box = EventBox()
    let plane = try plane(box, addresses: [ip])
    defer { plane.shutdown() }
    let a = try #require(plane.lease(owner: 1, family: ip.family))
    let b = try #require(plane.lease(owner: 1, family: ip.family, near: a.id))
    #expect(a.rtpPort % 2 == 0 && b.rtpPort % 2 == 0 && a.rtpPort != b.rtpPort)
    plane.send([
      remote(a, alice.endpoint), remote(b, bob.endpoint), .bridge(a.id, b.id, aToB: .identity, bToA: .identity),
    ])
    var ssrcs: Set<UInt32> = []
    for n in 0..<100 {
      alice.send(.talk(n), to: a)
      let heard = try #require(bob.receive())
      #expect(heard.from == Endpoint(ip, b.rtpPort) && heard.packet.payload == Packet.loud)
      bob.send(.talk(n, ssrc: 0x2222_2222), to: b)
      let back = try #require(alice.receive())
      #expect(back.from == Endpoint(ip, a.rtpPort))
      ssrcs.insert(heard.packet.ssrc)
      ssrcs.insert(back.packet.ssrc)
    }
    #expect(ssrcs.count == 2)
    let counted = try #require(settle(plane, box, a.id))
    #expect(counted.packetsIn == 100 && counted.packetsOut == 100 && counted.lost == 0)
    #expect(plane.usage.relayed == 200)
  }

  @Test("a stranger is not heard, before and after the socket is connected; a re-INVITE moves the stream")
  func moves() throws {
    let alice = try #require(PhoneSocket())
    let second = try #require(PhoneSocket())
    let bob = try #require(PhoneSocket())
    let box = EventBox()
    let plane = try plane(box)
    defer { plane.shutdown() }
    let a = try #require(plane.lease(owner: 1, family: .v4))
    let b = try #require(plane.lease(owner: 1, family: .v4, near: a.id))
    plane.send([
      remote(a, alice.endpoint), remote(b, bob.endpoint), .bridge(a.id, b.id, aToB: .identity, bToA: .identity),
    ])
    for n in 0..<60 {
      alice.send(.talk(n), to: a)
      #expect(bob.receive()?.packet.payload == Packet.loud)
      second.send(.talk(n, ssrc: 3, payload: Packet.quiet), to: a)
      bob.send(.talk(n, ssrc: 4), to: b)
      #expect(alice.receive() != nil)
    }
    plane.send([remote(a, second.endpoint)])
    _ = settle(plane, box, a.id)
    bob.send(.talk(60, ssrc: 4), to: b)
    #expect(second.receive() != nil)
    second.send(.talk(60, ssrc: 3, payload: Packet.quiet), to: a)
    #expect(bob.receive()?.packet.payload == Packet.quiet)
  }

  @Test("a tone is heard with one SSRC and without gaps, and a prompt says that it has ended")
  func generated() throws {
    let alice = try #require(PhoneSocket())
    let box = EventBox()
    let plane = try plane(box)
    defer { plane.shutdown() }
    let a = try #require(plane.lease(owner: 7, family: .v4))
    plane.send([
      remote(a, alice.endpoint),
      .ringback(to: a.id, source: .tone(.ringing, country: "us"), from: [], promised: 0, map: .none),
    ])
    var heard: [Packet] = []
    for _ in 0..<10 { heard.append(try #require(alice.receive()).packet) }
    #expect(heard.allSatisfy { $0.ssrc == heard[0].ssrc && Goertzel.power($0.payload, 480) > 0.3 })
    let file = SoundFile([Float](repeating: 0.5, count: 4800), rate: 48_000, name: "plane")
    plane.send([.play(a.id, .list([file.path, file.path], loop: false), token: 12)])
    let ended = box.wait { owner, event -> PlaybackEnd? in
      if owner == 7, case .played(a.id, 12, let ended) = event { ended } else { nil }
    }
    #expect(ended == .finished)
    _ = settle(plane, box, a.id)
    while let more = alice.receive(milliseconds: 0) { heard.append(more.packet) }
    #expect(zip(heard, heard.dropFirst()).allSatisfy { $1.sequence == $0.sequence &+ 1 })
    #expect(heard.suffix(10).allSatisfy { abs(Int(G711.decodeMu($0.payload[80])) - 16384) < 1000 })
    plane.send([.play(a.id, .file(path: "/nonexistent", loop: false), token: 13)])
    let failed = box.wait { _, event -> PlaybackEnd? in
      if case .played(a.id, 13, let ended) = event { ended } else { nil }
    }
    #expect(failed == .failed("/nonexistent: No such file or directory"))
  }

  @Test("leases end where the ports end, and a released pair is leased again under another generation")
  func exhaustion() throws {
    let box = EventBox()
    let plane = try plane(box, ports: 21_400...21_420)
    defer { plane.shutdown() }
    var leases: [MediaPort] = []
    while let lease = plane.lease(owner: 0, family: .v4) { leases.append(lease) }
    #expect((1...10).contains(leases.count) && plane.capacity == 10)
    #expect(Set(leases.map(\.rtpPort)).count == leases.count)
    #expect(plane.usage.refused == 1 && plane.lease(owner: 0, family: .v6) == nil)
    let last = try #require(leases.last)
    plane.send([.release(last.id)])
    _ = settle(plane, box, leases[0].id)
    let again = try #require(plane.lease(owner: 0, family: .v4))
    #expect(again.rtpPort == last.rtpPort && again.id.generation != last.id.generation)
  }

  @Test("a released pair rests, and for longer where somebody still sends to it")
  func quarantine() throws {
    let alice = try #require(PhoneSocket())
    let box = EventBox()
    let plane = try plane(box, ports: 21_430...21_433, quarantine: .seconds(60))
    defer { plane.shutdown() }
    let first = try #require(plane.lease(owner: 0, family: .v4))
    plane.send([.release(first.id)])
    let second = try #require(plane.lease(owner: 0, family: .v4))
    #expect(second.rtpPort != first.rtpPort)
    _ = settle(plane, box, second.id)
    #expect(plane.lease(owner: 0, family: .v4) == nil)
    alice.send(.talk(0), to: first)
    alice.send(.talk(0), to: second)
    _ = settle(plane, box, second.id)
    #expect(plane.usage.strays <= 1)
  }

  @Test("a port that another process holds is skipped, with its neighbour")
  func taken() throws {
    var address = cnet_address(Endpoint(Self.v4, 21_441))
    let held = cnet_udp_socket(&address, 0, 0)
    defer { close(held) }
    let box = EventBox()
    let plane = try plane(box, ports: 21_440...21_445)
    defer { plane.shutdown() }
    var ports: [UInt16] = []
    while let lease = plane.lease(owner: 0, family: .v4) { ports.append(lease.rtpPort) }
    #expect(!ports.contains(21_440) && ports.count <= 2)
  }

  @Test("a media time-out reaches the owner; of a released endpoint only the counters do")
  func events() throws {
    let box = EventBox()
    let plane = try plane(box)
    defer { plane.shutdown() }
    let a = try #require(plane.lease(owner: 1, family: .v4))
    let b = try #require(plane.lease(owner: 2, family: .v4))
    plane.send([.watch(a.id, timeout: .milliseconds(30)), .watch(b.id, timeout: .milliseconds(30))])
    plane.send([.statistics(b.id, token: 1), .release(b.id)])
    let owner = box.wait { owner, event -> UInt32? in
      if case .timeout(a.id) = event { owner } else { nil }
    }
    #expect(owner == 1)
    _ = settle(plane, box, a.id)
    let late = box.all.map(\.1).filter { $0.endpoint == b.id }
    #expect(late.count == 1)
    guard case .statistics(_, token: 1, _)? = late.first else { return _ = Issue.record("\(late)") }
  }

  @Test("several workers: near keeps a call on one, and each does its own")
  func workers() throws {
    let box = EventBox()
    let plane = try plane(box, workers: 3)
    defer { plane.shutdown() }
    var seen: Set<UInt16> = []
    for _ in 0..<6 {
      let alice = try #require(PhoneSocket())
      let a = try #require(plane.lease(owner: 1, family: .v4))
      let b = try #require(plane.lease(owner: 1, family: .v4, near: a.id))
      #expect(a.id.worker == b.id.worker)
      seen.insert(a.id.worker)
      plane.send([remote(b, alice.endpoint), .echo(b.id, true)])
      alice.send(.talk(0), to: b)
      #expect(alice.receive()?.packet.payload == Packet.loud)
    }
    #expect(seen == [0, 1, 2])
  }

  @Test("a configuration that cannot work is an error with its reason")
  func errors() {
    func fails(_ configuration: MediaConfiguration, _ code: MediaError.Code) {
      do throws(MediaError) {
        _ = try MediaPlane(configuration) { _, _ in }
        Issue.record("started")
      } catch {
        #expect(error.code == code && !error.message.isEmpty)
      }
    }
    fails(MediaConfiguration(addresses: []), .configuration)
    fails(MediaConfiguration(addresses: [Self.v4, Self.v4]), .configuration)
    fails(MediaConfiguration(addresses: [Self.v4], ports: 21_451...21_452), .configuration)
    fails(MediaConfiguration(addresses: [Self.v4], workers: 0), .configuration)
    // TEST-NET-1 (RFC 5737) is nobody's address.
    fails(MediaConfiguration(addresses: [IPAddress(v4: 0xc000_0201)]), .address)
  }

  @Test("after the shutdown nothing is leased, and commands do nothing")
  func shutdown() throws {
    let box = EventBox()
    let plane = try plane(box)
    let a = try #require(plane.lease(owner: 0, family: .v4))
    plane.shutdown()
    plane.shutdown()
    #expect(plane.lease(owner: 0, family: .v4) == nil)
    plane.send([.play(a.id, .silence, token: 1), .release(a.id)])
  }
}
