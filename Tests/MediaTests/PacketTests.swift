import CNet
import NetCore
import Testing

@testable import Media

@Suite struct PacketTests {
  private func parse(_ bytes: [UInt8]) -> (offset: Int, count: Int)? {
    var bytes = bytes
    return bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress, let packet = RTPPacket(base, raw.count) else { return nil }
      return (packet.payloadOffset, packet.payloadCount)
    }
  }

  @Test("RFC 3550 §5.1: the fixed header's fields are where they belong")
  func fields() {
    var bytes = Packet(type: 101, marker: true, sequence: 0xfffe, timestamp: 0x8000_0001, ssrc: 0xdead_beef).bytes
    bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress, let packet = RTPPacket(base, raw.count) else {
        Issue.record("refused")
        return
      }
      #expect(packet.marker && packet.payloadType == 101)
      #expect(packet.sequence == 0xfffe && packet.timestamp == 0x8000_0001 && packet.ssrc == 0xdead_beef)
      packet.rewrite(marker: false, payloadType: 0, sequence: 1, timestamp: 2, ssrc: 3)
    }
    #expect(Packet(bytes) == Packet(type: 0, sequence: 1, timestamp: 2, ssrc: 3))
  }

  @Test("RFC 3550 §5.1, §5.3.1: CSRC list, header extension and padding are not payload")
  func variable() {
    let csrc = [UInt8](repeating: 9, count: 8)
    let ext: [UInt8] = [0xbe, 0xde, 0, 1, 1, 2, 3, 4]
    let header = Packet(payload: []).bytes
    var bytes = header + csrc + ext + [7, 7, 7, 0, 0, 3]
    bytes[0] = 0x80 | 0x20 | 0x10 | 2
    let found = parse(bytes)
    #expect(found?.offset == 12 + 8 + 8 && found?.count == 3)
  }

  @Test(
    "RFC 3550 §A.1: what cannot be RTP is refused",
    arguments: [
      [], [0x80], [UInt8](repeating: 0x80, count: 11),
      [0x40] + [UInt8](repeating: 0, count: 171),  // version 1
      [0x8f] + [UInt8](repeating: 0, count: 30),  // 15 CSRCs that are not there
      [0x90] + [UInt8](repeating: 0, count: 12),  // an extension without its header
      [0x90] + [UInt8](repeating: 0, count: 13) + [0xff, 0xff],  // an extension longer than the packet
      [0xa0] + [UInt8](repeating: 0, count: 11),  // padding of 0
      [0xa0] + [UInt8](repeating: 0, count: 20) + [200],  // more padding than packet
      [0x80, 200, 0, 6] + [UInt8](repeating: 0, count: 24),  // RTCP (RFC 5761 §4)
    ])
  func refused(bytes: [UInt8]) {
    #expect(parse(bytes) == nil)
  }

  @Test("ITU-T G.711: every code survives decoding and encoding", arguments: [G711Law.pcmu, .pcma])
  func codes(law: G711Law) {
    for code in 0...255 {
      let byte = UInt8(code)
      let sample = G711.decode(byte, law)
      // µ-law has two zeros.
      #expect(G711.encode(sample, law) == byte || (law == .pcmu && byte == 0x7f))
    }
  }

  @Test("ITU-T G.711: known values, and clipping at the ends")
  func values() {
    #expect(G711.decodeMu(0x00) == -32124 && G711.decodeMu(0x80) == 32124)
    #expect(G711.decodeMu(0xff) == 0 && G711.decodeA(0xd5) == 8 && G711.decodeA(0x55) == -8)
    #expect(G711.decodeA(0x2a) == -32256 && G711.decodeA(0xaa) == 32256)
    #expect(G711.encodeMu(.max) == 0x80 && G711.encodeMu(.min) == 0x00)
    #expect(G711.encodeA(.max) == 0xaa && G711.encodeA(.min) == 0x2a)
    for sample in stride(from: -32000, through: 32000, by: 37) {
      for law in [G711Law.pcmu, .pcma] {
        let back = Int(G711.decode(G711.encode(Int16(sample), law), law))
        #expect(abs(back - sample) <= max(16, abs(sample) / 16))
      }
    }
  }

  @Test("silence is told from speech in both laws")
  func silence() {
    for law in [G711Law.pcmu, .pcma] {
      let quiet = (0..<160).map { _ in G711.encode(Int16.random(in: -20...20), law) }
      let speech = (0..<160).map { G711.encode(Int16($0 % 10 * 60), law) }
      quiet.withUnsafeBytes { #expect(G711.isSilent($0, law)) }
      speech.withUnsafeBytes { #expect(!G711.isSilent($0, law)) }
    }
    #expect(G711.isSilent(UnsafeRawBufferPointer(start: nil, count: 0), .pcmu))
  }
}
