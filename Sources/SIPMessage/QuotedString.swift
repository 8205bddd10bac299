/// Quoted strings of RFC 3261 §25.1.
public enum QuotedString {
  /// Without quotes and backslashes, folding made one blank; text that is not quoted is only unfolded.
  public static func decode(_ raw: Bytes) -> [UInt8] {
    let quoted = raw.count >= 2 && raw.first == UInt8(ascii: "\"") && raw.last == UInt8(ascii: "\"")
    let inner = quoted ? raw.dropFirst().dropLast() : raw
    var out: [UInt8] = []
    out.reserveCapacity(inner.count)
    var i = inner.startIndex
    while i < inner.endIndex {
      if quoted, inner[i] == UInt8(ascii: "\\"), i &+ 1 < inner.endIndex {
        out.append(inner[i &+ 1])
        i &+= 2
      } else if inner[i] == 0x0d || inner[i] == 0x0a {
        i &+= 1
        while i < inner.endIndex, inner[i].isLWS { i &+= 1 }
        out.append(0x20)
      } else {
        out.append(inner[i])
        i &+= 1
      }
    }
    return out
  }

  /// In quotes, `"` and `\\` escaped, control octets made blanks: fit for a display name or a parameter.
  public static func encode(_ text: some Sequence<UInt8>) -> [UInt8] {
    var out: [UInt8] = [UInt8(ascii: "\"")]
    for c in text {
      if c == UInt8(ascii: "\"") || c == UInt8(ascii: "\\") { out.append(UInt8(ascii: "\\")) }
      out.append(c < 0x20 || c == 0x7f ? 0x20 : c)
    }
    out.append(UInt8(ascii: "\""))
    return out
  }
}
