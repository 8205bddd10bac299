internal import NetCore

extension MessageWriter {
  /// The head of a response (RFC 3261 §8.2.6): status line, every Via with `received` and `rport` filled in on the top
  /// one (§18.2.1, RFC 3581 §4), From, To with `toTag` if it has none, Call-ID, CSeq, and for 100 the Timestamp, all as
  /// they came. The caller adds the rest and finishes. Record-Route is the caller's: `copyAll(.recordRoute, from:)`
  /// (§12.1.1).
  public static func response(
    to request: Message, status: Int, reason: String? = nil, toTag: Bytes? = nil, capacity: Int = 1024
  ) -> MessageWriter {
    var w = MessageWriter(capacity: capacity)
    w.statusLine(status, reason)
    w.vias(of: request)
    w.identity(of: request, toTag: request.toTag == nil ? toTag : nil, timestamp: status == 100)
    return w
  }

  private mutating func vias(of request: Message) {
    let text = request.bytes
    let octets = text.span
    var top = true
    for entry in request.entries where entry.name == .via {
      begin(.via)
      if top {
        ViaReturn.write(request.via, flow: request.flow, into: &self)
        bytes.append(octets: octets.extracting(Int(request.head.via.end)..<Int(entry.valueEnd)))
        top = false
      } else {
        bytes.append(octets: octets.extracting(entry.value))
      }
      endLine()
    }
  }

  /// What names the dialog and the transaction. What the parser has let through can be repeated as it is, folds and
  /// escaped NULs included, and lines that are neighbours are one piece of memory.
  private mutating func identity(of request: Message, toTag: Bytes?, timestamp: Bool) {
    let text = request.bytes
    let octets = text.span
    // Up to where the last wanted line goes, from where it is still to be copied.
    var pending: Range<Int>?
    for entry in request.entries {
      switch entry.name {
      case .from, .to, .callID, .cSeq: break
      case .timestamp where timestamp: break
      default:
        flush(pending, of: octets)
        pending = nil
        continue
      }
      pending = (pending?.lowerBound ?? entry.line.lowerBound)..<entry.line.upperBound
      if entry.name == .to, let toTag, let begun = pending {
        bytes.append(addingCapacity: begun.count &+ 5 &+ toTag.count) { out in
          out.append(octets: octets.extracting(begun))
          out.append(";tag=")
          out.append(octets: toTag.span)
        }
        pending = begun.upperBound..<begun.upperBound
      }
    }
    flush(pending, of: octets)
  }

  private mutating func flush(_ range: Range<Int>?, of octets: Span<UInt8>) {
    guard let range else { return }
    bytes.append(addingCapacity: range.count &+ 2) { out in
      out.append(octets: octets.extracting(range))
      out.appendLineEnd()
    }
  }
}

extension ViaReturn {
  /// The value as it came, save that `received` and `rport` say what was seen and not what the peer claims.
  static func write(_ via: Via, flow: Flow, into w: inout MessageWriter) {
    let s = via.bytes.span
    var i = Int(via.layout.parameters.start)
    var copied = 0
    var kept = i
    while let parameter = try? s.nextParameter(&i, s.count) {
      if parameter.word == Word.of("received") || parameter.word == Word.of("rport") {
        w.appendClean(s.extracting(copied..<kept))
        copied = i
      }
      kept = i
    }
    w.appendClean(s.extracting(copied..<kept))
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
