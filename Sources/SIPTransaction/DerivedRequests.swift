import SIPMessage

/// The two requests that a client transaction makes itself, from the octets of the INVITE as it was sent.
///
/// The octets are our own, so they are only cut into lines, not parsed: what a peer's header may have brought into them
/// is copied or left out, and cannot fail here.
enum DerivedRequests {
  /// The ACK for a 300–699 (RFC 3261 §17.1.1.3): Request-URI, Via, Route, From, Call-ID and CSeq number of the INVITE,
  /// the To of the response.
  static func ack(invite: [UInt8], response: Message) -> [UInt8] {
    derive(.ack, invite: invite, to: response.first(.to), extra: [])
  }

  /// The CANCEL (§9.1): the same, with the To of the INVITE. No Require or Proxy-Require.
  /// - Parameter headers: whole header lines to add, such as a Reason (RFC 3326).
  static func cancel(invite: [UInt8], headers: Bytes) -> [UInt8] {
    derive(.cancel, invite: invite, to: nil, extra: headers)
  }

  private static func derive(_ method: Method, invite: [UInt8], to: Bytes?, extra: Bytes) -> [UInt8] {
    var writer = MessageWriter(capacity: 512)
    var rest = invite[...]
    let start = nextLine(&rest)
    writer.requestLine(method, uri: start.split(separator: 0x20, maxSplits: 2).dropFirst().first ?? [])
    while true {
      let line = nextLine(&rest)
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { break }
      switch HeaderName(line[..<colon]) {
      case .via, .from, .callID, .route, .maxForwards:
        writer.append(line)
        writer.endLine()
      case .to:
        if let to {
          writer.header(.to, to)
        } else {
          writer.append(line)
          writer.endLine()
        }
      case .cSeq:
        writer.begin(.cSeq)
        writer.append(line[(colon + 1)...].drop { $0 == 0x20 }.prefix { $0 != 0x20 })
        writer.append(" ")
        writer.append(method.name)
        writer.endLine()
      default:
        break
      }
    }
    writer.append(extra)
    writer.finish()
    return writer.bytes
  }

  /// Takes a line off `rest`, with its folded continuations and without the CRLF; empty at the end of the headers.
  private static func nextLine(_ rest: inout Bytes) -> Bytes {
    var i = rest.startIndex
    while i < rest.endIndex {
      if rest[i] == 0x0a, i + 1 >= rest.endIndex || (rest[i + 1] != 0x20 && rest[i + 1] != 0x09) { break }
      i += 1
    }
    var line = rest[..<i]
    rest = i < rest.endIndex ? rest[(i + 1)...] : rest.suffix(0)
    if line.last == 0x0d { line.removeLast() }
    return line
  }
}
