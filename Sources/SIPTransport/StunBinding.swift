internal import NetCore

/// The STUN keep-alive of a phone that uses `outbound` over UDP (RFC 5626 §4.4.2, §8): it asks on the SIP port which
/// address it comes from, keeps its NAT's mapping by that, and knows a new one when the answer changes. Of RFC 8489 only
/// the Binding request: no credentials, no FINGERPRINT, no other attribute is looked at.
enum StunBinding {
  private static let cookie: [UInt8] = [0x21, 0x12, 0xa4, 0x42]

  /// No SIP message begins like it (RFC 5626 §8).
  static func isSTUN(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 20 && bytes[0] < 2 && bytes[4..<8].elementsEqual(cookie)
  }

  /// The success response to a Binding request; nil for anything else, which gets no answer: not more octets than came
  /// go to an address that may be forged, but for the 24 of the attribute.
  static func answer(_ request: [UInt8], from remote: Endpoint) -> [UInt8]? {
    // RFC 8489 §5: type, length, magic cookie, 12 octets of transaction; attributes padded to four.
    guard isSTUN(request), request[0] == 0, request[1] == 1 else { return nil }
    let length = Int(request[2]) << 8 | Int(request[3])
    guard length == request.count - 20, length % 4 == 0 else { return nil }
    let address = remote.ip.unmapped
    let octets = address.octets
    var answer: [UInt8] = [1, 1, 0, UInt8(8 + octets.count)]
    answer += request[4..<20]
    // §14.2 XOR-MAPPED-ADDRESS.
    answer += [0x00, 0x20, 0, UInt8(4 + octets.count), 0, address.family == .v4 ? 1 : 2]
    answer += [UInt8(remote.port >> 8) ^ cookie[0], UInt8(remote.port & 0xff) ^ cookie[1]]
    answer += zip(octets, request[4..<20]).map { $0 ^ $1 }
    return answer
  }
}
