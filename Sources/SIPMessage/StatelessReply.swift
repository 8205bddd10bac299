internal import NetCore

/// The answer to a request that could not be parsed, made of what could be found in it (RFC 3261 §8.2.6, §8.2.7).
enum StatelessReply {
  static func failure(_ error: SIPError, _ bytes: [UInt8], _ index: HeaderIndex, _ flow: Flow) -> ParseFailure {
    let s = bytes.span
    // An ACK is never answered, a response neither; without a Via nobody is there to answer to.
    guard let method = StartLine.method(of: s, index.startLine),
      !s.equals("ack", method.lowerBound, method.upperBound),
      let via = index.first(.via), index.first(.callID) != nil || index.first(.cSeq) != nil
    else { return ParseFailure(error: error) }

    var w = MessageWriter(capacity: 512)
    w.statusLine(error.status, error.reason)
    let start = Int(via.valueStart)
    var port: UInt16?
    var hasRport = false
    if let (layout, end) = try? ViaLayout.parse(s, start, Int(via.valueEnd)) {
      let top = Via(bytes: bytes[start..<s.trimEnd(start, end)], layout: layout)
      port = top.port
      hasRport = top.hasRport
      w.begin(.via)
      ViaReturn.write(top, flow: flow, into: &w)
      w.appendClean(bytes[end..<Int(via.valueEnd)])
      w.endLine()
    } else {
      var layout = ViaLayout()
      if (try? layout.sentBy(s, start, Int(via.valueEnd))) != nil, layout.hasPort { port = layout.port }
      w.header(.via, bytes[start..<Int(via.valueEnd)])
    }
    var first = true
    for entry in index.entries where entry.name == .via {
      if !first { w.header(.via, bytes[Int(entry.valueStart)..<Int(entry.valueEnd)]) }
      first = false
    }
    for name in [HeaderName.from, .to, .callID, .cSeq] {
      guard let entry = index.first(name) else { continue }
      let value = bytes[Int(entry.valueStart)..<Int(entry.valueEnd)]
      w.begin(name)
      w.appendClean(value)
      if name == .to { tag(value, via: bytes[start..<Int(via.valueEnd)], &w) }
      w.endLine()
    }
    w.finish()
    return ParseFailure(error: error, reply: w.bytes, replyFlow: ViaReturn.flow(flow, port: port, hasRport: hasRport))
  }

  /// A stateless element gives the same tag to a request and its retransmission: it is a hash of what they share.
  private static func tag(_ to: Bytes, via: Bytes, _ w: inout MessageWriter) {
    if let address = try? NameAddress(parsing: to), address.tag != nil { return }
    var seed = Array(to)
    seed.append(contentsOf: via)
    w.append(";tag=")
    let hash = SipHash.hash(seed[...], key: (0x4e69_6768_746a_6172, 0x7461_672d_6279_6865))
    w.bytes.append(addingCapacity: 16) { Hex.write(hash, into: &$0) }
  }
}
