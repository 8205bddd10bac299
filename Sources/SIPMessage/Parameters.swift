/// `;name=value` after an address, a Via or a token: `generic-param` of RFC 3261 §25.1.
struct ParameterExtent {
  var name: Range<Int>
  /// The name in lower case, to be compared with `Word.of`; 0 if it is longer than eight octets.
  var word: UInt64
  /// As written, with its quotes; empty if the parameter has no value, as no value is empty.
  var text: Range<Int>

  var value: Range<Int>? { text.isEmpty ? nil : text }
}

extension Span where Element == UInt8 {
  /// Reads one parameter from `i`, and moves `i` behind it. Nil at the end, or at a comma, which is left for the caller.
  func nextParameter(_ i: inout Int, _ end: Int) throws(SIPError) -> ParameterExtent? {
    i = skipLWS(i, end)
    guard i < end, self[i] != UInt8(ascii: ",") else { return nil }
    guard self[i] == UInt8(ascii: ";") else {
      throw SIPError(400, "unexpected text where a parameter may start", "RFC 3261 §25.1")
    }
    let start = skipLWS(i &+ 1, end)
    i = skip(.token, start, end)
    guard i > start else { throw SIPError(400, "parameter without a name", "RFC 3261 §25.1") }
    var parameter = ParameterExtent(name: start..<i, word: word(start, i), text: i..<i)
    let equals = skipLWS(i, end)
    guard equals < end, self[equals] == UInt8(ascii: "=") else { return parameter }
    let from = skipLWS(equals &+ 1, end)
    if from < end, self[from] == UInt8(ascii: "\"") {
      i = try quotedStringEnd(from, end)
    } else {
      i = skip(.parameterValue, from, end)
      guard i > from else { throw SIPError(400, "parameter with '=' but no value", "RFC 3261 §25.1") }
    }
    parameter.text = from..<i
    return parameter
  }
}

/// Looks a parameter up in the raw `;a=b;c` part of a header. Names are compared without case.
enum Parameters {
  /// `.some(nil)` for a parameter without a value. The value is as written; a quoted one keeps its quotes.
  static func find(_ name: StaticString, in raw: Bytes) -> Bytes?? {
    let s = raw.span
    var i = 0
    while let parameter = try? s.nextParameter(&i, raw.count) {
      guard s.equals(name, parameter.name.lowerBound, parameter.name.upperBound) else { continue }
      guard let value = parameter.value else { return .some(nil) }
      return raw[(raw.startIndex &+ value.lowerBound)..<(raw.startIndex &+ value.upperBound)]
    }
    return nil
  }
}
