/// Writes XML 1.0 in UTF-8: what is ours as it is, what comes from peers and scripts escaped.
struct XMLWriter {
  private(set) var bytes: [UInt8] = []

  /// - Parameter root: the start tag of the root element up to its attributes.
  init(_ root: StaticString) {
    bytes.reserveCapacity(768)
    raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
    raw(root)
  }

  mutating func raw(_ text: StaticString) { bytes.append(contentsOf: text.description.utf8) }

  mutating func number(_ value: Int) { bytes.append(contentsOf: String(value).utf8) }

  mutating func hex(_ value: UInt64) { bytes.append(contentsOf: String(value, radix: 16).utf8) }

  /// Character data or the inside of a quoted attribute. Octets that are no UTF-8 become U+FFFD; what XML 1.0 §2.2 does
  /// not know as a character is left out.
  mutating func text(_ octets: some Collection<UInt8>) {
    for scalar in String(decoding: octets, as: UTF8.self).unicodeScalars {
      switch scalar {
      case "<": raw("&lt;")
      case ">": raw("&gt;")
      case "&": raw("&amp;")
      case "\"": raw("&quot;")
      case "'": raw("&apos;")
      case "\t", "\n", "\r": bytes.append(0x20)
      case "\u{0}"..<" ", "\u{fffe}", "\u{ffff}": break
      default: bytes.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
      }
    }
  }

  /// ` name="value"`.
  mutating func attribute(_ name: StaticString, _ value: some Collection<UInt8>) {
    bytes.append(0x20)
    raw(name)
    raw("=\"")
    text(value)
    bytes.append(UInt8(ascii: "\""))
  }

  mutating func attribute(_ name: StaticString, number value: Int) { attribute(name, String(value).utf8) }

  /// `<name>text</name>`.
  mutating func element(_ name: StaticString, _ value: some Collection<UInt8>) {
    bytes.append(UInt8(ascii: "<"))
    raw(name)
    bytes.append(UInt8(ascii: ">"))
    text(value)
    raw("</")
    raw(name)
    raw(">\n")
  }
}
