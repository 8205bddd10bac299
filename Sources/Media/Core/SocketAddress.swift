import CNet
import NetCore

/// The address form of the packet path: what the kernel gives, compared field by field. `family` 0 is none.
typealias SocketAddress = cnet_address

extension cnet_address {
  static var none: cnet_address { cnet_address(high: 0, low: 0, port: 0, family: 0) }

  init(_ endpoint: Endpoint) {
    let family: UInt8 = endpoint.ip.family == .v4 ? 4 : 6
    self.init(high: endpoint.ip.high, low: endpoint.ip.low, port: endpoint.port, family: family)
  }

  /// None, too, for 0.0.0.0 and for port 0, which cannot be sent to (RFC 3264 §8.4).
  init(_ endpoint: Endpoint?) {
    guard let endpoint, !endpoint.ip.isUnspecified, endpoint.port != 0 else {
      self = .none
      return
    }
    self.init(endpoint)
  }

  @inline(__always) var isNone: Bool { family == 0 }

  var endpoint: Endpoint? {
    switch family {
    case 4: Endpoint(IPAddress(v4: UInt32(truncatingIfNeeded: low)), port)
    case 6: Endpoint(IPAddress(high: high, low: low), port)
    default: nil
    }
  }

  @inline(__always) func sameHost(as other: cnet_address) -> Bool {
    low == other.low && high == other.high && family == other.family
  }

  @inline(__always) static func == (a: cnet_address, b: cnet_address) -> Bool {
    a.low == b.low && a.port == b.port && a.high == b.high && a.family == b.family
  }

  @inline(__always) static func != (a: cnet_address, b: cnet_address) -> Bool { !(a == b) }
}
