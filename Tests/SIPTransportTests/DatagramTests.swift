import NetCore
import SIPMessage
import SIPTransport
import Testing

@Suite struct DatagramTests {
  @Test("RFC 3261 §18.2.2: an OPTIONS over UDP is answered to where it came from", arguments: ["127.0.0.1", "[::1]"])
  func answers(_ address: String) async throws {
    try await ToyGroup.run(["udp:\(address):0"]) { group, recorder in
      let phone = try Peer(group.listeners[0])
      try phone.send(options())
      let answer = try phone.text()
      #expect(answer.hasPrefix("SIP/2.0 200 "))
      #expect(header("Call-ID", answer) == "a84b4c76e66710")
      #expect(header("Via", answer)?.contains("rport=\(phone.local.port)") == true)
      guard case .request(0, let message)? = recorder.next() else { return #expect(Bool(false), "no request") }
      #expect(message.flow.remote == phone.local)
      #expect(message.flow.local == group.listeners[0].endpoint)
      #expect(message.flow.transport == .udp && message.flow.listener == 0 && message.flow.connection == 0)
    }
  }

  @Test("A burst is read in batches, woken by it or by the clock", arguments: [1, 4], [0, 1])
  func burst(_ shards: Int, busyRate: Int) async throws {
    try await ToyGroup.run(shards: shards, adjust: { $0.datagrams.busyRate = busyRate }) { group, _ in
      let phone = try Peer(group.listeners[0])
      var open: Set<String> = []
      for round in 0..<5 {
        for n in 0..<100 {
          try phone.send(options(callID: "\(round)-\(n)"))
          open.insert("\(round)-\(n)")
        }
        for _ in 0..<100 { open.remove(header("Call-ID", try phone.text()) ?? "") }
      }
      #expect(open.isEmpty)
      await group.stop()
      #expect(group.statistics.received == 500)
      #expect(group.statistics.sent == 500)
    }
  }

  @Test("RFC 3261 §18.1.1: a datagram of nearly 64 KiB passes in both families", arguments: ["127.0.0.1", "[::1]"])
  func large(_ address: String) async throws {
    try await ToyGroup.run(["udp:\(address):0"]) { group, _ in
      let phone = try Peer(group.listeners[0])
      try phone.send(options(body: 64_000))
      #expect(header("X-Body", try phone.text()) == "64000")
      try phone.send(options(extra: ["X-Flood: 2"]))
      #expect(try phone.receive().count > 60_000)
      #expect(try phone.receive().count > 60_000)
    }
  }

  @Test("What cannot be parsed is answered if it can be, else counted, and hurts nobody")
  func malformed() async throws {
    try await ToyGroup.run { group, _ in
      let phone = try Peer(group.listeners[0])
      try phone.send("this is not a SIP message at all\r\n\r\n")
      try phone.send([UInt8](repeating: 0, count: 200))
      try phone.send(options(cseq: nil))
      #expect(try phone.text().hasPrefix("SIP/2.0 400 "))
      try phone.send("ACK" + options(cseq: nil).dropFirst(7))
      try phone.send(options())
      #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
      #expect(group.statistics.parseFailuresAnswered == 1)
      #expect(group.statistics.parseFailuresDropped == 3)
    }
  }

  @Test("RFC 5626 §3.5.1: keep-alives and empty datagrams are counted and not answered")
  func keepAlives() async throws {
    try await ToyGroup.run { group, _ in
      let phone = try Peer(group.listeners[0])
      for bytes in [[], [13, 10], [13, 10, 13, 10], [0, 0, 0, 0]] as [[UInt8]] { try phone.send(bytes) }
      try phone.send(options())
      #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
      #expect(group.statistics.keepAlives == 4)
      #expect(group.statistics.received == 1)
    }
  }

  @Test(
    "RFC 3261 §18.4: an address that the system cannot send to fails its flow, and the socket lives on",
    arguments: ["255.255.255.255:5060", "127.0.0.1:0", "[::1]:5060"])
  func impossible(_ remote: String) async throws {
    try await ToyGroup.run { group, recorder in
      let local = group.listeners[0].endpoint
      let flow = Flow(transport: .udp, listener: 0, remote: try #require(Endpoint(remote)), local: local)
      #expect(group.post(.send(Array(options().utf8), flow), to: 0))
      #expect(recorder.first { if case .failed(0, let failed) = $0 { failed } else { nil } } == flow)
      let phone = try Peer(group.listeners[0])
      try phone.send(options())
      #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
      #expect(group.statistics.sendFailures == 1)
    }
  }

  @Test("A datagram longer than UDP carries fails its flow and no other")
  func overlong() async throws {
    try await ToyGroup.run { group, recorder in
      let phone = try Peer(group.listeners[0])
      let flow = Flow(transport: .udp, listener: 0, remote: phone.local, local: group.listeners[0].endpoint)
      #expect(group.post(.send([UInt8](repeating: 0x41, count: 70_000), flow), to: 0))
      #expect(group.post(.send(Array("after".utf8), flow), to: 0))
      #expect(recorder.first { if case .failed(0, let failed) = $0 { failed } else { nil } } == flow)
      #expect(try phone.text() == "after")
    }
  }

  @Test("A peer that is not there (ICMP port unreachable) neither fails for certain nor closes the socket")
  func unreachablePort() async throws {
    try await ToyGroup.run { group, _ in
      let gone = try Peer(group.listeners[0]).local
      let flow = Flow(transport: .udp, listener: 0, remote: gone, local: group.listeners[0].endpoint)
      for _ in 0..<50 { #expect(group.post(.send(Array(options().utf8), flow), to: 0)) }
      let phone = try Peer(group.listeners[0])
      try phone.send(options())
      #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
      #expect(group.statistics.sendFailures == 0)
    }
  }

  @Test("Several listeners: a response leaves by the one that its request came to")
  func listeners() async throws {
    try await ToyGroup.run(["udp:127.0.0.1:0", "udp:[::1]:0", "udp:127.0.0.1:0"]) { group, recorder in
      for index in [2, 0, 1] {
        let phone = try Peer(group.listeners[index])
        try phone.send(options(callID: "listener-\(index)"))
        #expect(header("Call-ID", try phone.text()) == "listener-\(index)")
        guard case .request(_, let message)? = recorder.next() else { return #expect(Bool(false), "no request") }
        #expect(message.flow.listener == UInt8(index))
      }
    }
  }

  @Test(
    "A wildcard address tells which of its addresses a datagram was sent to",
    arguments: [("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.2"), ("[::]", "[::1]")])
  func wildcard(_ any: String, _ one: String) async throws {
    try await ToyGroup.run(["udp:\(any):0"]) { group, recorder in
      let address = try #require(Endpoint("\(one):\(group.listeners[0].endpoint.port)"))
      let phone = try Peer(ListenAddress(.udp, address))
      // Several at once: NIO reads the first, we the others.
      for n in 0..<10 { try phone.send(options(callID: "\(n)")) }
      for _ in 0..<10 {
        #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
        guard case .request(_, let message)? = recorder.next() else { return #expect(Bool(false), "no request") }
        #expect(message.flow.local == address)
        #expect(message.flow.remote == phone.local)
      }
    }
  }

  @Test("A wildcard socket sends from an address that is not its machine's as the system chooses")
  func foreignSource() async throws {
    try await ToyGroup.run(["udp:0.0.0.0:0"]) { group, _ in
      let phone = try Peer(ListenAddress(.udp, try #require(Endpoint("127.0.0.1:\(group.listeners[0].endpoint.port)"))))
      for local in ["192.0.2.1:5060", "[2001:db8::1]:5060", "0.0.0.0:5060", "127.0.0.1:5060"] {
        let flow = Flow(transport: .udp, listener: 0, remote: phone.local, local: try #require(Endpoint(local)))
        #expect(group.post(.send(Array(local.utf8), flow), to: 0))
        #expect(try phone.text() == local)
      }
    }
  }

  @Test("Under load the loop's streams, items and timers have their turn")
  func busyLoop() async throws {
    try await ToyGroup.run(["udp:127.0.0.1:0", "tcp:127.0.0.1:0"], adjust: { $0.datagrams.busyRate = 1 }) {
      group, recorder in
      let phone = try Peer(group.listeners[0])
      for round in 0..<40 {
        for n in 0..<20 { try phone.send(options(callID: "\(round)-\(n)")) }
        if round % 10 == 5 {
          #expect(group.post(.timer(.milliseconds(1)), to: 0))
          #expect(recorder.first { if case .ticked(_, let due, let at) = $0 { at >= due } else { nil } } == true)
          let other = try Peer(group.listeners[1])
          try other.send(options(via: "TCP"))
          #expect(try other.nextHead().hasPrefix("SIP/2.0 200 "))
        }
        for _ in 0..<20 { #expect(try phone.text().hasPrefix("SIP/2.0 200 ")) }
      }
    }
  }
}
