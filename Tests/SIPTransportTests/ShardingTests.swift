import Dispatch
import NetCore
import SIPMessage
import SIPTransport
import Testing

@Suite struct ShardingTests {
  private static func owner(_ text: String, _ key: (UInt64, UInt64), _ shards: Int) -> UInt8? {
    switch MessageSkim.route(Array(text.utf8), key: key, shards: UInt8(shards)) {
    case .shard(let shard): shard
    case .key(let hash): UInt8(hash % UInt64(shards))
    case .unreadable: nil
    }
  }

  @Test("A Call-ID has one shard, whichever socket it comes to", arguments: ["udp", "tcp"])
  func byCallID(_ transport: String) async throws {
    let key: (UInt64, UInt64) = (1, 2)
    try await ToyGroup.run(["\(transport):127.0.0.1:0"], shards: 4, adjust: { $0.routingKey = key }) { group, _ in
      var seen: Set<UInt8> = []
      let phones = try (0..<6).map { _ in try Peer(group.listeners[0]) }
      for n in 0..<24 {
        let request = options(callID: "call-\(n)", via: transport.uppercased())
        let expected = try #require(Self.owner(request, key, 4))
        seen.insert(expected)
        for phone in phones { try phone.send(request) }
        for phone in phones { #expect(header("X-Shard", try phone.nextHead()) == "\(expected)") }
      }
      #expect(seen == [0, 1, 2, 3])
      #expect(group.statistics.crossed > 0)
    }
  }

  @Test("A request goes where its To-tag says, a response where its Via branch says", arguments: 0..<4)
  func byToken(_ shard: Int) async throws {
    try await ToyGroup.run(shards: 4) { group, recorder in
      let token = Token(shard: UInt8(shard), slot: 77, generation: 5, random: 0xfeed_beef)
      let tag = String(decoding: token.hex, as: UTF8.self)
      let phone = try Peer(group.listeners[0])
      for n in 0..<8 {
        try phone.send(options(callID: "dialog-\(n)", toTag: tag))
        #expect(header("X-Shard", try phone.text()) == "\(shard)")
        let response = "SIP/2.0 200 OK" + options(callID: "ours-\(n)", branch: "z9hG4bK" + tag).dropFirst(34)
        try phone.send(response)
        let found = recorder.first { seen -> UInt8? in
          if case .response(let shard, _) = seen { shard } else { nil }
        }
        #expect(found == UInt8(shard))
      }
    }
  }

  @Test("A token of a shard that there is not falls back to the Call-ID")
  func forgedToken() async throws {
    try await ToyGroup.run(shards: 2) { group, _ in
      let tag = String(decoding: Token(shard: 200, slot: 1, generation: 1, random: 1).hex, as: UTF8.self)
      let phone = try Peer(group.listeners[0])
      try phone.send(options(toTag: tag))
      #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
    }
  }

  @Test("Pipelined requests on one connection reach their shards, and the answers come back to it")
  func acrossLoops() async throws {
    try await ToyGroup.run(["tcp:127.0.0.1:0"], shards: 4) { group, _ in
      let phone = try Peer(group.listeners[0])
      try phone.send((0..<200).map { options(callID: "call-\($0)", via: "TCP") }.joined())
      var open = Set((0..<200).map { "call-\($0)" })
      var shards: Set<String> = []
      for _ in 0..<200 {
        let answer = try phone.nextHead()
        open.remove(header("Call-ID", answer) ?? "")
        shards.insert(header("X-Shard", answer) ?? "")
      }
      #expect(open.isEmpty)
      #expect(shards == ["0", "1", "2", "3"])
    }
  }

  @Test("RFC 3261 §21.5.4: a full shard's new requests get 503 and its others nothing, and it recovers")
  func mailboxFull() async throws {
    let key: (UInt64, UInt64) = (3, 4)
    try await ToyGroup.run(
      shards: 2,
      adjust: {
        $0.routingKey = key
        $0.mailboxCapacity = 4
      }
    ) { group, _ in
      let held = DispatchSemaphore(value: 0)
      let release = DispatchSemaphore(value: 0)
      #expect(group.post(.hold(held: held, until: release), to: 1))
      #expect(held.wait(timeout: .now() + 10) == .success)
      // The loop of shard 1 stands. Find sockets that the kernel gives to shard 0: their requests to it are answered.
      let own = (0...).lazy.map { "own-\($0)" }.first { Self.owner(options(callID: $0), key, 2) == 0 } ?? ""
      let other = (0...).lazy.map { "other-\($0)" }.first { Self.owner(options(callID: $0), key, 2) == 1 } ?? ""
      let phones = try (0..<32).map { _ in try Peer(group.listeners[0]) }
      for phone in phones { try phone.send(options(callID: own)) }
      let phone = try #require(Peer.readable(of: phones))
      _ = try phone.text()
      for _ in 0..<4 { try phone.send(options(callID: other)) }
      // The fifth does not fit, nor does one inside a dialog.
      try phone.send(options(callID: other, toTag: "inside"))
      try phone.send(options(callID: other))
      let refusal = try phone.text()
      #expect(refusal.hasPrefix("SIP/2.0 503 "))
      #expect(header("Retry-After", refusal) != nil)
      #expect(group.statistics.overloadRejected == 1)
      #expect(group.statistics.overloadDropped == 1)
      for _ in 0..<4 { #expect(group.post(.timer(.seconds(Int64(60))), to: 1)) }
      #expect(!group.post(.timer(.seconds(Int64(60))), to: 1))
      #expect(group.statistics.itemsRefused == 1)
      release.signal()
      for _ in 0..<4 { #expect(try phone.text().hasPrefix("SIP/2.0 200 ")) }
      try phone.send(options(callID: other))
      #expect(header("X-Shard", try phone.text()) == "1")
      #expect(group.post(.timer(.seconds(Int64(60))), to: 1))
    }
  }

  @Test("An item posted from any thread is handled on its shard")
  func items() async throws {
    try await ToyGroup.run(shards: 3) { group, recorder in
      for shard in 0..<3 {
        #expect(group.post(.timer(.milliseconds(1)), to: shard))
        guard case .ticked(let who, let due, let at)? = recorder.next() else {
          return #expect(Bool(false), "no tick")
        }
        #expect(Int(who) == shard)
        #expect(at >= due)
      }
      #expect(!group.post(.timer(.zero), to: 3))
      #expect(!group.post(.timer(.zero), to: -1))
    }
  }

  @Test("An earlier deadline replaces a later one")
  func rearm() async throws {
    try await ToyGroup.run { group, recorder in
      #expect(group.post(.timer(.milliseconds(3_600_000)), to: 0))
      #expect(group.post(.timer(.milliseconds(2)), to: 0))
      guard case .ticked? = recorder.next() else { return #expect(Bool(false), "no tick") }
    }
  }
}
