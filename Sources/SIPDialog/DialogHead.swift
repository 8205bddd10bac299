import SIPMessage

/// The header fields that every request of a dialog has alike, written once: Max-Forwards, Route, From, To, Call-ID, as
/// whole lines in one piece of memory. Building a request then copies them in one go, and what a dialog is known by is
/// a view of the same bytes.
struct DialogHead: Sendable {
  private(set) var lines: [UInt8]
  private var callIDRange: Range<Int32>
  private var localTagRange: Range<Int32>
  private var remoteTagRange: Range<Int32>
  private var localRange: Range<Int32>
  private var remoteRange: Range<Int32>

  var callID: Bytes { view(callIDRange) }
  var localTag: Bytes { view(localTagRange) }
  /// Empty for a peer of RFC 2543.
  var remoteTag: Bytes { view(remoteTagRange) }
  /// The value of our From, tag included.
  var local: Bytes { view(localRange) }
  /// The value of our To, tag included.
  var remote: Bytes { view(remoteRange) }

  private func view(_ range: Range<Int32>) -> Bytes { lines[Int(range.lowerBound)..<Int(range.upperBound)] }

  /// - Parameters:
  ///   - local, remote: From and To values; with their tag, or without and then it is added.
  ///   - routes: as they are to be sent, in order.
  init(
    callID: Bytes, local: NameAddress, localTag: Bytes, remote: NameAddress, remoteTag: Bytes, routes: [Bytes]
  ) {
    var writer = MessageWriter(capacity: 256)
    writer.append("Max-Forwards: 70\r\n")
    for route in routes { writer.header(.route, route) }
    (localRange, localTagRange) = DialogHead.write(.from, local, tag: localTag, to: &writer)
    (remoteRange, remoteTagRange) = DialogHead.write(.to, remote, tag: remoteTag, to: &writer)
    writer.begin(.callID)
    let start = Int32(writer.bytes.count)
    writer.append(callID)
    callIDRange = start..<Int32(writer.bytes.count)
    writer.endLine()
    lines = writer.bytes
  }

  private static func write(
    _ name: HeaderName, _ address: NameAddress, tag: Bytes, to writer: inout MessageWriter
  ) -> (value: Range<Int32>, tag: Range<Int32>) {
    writer.begin(name)
    let start = writer.bytes.count
    writer.appendClean(address.bytes)
    var tagRange = start..<start
    if let written = address.tag {
      let offset = start + written.startIndex - address.bytes.startIndex
      tagRange = offset..<(offset + written.count)
    } else if !tag.isEmpty {
      writer.append(";tag=")
      tagRange = writer.bytes.count..<(writer.bytes.count + tag.count)
      writer.append(tag)
    }
    let end = writer.bytes.count
    writer.endLine()
    return (Int32(start)..<Int32(end), Int32(tagRange.lowerBound)..<Int32(tagRange.upperBound))
  }

  /// The same dialog with another route set.
  mutating func replaceRoutes(_ routes: [Bytes]) {
    var writer = MessageWriter(capacity: lines.count + 64)
    writer.append("Max-Forwards: 70\r\n")
    for route in routes { writer.header(.route, route) }
    let rest = Int(localRange.lowerBound) - "From: ".utf8.count
    let shift = Int32(writer.bytes.count - rest)
    writer.append(lines[rest...])
    func moved(_ range: Range<Int32>) -> Range<Int32> { (range.lowerBound + shift)..<(range.upperBound + shift) }
    localRange = moved(localRange)
    remoteRange = moved(remoteRange)
    localTagRange = moved(localTagRange)
    remoteTagRange = moved(remoteTagRange)
    callIDRange = moved(callIDRange)
    lines = writer.bytes
  }
}
