import NetCore

/// RTCP (RFC 3550 §6). Each leg has its own: reports are made here and never relayed, as what a phone hears has our SSRC,
/// our numbering and our clock, whoever speaks behind us; its loss and jitter are those of its own leg. (RFC 7667 §3.2.2
/// calls this a back-to-back RTP session.) So a phone's reports end here and go into the leg's statistics.
enum ControlPacket {
  static let senderReport: UInt8 = 200
  static let receiverReport: UInt8 = 201

  struct SenderInfo {
    var ntp: UInt64
    var timestamp: UInt32
    var packets: UInt32
    var octets: UInt32
  }

  /// What a peer's compound packet says that concerns us.
  struct Summary: Equatable {
    /// Of a sender report: who, and the middle 32 bits of its NTP timestamp.
    var sender: UInt32?
    var ntpMiddle: UInt32 = 0
    /// The block on our own stream.
    var report: ReportBlock?
  }

  /// At most this many bytes: SR, one block, and SDES with a CNAME of 16 characters.
  static let maxSize = 28 + 24 + 28

  /// A compound packet: SR or RR, then SDES with CNAME (§6.1). Answers its size.
  static func write(
    into bytes: UnsafeMutableRawPointer, ssrc: UInt32, sender: SenderInfo?, block: ReportBlock?, cname: [UInt8]
  ) -> Int {
    var at = 0
    func put8(_ value: UInt8) {
      bytes.storeBytes(of: value, toByteOffset: at, as: UInt8.self)
      at += 1
    }
    func put16(_ value: UInt16) {
      bytes.storeBytes(of: value.bigEndian, toByteOffset: at, as: UInt16.self)
      at += 2
    }
    func put32(_ value: UInt32) {
      bytes.storeBytes(of: value.bigEndian, toByteOffset: at, as: UInt32.self)
      at += 4
    }
    let blocks = block == nil ? 0 : 1
    put8(0x80 | UInt8(blocks))
    put8(sender == nil ? receiverReport : senderReport)
    put16(UInt16((sender == nil ? 1 : 6) + 6 * blocks))
    put32(ssrc)
    if let sender {
      put32(UInt32(truncatingIfNeeded: sender.ntp >> 32))
      put32(UInt32(truncatingIfNeeded: sender.ntp))
      put32(sender.timestamp)
      put32(sender.packets)
      put32(sender.octets)
    }
    if let block {
      put32(block.ssrc)
      put32(UInt32(block.fractionLost) << 24 | UInt32(bitPattern: block.lost) & 0xff_ffff)
      put32(block.highest)
      put32(block.jitter)
      put32(block.lastReport)
      put32(block.delay)
    }
    // SDES: SSRC, item CNAME, its length and text, then at least one zero up to a multiple of four (§6.5).
    let name = cname.prefix(16)
    let chunk = 4 + 2 + name.count
    let padded = (chunk / 4 + 1) * 4
    put8(0x81)
    put8(202)
    put16(UInt16(padded / 4))
    put32(ssrc)
    put8(1)
    put8(UInt8(name.count))
    for byte in name { put8(byte) }
    for _ in chunk..<padded { put8(0) }
    return at
  }

  /// Nil for what is no compound packet by RFC 3550 §A.2.
  static func read(_ bytes: UnsafeRawPointer, _ count: Int, ourSSRC: UInt32) -> Summary? {
    func u32(_ at: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self).bigEndian }
    var summary = Summary()
    var at = 0
    while at + 4 <= count {
      let first = bytes.load(fromByteOffset: at, as: UInt8.self)
      let type = bytes.load(fromByteOffset: at + 1, as: UInt8.self)
      let words = Int(bytes.loadUnaligned(fromByteOffset: at + 2, as: UInt16.self).bigEndian)
      let end = at + 4 * (words + 1)
      guard first >> 6 == 2, end <= count else { return nil }
      if at == 0, type != senderReport && type != receiverReport { return nil }
      if type == senderReport || type == receiverReport {
        var block = at + 8
        if type == senderReport {
          guard at + 28 <= end else { return nil }
          summary.sender = u32(at + 4)
          summary.ntpMiddle = u32(at + 8) << 16 | u32(at + 12) >> 16
          block = at + 28
        }
        for _ in 0..<(first & 0x1f) {
          guard block + 24 <= end else { break }
          if u32(block) == ourSSRC {
            let loss = u32(block + 4)
            summary.report = ReportBlock(
              ssrc: ourSSRC, fractionLost: UInt8(loss >> 24), lost: Int32(bitPattern: loss << 8) >> 8,
              highest: u32(block + 8), jitter: u32(block + 12), lastReport: u32(block + 16), delay: u32(block + 20))
          }
          block += 24
        }
      }
      at = end
    }
    return at == count && count > 0 ? summary : nil
  }

  /// RFC 3550 §6.2 and §6.3.1 for two participants: 5 s, half of it for the first report, times a random 0.5…1.5 and
  /// divided by e − 3/2. `random` is uniform over 32 bits.
  static func interval(first: Bool, random: UInt32) -> Instant.Span {
    let base = first ? 2.5 : 5.0
    return .seconds(base * (0.5 + Double(random) / Double(UInt32.max)) / 1.21828)
  }
}
