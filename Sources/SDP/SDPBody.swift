/// Finds the session description in a message's body (RFC 3261 §7.4, §20.15).
public enum SDPBody {
  /// - Parameter contentType: the value of Content-Type, nil where there is none.
  /// - Returns: the description's bytes, also out of a `multipart/mixed` or `multipart/alternative`; nil for an empty
  ///   body.
  /// - Throws: 415 for any other type; 400 for a multipart without its boundary or its SDP part.
  public static func find(
    in body: ArraySlice<UInt8>, contentType: ArraySlice<UInt8>?
  ) throws(SDPError) -> ArraySlice<UInt8>? {
    guard !body.isEmpty else { return nil }
    guard let contentType else {
      throw SDPError(status: 415, text: "Body without Content-Type", section: "RFC 3261 §20.15")
    }
    if isSDP(contentType) { return body }
    let (type, parameters) = contentType.split(at: UInt8(ascii: ";"))
    guard type.trimmed.equals("multipart/mixed") || type.trimmed.equals("multipart/alternative") else {
      throw SDPError(status: 415, text: "Body is not application/sdp", section: "RFC 3261 §21.4.13")
    }
    guard let boundary = boundary(in: parameters ?? []) else {
      throw .malformed("multipart without a boundary", "RFC 2046 §5.1")
    }
    for part in parts(of: body, boundary: boundary) where part.isSDP { return part.content }
    throw SDPError(status: 415, text: "No application/sdp part", section: "RFC 5621 §3.1")
  }

  /// `application/sdp`, with or without parameters.
  private static func isSDP(_ contentType: Bytes) -> Bool {
    let s = contentType.span
    let type = s.trim(0..<(s.first(UInt8(ascii: ";"), in: 0..<s.count) ?? s.count))
    return s.equals("application/sdp", type)
  }

  /// `boundary=…` of 1 to 70 octets (RFC 2046 §5.1.1).
  private static func boundary(in parameters: Bytes) -> Bytes? {
    var rest: Bytes? = parameters
    while let current = rest {
      let (parameter, after) = current.split(at: UInt8(ascii: ";"))
      rest = after
      let (name, value) = parameter.split(at: UInt8(ascii: "="))
      guard name.trimmed.equals("boundary"), var value = value?.trimmed else { continue }
      if value.count >= 2, value.first == UInt8(ascii: "\""), value.last == UInt8(ascii: "\"") {
        value = value.dropFirst().dropLast()
      }
      return (1...70).contains(value.count) ? value : nil
    }
    return nil
  }

  private struct Part {
    var isSDP: Bool
    var content: Bytes
  }

  private static func parts(of body: Bytes, boundary: Bytes) -> [Part] {
    var parts: [Part] = []
    var start: Int?
    var at = body.startIndex
    while at < body.endIndex {
      let end = body[at...].firstIndex(of: 0x0a).map { $0 + 1 } ?? body.endIndex
      let line = body[at..<end]
      if line.starts(with: [0x2d, 0x2d]), line.dropFirst(2).starts(with: boundary) {
        if let start, parts.count < 16 { parts.append(part(body[start..<at])) }
        if line.dropFirst(2 + boundary.count).starts(with: [0x2d, 0x2d]) { return parts }
        start = end
      }
      at = end
    }
    // The closing delimiter is missing: what is there is taken.
    if let start, parts.count < 16 { parts.append(part(body[start...])) }
    return parts
  }

  /// Header lines, an empty line, the content; the line end before the next delimiter belongs to that.
  private static func part(_ bytes: Bytes) -> Part {
    var isSession = false
    var at = bytes.startIndex
    while at < bytes.endIndex {
      let end = bytes[at...].firstIndex(of: 0x0a).map { $0 + 1 } ?? bytes.endIndex
      let line = bytes[at..<end].filter { $0 != 0x0d && $0 != 0x0a }[...]
      at = end
      if line.isEmpty { break }
      let (name, value) = line.split(at: UInt8(ascii: ":"))
      guard name.trimmed.equals("Content-Type") || name.trimmed.equals("c") else { continue }
      isSession = isSDP(value ?? [])
    }
    return Part(isSDP: isSession, content: bytes[at...])
  }
}
