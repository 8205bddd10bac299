/// An IPv4 or IPv6 address, held as two words so that it is compared and hashed without memory of its own.
public struct IPAddress: Hashable, Sendable {
  public enum Family: UInt8, Sendable { case v4, v6 }

  public let family: Family
  /// Network order, most significant first. An IPv4 address is in the low 32 bits of `low`.
  public let high: UInt64
  public let low: UInt64

  @inlinable public init(v4: UInt32) {
    family = .v4
    high = 0
    low = UInt64(v4)
  }

  @inlinable public init(high: UInt64, low: UInt64) {
    family = .v6
    self.high = high
    self.low = low
  }

  /// `127.0.0.1`, `::1`, `[::1]`, `::ffff:1.2.3.4` (RFC 4291 §2.2; a zone index is refused). No DNS.
  public init?(_ text: some StringProtocol) {
    self.init(bytes: Array(text.utf8)[...])
  }

  public init?(bytes text: ArraySlice<UInt8>) {
    var text = text
    if text.first == UInt8(ascii: "["), text.last == UInt8(ascii: "]"), text.count > 2 {
      text = text.dropFirst().dropLast()
    }
    if text.contains(UInt8(ascii: ":")) {
      guard let parsed = IPAddress.parseV6(text) else { return nil }
      self = parsed
    } else {
      guard let v4 = IPAddress.parseV4(text) else { return nil }
      self.init(v4: v4)
    }
  }

  public var isLoopback: Bool {
    switch family {
    case .v4: low >> 24 == 127
    case .v6: high == 0 && (low == 1 || (low >> 32 == 0xffff && (low >> 24) & 0xff == 127))
    }
  }

  /// `0.0.0.0` or `::`: in a `c=` line the old way to hold (RFC 3264 §8.4).
  public var isUnspecified: Bool { high == 0 && low == 0 }

  /// The IPv4 address of `::ffff:1.2.3.4`, as a socket of both families sees IPv4 peers; any other as it is.
  public var unmapped: IPAddress {
    family == .v6 && high == 0 && low >> 32 == 0xffff ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : self
  }

  /// The 4 or 16 octets in network order.
  public var octets: [UInt8] {
    switch family {
    case .v4: (0..<4).map { UInt8(truncatingIfNeeded: low >> (24 - 8 * UInt64($0))) }
    case .v6: (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> (56 - 8 * UInt64($0 % 8))) }
    }
  }

  /// True where the first `bits` bits equal those of `other`; false for another family.
  public func hasPrefix(_ other: IPAddress, bits: Int) -> Bool {
    guard family == other.family else { return false }
    switch family {
    case .v4:
      guard bits > 0 else { return true }
      let shift = UInt64(32 - min(bits, 32))
      return low >> shift == other.low >> shift
    case .v6:
      if bits <= 0 { return true }
      if bits <= 64 { return high >> UInt64(64 - bits) == other.high >> UInt64(64 - bits) }
      guard high == other.high else { return false }
      return low >> UInt64(128 - min(bits, 128)) == other.low >> UInt64(128 - min(bits, 128))
    }
  }

  private static func parseV4(_ text: ArraySlice<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    var octet: UInt32 = 0
    var digits = 0
    var dots = 0
    for c in text {
      if c == UInt8(ascii: ".") {
        guard digits > 0, dots < 3 else { return nil }
        value = value << 8 | octet
        octet = 0
        digits = 0
        dots += 1
      } else {
        guard c >= 0x30, c <= 0x39, digits < 3 else { return nil }
        octet = octet * 10 + UInt32(c - 0x30)
        digits += 1
        guard octet <= 255 else { return nil }
      }
    }
    guard dots == 3, digits > 0 else { return nil }
    return value << 8 | octet
  }

  private static func parseV6(_ text: ArraySlice<UInt8>) -> IPAddress? {
    var groups: [UInt16] = []
    var gap: Int?
    var i = text.startIndex
    let colon = UInt8(ascii: ":")
    if text.count >= 2, text[i] == colon {
      guard text[i + 1] == colon else { return nil }
      gap = 0
      i += 2
    }
    while i < text.endIndex {
      guard groups.count < 8 else { return nil }
      let end = text[i...].firstIndex(of: colon) ?? text.endIndex
      let part = text[i..<end]
      if part.contains(UInt8(ascii: ".")) {
        guard end == text.endIndex, groups.count <= 6, let v4 = parseV4(part) else { return nil }
        groups.append(UInt16(v4 >> 16))
        groups.append(UInt16(v4 & 0xffff))
        i = end
        break
      }
      guard !part.isEmpty, part.count <= 4 else { return nil }
      var group: UInt16 = 0
      for c in part {
        let nibble: UInt8
        switch c {
        case 0x30...0x39: nibble = c - 0x30
        case 0x41...0x46: nibble = c - 0x41 + 10
        case 0x61...0x66: nibble = c - 0x61 + 10
        default: return nil
        }
        group = group << 4 | UInt16(nibble)
      }
      groups.append(group)
      i = end
      if i < text.endIndex {
        i += 1
        if i == text.endIndex { return nil }
        if text[i] == colon {
          guard gap == nil else { return nil }
          gap = groups.count
          i += 1
        }
      }
    }
    if let gap {
      guard groups.count < 8 else { return nil }
      groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
    }
    guard groups.count == 8 else { return nil }
    let words = groups.map(UInt64.init)
    return IPAddress(
      high: words[0] << 48 | words[1] << 32 | words[2] << 16 | words[3],
      low: words[4] << 48 | words[5] << 32 | words[6] << 16 | words[7])
  }
}

extension IPAddress: CustomStringConvertible {
  /// RFC 5952 text, without brackets.
  public var description: String {
    if family == .v4 { return String(decoding: dotted, as: UTF8.self) }
    if high == 0, low >> 32 == 0xffff {
      return "::ffff:\(IPAddress(v4: UInt32(truncatingIfNeeded: low)))"
    }
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * UInt64($0 % 4))) }
    var best = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > max(best.count, 1) { best = start..<end }
      start = max(end, start + 1)
    }
    func hex(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
    if best.isEmpty { return hex(groups[...]) }
    return hex(groups[..<best.lowerBound]) + "::" + hex(groups[best.upperBound...])
  }
}

extension IPAddress {
  /// `192.0.2.1`, with room for a port.
  var dotted: [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(21)
    for shift: UInt64 in [24, 16, 8] {
      text.append(decimal: low >> shift & 0xff)
      text.append(UInt8(ascii: "."))
    }
    text.append(decimal: low & 0xff)
    return text
  }
}

extension [UInt8] {
  mutating func append(decimal number: UInt64) {
    if number >= 10 { append(decimal: number / 10) }
    append(0x30 + UInt8(truncatingIfNeeded: number % 10))
  }
}
