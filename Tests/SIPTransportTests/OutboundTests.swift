import NetCore
import SIPMessage
import SIPTransport
import Testing

@Suite struct OutboundTests {
  private static let tcp = ["tcp:127.0.0.1:0"]

  private static func flow(_ group: ToyGroup, to remote: Endpoint, connection: UInt64 = 0) -> Flow {
    Flow(transport: .tcp, listener: 0, connection: connection, remote: remote, local: group.listeners[0].endpoint)
  }

  @Test("RFC 3261 §18.1.1: all shards send to a remote over one connection, opened once", arguments: [1, 4])
  func reuse(_ shards: Int) async throws {
    try await ToyGroup.run(Self.tcp, shards: shards) { group, recorder in
      let (server, endpoint) = try Peer.listen()
      for n in 0..<20 {
        let request = options(callID: "out-\(n)", via: "TCP")
        #expect(group.post(.send(Array(request.utf8), Self.flow(group, to: endpoint)), to: n % shards))
      }
      let accepted = try server.accept()
      var open = Set((0..<20).map { "out-\($0)" })
      for _ in 0..<20 { open.remove(header("Call-ID", try accepted.nextHead()) ?? "") }
      #expect(open.isEmpty)
      #expect(group.statistics.connectionsOpened == 1)
      // What comes back on it is received, with the connection's id.
      try accepted.send("SIP/2.0 200 OK" + options(via: "TCP").dropFirst(34))
      let message = recorder.first { if case .response(_, let message) = $0 { message } else { nil } }
      #expect(message?.flow.remote == endpoint)
      let id = try #require(message?.flow.connection)
      #expect(id != 0)
      // By id from any shard.
      for shard in 0..<shards {
        let flow = Self.flow(group, to: endpoint, connection: id)
        #expect(group.post(.send(Array(options(callID: "id-\(shard)", via: "TCP").utf8), flow), to: shard))
        #expect(header("Call-ID", try accepted.nextHead()) == "id-\(shard)")
      }
    }
  }

  @Test("RFC 3261 §18.1.1: a connection that the peer opened serves for requests to it", arguments: [1, 3])
  func reuseInbound(_ shards: Int) async throws {
    try await ToyGroup.run(Self.tcp, shards: shards) { group, _ in
      let phone = try Peer(group.listeners[0])
      try phone.send(options(via: "TCP"))
      #expect(try phone.nextHead().hasPrefix("SIP/2.0 200 "))
      let flow = Self.flow(group, to: phone.local)
      for shard in 0..<shards {
        #expect(group.post(.send(Array(options(callID: "to-phone", via: "TCP").utf8), flow), to: shard))
        #expect(header("Call-ID", try phone.nextHead()) == "to-phone")
      }
      #expect(group.statistics.connectionsOpened == 0)
    }
  }

  @Test("RFC 3261 §18.4: a refused connection fails the flow of every shard that sent", arguments: [1, 3])
  func refused(_ shards: Int) async throws {
    try await ToyGroup.run(Self.tcp, shards: shards) { group, recorder in
      let free = try Peer.listen().endpoint
      let flow = Self.flow(group, to: free)
      for shard in 0..<shards { #expect(group.post(.send(Array(options().utf8), flow), to: shard)) }
      var told: Set<UInt8> = []
      while told.count < shards, let seen = recorder.next() {
        if case .failed(let shard, flow) = seen { told.insert(shard) }
      }
      #expect(told.count == shards)
      #expect(group.statistics.connectFailures >= 1)
    }
  }

  @Test(
    "A connection that is gone fails the flow that names it, and every shard learns that it closed", arguments: [1, 3])
  func gone(_ shards: Int) async throws {
    try await ToyGroup.run(Self.tcp, shards: shards) { group, recorder in
      var phone: Peer? = try Peer(group.listeners[0])
      try phone?.send(options(via: "TCP"))
      let found = recorder.first { if case .request(_, let message) = $0 { message.flow } else { nil } }
      let flow = try #require(found)
      _ = try phone?.nextHead()
      phone = nil
      var told: Set<UInt8> = []
      while told.count < shards, let seen = recorder.next() {
        if case .closed(let shard, flow.connection) = seen { told.insert(shard) }
      }
      #expect(told.count == shards)
      for shard in 0..<shards {
        #expect(group.post(.send(Array(options().utf8), flow), to: shard))
        let failed = recorder.first { if case .failed(UInt8(shard), let flow) = $0 { flow } else { nil } }
        #expect(failed == flow)
      }
    }
  }

  @Test("What waits for a connect is bounded")
  func connectQueue() async throws {
    // Nobody accepts in a full backlog: the connect hangs, the messages collect, the limit ends it.
    try await ToyGroup.run(
      Self.tcp,
      adjust: {
        $0.streams.connectTimeout = .milliseconds(200)
        $0.streams.writeBufferLimit = 4096
      }
    ) { group, recorder in
      let (_, endpoint) = try Peer.listen()
      let flow = Self.flow(group, to: endpoint)
      #expect(group.post(.send([UInt8](repeating: 0x41, count: 5000), flow), to: 0))
      #expect(recorder.first { if case .failed(0, let failed) = $0 { failed } else { nil } } == flow)
    }
  }

  @Test("Where no certificate is configured, TLS fails at once")
  func withoutCertificate() async throws {
    try await ToyGroup.run(Self.tcp) { group, recorder in
      var flow = Self.flow(group, to: group.listeners[0].endpoint)
      flow.transport = .tls
      #expect(group.post(.send(Array(options().utf8), flow), to: 0))
      #expect(recorder.first { if case .failed(0, let failed) = $0 { failed } else { nil } } == flow)
    }
  }
}
