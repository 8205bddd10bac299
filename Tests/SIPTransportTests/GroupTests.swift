import NetCore
import SIPTransport
import Testing

@Suite struct GroupTests {
  @Test(
    "A listen address is transport:address:port",
    arguments: [
      ("udp:127.0.0.1:5060", true), ("tcp:[::1]:5060", true), ("udp:0.0.0.0:0", true), ("UDP:127.0.0.1:5060", false),
      ("127.0.0.1:5060", false), ("udp:localhost:5060", false), ("udp:127.0.0.1", false), ("udp:::1:5060", false),
      ("sctp:127.0.0.1:5060", false), ("", false), ("udp:127.0.0.1:65536", false),
    ])
  func listenAddress(_ text: String, _ isGood: Bool) {
    let address = ListenAddress(text)
    #expect((address != nil) == isGood)
    if let address { #expect(address.description == text) }
  }

  @Test("An address in use stops the start with one error that names it, and leaves nothing open")
  func inUse() async throws {
    try await ToyGroup.run(["tcp:127.0.0.1:0"]) { group, _ in
      let taken = group.listeners[0]
      let configuration = ShardGroupConfiguration(
        listen: [ListenAddress(.udp, try #require(Endpoint("127.0.0.1:0"))), taken])
      await #expect {
        _ = try await ToyGroup.start(configuration) { ToyDriver($0, nil) }
      } throws: { error in
        (error as? TransportError)?.code == .listen && "\(error)".contains("\(taken)")
      }
    }
  }

  @Test("A driver's own failure stops the start", arguments: [1, 3])
  func driverFails(_ shards: Int) async throws {
    struct Broken: Error {}
    let listen = [ListenAddress(.udp, try #require(Endpoint("127.0.0.1:0")))]
    await #expect(throws: Broken.self) {
      _ = try await ToyGroup.start(ShardGroupConfiguration(listen: listen, shards: shards)) { seat in
        guard seat.shard < 1 else { throw Broken() }
        guard seat.shards > 1 else { throw Broken() }
        return ToyDriver(seat, nil)
      }
    }
  }

  @Test("What cannot be served is refused before a socket is opened")
  func refusedConfigurations() async throws {
    let endpoint = try #require(Endpoint("127.0.0.1:0"))
    for (configuration, code) in [
      (ShardGroupConfiguration(listen: []), TransportError.Code.configuration),
      (ShardGroupConfiguration(listen: [ListenAddress(.udp, endpoint)], shards: 0), .configuration),
      (ShardGroupConfiguration(listen: [ListenAddress(.udp, endpoint)], shards: 256), .configuration),
      (ShardGroupConfiguration(listen: [ListenAddress(.tls, endpoint)]), .configuration),
    ] {
      await #expect {
        _ = try await ToyGroup.start(configuration) { ToyDriver($0, nil) }
      } throws: { ($0 as? TransportError)?.code == code }
    }
  }

  @Test("Stopping frees the ports, closes the connections and refuses items", arguments: [1, 4])
  func stop(_ shards: Int) async throws {
    let udp = try #require(ListenAddress("udp:127.0.0.1:0"))
    let tcp = try #require(ListenAddress("tcp:127.0.0.1:0"))
    let group = try await ToyGroup.start(ShardGroupConfiguration(listen: [udp, tcp], shards: shards)) {
      ToyDriver($0, nil)
    }
    let phone = try Peer(group.listeners[1])
    try phone.send(options(via: "TCP"))
    #expect(try phone.nextHead().hasPrefix("SIP/2.0 200 "))
    await group.stop()
    #expect(phone.isClosedByPeer())
    #expect(!group.post(.timer(.zero), to: 0))
    let again = try await ToyGroup.start(ShardGroupConfiguration(listen: group.listeners, shards: shards)) {
      ToyDriver($0, nil)
    }
    #expect(again.listeners == group.listeners)
    await again.stop()
  }

  @Test("A stopped group that nobody holds is gone with its drivers, whatever was open", arguments: [1, 3])
  func releases(_ shards: Int) async throws {
    let recorder = Recorder<Seen>()
    let listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"].compactMap { ListenAddress($0) }
    var group: ToyGroup? = try await ToyGroup.start(ShardGroupConfiguration(listen: listen, shards: shards)) {
      ToyDriver($0, recorder)
    }
    let listeners = try #require(group).listeners
    let phones = try listeners.map { try Peer($0) }
    for phone in phones { try phone.send(options()) }
    for phone in phones { #expect(try phone.text().hasPrefix("SIP/2.0 200 ")) }
    for shard in 0..<shards { #expect(group?.post(.timer(.milliseconds(3_600_000)), to: shard) == true) }
    await group?.stop()
    group = nil
    var released: Set<UInt8> = []
    while released.count < shards, let seen = recorder.next() {
      if case .released(let shard) = seen { released.insert(shard) }
    }
    #expect(released.count == shards)
  }
}
