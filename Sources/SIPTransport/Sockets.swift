internal import Glibc
internal import NetCore
internal import Synchronization

/// All sockets of a group between bind and the loops that take them; closes what nobody took.
final class Sockets: Sendable {
  let listeners: [ListenAddress]
  private let shards: Int
  /// Indexed by listener, then shard (a stream has one).
  private let held: Held

  init(_ configuration: ShardGroupConfiguration) throws(TransportError) {
    guard !configuration.listen.isEmpty, configuration.listen.count <= 255 else {
      throw TransportError(.configuration, "no address to listen on, or more than 255")
    }
    var listeners: [ListenAddress] = []
    var descriptors: [[CInt]] = []
    do throws(TransportError) {
      for wanted in configuration.listen {
        guard !wanted.transport.isSecure || configuration.tls != nil else {
          throw TransportError(.configuration, "cannot listen on \(wanted) without a certificate")
        }
        var address = wanted
        var own: [CInt] = []
        let copies = wanted.transport == .udp ? configuration.shards : 1
        for _ in 0..<copies {
          do throws(TransportError) {
            let socket = try BoundSocket(
              address, sharing: copies > 1, datagrams: configuration.datagrams, backlog: configuration.streams.backlog)
            address = socket.address
            own.append(socket.release())
          } catch {
            for descriptor in own { _ = close(descriptor) }
            throw error
          }
        }
        listeners.append(address)
        descriptors.append(own)
      }
    } catch {
      for descriptor in descriptors.joined() { _ = close(descriptor) }
      throw error
    }
    self.listeners = listeners
    shards = configuration.shards
    held = Held(descriptors)
  }

  /// By listener; nil for a stream. The caller closes them.
  func takeDatagrams(_ shard: Int) -> [CInt?] {
    listeners.indices.map { listeners[$0].transport == .udp ? held.take($0, shard) : nil }
  }

  /// Listener and descriptor. The caller closes them.
  func takeStreams() -> [(Int, CInt)] {
    listeners.indices.compactMap { index in
      guard listeners[index].transport != .udp, let descriptor = held.take(index, 0) else { return nil }
      return (index, descriptor)
    }
  }
}

/// Each descriptor is taken once.
private final class Held: Sendable {
  private let descriptors: Mutex<[[CInt?]]>

  init(_ descriptors: [[CInt]]) { self.descriptors = Mutex(descriptors) }

  func take(_ listener: Int, _ copy: Int) -> CInt? {
    descriptors.withLock { descriptors in
      let descriptor = descriptors[listener][copy]
      descriptors[listener][copy] = nil
      return descriptor
    }
  }

  deinit {
    descriptors.withLock { for descriptor in $0.joined() { if let descriptor { _ = close(descriptor) } } }
  }
}
