/// Writes JSON (RFC 8259) member by member behind what `bytes` holds already, without a tree of values in between.
public struct JSONWriter {
  public var bytes: [UInt8]
  private let start: Int

  public init(after bytes: consuming [UInt8] = []) {
    start = bytes.count
    self.bytes = bytes
  }

  public var text: String { String(decoding: bytes[start...], as: UTF8.self) }

  /// `{`, or `[`, where a value may stand.
  public mutating func open(_ bracket: Unicode.Scalar) {
    separate()
    bytes.append(UInt8(ascii: bracket))
  }

  public mutating func close(_ bracket: Unicode.Scalar) { bytes.append(UInt8(ascii: bracket)) }

  /// The name of the member whose value comes next; one of our own, that needs no escapes.
  public mutating func name(_ name: StaticString) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    name.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    bytes.append(UInt8(ascii: "\""))
    bytes.append(UInt8(ascii: ":"))
  }

  public mutating func name(_ name: String) {
    separate()
    JSONWriter.quote(name, into: &bytes)
    bytes.append(UInt8(ascii: ":"))
  }

  public mutating func value(_ text: String?) {
    separate()
    if let text { JSONWriter.quote(text, into: &bytes) } else { append("null") }
  }

  public mutating func value(_ flag: Bool) {
    separate()
    append(flag ? "true" : "false")
  }

  public mutating func value(_ number: Int64) {
    separate()
    if number == .min || number < 0 { bytes.append(UInt8(ascii: "-")) }
    JSONWriter.append(number.magnitude, to: &bytes)
  }

  /// RFC 8259 §6 has no infinities and no NaN.
  public mutating func value(_ number: Double) {
    separate()
    if number.isFinite { bytes.append(contentsOf: number.description.utf8) } else { append("null") }
  }

  public mutating func value(_ value: JSONValue) {
    switch value {
    case .null: self.value(String?.none)
    case .bool(let flag): self.value(flag)
    case .integer(let number): self.value(number)
    case .number(let number): self.value(number)
    case .string(let text): self.value(text)
    case .array(let list):
      open("[")
      for element in list { self.value(element) }
      close("]")
    case .object(let members):
      open("{")
      for member in members {
        name(member.name)
        self.value(member.value)
      }
      close("}")
    }
  }

  /// A comma behind a value that another one follows.
  private mutating func separate() {
    guard bytes.count > start, let last = bytes.last else { return }
    switch last {
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: ":"): return
    default: bytes.append(UInt8(ascii: ","))
    }
  }

  private mutating func append(_ word: StaticString) { word.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) } }

  private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
    if number >= 10 { append(number / 10, to: &bytes) }
    bytes.append(0x30 &+ UInt8(truncatingIfNeeded: number % 10))
  }

  /// §7: runs of what needs no escape are copied as they are.
  private static func quote(_ text: String, into bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    let octets = text.utf8Span.span
    var clean = 0
    var i = 0
    while i < octets.count {
      defer { i += 1 }
      let c = octets[i]
      // U+0080 to U+009F: a terminal obeys them, too.
      if c == 0xc2, i + 1 < octets.count, octets[i + 1] < 0xa0 {
        append(octets, clean..<i, to: &bytes)
        bytes.append(UInt8(ascii: "\\"))
        hexadecimal(octets[i + 1], into: &bytes)
        i += 1
        clean = i + 1
        continue
      }
      guard c < 0x20 || c == 0x7f || c == UInt8(ascii: "\"") || c == UInt8(ascii: "\\") else { continue }
      append(octets, clean..<i, to: &bytes)
      escape(c, into: &bytes)
      clean = i + 1
    }
    append(octets, clean..<octets.count, to: &bytes)
    bytes.append(UInt8(ascii: "\""))
  }

  private static func append(_ octets: Span<UInt8>, _ run: Range<Int>, to bytes: inout [UInt8]) {
    unsafe octets.extracting(run).withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
  }

  private static func escape(_ c: UInt8, into bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\\"))
    switch c {
    case 0x0a: bytes.append(UInt8(ascii: "n"))
    case 0x0d: bytes.append(UInt8(ascii: "r"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    case 0..<0x20, 0x7f: hexadecimal(c, into: &bytes)
    default: bytes.append(c)
    }
  }

  /// `u0085`.
  private static func hexadecimal(_ c: UInt8, into bytes: inout [UInt8]) {
    bytes.append(contentsOf: "u00".utf8)
    for nibble in [c >> 4, c & 15] { bytes.append(nibble < 10 ? 0x30 &+ nibble : 0x57 &+ nibble) }
  }
}
