/// One header field, as it came: a place in its message, from which the parts are cut when they are asked for.
public struct HeaderLine: Sendable {
  let message: Message
  let entry: HeaderEntry

  public var name: HeaderName { entry.name }
  /// As written: any case, perhaps compact.
  public var nameBytes: Bytes {
    let start = Int(entry.lineStart)
    return message.bytes[start..<(start &+ Int(entry.nameLength))]
  }
  /// Without the white space around it. May be folded: see `unfolded`.
  public var value: Bytes { message.value(entry) }
  /// Name, colon and value as written, folding included, without the CRLF at the end.
  public var line: Bytes { message.bytes[Int(entry.lineStart)..<Int(entry.valueEnd)] }

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
  func line(_ entry: HeaderEntry) -> HeaderLine { HeaderLine(message: self, entry: entry) }

  func value(_ entry: HeaderEntry) -> Bytes { bytes[Int(entry.valueStart)..<Int(entry.valueEnd)] }
}
