/// Cuts a byte stream into lines of bounded length.
struct ControlLines {
  let maxLine: Int
  private var held: [UInt8] = []

  init(maxLine: Int) { self.maxLine = maxLine }

  struct TooLong: Error {}

  /// The lines that `bytes` complete, without their ends, CR included.
  /// - Throws: `TooLong` for a line that never ends; the stream is of no use then.
  mutating func append(_ bytes: some Collection<UInt8>) throws(TooLong) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var rest = bytes[...]
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      held.append(contentsOf: rest[..<end])
      guard held.count <= maxLine else { throw TooLong() }
      if held.last == UInt8(ascii: "\r") { held.removeLast() }
      lines.append(held)
      held = []
      rest = rest[rest.index(after: end)...]
    }
    guard held.count + rest.count <= maxLine else { throw TooLong() }
    held.append(contentsOf: rest)
    return lines
  }
}
