import NetCore
import Testing

@testable import SIPTransport

@Suite("RFC 5626 §4.4.2: STUN keep-alives on the SIP port")
struct StunTests {
  static let transaction: [UInt8] = Array(0..<12)
  static func request(type: [UInt8] = [0, 1], length: [UInt8] = [0, 0], attributes: [UInt8] = []) -> [UInt8] {
    type + length + [0x21, 0x12, 0xa4, 0x42] + transaction + attributes
  }

  @Test("RFC 8489 §14.2: the source address, hidden from helpful NATs", arguments: ["127.0.0.1", "[::1]"])
  func answers(_ address: String) async throws {
    try await ToyGroup.run(["udp:\(address):0"]) { group, recorder in
      let phone = try Peer(group.listeners[0])
      try phone.send(StunTests.request())
      let answer = try phone.receive()
      let isV4 = phone.local.ip.family == .v4
      #expect(Array(answer[0..<4]) == [1, 1, 0, isV4 ? 12 : 24])
      #expect(Array(answer[4..<20]) == [0x21, 0x12, 0xa4, 0x42] + StunTests.transaction)
      #expect(Array(answer[20..<26]) == [0, 0x20, 0, isV4 ? 8 : 20, 0, isV4 ? 1 : 2])
      #expect(UInt16(answer[26] ^ 0x21) << 8 | UInt16(answer[27] ^ 0x12) == phone.local.port)
      #expect(zip(answer[28...], answer[4...]).map { $0 ^ $1 } == phone.local.ip.octets)
      #expect(recorder.next() == nil)
    }
  }

  @Test(
    "anything else of STUN gets no answer, and is no message",
    arguments: [
      StunTests.request(type: [1, 1]), StunTests.request(type: [0, 2]), StunTests.request(length: [0, 4]),
      StunTests.request(length: [0, 3], attributes: [1, 2, 3]), StunTests.request(type: [0, 1], length: [255, 255]),
    ])
  func silent(_ bytes: [UInt8]) {
    #expect(StunBinding.answer(bytes, from: Endpoint("192.0.2.1:5060")!) == nil)
  }

  @Test("RFC 8489 §5: attributes of the request are not looked at")
  func attributes() {
    let software = StunTests.request(length: [0, 8], attributes: [0x80, 0x22, 0, 4, 1, 2, 3, 4])
    #expect(StunBinding.answer(software, from: Endpoint("192.0.2.1:5060")!)?.count == 32)
  }
}
