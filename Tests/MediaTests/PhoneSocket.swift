import CNet
import Glibc
import NetCore
import Synchronization

@testable import Media

/// A UDP socket on loopback that waits with a limit.
final class PhoneSocket {
  let descriptor: Int32
  let endpoint: Endpoint
  static let patience: Int32 = 5000

  init?(_ ip: IPAddress = CoreHarness.address) {
    var address = cnet_address(Endpoint(ip, 0))
    let descriptor = cnet_udp_socket(&address, 0, 0)
    guard descriptor >= 0 else { return nil }
    self.descriptor = descriptor
    var name = sockaddr_in6()
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    withUnsafeMutableBytes(of: &name) { raw in
      _ = getsockname(descriptor, raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), &size)
    }
    // sin_port and sin6_port are at the same place.
    endpoint = Endpoint(ip, UInt16(bigEndian: name.sin6_port))
  }

  deinit { close(descriptor) }

  func send(_ packet: Packet, to port: MediaPort) { send(packet.bytes, to: Endpoint(port.address, port.rtpPort)) }

  func send(_ bytes: [UInt8], to endpoint: Endpoint) {
    var to = cnet_address(endpoint)
    _ = cnet_send_to(descriptor, bytes, bytes.count, &to)
  }

  /// Nil when nothing comes in time.
  func receive(milliseconds: Int32 = PhoneSocket.patience) -> (packet: Packet, from: Endpoint)? {
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&wait, 1, milliseconds) == 1 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 2048)
    var from = cnet_address.none
    let count = cnet_receive(descriptor, &bytes, bytes.count, &from)
    guard count >= 12, let endpoint = from.endpoint else { return nil }
    return (Packet(Array(bytes.prefix(count))), endpoint)
  }
}

/// Collects what a plane says, and waits for it with a limit.
final class EventBox: Sendable {
  private let events = Mutex<[(UInt32, MediaEvent)]>([])
  private let descriptor = cnet_eventfd(0)

  deinit { close(descriptor) }

  func deliver(_ owner: UInt32, _ new: [MediaEvent]) {
    events.withLock { $0 += new.map { (owner, $0) } }
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  var all: [(UInt32, MediaEvent)] { events.withLock { $0 } }

  /// The first event that `match` turns into something; it is taken out.
  func wait<T>(_ match: (UInt32, MediaEvent) -> T?) -> T? {
    for _ in 0..<100 {
      let found = events.withLock { events -> T? in
        for (index, entry) in events.enumerated() {
          if let value = match(entry.0, entry.1) {
            events.remove(at: index)
            return value
          }
        }
        return nil
      }
      if let found { return found }
      var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&wait, 1, PhoneSocket.patience) == 1 else { return nil }
      var count: UInt64 = 0
      _ = read(descriptor, &count, 8)
    }
    return nil
  }
}
