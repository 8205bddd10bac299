/// One header field, as it came.
public struct HeaderLine: Sendable {
  public let name: HeaderName
  /// As written: any case, perhaps compact.
  public let nameBytes: Bytes
  /// Without the white space around it. May be folded: see `unfolded`.
  public let value: Bytes
  /// Name, colon and value as written, folding included, without the CRLF at the end.
  public let line: Bytes

  /// The value on one line: each fold, with the blanks around it, is one space (RFC 3261 §7.3.1).
  public var unfolded: Bytes { HeaderLine.unfold(value) }

  static func unfold(_ value: Bytes) -> Bytes {
    guard value.contains(0x0d) else { return value }
    var out: [UInt8] = []
    out.reserveCapacity(value.count)
    var i = value.startIndex
    while i < value.endIndex {
      if value[i] == 0x0d || value[i] == 0x0a {
        while let last = out.last, last.isLWS { out.removeLast() }
        while i < value.endIndex, value[i].isLWS { i &+= 1 }
        out.append(0x20)
      } else {
        out.append(value[i])
        i &+= 1
      }
    }
    return out[...]
  }
}

/// The header fields of a message in order.
public struct HeaderLines: Sequence, Sendable {
  let message: Message

  public struct Iterator: IteratorProtocol {
    let message: Message
    var i = 0

    public mutating func next() -> HeaderLine? {
      guard i < message.entries.count else { return nil }
      defer { i &+= 1 }
      return message.line(message.entries[i])
    }
  }

  public func makeIterator() -> Iterator { Iterator(message: message) }
  public var underestimatedCount: Int { message.entries.count }
}

extension Message {
  func line(_ entry: HeaderEntry) -> HeaderLine {
    let start = Int(entry.lineStart)
    return HeaderLine(
      name: entry.name, nameBytes: bytes[start..<(start &+ Int(entry.nameLength))], value: value(entry),
      line: bytes[start..<Int(entry.valueEnd)])
  }

  func value(_ entry: HeaderEntry) -> Bytes { bytes[Int(entry.valueStart)..<Int(entry.valueEnd)] }
}
