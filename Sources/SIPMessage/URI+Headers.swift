/// The `?name=value&…` part of a URI (RFC 3261 §19.1.1), asked for by name: nothing in it is followed unasked.
extension URI {
  /// The unescaped value of the first header of that name; nil where there is none.
  public func header(_ name: StaticString) -> [UInt8]? { headers(name).first }

  /// The unescaped values of every header of that name, 16 at most.
  public func headers(_ name: StaticString) -> [[UInt8]] {
    guard let raw = headersPart else { return [] }
    var found: [[UInt8]] = []
    for one in raw.split(separator: UInt8(ascii: "&"), maxSplits: 64) {
      guard let equals = one.firstIndex(of: UInt8(ascii: "=")), Escaping.equal(one[..<equals], name) else { continue }
      found.append(Escaping.decode(one[one.index(after: equals)...]))
      if found.count == 16 { break }
    }
    return found
  }

  /// The URI as it goes into a request line: without its headers.
  public var withoutHeaders: Bytes {
    guard let headers = headersPart else { return bytes }
    return bytes[..<(headers.startIndex &- 1)]
  }
}
