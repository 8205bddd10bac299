import Foundation
import NetCore
import SIPMessage
import SIPTransport
import Testing

/// Two groups of shards talk TLS to each other on the loopback; what has to misbehave is a raw socket.
@Suite struct TLSTests {
  private static func request(_ callID: String = "over-tls") -> [UInt8] {
    Array(options(callID: callID, via: "TLS").utf8)
  }

  private static func flow(_ client: ToyGroup, to server: ToyGroup, as peer: PeerName) -> Flow {
    Flow(
      transport: .tls, listener: 0, peer: peer, remote: server.listeners[0].endpoint,
      local: client.listeners[0].endpoint)
  }

  /// A server of TLS and UDP, and somebody who connects to it with an authority of the same folder.
  private static func run(
    server: TLSContexts, client: TLSContexts, shards: Int = 1,
    adjust: @escaping (inout ShardGroupConfiguration) -> Void = { _ in },
    _ body: (ToyGroup, Recorder<Seen>, ToyGroup, Recorder<Seen>) async throws -> Void
  ) async throws {
    let serverSide: (inout ShardGroupConfiguration) -> Void = {
      $0.tls = server
      adjust(&$0)
    }
    let listen = ["tls:127.0.0.1:0", "udp:127.0.0.1:0"]
    try await ToyGroup.run(listen, shards: shards, adjust: serverSide) { server, seenByServer in
      try await ToyGroup.run(listen, shards: shards, adjust: { $0.tls = client }) { client, seenByClient in
        try await body(server, seenByServer, client, seenByClient)
      }
    }
  }

  private static func status(_ recorder: Recorder<Seen>) -> Int? {
    recorder.first {
      switch $0 {
      case .response(_, let message): message.status
      case .failed: 0
      default: nil
      }
    }
  }

  @Test("RFC 3261 §26.3.1, RFC 5922 §7.3: requests and responses pass over TLS, on one connection", arguments: [1, 3])
  func roundTrip(_ shards: Int) async throws {
    let contexts = try Certificates().contexts()
    try await Self.run(server: contexts, client: contexts, shards: shards) { server, seen, client, seenByClient in
      let flow = Self.flow(client, to: server, as: try #require(PeerName(host: "sip.example.com")))
      for n in 0..<6 {
        #expect(client.post(.send(Self.request("tls-\(n)"), flow), to: n % shards))
        #expect(Self.status(seenByClient) == 200)
      }
      #expect(client.statistics.connectionsOpened == 1 && server.statistics.connectionsAccepted == 1)
      let request = seen.first { if case .request(_, let message) = $0 { message } else { nil } }
      #expect(request?.flow.transport == .tls && request?.flow.connection != 0)
    }
  }

  @Test("RFC 5922 §7.2, §7.4: a server that does not prove the name gets no message; nor one of no known authority")
  func verification() async throws {
    let certificates = try Certificates()
    let ours = try certificates.contexts("DNS:sip.example.com,URI:sip:example.com,IP:127.0.0.1")
    let strange = try Certificates().contexts("DNS:sip.example.com,IP:127.0.0.1")
    let cases: [(TLSContexts, PeerName?, Bool)] = [
      (ours, PeerName(host: "SIP.example.com"), true), (ours, PeerName(host: "example.com"), true),
      (ours, .byAddress, true), (ours, PeerName(host: "other.example.com"), false),
      (strange, PeerName(host: "sip.example.com"), false), (strange, .byAddress, false), (strange, .anyone, true),
    ]
    for (server, peer, isGood) in cases {
      try await Self.run(server: server, client: ours) { server, seen, client, seenByClient in
        let flow = Self.flow(client, to: server, as: try #require(peer))
        #expect(client.post(.send(Self.request(), flow), to: 0))
        #expect(Self.status(seenByClient) == (isGood ? 200 : 0), "\(peer?.host ?? "address")")
        #expect(server.statistics.received == (isGood ? 1 : 0))
        #expect(client.statistics.handshakeFailures == (isGood ? 0 : 1))
      }
    }
  }

  @Test("RFC 5923 §4: a connection that proved one name is not used for another")
  func noSharing() async throws {
    let contexts = try Certificates().contexts("DNS:a.example.com,DNS:b.example.com")
    try await Self.run(server: contexts, client: contexts) { server, _, client, seen in
      for name in ["a.example.com", "b.example.com", "a.example.com"] {
        let flow = Self.flow(client, to: server, as: try #require(PeerName(host: name)))
        #expect(client.post(.send(Self.request(), flow), to: 0))
        #expect(Self.status(seen) == 200)
      }
      #expect(client.statistics.connectionsOpened == 2)
      let evil = Self.flow(client, to: server, as: try #require(PeerName(host: "c.example.com")))
      #expect(client.post(.send(Self.request(), evil), to: 0))
      #expect(Self.status(seen) == 0)
    }
  }

  @Test("RFC 6066 §3: a client gets the certificate of the name that it asks for, else the first")
  func serverNames() async throws {
    let certificates = try Certificates()
    var wild = try certificates.make("three", "DNS:third.example.org")
    wild.names = ["*.example.org"]
    var options = TLSOptions(certificates: [
      try certificates.make("one", "DNS:one.example.com,IP:127.0.0.1"),
      try certificates.make("two", "DNS:two.example.com"),
      wild,
    ])
    options.serverAuthorities = certificates.authority
    let contexts = try TLSContexts(options)
    try await Self.run(server: contexts, client: contexts) { server, _, client, seen in
      let cases = [
        ("one.example.com", true), ("two.example.com", true), ("TWO.example.com", true), ("third.example.org", true),
        ("other.example.org", false), ("127.0.0.1", true), ("unknown.example.com", false),
      ]
      for (name, isGood) in cases {
        let flow = Self.flow(client, to: server, as: try #require(PeerName(host: name)))
        #expect(client.post(.send(Self.request(), flow), to: 0))
        #expect(Self.status(seen) == (isGood ? 200 : 0), "\(name)")
      }
    }
  }

  @Test("RFC 8446 §4.3.2: client certificates are asked for, and where they are required nobody comes in without")
  func clientCertificates() async throws {
    let certificates = try Certificates()
    let client = try certificates.contexts("DNS:phone.example.com")
    let strange = try Certificates().contexts("DNS:phone.example.com")
    let cases: [(TLSOptions.ClientCertificates, TLSContexts, Bool)] = [
      (.required, client, true), (.optional, client, true), (.required, strange, false), (.optional, strange, false),
      (.none, strange, true),
    ]
    for (choice, client, isGood) in cases {
      var options = TLSOptions(certificates: [try certificates.make("server", "DNS:sip.example.com")])
      options.clientCertificates = choice
      options.clientAuthorities = certificates.authority
      try await Self.run(server: try TLSContexts(options), client: client) { server, _, client, seen in
        #expect(client.post(.send(Self.request(), Self.flow(client, to: server, as: .anyone)), to: 0))
        if isGood {
          #expect(Self.status(seen) == 200)
        } else {
          // With TLS 1.3 the client learns of it only behind its own handshake: the connection closes.
          let end = seen.first { seen -> Bool? in
            switch seen {
            case .failed, .closed: true
            case .response: false
            default: nil
            }
          }
          #expect(end == true, "\(choice)")
          #expect(server.statistics.received == 0)
        }
      }
    }
  }

  @Test("New certificates are for new connections; those that are open live on")
  func replacement() async throws {
    let certificates = try Certificates()
    let old = try certificates.contexts("DNS:old.example.com")
    let new = try certificates.contexts("DNS:new.example.com")
    try await Self.run(server: old, client: old) { server, _, client, seen in
      let oldFlow = Self.flow(client, to: server, as: try #require(PeerName(host: "old.example.com")))
      let newFlow = Self.flow(client, to: server, as: try #require(PeerName(host: "new.example.com")))
      #expect(client.post(.send(Self.request(), oldFlow), to: 0))
      #expect(Self.status(seen) == 200)
      server.use(new)
      #expect(client.post(.send(Self.request(), newFlow), to: 0))
      #expect(Self.status(seen) == 200)
      #expect(client.post(.send(Self.request(), oldFlow), to: 0))
      #expect(Self.status(seen) == 200)
      #expect(client.statistics.connectionsOpened == 2 && client.statistics.connectionsClosed == 0)
    }
  }

  @Test("A connection that we opened and that was closed is opened again by the flow that names it")
  func reopening() async throws {
    let contexts = try Certificates().contexts()
    let idle: (inout ShardGroupConfiguration) -> Void = { $0.streams.idleTimeout = .milliseconds(60) }
    try await Self.run(server: contexts, client: contexts, adjust: idle) { server, _, client, seen in
      let flow = Self.flow(client, to: server, as: try #require(PeerName(host: "sip.example.com")))
      #expect(client.post(.send(Self.request(), flow), to: 0))
      let response = seen.first { if case .response(_, let message) = $0 { message } else { nil } }
      let used = try #require(response?.flow)
      #expect(used.peer == flow.peer)
      #expect(seen.first { if case .closed(0, used.connection) = $0 { true } else { nil } } == true)
      #expect(client.post(.send(Self.request("again"), used), to: 0))
      #expect(Self.status(seen) == 200)
      #expect(client.statistics.connectionsOpened == 2)
    }
  }

  @Test("A handshake that is silent, slow or nonsense ends by the deadline, and delays nobody meanwhile")
  func badHandshakes() async throws {
    let contexts = try Certificates().contexts()
    let hasty: (inout ShardGroupConfiguration) -> Void = { $0.streams.messageTimeout = .milliseconds(400) }
    try await Self.run(server: contexts, client: contexts, adjust: hasty) { server, _, client, seen in
      let silent = try (0..<50).map { _ in try Peer(server.listeners[0]) }
      // The first octets of a hello, and never the rest.
      let slow = try (0..<50).map { _ in try Peer(server.listeners[0]) }
      for peer in slow { try peer.send([0x16, 3, 1, 2, 0, 1, 0]) }
      let nonsense = try Peer(server.listeners[0])
      try nonsense.send("OPTIONS sip:nightjar.local SIP/2.0\r\n\r\n")
      #expect(nonsense.isClosedByPeer())
      let phone = try Peer(server.listeners[1])
      let begin = Instant.now
      for n in 0..<20 {
        try phone.send(options(callID: "udp-\(n)"))
        #expect(try phone.text().hasPrefix("SIP/2.0 200 "))
      }
      let flow = Self.flow(client, to: server, as: try #require(PeerName(host: "sip.example.com")))
      #expect(client.post(.send(Self.request(), flow), to: 0))
      #expect(Self.status(seen) == 200)
      #expect(Instant.now - begin < .milliseconds(400), "nobody waited for the others' deadline")
      for peer in silent + slow { #expect(peer.isClosedByPeer()) }
      #expect(server.statistics.idleTimeouts == 100 && server.statistics.handshakeFailures == 1)
      #expect(server.statistics.connectionsAccepted == 1, "a handshake is no connection yet")
    }
  }

  @Test("RFC 3261 §18.4: a server that accepts and says nothing of TLS fails the flow in time")
  func deafServer() async throws {
    let contexts = try Certificates().contexts()
    let (deaf, endpoint) = try Peer.listen()
    let adjust: (inout ShardGroupConfiguration) -> Void = {
      $0.tls = contexts
      $0.streams.connectTimeout = .milliseconds(100)
    }
    try await ToyGroup.run(["tls:127.0.0.1:0"], adjust: adjust) { client, seen in
      let flow = Flow(transport: .tls, listener: 0, remote: endpoint, local: client.listeners[0].endpoint)
      #expect(client.post(.send(Self.request(), flow), to: 0))
      let accepted = try deaf.accept()
      #expect(seen.first { if case .failed(0, let failed) = $0 { failed } else { nil } } == flow)
      #expect(client.statistics.connectFailures == 1)
      _ = accepted
    }
  }

  @Test("A burst of TLS connections is served", arguments: [1, 2])
  func burst(_ shards: Int) async throws {
    let contexts = try Certificates().contexts()
    try await Self.run(server: contexts, client: contexts, shards: shards) { server, _, client, seen in
      // Each name has a connection of its own.
      let names = try (0..<60).map { try #require(PeerName(host: "burst-\($0).example.com")) }
      for name in names { #expect(client.post(.send(Self.request(), Self.flow(client, to: server, as: name)), to: 0)) }
      for _ in names { #expect(Self.status(seen) == 0) }
      #expect(server.statistics.received == 0)
      let good = Self.flow(client, to: server, as: try #require(PeerName(host: "sip.example.com")))
      #expect(client.post(.send(Self.request(), good), to: 0))
      #expect(Self.status(seen) == 200)
    }
  }

  @Test("Files that cannot be used are named")
  func faults() throws {
    let certificates = try Certificates()
    let one = try certificates.make("one", "DNS:one.example.com")
    let two = try certificates.make("two", "DNS:two.example.com")
    func fault(_ certificate: TLSOptions.Certificate, _ adjust: (inout TLSOptions) -> Void = { _ in }) -> String {
      var options = TLSOptions(certificates: [certificate])
      adjust(&options)
      do {
        _ = try TLSContexts(options)
        return ""
      } catch {
        return error.description.replacing(certificates.folder + "/", with: "")
      }
    }
    #expect(fault(one) == "")
    #expect(fault(.init(chain: one.chain, key: two.key)) == "two.key: is not the key of one.pem")
    #expect(fault(.init(chain: one.key, key: one.key)) == "one.key: holds no certificate in PEM")
    #expect(fault(.init(chain: one.chain, key: one.chain)).hasPrefix("one.pem: holds no private key"))
    #expect(fault(.init(chain: "/nowhere", key: one.key)) == "/nowhere: no such file or directory")
    #expect(fault(one) { $0.serverAuthorities = one.key } == "one.key: holds no certificate in PEM")
    #expect(fault(one) { $0.clientCertificates = .required }.contains("not said"))
    let expected = try TLSContexts(TLSOptions(certificates: [one])).certificates
    #expect(expected.map(\.names) == [["one.example.com"]] && expected[0].expires > 0)
  }
}
