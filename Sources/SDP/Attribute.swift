/// One `a=` line: `name` or `name:value` (RFC 8866 §5.13).
public struct Attribute: Hashable, Sendable {
  public let name: ArraySlice<UInt8>
  /// What follows the colon, blanks at both ends removed; nil without a colon.
  public let value: ArraySlice<UInt8>?

  init(line value: Bytes) {
    let (name, rest) = value.split(at: UInt8(ascii: ":"))
    self.name = name.trimmed
    self.value = rest?.trimmed
  }
}

/// The lines of one section, read on access: a held call keeps the bytes and nothing else.
public struct DescriptionLines: Sequence, Sendable {
  public struct Line: Hashable, Sendable {
    /// The letter before `=`.
    public let type: UInt8
    /// What follows `=`, without the line end.
    public let value: ArraySlice<UInt8>
  }

  let bytes: Bytes

  public func makeIterator() -> Iterator { Iterator(bytes: bytes) }

  public struct Iterator: IteratorProtocol, Sendable {
    private let bytes: Bytes
    private var cursor: LineCursor

    init(bytes: Bytes) {
      self.bytes = bytes
      cursor = LineCursor(0..<bytes.count)
    }

    public mutating func next() -> Line? {
      let bytes = bytes
      guard let (type, value) = cursor.next(bytes.span) else { return nil }
      let base = bytes.startIndex
      return Line(type: type, value: bytes[(base + value.lowerBound)..<(base + value.upperBound)])
    }
  }
}

/// The attributes of one section in their order.
public struct AttributeLines: Sequence, Sendable {
  let lines: DescriptionLines

  public func makeIterator() -> Iterator { Iterator(lines: lines.makeIterator()) }

  public struct Iterator: IteratorProtocol, Sendable {
    var lines: DescriptionLines.Iterator

    public mutating func next() -> Attribute? {
      while let line = lines.next() {
        if line.type == UInt8(ascii: "a") { return Attribute(line: line.value) }
      }
      return nil
    }
  }

  /// The value of the first attribute of that name: nil where there is none, `.some(nil)` where it has no value.
  public func first(_ name: StaticString) -> ArraySlice<UInt8>?? {
    for attribute in self where attribute.name.equals(name) { return .some(attribute.value) }
    return nil
  }

  public func contains(_ name: StaticString) -> Bool { contains { $0.name.equals(name) } }
}
