import Counting
import Glibc
import Media
import NetCore

/// What a relayed packet costs in allocations (under callgrind, by thread, in instructions): calls of two legs over real
/// sockets, each end sending in turn, headers rewritten on the way. Ends with status 1 where a packet was lost or
/// anything was allocated.
///
///     Cost packets [calls] [packets counted]
struct MediaPackets {
  private struct Phone {
    let socket: Int32
    let endpoint: Endpoint
  }

  private let calls: Int
  private let counted: Int
  private let plane: MediaPlane
  private var phones: [Phone] = []
  private let packet = UnsafeMutableRawPointer.allocate(byteCount: 2048, alignment: 16)

  init(calls: Int, counted: Int) {
    self.calls = calls
    self.counted = counted
    do {
      plane = try MediaPlane(MediaConfiguration(addresses: [Server.address.ip])) { _, _ in }
    } catch {
      fatalError("\(error)")
    }
    plane.start()
  }

  mutating func run() -> Int32 {
    // The other side has one codec under another number, so that payload types are rewritten too.
    let map = PayloadMap([0: 0, 98: 96])
    for _ in 0..<calls {
      guard let a = plane.lease(owner: 0, family: .v4), let b = plane.lease(owner: 0, family: .v4, near: a.id) else {
        fatalError("no port is left")
      }
      for port in [a, b] {
        phones.append(phone(to: port))
        plane.send([
          .remote(
            port.id, rtp: phones[phones.count - 1].endpoint, rtcp: nil,
            codecs: MediaCodecs(pcmu: 0), sending: true, receiving: true, latch: true)
        ])
      }
      plane.send([.bridge(a.id, b.id, aToB: map, bToA: map), .watch(a.id, timeout: .seconds(60))])
    }
    // Past the point where a steady source has its socket connected.
    var lost = relay(rounds: 600, from: 0)
    counting_start()
    lost += relay(rounds: max(1, counted / phones.count), from: 600)
    counting_stop()
    let packets = max(1, counted / phones.count) * phones.count
    print(
      """
      {"kind": "packets", "packets": \(packets), "lost": \(lost), \
      "allocations": \(counting_allocations()), "allocated_bytes": \(counting_bytes())}
      """)
    plane.shutdown()
    return lost == 0 && counting_allocations() == 0 ? 0 : 1
  }

  /// In each round every phone sends one packet, every tenth of them of the other codec, and waits for its peer's.
  private func relay(rounds: Int, from first: Int) -> Int {
    var lost = 0
    memset(packet, 0x55, 2048)
    for round in first..<first + rounds {
      let isOther = round % 10 == 9
      for (n, phone) in phones.enumerated() {
        packet.storeBytes(of: 0x80, as: UInt8.self)
        packet.storeBytes(of: isOther ? 98 : 0, toByteOffset: 1, as: UInt8.self)
        packet.storeBytes(of: UInt16(truncatingIfNeeded: round).bigEndian, toByteOffset: 2, as: UInt16.self)
        packet.storeBytes(of: UInt32(truncatingIfNeeded: 160 * round).bigEndian, toByteOffset: 4, as: UInt32.self)
        packet.storeBytes(of: UInt32(n).bigEndian, toByteOffset: 8, as: UInt32.self)
        Glibc.send(phone.socket, packet, isOther ? 40 : 172, 0)
      }
      for phone in phones {
        var waiting = pollfd(fd: phone.socket, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 2000) == 1, recv(phone.socket, packet, 2048, 0) >= 40 else {
          lost += 1
          continue
        }
        let ssrc = packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self).bigEndian
        let type = packet.load(fromByteOffset: 1, as: UInt8.self) & 0x7f
        if ssrc < UInt32(phones.count) || type != (isOther ? 96 : 0) { lost += 1 }
      }
    }
    return lost
  }

  private func phone(to port: MediaPort) -> Phone {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let own = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(socket, pointer, length) == 0 && getsockname(socket, pointer, &length) == 0
      }
    }
    let endpoint = Endpoint(Server.address.ip, UInt16(bigEndian: address.sin_port))
    address.sin_port = port.rtpPort.bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, length) }
    }
    guard own, connected == 0 else { fatalError("socket: \(errno)") }
    return Phone(socket: socket, endpoint: endpoint)
  }
}
