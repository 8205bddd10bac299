import SIPMessage

/// The bytes of a dialog in one piece of memory: the URI of the peer's Contact, then the header fields that every
/// request has alike, written once as whole lines: Max-Forwards, Route, From, To, Call-ID. Building a request copies
/// them in one go, and what a dialog is known by is a view of the same bytes.
struct DialogHead: Sendable {
  private var bytes: [UInt8]
  private var targetEnd: Int32
  private var callIDRange: Range<Int32>
  private var localTagRange: Range<Int32>
  private var remoteTagRange: Range<Int32>
  private var localRange: Range<Int32>
  private var remoteRange: Range<Int32>

  var target: Bytes { bytes[0..<Int(targetEnd)] }
  var lines: Bytes { bytes[Int(targetEnd)...] }
  var callID: Bytes { view(callIDRange) }
  var localTag: Bytes { view(localTagRange) }
  /// Empty for a peer of RFC 2543.
  var remoteTag: Bytes { view(remoteTagRange) }
  /// The value of our From, tag included.
  var local: Bytes { view(localRange) }
  /// The value of our To, tag included.
  var remote: Bytes { view(remoteRange) }

  private func view(_ range: Range<Int32>) -> Bytes { bytes[Int(range.lowerBound)..<Int(range.upperBound)] }

  /// A From or To value, and its tag where that is known to be in it.
  struct Address {
    var value: Bytes
    var written: Bytes?

    init(_ address: NameAddress) {
      value = address.bytes
      written = address.tag
    }

    /// A value of our own, which mostly ends in the tag, or has none.
    init(_ value: Bytes, tag: Bytes) throws(SIPError) {
      self.value = value
      let name: StaticString = ";tag="
      let end = value.suffix(tag.count)
      if !tag.isEmpty, end.hasSameOctets(as: tag), value.dropLast(tag.count).hasSuffix(name) {
        written = end
      } else {
        written = try NameAddress(parsing: value).tag
      }
    }
  }

  /// - Parameters:
  ///   - local, remote: From and To values; with their tag, or without and then it is added.
  init(target: Bytes, callID: Bytes, local: Address, localTag: Bytes, remote: Address, remoteTag: Bytes) {
    let fixed = "Max-Forwards: 70\r\nFrom: ;tag=\r\nTo: ;tag=\r\nCall-ID: \r\n".utf8.count
    var writer = MessageWriter(
      capacity: fixed + target.count + callID.count + local.value.count + localTag.count + remote.value.count
        + remoteTag.count)
    writer.append(target)
    targetEnd = Int32(target.count)
    writer.append("Max-Forwards: 70\r\n")
    (localRange, localTagRange) = DialogHead.write("From: ", local, tag: localTag, to: &writer)
    (remoteRange, remoteTagRange) = DialogHead.write("To: ", remote, tag: remoteTag, to: &writer)
    writer.append("Call-ID: ")
    let start = Int32(writer.bytes.count)
    writer.append(callID)
    callIDRange = start..<Int32(writer.bytes.count)
    writer.endLine()
    bytes = writer.bytes
  }

  private static func write(
    _ name: StaticString, _ address: Address, tag: Bytes, to writer: inout MessageWriter
  ) -> (value: Range<Int32>, tag: Range<Int32>) {
    writer.append(name)
    let start = writer.bytes.count
    writer.appendClean(address.value)
    var tagRange = start..<start
    if let written = address.written {
      let offset = start + written.startIndex - address.value.startIndex
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

  /// The same dialog with another target and route set.
  /// - Parameter routes: as they are to be sent, in order.
  mutating func replace(target: Bytes, routes: [Bytes]) {
    var writer = MessageWriter(capacity: bytes.count + target.count + 64)
    writer.append(target)
    writer.append("Max-Forwards: 70\r\n")
    for route in routes { writer.header(.route, route) }
    let rest = Int(localRange.lowerBound) - "From: ".utf8.count
    let shift = Int32(writer.bytes.count - rest)
    writer.append(bytes[rest...])
    func moved(_ range: Range<Int32>) -> Range<Int32> { (range.lowerBound + shift)..<(range.upperBound + shift) }
    targetEnd = Int32(target.count)
    localRange = moved(localRange)
    remoteRange = moved(remoteRange)
    localTagRange = moved(localTagRange)
    remoteTagRange = moved(remoteTagRange)
    callIDRange = moved(callIDRange)
    bytes = writer.bytes
  }
}

extension Bytes {
  fileprivate func hasSuffix(_ text: StaticString) -> Bool {
    suffix(text.utf8CodeUnitCount).elementsEqual(text.description.utf8)
  }
}
