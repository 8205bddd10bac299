import NetCore
import SIPMessage
import SIPTransport
import Testing

/// Connections that come back, keep-alives of our own, and WebSockets over real sockets.
@Suite struct StreamKeepingTests {
  private static let tcp = ["tcp:127.0.0.1:0"]

  private static func request(_ recorder: Recorder<Seen>) -> Message? {
    recorder.first { if case .request(_, let message) = $0 { message } else { nil } }
  }

  @Test("RFC 3261 §18.2.2: a response whose connection is gone goes to the Via's port by a new one", arguments: [1, 3])
  func responseByNewConnection(_ shards: Int) async throws {
    try await ToyGroup.run(Self.tcp, shards: shards) { group, recorder in
      let (server, endpoint) = try Peer.listen()
      var phone: Peer? = try Peer(group.listeners[0])
      // The host is another's: only the address that it came from is ever connected to.
      let via = Endpoint(IPAddress(v4: 0xcb00_7105), endpoint.port)
      try phone?.send(options(callID: "lost", via: "TCP", extra: ["X-Silent: 1"], from: via))
      let request = try #require(Self.request(recorder))
      phone = nil
      #expect(recorder.first { if case .closed = $0 { true } else { nil } } == true)
      var response = MessageWriter.response(to: request, status: 200, toTag: Array("late".utf8)[...])
      response.finish()
      for shard in 0..<shards {
        #expect(group.post(.send(response.bytes, request.responseFlow), to: shard))
      }
      let accepted = try server.accept()
      for _ in 0..<shards {
        let head = try accepted.nextHead()
        #expect(head.hasPrefix("SIP/2.0 200 ") && header("Call-ID", head) == "lost")
      }
      #expect(group.statistics.connectionsOpened == 1)
    }
  }

  @Test("RFC 3261 §18.2.2: where that fails too, the flow of the request has failed")
  func responseLost() async throws {
    try await ToyGroup.run(Self.tcp) { group, recorder in
      let free = try Peer.listen().endpoint
      var phone: Peer? = try Peer(group.listeners[0])
      try phone?.send(options(via: "TCP", extra: ["X-Silent: 1"], from: free))
      let request = try #require(Self.request(recorder))
      phone = nil
      #expect(recorder.first { if case .closed = $0 { true } else { nil } } == true)
      var response = MessageWriter.response(to: request, status: 200, toTag: Array("late".utf8)[...])
      response.finish()
      #expect(group.post(.send(response.bytes, request.responseFlow), to: 0))
      let failed = recorder.first { if case .failed(0, let flow) = $0 { flow } else { nil } }
      #expect(failed == request.responseFlow)
    }
  }

  @Test("RFC 5626 §4.4.1: CRLF CRLF of our own is sent as it is, and its pong is no message")
  func ownKeepAlive() async throws {
    try await ToyGroup.run(Self.tcp) { group, recorder in
      let phone = try Peer(group.listeners[0])
      try phone.send(options(via: "TCP"))
      _ = try phone.nextHead()
      let flow = try #require(Self.request(recorder)).flow
      #expect(group.post(.send(Array("\r\n\r\n".utf8), flow), to: 0))
      #expect(try phone.text() == "\r\n\r\n")
      try phone.send("\r\n" + options(callID: "behind-the-pong", via: "TCP"))
      #expect(header("Call-ID", try phone.nextHead()) == "behind-the-pong")
      #expect(group.statistics.keepAlives == 1)
    }
  }

  // MARK: WebSockets

  private static let ws = ["ws:127.0.0.1:0", "udp:127.0.0.1:0"]

  private func connect(_ group: ToyGroup, receiveBuffer: Int32? = nil) throws -> Peer {
    let phone = try Peer(group.listeners[0], receiveBuffer: receiveBuffer)
    try phone.send(WebSocketTests.request)
    #expect(try phone.nextHead().hasPrefix("HTTP/1.1 101 "))
    return phone
  }

  @Test("RFC 7118 §5: messages pass in frames; the WebSocket's flow says WS", arguments: [1, 3])
  func webSocket(_ shards: Int) async throws {
    try await ToyGroup.run(Self.ws, shards: shards) { group, recorder in
      let phone = try connect(group)
      for n in 0..<6 {
        try phone.send(WebSocketTests.text(options(callID: "ws-\(n)", via: "WS")))
        let frame = try phone.receive()
        #expect(frame[0] == 0x81)
        #expect(header("Call-ID", String(decoding: frame, as: UTF8.self)) == "ws-\(n)")
      }
      let flow = try #require(Self.request(recorder)).flow
      #expect(flow.transport == .ws && flow.connection != 0)
      // Requests to the client take his connection, from any shard.
      for shard in 0..<shards {
        #expect(group.post(.send(Array(options(callID: "to-ws-\(shard)", via: "WS").utf8), flow), to: shard))
        #expect(try phone.text().contains("to-ws-\(shard)"))
      }
    }
  }

  @Test("RFC 7118 §5: nobody is ever connected to by WebSocket")
  func noOutboundWebSocket() async throws {
    try await ToyGroup.run(Self.ws) { group, recorder in
      let (_, endpoint) = try Peer.listen()
      let flow = Flow(transport: .ws, listener: 0, remote: endpoint, local: group.listeners[0].endpoint)
      #expect(group.post(.send(Array(options().utf8), flow), to: 0))
      #expect(recorder.first { if case .failed(0, let failed) = $0 { failed } else { nil } } == flow)
      #expect(group.statistics.connectFailures == 0)
    }
  }

  @Test("A bad message in a WebSocket is answered; pings, keep-alives and the close are RFC 6455's")
  func controlFrames() async throws {
    try await ToyGroup.run(Self.ws) { group, recorder in
      let phone = try connect(group)
      try phone.send(WebSocketTests.text(options(via: "WS", cseq: nil)))
      #expect(try phone.text().contains("SIP/2.0 400 "))
      try phone.send(WebSocketTests.frame(0x89, [1, 2, 3]))
      #expect(try phone.receive() == [0x8a, 3, 1, 2, 3])
      try phone.send(WebSocketTests.text("\r\n\r\n"))
      #expect(try phone.receive() == [0x81, 2, 13, 10])
      try phone.send(WebSocketTests.frame(0x88, [3, 0xe8]))
      #expect(try phone.receive() == [0x88, 2, 3, 0xe8])
      #expect(phone.isClosedByPeer())
      #expect(recorder.first { if case .closed = $0 { true } else { nil } } == true)
    }
  }

  @Test("A plain HTTP client gets an HTTP error and the end of its connection, and no place among the connections")
  func plainHTTP() async throws {
    try await ToyGroup.run(Self.ws) { group, _ in
      let browser = try Peer(group.listeners[0])
      try browser.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(try browser.nextHead().hasPrefix("HTTP/1.1 426 "))
      #expect(browser.isClosedByPeer())
      #expect(group.statistics.upgradesRefused == 1 && group.statistics.connectionsAccepted == 0)
    }
  }

  @Test("A WebSocket that says nothing, does not come to its point, or never reads is dropped; nobody waits for it")
  func webSocketAbuse() async throws {
    let adjust: (inout ShardGroupConfiguration) -> Void = {
      $0.streams.messageTimeout = .milliseconds(200)
      $0.streams.writeBufferLimit = 256 << 10
    }
    try await ToyGroup.run(Self.ws, adjust: adjust) { group, recorder in
      let silent = try Peer(group.listeners[0])
      let half = try Peer(group.listeners[0])
      try half.send("GET / HTTP/1.1\r\n")
      let opened = try connect(group)
      let deaf = try connect(group, receiveBuffer: 4096)
      try deaf.send(WebSocketTests.text(options(via: "WS", extra: ["X-Flood: 400"])))
      #expect(recorder.first { if case .failed(0, let flow) = $0 { flow } else { nil } }?.remote == deaf.local)
      let phone = try Peer(group.listeners[1])
      try phone.send(options())
      #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
      for peer in [silent, half, opened] { #expect(peer.isClosedByPeer()) }
      #expect(group.statistics.slowReaders == 1 && group.statistics.idleTimeouts == 3)
    }
  }
}
