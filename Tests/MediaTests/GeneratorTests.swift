import NetCore
import Testing

@testable import Media

@Suite struct GeneratorTests {
  let phone = CoreHarness.phone(4000)

  private func clip(_ frames: Int, value: Int16 = 5000) -> AudioClip {
    AudioClip([Int16](repeating: value, count: frames * 160))
  }

  @Test("no timer runs where nothing is generated and nothing is watched")
  func idle() {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    #expect(h.core.deadline == .distantFuture)
    h.apply(.play(a, .tone(.dial, country: "us"), token: 1))
    #expect(h.core.deadline <= h.now)
    h.apply(.stopPlaying(a))
    #expect(h.core.deadline == .distantFuture)
  }

  @Test("packets leave on an absolute schedule: a late thread does not move it")
  func schedule() {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    let start = h.now
    h.apply(.play(a, .tone(.dial, country: "us"), token: 1))
    var sent: [CoreHarness.Sent] = []
    for n in 0..<500 {
      // Up to 15 ms late every time.
      h.now = start + .milliseconds(Int64(20 * n) + Int64(n * 7 % 15))
      let now = h.poll()
      #expect(now.count == 1)
      sent += now
    }
    #expect(h.core.deadline == start + .milliseconds(500 * 20))
    let packets = sent.map(\.packet)
    #expect(zip(packets, packets.dropFirst()).allSatisfy { $1.timestamp == $0.timestamp &+ 160 })
    #expect(zip(packets, packets.dropFirst()).allSatisfy { $1.sequence == $0.sequence &+ 1 })
    #expect(packets.map(\.marker) == [true] + Array(repeating: false, count: 499))
  }

  @Test("a tick that is very late sends at most three packets, and the timestamp says what was left out")
  func catchUp() throws {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    h.apply(.play(a, .tone(.dial, country: "us"), token: 1))
    let first = try #require(h.poll().first).packet
    h.advance(40)
    #expect(h.poll().count == 2)
    h.advance(1000)
    let burst = h.poll().map(\.packet)
    #expect(burst.count == 3)
    // 50 frames were due; the last of the burst belongs at 1040 ms.
    #expect(burst.map { ($0.timestamp &- first.timestamp) / 160 } == [50, 51, 52])
    #expect(burst.map { Int($0.sequence &- first.sequence) } == [3, 4, 5])
    h.advance(20)
    #expect(h.poll().count == 1)
  }

  @Test("all generators share one tick")
  func oneTick() {
    let h = CoreHarness()
    let legs = (0..<8).map { h.leg($0, phone: CoreHarness.phone(UInt16(4000 + 2 * $0))) }
    for leg in legs {
      h.apply(.play(leg, .silence, token: 0))
      h.advance(3)
    }
    _ = h.run(40)
    let sent = h.run(200)
    #expect(sent.count == 80 && Set(sent.map(\.at.nanoseconds)).count == 10)
  }

  @Test("a file is played once, its end is told once, and the last packet is filled up with silence")
  func file() throws {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    h.apply(.play(a, .file(path: "x.wav", loop: false), token: 9))
    #expect(h.run(100).isEmpty)
    let load = try #require(h.core.loads.first)
    #expect(load.paths == ["x.wav"])
    h.core.loaded(load.key, [AudioClip([Int16](repeating: 5000, count: 400))], failure: nil, now: h.now)
    let sent = h.run(200).map(\.packet)
    #expect(sent.count == 3)
    #expect(
      sent[2].payload.prefix(80).allSatisfy { $0 != 0xff } && sent[2].payload.suffix(80).allSatisfy { $0 == 0xff })
    let events = h.events()
    #expect(events.count == 1)
    guard case .played(a, 9, .finished)? = events.first else {
      Issue.record("not finished")
      return
    }
    #expect(h.core.deadline == .distantFuture)
  }

  @Test("a list plays in order, and a loop begins again")
  func list() throws {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    h.apply(.play(a, .list(["1", "2"], loop: true), token: 9))
    let load = try #require(h.core.loads.first)
    h.core.loaded(load.key, [clip(2, value: 1000), clip(1, value: 9000)], failure: nil, now: h.now)
    let levels = h.run(160).map { G711.decodeMu($0.packet.payload[0]) }
    #expect(levels.map { $0 > 5000 } == [false, false, true, false, false, true, false, false])
    h.apply(.stopPlaying(a))
    guard case .played(a, 9, .stopped)? = h.events().first else {
      Issue.record("not stopped")
      return
    }
  }

  @Test("a file that cannot be read, and a leg without G.711, are failures; a new source stops the old one")
  func failures() throws {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    h.apply(.play(a, .file(path: "none", loop: false), token: 1))
    h.core.loaded(try #require(h.core.loads.first).key, [], failure: "none: No such file", now: h.now)
    guard case .played(a, 1, .failed("none: No such file"))? = h.events().first else {
      Issue.record("no failure")
      return
    }
    h.apply(.play(a, .silence, token: 2))
    h.apply(.play(a, .tone(.busy, country: "de"), token: 3))
    guard case .played(a, 2, .stopped)? = h.events().first else {
      Issue.record("not stopped")
      return
    }
    // The same again changes nothing.
    h.apply(.play(a, .tone(.busy, country: "de"), token: 3))
    #expect(h.events().isEmpty)
    let b = h.leg(1, phone: phone, codecs: MediaCodecs(telephoneEvent: 101, clockRate: 48_000))
    h.apply(.play(b, .silence, token: 4))
    guard case .played(b, 4, .failed)? = h.events().first else {
      Issue.record("played without a codec")
      return
    }
  }

  @Test("a ring-back whose file cannot be read rings")
  func ringbackFailure() throws {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    h.apply(.ringback(to: a, source: .file(path: "no", loop: true), from: [], promised: 0, map: .none))
    h.core.loaded(try #require(h.core.loads.first).key, [], failure: "no", now: h.now)
    let last = try #require(h.run(40).last)
    #expect(Goertzel.power(last.packet.payload, 440) > 0.3)
    guard case .played(a, 0, .failed("no"))? = h.events().first else {
      Issue.record("not told")
      return
    }
  }

  @Test("RFC 3264 §8.4: on hold a prompt runs on unheard, and resumes with the marker at its place")
  func hold() throws {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone)
    func hold(_ isHeld: Bool) {
      h.apply(
        .remote(
          a, rtp: phone, rtcp: nil, codecs: CoreHarness.codecs, sending: !isHeld, receiving: true, latch: true))
    }
    h.apply(.play(a, .file(path: "x", loop: false), token: 1))
    let samples = (0..<50).flatMap { n in [Int16](repeating: Int16(n * 500), count: 160) }
    h.core.loaded(try #require(h.core.loads.first).key, [AudioClip(samples)], failure: nil, now: h.now)
    let before = h.run(100).map(\.packet)
    hold(true)
    #expect(h.run(200).isEmpty)
    hold(false)
    let after = h.run(100).map(\.packet)
    #expect(before.count == 5 && after.count == 5)
    #expect(after[0].marker && after[0].sequence == before[4].sequence &+ 1)
    #expect(after[0].timestamp == before[4].timestamp &+ 11 * 160)
    #expect(after[0].payload[0] == G711.encodeMu(15 * 500))
  }

  @Test("the law and the payload type are the leg's")
  func payloadType() throws {
    let h = CoreHarness()
    let a = h.leg(0, phone: phone, codecs: MediaCodecs(pcmu: 0, pcma: 8, preferred: .pcma))
    h.apply(.play(a, .silence, token: 1))
    let packet = try #require(h.poll().first).packet
    #expect(packet.type == 8 && packet.marker && packet.payload == [UInt8](repeating: 0xd5, count: 160))
  }
}
