internal import NetCore

extension MessageWriter {
  /// The head of a response (RFC 3261 §8.2.6): status line, every Via with `received` and `rport` filled in on the top
  /// one (§18.2.1, RFC 3581 §4), From, To with `toTag` if it has none, Call-ID, CSeq, and for 100 the Timestamp. The
  /// caller adds the rest and finishes. Record-Route is the caller's: `copyAll(.recordRoute, from:)` (§12.1.1).
  public static func response(
    to request: Message, status: Int, reason: String? = nil, toTag: Bytes? = nil, capacity: Int = 1024
  ) -> MessageWriter {
    var w = MessageWriter(capacity: capacity)
    w.statusLine(status, reason)
    w.vias(of: request)
    // What the parser has let through can be repeated as it is, folds and escaped NULs included.
    w.begin(.from)
    w.append(request.view(request.head.from))
    w.endLine()
    w.begin(.to)
    w.append(request.view(request.head.to))
    if let toTag, request.toTag == nil {
      w.append(";tag=")
      w.append(toTag)
    }
    w.endLine()
    w.header(.callID, request.callID)
    w.begin(.cSeq)
    w.append(number: Int(request.cseq))
    w.bytes.append(0x20)
    w.append(request.view(request.head.cseqMethod))
    w.endLine()
    if status == 100 { w.copyAll(.timestamp, from: request) }
    return w
  }

  private mutating func vias(of request: Message) {
    var top = true
    for entry in request.entries where entry.name == .via {
      begin(.via)
      let value = request.value(entry)
      if top {
        ViaReturn.write(request.via, flow: request.flow, into: &self)
        append(value[request.view(request.head.via).endIndex...])
        top = false
      } else {
        append(value)
      }
      endLine()
    }
  }
}

extension ViaReturn {
  /// The value as it came, save that `received` and `rport` say what was seen and not what the peer claims.
  static func write(_ via: Via, flow: Flow, into w: inout MessageWriter) {
    let raw = via.parameters
    w.appendClean(via.bytes[..<raw.startIndex])
    let s = raw.span
    var i = 0
    var from = 0
    while let parameter = try? s.nextParameter(&i, raw.count) {
      let name = parameter.name
      let skipped =
        s.equals("received", name.lowerBound, name.upperBound) || s.equals("rport", name.lowerBound, name.upperBound)
      if !skipped { w.appendClean(raw[(raw.startIndex &+ from)..<(raw.startIndex &+ i)]) }
      from = i
    }
    if via.hasRport {
      w.append(";rport=")
      w.append(number: Int(flow.remote.port))
    }
    if via.hasRport || IPAddress(bytes: via.host) != flow.remote.ip {
      w.append(";received=")
      w.append(flow.remote.ip)
    }
  }
}
