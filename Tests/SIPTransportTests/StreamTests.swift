import NetCore
import SIPMessage
import SIPTransport
import Testing

@Suite struct StreamTests {
  private static let tcp = ["tcp:127.0.0.1:0"]

  @Test("RFC 3261 §18.3: a message is the same wherever the stream is cut")
  func split() async throws {
    try await ToyGroup.run(["tcp:127.0.0.1:0", "tcp:[::1]:0"]) { group, _ in
      for listener in group.listeners {
        let phone = try Peer(listener)
        let request = Array(options(via: "TCP", body: 9).utf8)
        for cut in 1..<request.count {
          try phone.send(request[..<cut])
          try phone.send(request[cut...])
          #expect(header("X-Body", try phone.nextHead()) == "9")
        }
        for octet in request { try phone.send([octet]) }
        #expect(header("X-Body", try phone.nextHead()) == "9")
      }
      #expect(group.statistics.connectionsAccepted == 2)
    }
  }

  @Test("RFC 5626 §3.5.1: CRLF CRLF is answered with CRLF, between messages too")
  func keepAlive() async throws {
    try await ToyGroup.run(Self.tcp) { group, _ in
      let phone = try Peer(group.listeners[0])
      try phone.send("\r\n\r\n")
      #expect(try phone.text() == "\r\n")
      try phone.send(options(via: "TCP") + "\r\n\r\n" + options(via: "TCP"))
      var text = ""
      while text.split(separator: "SIP/2.0 200", omittingEmptySubsequences: false).count < 3
        || !text.hasSuffix("\r\n\r\n")
      {
        text += try phone.text()
      }
      #expect(text.contains("\r\n\r\n\r\nSIP/2.0 200"))
    }
  }

  @Test("A bad message on a stream is answered and its connection kept; what is not SIP ends it")
  func malformed() async throws {
    try await ToyGroup.run(Self.tcp) { group, recorder in
      let phone = try Peer(group.listeners[0])
      try phone.send(options(via: "TCP", cseq: nil) + options(via: "TCP"))
      #expect(try phone.nextHead().hasPrefix("SIP/2.0 400 "))
      #expect(try phone.nextHead().hasPrefix("SIP/2.0 200 "))
      try phone.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(phone.isClosedByPeer())
      #expect(recorder.first { if case .closed(0, let id) = $0 { id } else { nil } } != nil)
      #expect(group.statistics.framingErrors == 1)
    }
  }

  @Test("RFC 3261 §20.14: a Content-Length that cannot be believed is answered, then the connection ends")
  func badLength() async throws {
    try await ToyGroup.run(Self.tcp) { group, _ in
      let phone = try Peer(group.listeners[0])
      let request = options(via: "TCP").split(separator: "Content-Length")[0] + "Content-Length: many\r\n\r\n"
      try phone.send(String(request))
      #expect(try phone.nextHead().hasPrefix("SIP/2.0 400 "))
      #expect(phone.isClosedByPeer())
    }
  }

  @Test("A peer that never reads is dropped, and nobody else waits for it")
  func neverReads() async throws {
    try await ToyGroup.run(Self.tcp, adjust: { $0.streams.writeBufferLimit = 256 << 10 }) { group, recorder in
      let deaf = try Peer(group.listeners[0], receiveBuffer: 4096)
      try deaf.send(options(via: "TCP", extra: ["X-Flood: 400"]))
      let failed = recorder.first { if case .failed(0, let flow) = $0 { flow } else { nil } }
      #expect(failed?.remote == deaf.local)
      let closed = recorder.first { if case .closed(0, let id) = $0 { id } else { nil } }
      #expect(closed == failed?.connection)
      #expect(group.statistics.slowReaders == 1)
      let phone = try Peer(group.listeners[0])
      try phone.send(options(via: "TCP"))
      #expect(try phone.nextHead().hasPrefix("SIP/2.0 200 "))
      #expect(deaf.isClosedByPeer())
    }
  }

  @Test("A peer that stops reading is dropped after the write time-out, though little waits for it")
  func stalled() async throws {
    let adjust: (inout ShardGroupConfiguration) -> Void = {
      $0.streams.writeTimeout = .milliseconds(100)
      $0.streams.writeBufferLimit = 64 << 20
    }
    try await ToyGroup.run(Self.tcp, adjust: adjust) { group, recorder in
      let deaf = try Peer(group.listeners[0], receiveBuffer: 4096)
      try deaf.send(options(via: "TCP", extra: ["X-Flood: 400"]))
      #expect(recorder.first { if case .failed(0, let flow) = $0 { flow } else { nil } } != nil)
      #expect(group.statistics.slowReaders == 1)
    }
  }

  @Test("Silence ends a connection: before the first message, inside a message, and after a long pause")
  func silence() async throws {
    try await ToyGroup.run(Self.tcp, adjust: { $0.streams.messageTimeout = .milliseconds(50) }) { group, _ in
      let silent = try Peer(group.listeners[0])
      #expect(silent.isClosedByPeer())
      let slow = try Peer(group.listeners[0])
      try slow.send(options(via: "TCP"))
      #expect(try slow.nextHead().hasPrefix("SIP/2.0 200 "))
      try slow.send("OPTIONS sip:x")
      #expect(slow.isClosedByPeer())
      #expect(group.statistics.idleTimeouts == 2)
    }
    try await ToyGroup.run(Self.tcp, adjust: { $0.streams.idleTimeout = .milliseconds(50) }) { group, _ in
      let idle = try Peer(group.listeners[0])
      try idle.send(options(via: "TCP"))
      #expect(try idle.nextHead().hasPrefix("SIP/2.0 200 "))
      #expect(idle.isClosedByPeer())
      #expect(group.statistics.idleTimeouts == 1)
    }
  }

  @Test("A burst of connections is served", arguments: [1, 2])
  func connectBurst(_ shards: Int) async throws {
    try await ToyGroup.run(Self.tcp, shards: shards) { group, _ in
      let phones = try (0..<200).map { _ in try Peer(group.listeners[0]) }
      for (n, phone) in phones.enumerated() { try phone.send(options(callID: "call-\(n)", via: "TCP")) }
      for (n, phone) in phones.enumerated() { #expect(header("Call-ID", try phone.nextHead()) == "call-\(n)") }
      #expect(group.statistics.connectionsAccepted == 200)
    }
  }

  @Test("An address may hold so many connections and no more; a place that is left is free again")
  func perAddress() async throws {
    try await ToyGroup.run(Self.tcp, adjust: { $0.streams.maxConnectionsPerAddress = 3 }) { group, recorder in
      var phones = try (0..<3).map { _ in try Peer(group.listeners[0]) }
      for phone in phones {
        try phone.send(options(via: "TCP"))
        #expect(try phone.nextHead().hasPrefix("SIP/2.0 200 "))
      }
      #expect(try Peer(group.listeners[0]).isClosedByPeer())
      #expect(group.statistics.connectionsRefused == 1)
      phones.removeLast()
      #expect(recorder.first { if case .closed(0, let id) = $0 { id } else { nil } } != nil)
      let next = try Peer(group.listeners[0])
      try next.send(options(via: "TCP"))
      #expect(try next.nextHead().hasPrefix("SIP/2.0 200 "))
    }
  }
}
